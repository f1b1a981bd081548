"""The zero-shot baseline of a backbone that brings its own emotion classifier, which no training here has touched."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import softmax

from emopipe.backbones.catalogue import FAMILIES
from emopipe.backbones.loading import reload_verified
from emopipe.encoding.store import Store


def zero_shot(store: Store, utterances: Sequence[str], labels: Sequence[str]) -> np.ndarray | None:
    """Return the probability of every class.

    The classifier's outputs for one emotion are added up; those that stand for none of the classes are left
    out, and the rest is scaled to one.

    Args:
        store: with the mean of the network's output for every utterance
        utterances: to classify
        labels: names of the classes

    Returns:
        [utterances, classes]; None where the backbone brings no classifier of one of the classes
    """
    if not FAMILIES[store.provenance["backbone"]["family"]].has_classifier:  # then nothing needs to be loaded
        return None
    head = reload_verified(store.provenance).head
    if head is None or not set(head.emotions) & set(labels):
        return None
    means = store.statistics(store.rows(utterances))[:, 0, -1]
    outputs = softmax(means @ head.weight.numpy().T + head.bias.numpy(), axis=1)
    chosen = np.array([[emotion == label for label in labels] for emotion in head.emotions], dtype=np.float64)
    probabilities = outputs.astype(np.float64) @ chosen
    return probabilities / probabilities.sum(1, keepdims=True)
