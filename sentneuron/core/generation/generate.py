"""What `sentneuron generate` does: read a text, continue it, and say what a neuron made of every character.

A sample is the text as given and what was generated after it. The model reads the text by its own rule, without the
space that the rule puts behind a finished text, since the next byte may still belong to the last word; a text that
ends in white space keeps it.
"""

import codecs
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sentneuron.core.atomic import atomic_open
from sentneuron.core.config import GenerateConfig, NeuronName
from sentneuron.core.data.text import TextRule
from sentneuron.core.errors import DataError, UsageError
from sentneuron.core.generation.heatmap import (
    CharacterValues,
    ColourScale,
    colour_scale,
    decode_with_values,
    values_at,
    without_surrogates,
)
from sentneuron.core.generation.neurons import ALL, ShownNeuron, choose_neuron, parse_overwrite
from sentneuron.core.generation.own_scale import SCALE_WITHOUT_DECODER, own_scale
from sentneuron.core.generation.sampling import Progress, sample
from sentneuron.core.generation.watch import make_watch
from sentneuron.core.model.checkpoint import SavedModel
from sentneuron.core.model.runner import Runner

DEFAULT_LENGTH = 200
"""Bytes generated where neither --gen-length nor --heatmap was given."""
OBJECT_SUFFIXES = (".jsonl", ".ndjson")
"""Files that get one JSON object a sample; others get the text alone."""
MAX_KEPT = 100_000_000
"""Bytes of all samples that are kept: with the values, which JSON spells out, some gigabytes of memory."""


@dataclass(frozen=True, kw_only=True)
class Generated:
    """The samples, and the scale of their heatmap where one was asked for."""

    samples: list[CharacterValues]
    scale: ColourScale | None


def generate(
    saved: SavedModel,
    config: GenerateConfig,
    *,
    runner: Runner | None = None,
    keep: bool = True,
    on_text: Callable[[str], None] = lambda piece: None,
    progress: Progress = lambda done, total: None,
    announce: Callable[[str], None] = lambda line: None,
) -> Generated:
    """Analyse the text, continue it, or both, as `config` says; `config.model` and `config.save` are the caller's.

    `runner` is the model's where there is one already, and `config.precision` then the runner's.
    `on_text` gets the first sample piece by piece as it comes, the text as given first. `progress` counts bytes,
    `announce` gets what --overwrite comes to.
    Without `keep` there are no samples to return, and the length may be any: memory does not grow with it.

    Raises:
        UsageError: a neuron that does not exist, one that has to be named, a heatmap of no text, or --overwrite where
            nothing is generated; more text than can be kept; a precision that this model or this machine cannot have.
        DataError: the model's output is not finite; nothing can be generated, since the file held no decoder.
    """
    length = num_bytes_to_generate(config)
    num_units = saved.model.config.num_features(all_layers=saved.all_layers)

    def chosen(requested: NeuronName | None) -> ShownNeuron | None:
        return choose_neuron(saved.classifier, num_units, requested=requested, known=saved.sentiment_neuron)

    neuron = chosen(config.neuron)
    require_neuron(config, neuron)
    pins = {}
    if config.overwrite is not None:
        if length == 0:
            raise UsageError("--overwrite steers what is generated, and nothing is", hint="add --gen-length 200")
        pinned = chosen(None if config.neuron == ALL else config.neuron)
        pins = parse_overwrite(config.overwrite, num_units, neuron=pinned)
        if pinned is not None and "=" not in config.overwrite:
            announce(pinned.describe_pin(*pins.values()))
    if length and not saved.has_decoder:
        raise DataError(
            "the model holds no decoder, so nothing can be generated with it",
            hint="use the language model that it was made from, or --heatmap alone to analyse a text",
        )
    text = without_surrogates(config.text)
    if config.heatmap and length == 0 and not saved.rule.body(text):
        raise UsageError("--heatmap has no text to colour", hint='give one with --text "…", or add --gen-length 200')
    if keep and length * config.num_samples > MAX_KEPT:
        limit = MAX_KEPT // config.num_samples
        raise UsageError(
            f"--gen-length {length} is more than can be kept for {config.num_samples} samples",
            hint=f"ask for {limit:,} or fewer; one sample that is only printed may have any length",
        )

    prompt, offsets = prompt_bytes(saved.rule, text)
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    on_text(text)
    runner = runner or Runner(saved.model, precision=config.precision, all_layers=saved.all_layers)
    watch = None if neuron is None else make_watch(runner, neuron, saved.classifier)
    if config.heatmap and neuron is not None and watch is not None and neuron.scale is None:
        scale = own_scale(runner, saved.rule, watch) if saved.has_decoder else SCALE_WITHOUT_DECODER
        neuron = replace(neuron, scale=scale)
    made = sample(
        runner,
        prompt,
        length=length,
        num_samples=config.num_samples if length else 1,
        temperature=config.temperature,
        top_k=config.top_k,
        top_p=config.top_p,
        seed=config.seed,
        watch=watch,
        pins=pins,
        keep=keep,
        on_bytes=lambda ids: on_text(decoder.decode(bytes(ids[:1]))),
        progress=progress,
    )
    on_text(decoder.decode(b"", final=True))

    samples: list[CharacterValues] = []
    if not keep:
        return Generated(samples=samples, scale=None)
    for data, byte_values in zip(made.samples, made.sample_values, strict=True):
        if neuron is None:
            samples.append(CharacterValues(text=text + data.decode("utf-8", "replace"), values=[], neuron=None))
            continue
        new_text, new_values = decode_with_values(data, byte_values)
        values = values_at(offsets, made.prompt_values) + new_values
        samples.append(CharacterValues(text=text + new_text, values=values, neuron=neuron.index))
    colours = colour_scale(neuron, negate=config.negate) if config.heatmap and neuron is not None else None
    return Generated(samples=samples, scale=colours)


def num_bytes_to_generate(config: GenerateConfig) -> int:
    """Return how many bytes follow the text: 200 by default, none where only a heatmap was asked for."""
    if config.gen_length is not None:
        return config.gen_length
    return 0 if config.heatmap else DEFAULT_LENGTH


def require_neuron(config: GenerateConfig, neuron: ShownNeuron | None) -> None:
    """Check that there is a neuron where its values are to be shown or written.

    Raises:
        UsageError: there is none.
    """
    if neuron is not None:
        return
    if config.heatmap:
        wanted = "--heatmap"
    elif config.save is not None and config.save.suffix in OBJECT_SUFFIXES:
        wanted = f"--save {config.save}"
    else:
        return
    raise UsageError(
        f"{wanted} shows a neuron, and a plain language model has no sentiment neuron",
        hint="name one with --neuron I, or run 'sentneuron transfer' on the model first",
    )


def prompt_bytes(rule: TextRule, text: str) -> tuple[bytes, list[int]]:
    """Return the bytes to be continued and, for each character of `text`, the index of its last byte."""
    data, offsets = rule.clean_with_offsets(text)
    if text[-1:].isspace() and rule.body(text):
        return data, offsets
    return data.removesuffix(b" "), offsets


def write_samples(path: Path, samples: Sequence[CharacterValues]) -> None:
    """Write one JSON object a sample where the name says so (OBJECT_SUFFIXES), else texts, a blank line between two.

    Raises:
        OutputError, StorageError: as `atomic_path`.
    """
    with atomic_open(path) as file:
        if path.suffix in OBJECT_SUFFIXES:
            for one in samples:
                file.write(json.dumps(one.to_dict(), ensure_ascii=False) + "\n")
        else:
            file.write("\n\n".join(one.text for one in samples) + "\n")
