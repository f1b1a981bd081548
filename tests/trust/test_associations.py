"""Measures of association agree with other formulas, are free of bias, and name what gives a corpus away."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import f_oneway
from scipy.stats.contingency import association

from emopipe.trust.associations import adjusted_r2, associations, cramers_v, epsilon_squared
from emopipe.trust.measures import IDENTITIES, MEASURES
from emopipe.trust.speakers import speakers_of_one_emotion


def test_cramers_v_is_free_of_the_bias_that_many_speakers_bring():
    generator = np.random.default_rng(0)
    values, biased = [], []
    for _ in range(40):
        a, b = generator.integers(0, 40, 200).astype(str), generator.integers(0, 4, 200).astype(str)
        values.append(cramers_v(a, b) ** 2)
        biased.append(association(pd.crosstab(a, b).to_numpy(), method="cramer") ** 2)
    assert np.mean(biased) > 0.15
    assert np.mean(values) < 0.02


def test_cramers_v_of_many_utterances_is_the_uncorrected_one():
    generator = np.random.default_rng(1)
    a = generator.integers(0, 4, 50_000)
    b = np.where(generator.random(50_000) < 0.5, a % 3, generator.integers(0, 3, 50_000))
    expected = association(pd.crosstab(a, b).to_numpy(), method="cramer")
    assert cramers_v(a.astype(str), b.astype(str)) == pytest.approx(expected, abs=1e-3)


def test_epsilon_squared_follows_from_the_f_of_an_analysis_of_variance():
    generator = np.random.default_rng(2)
    groups = generator.integers(0, 5, 200)
    values = generator.normal(size=200) + 0.4 * groups
    f = f_oneway(*(values[groups == group] for group in range(5))).statistic
    assert epsilon_squared(values, groups.astype(str)) == pytest.approx((f - 1) * 4 / (f * 4 + 195))
    chance = [epsilon_squared(generator.normal(size=60), generator.integers(0, 20, 60).astype(str)) for _ in range(100)]
    assert np.mean(chance) < 0.08  # of itself never negative; the plain correlation ratio is 0.32 here


def test_what_does_not_vary_goes_with_nothing():
    assert cramers_v([], []) == cramers_v(["a"], ["b"]) == cramers_v(["a", "a"], ["b", "c"]) == 0
    assert cramers_v(["a", "b"], ["c", "d"]) == 0  # two utterances tell nothing
    assert epsilon_squared(np.array([]), []) == epsilon_squared(np.ones(4), list("aabb")) == 0
    assert epsilon_squared(np.arange(3.0), list("abc")) == epsilon_squared(np.arange(3.0), list("aaa")) == 0
    assert adjusted_r2(np.ones(2), np.arange(2.0)) == adjusted_r2(np.ones(9), np.arange(9.0)) == 0


def corpora():
    """Return two corpora: in one of them the speaker has one emotion and recordings of one length."""
    generator = np.random.default_rng(3)
    rows = pd.DataFrame(
        {
            "corpus": np.repeat(["found", "acted"], 120),
            "speaker": [f"{'found' if i < 120 else 'acted'}/{i // 10}" for i in range(240)],
            "emotion": [("anger", "joy")[(i // 10 if i < 120 else i) % 2] for i in range(240)],
            "sex": np.where(np.arange(240) // 20 % 2, "female", "male"),
            "arousal": np.nan,
        }
    )
    rows = rows.assign(**{name: generator.normal(size=240) for name in MEASURES}).assign(peak=0.0)
    rows.loc[:119, "duration"] += 3 * (rows["emotion"][:120] == "joy")
    return rows


def test_a_corpus_is_told_what_goes_with_its_emotions():
    found = {(one.corpus, one.name): one for one in associations(corpora())}
    assert {name for _, name in found} == {*MEASURES, *IDENTITIES}
    assert {corpus for corpus, _ in found} == {"found", "acted", ""}
    strong = {key for key, one in found.items() if one.value is not None and one.value > 0.3}
    assert strong == {("found", "speaker"), ("found", "duration"), ("", "speaker")}
    assert found["found", "speaker"].measure == "cramers_v"
    assert found["found", "peak"].value is None
    assert "peak" in found["found", "peak"].note
    assert found["found", "corpus"].value is None
    assert found["", "corpus"].value == pytest.approx(0, abs=0.1)


def test_dimensions_are_told_too_and_the_unknown_is_left_out():
    rows = corpora().query("corpus == 'acted'").reset_index(drop=True)
    rows["arousal"] = 3 + 0.5 * rows["loudness"] + (rows["sex"] == "female")
    rows.loc[:9, "arousal"] = np.nan
    rows.loc[10:14, "sex"] = ""
    found = {one.name: one for one in associations(rows, ("arousal",))}
    assert found["loudness"].measure == "r_squared"
    assert found["loudness"].n == 110
    assert found["sex"].measure == "epsilon_squared"
    assert found["sex"].n == 105
    known = rows[10:]
    assert found["loudness"].value == pytest.approx(
        np.corrcoef(known["loudness"], known["arousal"])[0, 1] ** 2, abs=0.01
    )
    assert found["sex"].value > 0.3


def test_speakers_of_one_emotion_are_warned_of_with_the_numbers():
    rows = corpora()
    rows.loc[[0, 10], "emotion"] = ["joy", "anger"]  # nine of ten are not more than 90 %
    warned, fine = speakers_of_one_emotion(rows)[::-1]
    assert (warned.subject, warned.passed, warned.n) == ("found", False, 12)
    assert warned.value == pytest.approx(10 / 12)
    assert "10 of 12 speakers" in warned.note
    assert (fine.subject, fine.passed, fine.value) == ("acted", True, 0)
    few = rows.groupby("speaker").head(4)
    assert [(one.passed, one.n) for one in speakers_of_one_emotion(few)] == [(None, 0)] * 2
    unknown = speakers_of_one_emotion(rows.assign(speaker=""))
    assert {one.note for one in unknown} == {"none of 0 known speakers has 5 utterances"}
