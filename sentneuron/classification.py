"""What `SentimentModel.classify` returns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sentneuron.core.transfer.classifier import Classifier, Scored
from sentneuron.core.transfer.label_set_metrics import predicted_labels


@dataclass(frozen=True, kw_only=True, eq=False)
class Classification:
    """What a classifier says of N texts, in the order given."""

    labels: NDArray[np.object_]
    """Class names (N,); of labels that may hold together, tuples of those that do. None where there is no text."""
    probabilities: NDArray[np.float32]
    """The second of two classes' (N,); of more, and of labels that may hold together, each one's (N, K). NaN where
    there is no text."""
    neuron: NDArray[np.float32]
    """The sentiment neuron's value (N,), pooled as the classifier's features are; NaN where there is no text."""
    classes: list[str]
    """Names of the K classes, in order."""

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def from_scores(cls, classifier: Classifier, parts: Sequence[Scored]) -> Self:
        """Join what `classifier` made of the texts, part after part."""
        probabilities = np.concatenate([part.probabilities for part in parts])
        neuron = np.concatenate([part.neuron for part in parts])
        labels = np.full(len(neuron), None, object)
        is_several = classifier.multi_label
        for row in np.flatnonzero(~np.isnan(neuron)).tolist():
            if is_several:
                holding = np.flatnonzero(predicted_labels(probabilities[row])).tolist()
                labels[row] = tuple(classifier.classes[number] for number in holding)
            else:
                labels[row] = classifier.classes[int(probabilities[row].argmax())]
        if len(classifier.classes) == 2 and not is_several:
            probabilities = probabilities[:, 1]
        return cls(labels=labels, probabilities=probabilities, neuron=neuron, classes=classifier.classes)
