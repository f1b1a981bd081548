"""The record of a test: what was measured, of whom, and whether it passed.

Names, thresholds and rounding are those of the published suite (Derington et al., "Testing correctness, fairness, and
robustness of speech emotion recognition models", IEEE Transactions on Affective Computing, 2025, arXiv 2312.06270; code
at github.com/audeering/ser-tests), so that a test that is passed there is passed here. They were chosen for four
classes: anger, happiness, neutral and sadness.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from emopipe.scoring.intervals import Interval

Rule = Literal[">", "<", "within"]  # within: neither above the threshold nor below its negative


class Result(NamedTuple):
    """One test; what is not defined is None, and ``note`` says why."""

    test: str  # correctness_classification, fairness_sex, ...
    score: str  # what was measured: uar, recall, share, ...
    subject: str  # the class, dimension, bin or corpus; empty: all of them
    group: str  # whose utterances: of a sex, a pitch, a language, an emotion; empty: all
    value: float | None
    low: float | None  # 95 % interval over speakers
    high: float | None
    rule: Rule  # how the value has to lie to the threshold
    threshold: float | None
    passed: bool | None  # None: the test is not applicable
    n: int  # utterances it rests on, or speakers where it is about speakers
    note: str = ""


def judged(
    test: str,
    score: str,
    value: float,
    rule: Rule,
    threshold: float,
    n: int,
    *,
    subject: str = "",
    group: str = "",
    interval: Interval | None = None,
    decimals: int = 2,
    note: str = "",
) -> Result:
    """Return the record of a test that was made.

    Args:
        test: its name
        score: what was measured
        value: of it; not rounded
        rule: how it has to lie to the threshold
        threshold: itself does not pass
        n: utterances or speakers
        subject: class, dimension or bin
        group: whose utterances
        interval: of the value
        decimals: to which the value is rounded before it is compared
        note: of what to keep in mind

    >>> judged("correctness_classification", "uar", 0.504, ">", 0.5, 80).passed  # 0.50 is not above
    False
    """
    rounded = round(value, decimals)
    passed = {">": rounded > threshold, "<": rounded < threshold, "within": abs(rounded) < threshold}[rule]
    low, high = (interval.low, interval.high) if interval else (None, None)
    notes = "; ".join(part for part in (note, interval.note if interval else "") if part)
    return Result(test, score, subject, group, float(value), low, high, rule, threshold, bool(passed), n, notes)


def not_applicable(
    test: str, score: str, rule: Rule, n: int, note: str, *, subject: str = "", group: str = ""
) -> Result:
    """Return the record of a test that could not be made; ``note`` says why, and ``n`` counts what there is."""
    return Result(test, score, subject, group, None, None, None, rule, None, None, n, note)
