"""Manifests and settings for tests of the splits, and the splits of them."""

from __future__ import annotations

import pandas as pd

from emopipe.splits import branches
from emopipe.splits.parameters import Partition

STRATEGIES = {
    "speaker": {},
    "session": {},
    "official": {},
    "random": {},
    "corpus": {"test_corpora": ["d"]},
    "speaker_folds": {"folds": 4, "fold": 1},
    "leave_one_speaker_out": {"fold": 2},
    "leave_one_session_out": {"fold": 2},
}  # every strategy, with what it needs on two corpora, c and d, of four speakers or more in four sessions

NONE = pd.DataFrame(columns=["utterance", "speaker", "split"])  # an audio branch without rows


def partition(strategy: str = "speaker", **changes: object) -> Partition:
    """Return the settings of a branch; speakers may cross unless a test says otherwise."""
    values = {
        "strategy": strategy,
        "test_corpora": [],
        "speaker_overlap": "warn",
        "fractions": [0.6, 0.2, 0.2],
        "folds": 5,
        "fold": 0,
        "seed": 1,
    }
    return Partition(**(values | changes))


def manifest(speakers=10, each=12, emotions=("anger", "neutral", "sadness"), corpus="c", **columns) -> pd.DataFrame:
    """Return a manifest whose speakers, two to a session, say every emotion."""
    rows = [
        {
            "utterance": f"{corpus}/s{s:02}u{u}",
            "corpus": corpus,
            "speaker": f"{corpus}/s{s:02}",
            "sex": "female" if s % 2 else "male",
            "session": str(s // 2 + 1),
            "language": "en",
            "emotion": emotions[u % len(emotions)],
            "sha256": f"{corpus}{s}-{u}",
            "transcript": f"{corpus} speaker {s} says sentence {u}",
            "split": "",
            "valence": 3.0,
            "arousal": 3.0,
            "dominance": 3.0,
        }
        | columns
        for s in range(speakers)
        for u in range(each)
    ]
    return pd.DataFrame(rows)


def corpora() -> pd.DataFrame:
    """Return two corpora, of which the first brings its own split."""
    rows = pd.concat([manifest(8, 6), manifest(8, 6, corpus="d")], ignore_index=True)
    number = rows["speaker"].str[-2:].astype(int)
    own = number.map(lambda n: "test" if n > 5 else "dev" if n > 3 else "train")
    return rows.assign(split=own.where(rows["corpus"] == "c", ""))


def split_audio(*arguments: object) -> pd.DataFrame:
    """Return the split of the audio branch, without the leaks that were found."""
    return branches.split_audio(*arguments)[0]


def split_text(*arguments: object) -> pd.DataFrame:
    """Return the split of the text branch, without the leaks that were found."""
    return branches.split_text(*arguments)[0]
