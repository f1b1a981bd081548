"""Simulated test sets of which the truth is known, and what property tests draw theirs from."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from scipy.special import expit, logit

CLASSES = np.array(["anger", "happiness", "neutral", "sadness"])
SHARES = np.array([0.4, 0.3, 0.2, 0.1])  # of the classes: unequal, as in real corpora
RECALLS = np.array([0.8, 0.7, 0.6, 0.5])
labels = st.sampled_from(list(CLASSES))
speakers = st.sampled_from(["", "s/1", "s/2", "s/3"])


def answers(generator, sizes, between=0.0, recall=RECALLS):
    """Return truth, prediction and speaker of simulated utterances; ``between`` is how much speakers differ."""
    speaker = np.repeat(np.arange(len(sizes)), sizes)
    truth = generator.choice(4, size=len(speaker), p=SHARES)
    right = expit(logit(recall) + between * generator.normal(size=(len(sizes), 1)))[speaker, truth]
    wrong = (truth + generator.integers(1, 4, size=len(truth))) % 4
    prediction = np.where(generator.random(len(truth)) < right, truth, wrong)
    return CLASSES[truth], CLASSES[prediction], np.char.add("s/", speaker.astype(str))


def ratings(generator, sizes, between):
    """Return truth, prediction and speaker of simulated ratings, [utterances, 1] each."""
    speaker = np.repeat(np.arange(len(sizes)), sizes)
    truth = 3 + between * generator.normal(size=len(sizes))[speaker] + 0.8 * generator.normal(size=len(speaker))
    bias = between * generator.normal(size=len(sizes))[speaker]
    prediction = 3 + 0.6 * (truth - 3) + bias + 0.5 * generator.normal(size=len(speaker))
    return truth[:, None], prediction[:, None], np.char.add("s/", speaker.astype(str))
