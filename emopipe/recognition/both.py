"""From recordings with their texts to emotions, by the models of both branches and the forest over them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import count, islice
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.ensemble import RandomForestClassifier

from emopipe.audio import saving as audio_saving
from emopipe.audio.tasks import Regression
from emopipe.forest import saving as forests
from emopipe.forest.fitting import branches_of
from emopipe.io.errors import UserError
from emopipe.recognition.clips import Clip, named
from emopipe.recognition.devices import Device, chosen
from emopipe.recognition.speech import Recognizer
from emopipe.recognition.text import Text, TextRecognizer, emotion_columns, emotions, regressor
from emopipe.schemas.manifest import DIMENSIONS
from emopipe.schemas.vad import INPUT_BRANCHES
from emopipe.text import saving as text_saving

Pair = tuple[Clip, Text]

TOGETHER = 64  # pairs that are taken at a time: clips may be samples
PREDICTED = [*DIMENSIONS, "spread"]  # of either branch


class BothRecognizer:
    """Two regressors and a forest over the VAD of both, that answer recordings with their texts.

    >>> recognizer = BothRecognizer.load()  # doctest: +SKIP
    >>> recognizer([("speech.wav", "What a lovely day!")])[["clip", "text", "emotion"]]  # doctest: +SKIP
             clip                text    emotion
    0  speech.wav  What a lovely day!  happiness
    """

    def __init__(self, speech: Recognizer, text: TextRecognizer, forest: RandomForestClassifier) -> None:
        self.speech = speech
        self.text = text
        self.forest = forest

    @classmethod
    def load(
        cls,
        audio: str | Path = audio_saving.FOLDER,
        text: str | Path = text_saving.FOLDER,
        forest: str | Path = forests.PATH,
        revision: str | None = None,
        device: Device = "auto",
    ) -> BothRecognizer:
        """Load the models of a pipeline whose ``forest.inputs`` is both.

        Args:
            audio: a folder that the pipeline wrote, or a repository of the Hugging Face hub, ``owner/name``
            text: a folder that the pipeline wrote
            forest: a file that the pipeline wrote
            revision: of the repository: a branch, a tag or a commit; None: its main branch
            device: where to compute; ``auto`` is a GPU where there is one

        Raises:
            UserError: if one of them is not there or broken, or they do not go together
        """
        trees = forests.load(Path(forest).expanduser())
        if trees is None:
            raise UserError(f"{forest}: no forest: no training text of that pipeline had an emotion")
        taken = branches_of(trees)
        if taken != list(INPUT_BRANCHES["both"]):
            raise UserError(f"{forest}: a forest that takes the VAD of {taken[0]} alone; set forest.inputs to both")
        speech = Recognizer.load(audio, revision, device)
        task = speech.trained.task
        if not isinstance(task, Regression) or not set(DIMENSIONS) <= set(task.names):
            what = ", ".join(task.names) if isinstance(task, Regression) else "emotions"
            raise UserError(f"{audio}: a model that predicts {what}; the forest takes {', '.join(DIMENSIONS)}")
        return cls(speech, TextRecognizer(regressor(text), None, chosen(device)), trees)

    @property
    def columns(self) -> list[str]:
        """Return the columns of an answer, which are empty where there is none."""
        predicted = [f"{branch}_{name}" for branch in INPUT_BRANCHES["both"] for name in PREDICTED]
        return [*predicted, *emotion_columns(self.forest)]

    def __call__(self, pairs: Iterable[Pair]) -> pd.DataFrame:
        """Return a row for every pair of a clip and its text, in order; an answer does not depend on the others.

        Args:
            pairs: clips as :class:`Recognizer` takes them, each with what is said in it

        Returns:
            ``clip`` and ``text``; of each branch its dimensions and their spread, ``text_valence``, ...,
            ``audio_spread``; ``emotion``, ``confidence`` and ``p_LABEL`` as of :class:`TextRecognizer`; ``status``: ok,
            or that of the clip, else of the text, that has no answer; then one branch alone may have its dimensions.
            ``reason`` in words, after the branch that it is of
        """
        return pd.DataFrame(list(self.answers(pairs)), columns=["clip", "text", *self.columns, "status", "reason"])

    def answers(self, pairs: Iterable[Pair]) -> Iterator[dict[str, Any]]:
        """Yield the rows of :meth:`__call__` one by one; memory does not grow with their number."""
        remaining = iter(pairs)
        for first in count(0, TOGETHER):
            some = list(islice(remaining, TOGETHER))
            if not some:
                return
            yield from self._answered(some, first)

    def _answered(self, pairs: Sequence[Pair], first: int) -> Iterator[dict[str, Any]]:
        rows = {
            "audio": self.speech(clip for clip, _ in pairs).to_dict("records"),
            "text": list(self.text.answers(text for _, text in pairs)),
        }
        tables = [pd.DataFrame(own)[PREDICTED].astype(float).add_prefix(f"{branch}_") for branch, own in rows.items()]
        vad = pd.concat(tables, axis=1)
        usable = vad.notna().all(axis=1)
        answers = emotions(self.forest, vad[usable]) if usable.any() else iter(())
        for number, (clip, _) in enumerate(pairs):
            own = {branch: those[number] for branch, those in rows.items()}
            answer = {"clip": named(clip, first + number), "text": own["text"]["text"]} | dict.fromkeys(self.columns)
            answer |= {name: value for name, value in vad.loc[number].items() if pd.notna(value)}
            answer |= next(answers) if usable[number] else {}
            states = [row["status"] for row in own.values() if row["status"] != "ok"]
            reasons = [f"{branch}: {row['reason']}" for branch, row in own.items() if row["reason"]]
            yield answer | {"status": states[0] if states else "ok", "reason": "; ".join(reasons)}
