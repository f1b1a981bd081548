"""The two branches' rows: which are used, under which label, in which set."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from emopipe.io.errors import UserError
from emopipe.schemas.manifest import DIMENSIONS, SETS
from emopipe.schemas.splits import AudioItem, Leak, TextItem, same_text
from emopipe.splits.leakage import held_out_most, leave_out_copies, part_speakers
from emopipe.splits.parameters import Partition
from emopipe.splits.strategies import assign, require_corpora


def split_audio(
    manifest: pd.DataFrame,
    settings: Partition,
    labels: list[str] | None,
    merge: dict[str, str],
    targets: Sequence[str] = (),
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the audio branch's utterances with their emotion, VAD and set, and what had leaked between the sets.

    Args:
        manifest: of data/audio
        settings: split.audio
        labels: emotions to keep; None for all that occur
        merge: emotions that count as another one
        targets: dimensions every utterance must be rated for, which is then all it needs; none: it needs an emotion

    Raises:
        UserError: if the strategy cannot be followed, speakers cross sets that must not, a set is empty, or a label
            cannot be learnt
    """
    if manifest.empty:
        return manifest.reindex(columns=list(AudioItem.model_fields)), pd.DataFrame(columns=list(Leak.model_fields))
    rows = manifest.assign(emotion=manifest["emotion"].replace(merge))
    if targets:
        rows = _rated(rows, targets)
    if labels or not targets:
        rows = _labelled(rows, labels or sorted(set(rows["emotion"]) - {""}))
    require_corpora(rows, settings, "split.audio")
    rows["split"] = assign(rows, settings, "split.audio")
    rows, copies = leave_out_copies(rows, "sha256", "recording", "audio")
    rows, speakers = part_speakers(rows, settings, "audio")
    if not targets:
        rows = _learnable(rows, labels or [])
    _require_sets(rows, "split.audio")
    return rows[list(AudioItem.model_fields)], pd.concat([copies, speakers], ignore_index=True)


def split_text(
    manifest: pd.DataFrame, audio: pd.DataFrame, settings: Partition, labels: list[str] | None, merge: dict[str, str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the text branch's utterances with VAD, emotion and set, and what had leaked between the sets.

    What is in the audio split follows it there, by utterance, else by speaker (to the set held out most), so that
    what one branch holds out the other one does too.

    Args:
        manifest: data/raw/text.csv
        audio: the audio branch's split
        settings: split.text
        labels: emotions to keep; None for all that occur; another emotion counts as unknown
        merge: emotions that count as another one

    Raises:
        UserError: if the strategy cannot be followed, speakers cross sets that must not, or a set is empty
    """
    if manifest.empty:
        return manifest.reindex(columns=list(TextItem.model_fields)), pd.DataFrame(columns=list(Leak.model_fields))
    emotion = manifest["emotion"].replace(merge)
    rows = manifest.assign(emotion=emotion.where(emotion.isin(labels), "") if labels else emotion)
    useful = (rows["emotion"] != "") | rows[list(DIMENSIONS)].notna().all(axis=1)
    rows = _keep(rows, useful, "text: {} with neither VAD nor a label of data.text.labels left out")
    if rows.empty:
        raise UserError("data.text: no utterance has valence, arousal and dominance, or an emotion of data.text.labels")
    require_corpora(rows, settings, "split.text")
    sets = _following(rows, audio)
    own = rows[sets == ""]
    if len(own) < len(rows):
        print(f"text: {len(rows) - len(own)} of {len(rows)} utterances follow the audio split")
        _require_tested(rows.assign(split=sets)[sets != ""], settings)
    if len(own):
        sets[own.index] = assign(own, settings, "split.text")
    rows["split"] = sets
    rows["text"] = same_text(rows["transcript"])
    rows, copies = leave_out_copies(rows, "text", "text", "text")
    rows, speakers = part_speakers(rows, settings, "text", audio)
    _require_sets(rows, "split.text")
    return rows[list(TextItem.model_fields)], pd.concat([copies, speakers], ignore_index=True)


def _rated(rows: pd.DataFrame, targets: Sequence[str]) -> pd.DataFrame:
    names = ", ".join(targets)
    rows = _keep(rows, rows[list(targets)].notna().all(axis=1), f"audio: {{}} not rated for {names} left out")
    if rows.empty:
        raise UserError(f"model.targets: no utterance is rated for {names}; choose other targets or another corpus")
    return rows


def _labelled(rows: pd.DataFrame, wanted: list[str]) -> pd.DataFrame:
    rows = _keep(rows, rows["emotion"].isin(wanted), "audio: {} without a label of data.audio.labels left out")
    if rows.empty:
        raise UserError(f"data.audio.labels: no utterance has one of the emotions {', '.join(wanted)}")
    return rows


def _learnable(rows: pd.DataFrame, labels: list[str]) -> pd.DataFrame:
    """Return the rows whose emotion is in the training set, where every one of ``labels`` has to be."""
    learnt = set(rows.loc[rows["split"] == "train", "emotion"])
    if absent := sorted(set(labels) - learnt):
        raise UserError(f"data.audio.labels: no training utterance has the emotion(s) {', '.join(absent)}")
    unlearnt = ", ".join(sorted(set(rows["emotion"]) - learnt))
    message = f"audio: {{}} left out: no training utterance has their emotion ({unlearnt})"
    return _keep(rows, rows["emotion"].isin(learnt), message)


def _following(rows: pd.DataFrame, audio: pd.DataFrame) -> pd.Series:
    """Return the audio branch's set of each row, empty where it knows neither utterance nor speaker."""
    by_utterance = rows["utterance"].map(audio.set_index("utterance")["split"].to_dict()).astype(object)
    return by_utterance.fillna(rows["speaker"].map(held_out_most(audio, "speaker"))).fillna("")


def _require_tested(rows: pd.DataFrame, settings: Partition) -> None:
    astray = rows[rows["corpus"].isin(settings.test_corpora) & (rows["split"] != "test")]
    if len(astray):
        raise UserError(
            f"split.text.test_corpora: {len(astray)} utterances of {', '.join(sorted(astray['corpus'].unique()))} "
            "follow the audio split, where they are not in test; set split.audio in the same way"
        )


def _keep(rows: pd.DataFrame, kept: pd.Series, message: str) -> pd.DataFrame:
    """Return the rows that are kept, and say how many are not."""
    if not kept.all():
        print(message.format(f"{(~kept).sum()} of {len(rows)} utterances"))
    return rows[kept].copy()


def _require_sets(rows: pd.DataFrame, key: str) -> None:
    for name in SETS:
        if not (rows["split"] == name).any():
            raise UserError(f"{key}: the {name} set is empty; choose other fractions or another strategy")
