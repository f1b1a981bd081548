"""The two branches' rows: which are used, under which label, in which set."""

from __future__ import annotations

import pandas as pd

from stages.contracts.errors import UserError
from stages.contracts.manifest import DIMENSIONS, SETS
from stages.contracts.parameters import Partition
from stages.contracts.splits import AudioItem, TextItem, same_text
from stages.splits.leakage import crossing
from stages.splits.strategies import assign


def split_audio(
    manifest: pd.DataFrame, settings: Partition, labels: list[str] | None, merge: dict[str, str]
) -> pd.DataFrame:
    """Return the audio branch's utterances with their emotion and set.

    Args:
        manifest: of data/audio
        settings: split.audio
        labels: emotions to keep; None for all that occur
        merge: emotions that count as another one

    Raises:
        UserError: if the strategy cannot be followed, a set is empty, or a label cannot be learnt
    """
    if manifest.empty:
        return manifest.reindex(columns=list(AudioItem.model_fields))
    rows = manifest.assign(emotion=manifest["emotion"].replace(merge))
    wanted = labels or sorted(set(rows["emotion"]) - {""})
    rows = _keep(rows, rows["emotion"].isin(wanted), "audio: {} without a label of data.audio.labels left out")
    if rows.empty:
        raise UserError(f"data.audio.labels: no utterance has one of the emotions {', '.join(wanted)}")
    rows["split"] = assign(rows, settings, "split.audio")
    rows = _keep(rows, ~crossing(rows, rows["sha256"]), "audio: {} left out: the same recording stands in another set")
    learnt = set(rows.loc[rows["split"] == "train", "emotion"])
    if labels and (absent := sorted(set(labels) - learnt)):
        raise UserError(f"data.audio.labels: no training utterance has the emotion(s) {', '.join(absent)}")
    if unlearnt := sorted(set(rows["emotion"]) - learnt):
        message = f"audio: {{}} left out: no training utterance has their emotion ({', '.join(unlearnt)})"
        rows = _keep(rows, rows["emotion"].isin(learnt), message)
    _require_sets(rows, "split.audio")
    return rows[list(AudioItem.model_fields)]


def split_text(
    manifest: pd.DataFrame, audio: pd.DataFrame, settings: Partition, labels: list[str] | None, merge: dict[str, str]
) -> pd.DataFrame:
    """Return the text branch's utterances with VAD, emotion and set.

    What is in the audio split, by utterance or by speaker, follows it there, so that what one branch
    holds out the other one does too.

    Args:
        manifest: data/raw/text.csv
        audio: the audio branch's split
        settings: split.text
        labels: emotions to keep; None for all that occur; another emotion counts as unknown
        merge: emotions that count as another one

    Raises:
        UserError: if the strategy cannot be followed or a set is empty
    """
    if manifest.empty:
        return manifest.reindex(columns=list(TextItem.model_fields))
    emotion = manifest["emotion"].replace(merge)
    rows = manifest.assign(emotion=emotion.where(emotion.isin(labels), "") if labels else emotion)
    useful = (rows["emotion"] != "") | rows[list(DIMENSIONS)].notna().all(axis=1)
    rows = _keep(rows, useful, "text: {} with neither VAD nor a label of data.text.labels left out")
    if rows.empty:
        raise UserError("data.text: no utterance has valence, arousal and dominance, or an emotion of data.text.labels")
    rows["split"] = _following(rows, audio).where(lambda found: found != "", _own(rows, audio, settings))
    repeated = crossing(rows, same_text(rows["transcript"]))
    rows = _keep(rows, ~repeated, "text: {} left out: the same text stands in another set")
    _require_sets(rows, "split.text")
    return rows[list(TextItem.model_fields)]


def _following(rows: pd.DataFrame, audio: pd.DataFrame) -> pd.Series:
    """Return the audio branch's set of each row, empty where it does not know utterance or speaker."""
    by_utterance = audio.set_index("utterance")["split"]
    one_set = audio[audio["speaker"] != ""].groupby("speaker")["split"].agg(lambda sets: "|".join(sorted(set(sets))))
    by_speaker = one_set[one_set.isin(SETS)]
    found = rows["utterance"].map(by_utterance.to_dict()).astype(object)
    return found.fillna(rows["speaker"].map(by_speaker.to_dict())).fillna("")


def _own(rows: pd.DataFrame, audio: pd.DataFrame, settings: Partition) -> pd.Series:
    free = rows[_following(rows, audio) == ""]
    return assign(free, settings, "split.text") if len(free) else pd.Series(dtype=object)


def summary(rows: pd.DataFrame, branch: str) -> str:
    """Return the sizes of the sets in a line."""
    parts = [
        f"{name} {len(own)}" + (f" ({own['speaker'].nunique()} speakers)" if (own["speaker"] != "").all() else "")
        for name in SETS
        for own in [rows[rows["split"] == name]]
    ]
    return f"{branch}: " + ", ".join(parts)


def _keep(rows: pd.DataFrame, kept: pd.Series, message: str) -> pd.DataFrame:
    """Return the rows that are kept, and say how many are not."""
    if not kept.all():
        print(message.format(f"{(~kept).sum()} of {len(rows)} utterances"))
    return rows[kept].copy()


def _require_sets(rows: pd.DataFrame, key: str) -> None:
    for name in SETS:
        if not (rows["split"] == name).any():
            raise UserError(f"{key}: the {name} set is empty; choose other fractions or another strategy")
