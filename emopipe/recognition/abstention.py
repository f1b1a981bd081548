"""Knowing when not to answer: thresholds of confidence, and the emotions that cannot be ruled out.

Both come from what a model answered for its dev set (:mod:`emopipe.schemas.dev_answers`). They hold for recordings like
those: of strangers who speak the same language in front of the same kind of microphone. For another corpus nothing is
promised.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from emopipe.audio.model import Trained
from emopipe.io.errors import UserError
from emopipe.scoring.selective import confidence_threshold, conformal_threshold, prediction_sets

Row = dict[str, Any]


@dataclass(frozen=True)
class Abstention:
    """Which answers are withheld, and the set of emotions beside the others: a function of rows of a recogniser.

    >>> abstain = Abstention.of(recognizer.trained, coverage=0.9)  # doctest: +SKIP
    >>> rows = [abstain(row) for row in recognizer(["speech.wav"]).to_dict("records")]  # doctest: +SKIP
    """

    threshold: float = 0.0  # of confidence
    reason: str = ""  # why that is too low
    largest: float | None = None  # score 1 - p of an emotion that cannot be ruled out; None: no sets
    guarantee: str = ""  # what the sets hold for: speaker | utterance

    @classmethod
    def of(
        cls,
        trained: Trained,
        coverage: float | None = None,
        min_confidence: float | None = None,
        sets: float | None = None,
    ) -> Abstention:
        """Choose thresholds for a model.

        Args:
            trained: the model
            coverage: share of recordings that are answered, every speaker counting the same: the least certain are not
            min_confidence: below which there is no answer, in place of a coverage
            sets: share of recordings whose true emotion is to be in the set of those that cannot be ruled out

        Raises:
            UserError: if a share is none, or the model does not tell what it needs
        """
        for name, share in (("--coverage", coverage), ("--min-confidence", min_confidence), ("--sets", sets)):
            if share is not None and not 0 < share <= 1:
                raise UserError(f"{name}: {share:g} is not between 0 and 1")
        if coverage is not None and min_confidence is not None:
            raise UserError("--coverage and --min-confidence: two thresholds; name one")
        if coverage is min_confidence is sets is None:
            return cls()
        if trained.temperature is None:
            raise UserError("--coverage, --min-confidence and --sets are of emotions; this model predicts ratings")
        dev = trained.dev
        if dev is None and (coverage is not None or sets is not None):
            raise UserError("--coverage and --sets need dev.safetensors beside the model, which an older one lacks; "
                "train it anew, or name --min-confidence")  # fmt: skip
        threshold, reason, largest, guarantee = min_confidence or 0.0, "", None, ""
        if coverage is not None:
            threshold = confidence_threshold(dev.probabilities, dev.speakers, coverage)
            reason = f", with which {100 * coverage:g}% of the dev set is answered"
        if sets is not None:
            largest, guarantee = conformal_threshold(dev.probabilities, dev.targets, dev.speakers, sets)
        return cls(threshold, reason, largest, guarantee)

    @property
    def columns(self) -> list[str]:
        """Return the columns that rows are given."""
        return [] if self.largest is None else ["set"]

    def __call__(self, row: Row) -> Row:
        """Return a row without its emotion if that is not certain enough, and with the set of emotions.

        Args:
            row: of a recogniser that classifies, whatever its status

        Returns:
            the same with ``set``, the emotions that cannot be ruled out, the likeliest first, joined by ``|``; where it
            is not certain enough ``status`` is abstained and says why, and everything but ``emotion`` stays
        """
        if self.largest is not None:
            row = row | {"set": self._set(row) if row["status"] == "ok" else None}
        if row["status"] != "ok" or not row.get("confidence", 1.0) < self.threshold:
            return row
        found, digits = row["confidence"], 2
        while f"{found:.{digits}f}" == f"{self.threshold:.{digits}f}" and digits < 17:
            digits += 1  # two numbers that read the same would explain nothing
        reason = f"confidence {found:.{digits}f} is below {self.threshold:.{digits}f}{self.reason}"
        return row | {"emotion": None, "status": "abstained", "reason": reason}

    def _set(self, row: Row) -> str:
        chances = {name.removeprefix("p_"): row[name] for name in row if name.startswith("p_")}
        inside = prediction_sets(np.array([list(chances.values())]), self.largest)[0]
        found = [label for label, within in zip(chances, inside, strict=True) if within]
        return "|".join(sorted(found, key=lambda label: -chances[label]))
