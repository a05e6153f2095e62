"""Which neuron is shown and pinned: its number, the cell value that saturates its colour, and its sign.

Neurons are numbered as the classifier's features are: units of the top layer, or of all layers, bottom layer first,
where it was transferred with `--all-layers`; ALL is what they say together (`watch`). A classifier's neurons carry a
sign, the side of the cell value that speaks for a class in the regression on all neurons. Of two exclusive classes this
is the later one, "positive", and the other side speaks for the earlier. Of more classes, or of labels of which several
may hold, it is the one on which the neuron weighs most; the other side speaks against that one and for none.

A plain language model knows neither neuron nor sign: the neuron is named by the user, and its sign is that of the
cell value. Where the model is a published one with a sentiment neuron that is known, as OpenAI's, it is that one, and
high values are positive.
"""

import math
import re
from dataclasses import dataclass
from typing import Any, Final

from sentneuron.core.config import NeuronName
from sentneuron.core.errors import UsageError
from sentneuron.core.model.classifier_parts import feature_weights

ALL: Final = "all"


def titled(index: NeuronName) -> str:
    """Return `neuron 388`, or `all neurons`."""
    return "all neurons" if index == ALL else f"neuron {index}"


@dataclass(frozen=True, kw_only=True)
class ShownNeuron:
    """A neuron, as the heatmap and `--overwrite` see it, or all of them together."""

    index: NeuronName
    """Number of the unit among the classifier's features."""
    scale: float | None = None
    """Cell value, above zero, at which the colour is full; None where the file does not say."""
    sign: int = 1
    """+1 where a high cell value speaks for the positive class, -1 where a low one does."""
    negative: str = ""
    """What the other side speaks for; empty where there is nothing."""
    positive: str = ""
    """Class that the positive side speaks for; empty where no classifier says."""

    @property
    def unit(self) -> int:
        """The unit's number; not asked of all together."""
        assert self.index != ALL
        return self.index

    def describe_pin(self, value: float) -> str:
        """Return `neuron 388 is held at -1, the side of positive`."""
        side = self.positive if self.sign * value > 0 else self.negative if value else ""
        return f"neuron {self.unit} is held at {value:+g}" + (f", the side of {side}" if side else "")


def choose_neuron(
    classifier: dict[str, Any] | None, num_units: int, *, requested: NeuronName | None, known: int | None = None
) -> ShownNeuron | None:
    """Return the neuron asked for, else the classifier's heaviest, else the one `known`; None where there is none.

    `classifier` is a model file's, `num_units` the number of its features; `known` is the sentiment neuron of a model
    without a classifier (`SavedModel.sentiment_neuron`), whose high values are positive.

    Raises:
        UsageError: the model has no such neuron, or no classifier of two classes that all could speak for.
    """
    if requested == ALL:
        return _all_neurons(classifier)
    if requested is not None:
        check_in_range(requested, num_units, option="--neuron")
    if classifier is None:
        if known is not None and requested in (None, known):
            return ShownNeuron(index=known, negative="negative", positive="positive")
        return None if requested is None else ShownNeuron(index=requested)
    index = int(classifier["sentiment_neuron"]) if requested is None else requested
    scale = None if classifier["scale"] is None else float(classifier["scale"][index])
    weights = feature_weights(classifier)[:, index]  # the regression on a few may leave the heaviest of all unused
    row = int(weights.abs().argmax())
    weight = float(weights[row])
    if weight == 0:
        return ShownNeuron(index=index, scale=scale)
    names = [spoken(str(name)) for name in classifier["classes"]]
    negative, positive = names if _is_binary(classifier) else (f"not {names[row]}", names[row])
    return ShownNeuron(index=index, scale=scale, sign=1 if weight > 0 else -1, negative=negative, positive=positive)


def _all_neurons(classifier: dict[str, Any] | None) -> ShownNeuron:
    if classifier is None:
        raise UsageError(
            "--neuron all: a plain language model has no classifier to ask",
            hint="name a neuron with --neuron I, or make a classifier with 'sentneuron transfer'",
        )
    if not _is_binary(classifier):
        known = f"{len(classifier['classes'])} labels" + (
            ", any of which may hold" if classifier["multi_label"] else ""
        )
        raise UsageError(
            f"--neuron all: the score is one of two classes, and this classifier knows {known}",
            hint="name a neuron with --neuron I",
        )
    negative, positive = (spoken(str(name)) for name in classifier["classes"])
    return ShownNeuron(index=ALL, negative=negative, positive=positive)


def _is_binary(classifier: dict[str, Any]) -> bool:
    return len(classifier["classes"]) == 2 and not classifier["multi_label"]


def spoken(name: str) -> str:
    """Return a class's name as it can stand beside a number: `class 1` for `1`."""
    return f"class {name}" if name.isdigit() else name


def parse_overwrite(overwrite: str, num_units: int, *, neuron: ShownNeuron | None) -> dict[int, float]:
    """Return the cell values to pin, by unit: `+1` in the neuron's positive direction, `2388=1,17=-0.5` as given.

    Raises:
        UsageError: it is neither form, a value is not finite, a unit does not exist, or there is no neuron for `+1`.
    """
    if "=" not in overwrite:
        value = _number(overwrite, overwrite)
        if neuron is None:
            raise UsageError(
                f"--overwrite {overwrite}: a plain language model has no sentiment neuron",
                hint="name one with --neuron I, or give I=VALUE",
            )
        return {neuron.unit: neuron.sign * value}
    pins: dict[int, float] = {}
    for part in overwrite.split(","):
        unit, equals, number = part.partition("=")
        if not equals or not re.fullmatch(r"\s*[0-9]{1,9}\s*", unit):
            raise UsageError(
                f"--overwrite {overwrite}: {part!r} is not NEURON=VALUE", hint="give pairs, as in 2388=1,17=-0.5"
            )
        check_in_range(int(unit), num_units, option="--overwrite")
        pins[int(unit)] = _number(number, overwrite)
    return pins


def check_in_range(index: int, num_units: int, *, option: str) -> None:
    """Check that there is this unit.

    Raises:
        UsageError: there is not; the message names the option and the range.
    """
    if not 0 <= index < num_units:
        raise UsageError(f"{option}: there is no neuron {index}", hint=f"this model's neurons are 0 to {num_units - 1}")


def _number(text: str, overwrite: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UsageError(
            f"--overwrite {overwrite}: {text!r} is no number", hint="give +1, -1, a VALUE, or NEURON=VALUE,…"
        )
    return value
