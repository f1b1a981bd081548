"""From texts to answers, by a trained text regressor and the forest: the same steps as in the pipeline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.ensemble import RandomForestClassifier

from emopipe.forest import saving as forests
from emopipe.forest.fitting import branches_of
from emopipe.io.errors import UserError
from emopipe.io.paths import local_folder
from emopipe.recognition.devices import Device, chosen
from emopipe.recognition.texts import LONGEST, Unreadable
from emopipe.schemas.manifest import DIMENSIONS
from emopipe.schemas.vad import as_features
from emopipe.text import saving
from emopipe.text.batches import Collate, examples
from emopipe.text.saving import Trained
from emopipe.training import data

Text = str | Unreadable

TOGETHER = 1024  # texts that are taken at a time: enough of one length for full batches
BATCH = 8  # texts


class TextRecognizer:
    """A trained text regressor, and a forest from its VAD to an emotion where there is one, that answer texts.

    >>> recognizer = TextRecognizer.load("models/text")  # doctest: +SKIP
    >>> recognizer(["What a lovely day!", "Get out."])[["text", "valence", "emotion"]]  # doctest: +SKIP
                     text   valence    emotion
    0  What a lovely day!  4.341907  happiness
    1            Get out.  1.874113      anger
    """

    def __init__(self, trained: Trained, forest: RandomForestClassifier | None, device: torch.device) -> None:
        """Take what was loaded.

        Args:
            trained: the regressor
            forest: takes the VAD of text alone; None: no emotions
            device: where to compute
        """
        self.trained = trained
        self.forest = forest
        self.device = device

    @classmethod
    def load(
        cls, model: str | Path = saving.FOLDER, forest: str | Path | None = None, device: Device = "auto"
    ) -> TextRecognizer:
        """Load a regressor and its forest.

        Args:
            model: a folder that the pipeline wrote
            forest: a file that the pipeline wrote; None: ``forest.skops`` beside that folder, if it is there and takes
                text alone
            device: where to compute; ``auto`` is a GPU where there is one

        Raises:
            UserError: if there is no such model, its weights are not those that it names, or the forest that is named
                is none or takes audio
        """
        return cls(regressor(model), _text_forest(Path(model).expanduser(), forest), chosen(device))

    @property
    def columns(self) -> list[str]:
        """Return the columns of an answer, which are those that a text without one leaves empty."""
        return [*DIMENSIONS, "spread", *(emotion_columns(self.forest) if self.forest is not None else [])]

    def __call__(self, texts: Iterable[Text]) -> pd.DataFrame:
        """Return a row for every text, in order.

        An answer does not depend on the other texts. Of a text only ``text.max_tokens`` are read, as in training.

        Args:
            texts: of any length and content

        Returns:
            ``text``, halves of characters as escapes; ``valence``, ``arousal`` and ``dominance`` on the scale of 1 to
            5, which a prediction may leave; ``spread``: standard deviation over the members of the ensemble, mean over
            the dimensions; with a forest ``emotion``, ``confidence`` (the mean over its trees, not calibrated) and
            ``p_LABEL`` of every emotion; ``status``: ok; too_short, where nothing is left that could be read; or
            unreadable, where it is no text or no part of it is in the model's vocabulary; ``reason`` in words, also
            where a text was cut off

        Raises:
            UserError: if it is given one text in place of several
        """
        return pd.DataFrame(list(self.answers(texts)), columns=["text", *self.columns, "status", "reason"])

    def answers(self, texts: Iterable[Text]) -> Iterator[dict[str, Any]]:
        """Yield the rows of :meth:`__call__` one by one; memory does not grow with their number."""
        if isinstance(texts, str):
            raise UserError("texts: a list of texts, not one; write [text]")
        remaining = iter(texts)
        while some := list(islice(remaining, TOGETHER)):
            yield from self._answered(some)

    def _answered(self, texts: Sequence[Text]) -> Iterator[dict[str, Any]]:
        states = [self._state(text) for text in texts]
        read = [text.strip() for text, (status, _) in zip(texts, states, strict=True) if status == "ok"]  # as in tables
        answers = self._outputs(read) if read else iter(())
        for text, (status, reason) in zip(texts, states, strict=True):
            row = {"text": _shown(text) if isinstance(text, str) else None}
            row |= next(answers) if status == "ok" else dict.fromkeys(self.columns)
            yield row | {"status": status, "reason": reason}

    def _state(self, text: Text) -> tuple[str, str]:
        """Return whether a text can be answered, as status and reason."""
        if isinstance(text, Unreadable):
            return "unreadable", text.reason
        if not isinstance(text, str):  # of a table with empty cells
            return "unreadable", f"no text, but {text!r}"
        if not text.strip():
            return "too_short", "nothing but white space" if text else "empty"
        if len(text) > LONGEST:
            return "unreadable", f"{len(text):,} characters, more than {LONGEST:,}"
        try:
            text.encode()
        except UnicodeEncodeError as error:
            return "unreadable", f"half a character, {text[error.start]!a} (character {error.start + 1})"
        tokenizer, most = self.trained.tokenizer, self.trained.settings.max_tokens
        encoded = tokenizer(text.strip(), verbose=False, return_special_tokens_mask=True)
        tokens, added = encoded["input_ids"], encoded["special_tokens_mask"]
        own = {token for token, special in zip(tokens, added, strict=True) if not special}
        if not own:
            return "too_short", "nothing that can be read, such as control characters alone"
        if own == {tokenizer.unk_token_id}:
            return "unreadable", "no part of it is in the model's vocabulary"
        return "ok", f"only the first {most} of {len(tokens):,} tokens were read" if len(tokens) > most else ""

    def _outputs(self, texts: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Yield the answers to texts that can be read."""
        members = self._members(texts)
        vad, spreads = members.mean(1), members.std(1).mean(-1)
        labels = None if self.forest is None else emotions(self.forest, as_features(vad, "text"))
        for own, spread in zip(vad.tolist(), spreads.tolist(), strict=True):
            answer = dict(zip(DIMENSIONS, own, strict=True)) | {"spread": spread}
            yield answer if labels is None else answer | next(labels)

    def _members(self, texts: Sequence[str]) -> np.ndarray:
        """Return what each member of the ensemble says on the scale of 1 to 5, [texts, members, dimensions].

        All batches are of the same size, and the texts of one of the same length; what is missing is filled up. So
        every text is computed by the same sums whatever stands beside it, and a forest, which knows no small
        differences, says the same.
        """
        trained = self.trained
        dataset, collate = examples(texts, trained.tokenizer, trained.settings.max_tokens), Collate(trained.tokenizer)
        lengths = np.array(dataset.lengths)
        outputs = np.empty((len(texts), len(trained.model.members), len(DIMENSIONS)), np.float32)
        for length in np.unique(lengths):
            rows = np.flatnonzero(lengths == length)
            filled = np.resize(rows, -(-len(rows) // BATCH) * BATCH)
            same = data.ExampleDataset([dataset[row] for row in filled], lengths[filled])
            for number, member in enumerate(trained.model.members):
                outputs[rows, number] = data.predict(member, same, collate, BATCH, self.device)[: len(rows)]
        return trained.targets.inverse_transform(outputs)


def _shown(text: str) -> str:
    r"""Return a text as it can be written, whatever is in it.

    >>> _shown("caf\udce9")
    'caf\\udce9'
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def regressor(model: str | Path) -> Trained:
    """Load the regressor of a folder that the pipeline wrote.

    Raises:
        UserError: if there is none, or its weights are not those that it names
    """
    trained = saving.load(local_folder(str(model), "model"))
    if trained is None:
        raise UserError(f"{model}: no model: the text branch of that pipeline was switched off")
    return trained


def emotion_columns(forest: RandomForestClassifier) -> list[str]:
    """Return the columns of what a forest says."""
    return ["emotion", "confidence", *(f"p_{label}" for label in forest.classes_)]


def emotions(forest: RandomForestClassifier, vad: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield what a forest says of each row: the likeliest emotion, its probability, and that of every emotion.

    Args:
        forest: of one branch or of both
        vad: its inputs, and what else stands beside them
    """
    for own in forest.predict_proba(vad[list(forest.feature_names_in_)]):
        best = int(own.argmax())
        answer = {"emotion": str(forest.classes_[best]), "confidence": float(own[best])}
        yield answer | {f"p_{label}": float(chance) for label, chance in zip(forest.classes_, own, strict=True)}


def _text_forest(folder: Path, named: str | Path | None) -> RandomForestClassifier | None:
    """Return the forest that takes the VAD of text alone: the one that is named, or what lies beside the regressor."""
    path = folder.parent / forests.PATH.name if named is None else Path(named).expanduser()
    if named is None and not path.is_file():
        return None
    forest = forests.load(path)
    if forest is not None and branches_of(forest) == ["text"]:
        return forest
    if named is None:
        return None
    if forest is None:
        raise UserError(f"{named}: no forest: no training text of that pipeline had an emotion")
    taken = " and ".join(branches_of(forest))
    raise UserError(f"{named}: a forest that takes the VAD of {taken}; emopipe.BothRecognizer answers recordings, too")
