"""The answers of an audio model for the test set as it is, and under conditions.

The waveform is changed before anything else is made of it, so that all of the model is tested.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import logsumexp
from tqdm import tqdm

from emopipe.audio.tasks import Regression
from emopipe.conditions import catalogue
from emopipe.recognition.speech import Recognizer
from emopipe.recordings import resampled
from emopipe.robustness import sounds
from emopipe.schemas.robustness import CLEAN, KEYS
from emopipe.schemas.tables import write_csv

SOUNDS = "sounds"
FORMAT = "%.9g"
KEPT = 64  # decoded recordings of other speakers that are kept in memory


class OtherSpeakers(Sequence[np.ndarray]):
    """Recordings of speakers other than one, read when they are needed."""

    def __init__(self, rows: pd.DataFrame, speaker: str) -> None:
        """Take the rows of recordings.

        Args:
            rows: ``speaker`` and ``path``
            speaker: who is left out; empty: nobody is known to be
        """
        self._paths = rows.loc[(rows["speaker"] != speaker) | (speaker == ""), "path"].to_numpy()

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> np.ndarray:
        return _kept(self._paths[index])


_kept = lru_cache(KEPT)(resampled.samples)


def write_answers(
    recognizer: Recognizer, rows: pd.DataFrame, conditions: Sequence[tuple[str, str]], seed: int, folder: Path
) -> None:
    """Write the answers under each condition, and to each kind of sounds, as a table, unless it is there already.

    Beside what a recogniser answers stands of a classification the ``energy``, the logarithm of the sum of e to the
    power of the calibrated scores (Liu et al., "Energy-based out-of-distribution detection", NeurIPS 2020).

    Args:
        recognizer: the model
        rows: of the split, with ``path``, their files; the test set is answered, training recordings may be mixed in
        conditions: names and levels
        seed: of what is drawn
        folder: for the tables; see :func:`table_of`
    """
    test, others = rows[rows["split"] == "test"], rows[rows["split"] == "train"]
    missing = [one for one in [CLEAN, *conditions] if not table_of(folder, *one).is_file()]
    for name, level in tqdm(missing, desc="robustness", unit="condition", leave=False, disable=None):
        waveforms = _waveforms(test, others, name, level, seed)
        write_csv(_table(recognizer, waveforms), table_of(folder, name, level), FORMAT)
    speech = OtherSpeakers(test, "")
    for kind in sounds.KINDS:
        path = table_of(folder, SOUNDS, kind)
        if not path.is_file():
            found = sounds.clips(kind, seed, speech, set(test["language"]))
            write_csv(_table(recognizer, found), path, FORMAT)


def _table(recognizer: Recognizer, waveforms: Iterable[np.ndarray]) -> pd.DataFrame:
    return pd.DataFrame(recognizer.encoder.in_batches(lambda batch: _answered(recognizer, batch), waveforms))


def table_of(folder: Path, name: str, level: str = "") -> Path:
    """Return the path of the table of a condition.

    >>> table_of(Path("robustness"), "white_noise", "20dB").as_posix()
    'robustness/white_noise/20dB.csv'
    """
    return folder / name / f"{level}.csv" if level else folder / f"{name}.csv"


def together(answers: Mapping[tuple[str, str], pd.DataFrame], utterances: Sequence[str]) -> pd.DataFrame:
    """Return the answers under all conditions as one table: ``condition``, ``level``, ``utterance``, and the answer.

    Args:
        answers: by name and level, each in the order of the utterances
        utterances: of the test set
    """
    keyed = [
        own.assign(**dict(zip(KEYS, (*condition, list(utterances)), strict=True))) for condition, own in answers.items()
    ]
    table = pd.concat(keyed, ignore_index=True)
    return table[[*KEYS, *(name for name in table if name not in KEYS)]]


def _waveforms(test: pd.DataFrame, others: pd.DataFrame, name: str, level: str, seed: int) -> Iterator[np.ndarray]:
    background = {speaker: OtherSpeakers(others, speaker) for speaker in test["speaker"].unique()}
    for utterance, path, speaker in test[["utterance", "path", "speaker"]].itertuples(index=False):
        samples = resampled.samples(path)
        if (name, level) != CLEAN:
            samples = catalogue.apply(name, level, samples, utterance, seed, background[speaker])
        yield samples


def _answered(recognizer: Recognizer, waveforms: Sequence[np.ndarray]) -> list[dict[str, Any]]:
    outputs = recognizer.member_outputs(recognizer.encoder.encode(waveforms))
    answers = list(recognizer.described(outputs))
    if not isinstance(recognizer.trained.task, Regression):
        energies = logsumexp(outputs.mean(1) / recognizer.trained.temperature, axis=1)
        answers = [answer | {"energy": energy} for answer, energy in zip(answers, energies.tolist(), strict=True)]
    return answers
