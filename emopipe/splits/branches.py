"""The utterances of both branches: which are used, with which label, in which set.

How the branches depend on each other:

* The audio split never depends on the text: neither on ``data.text`` nor on ``split.text``.
* The text split is drawn from the text alone: its rows, ``data.text`` and ``split.text``. Only where the audio branch
  has the same utterance, or the same speaker, does the text take over the audio's set, so that what one branch tests
  on is no training data of the other.
* Each corpus is drawn by itself (see :mod:`emopipe.splits.strategies`), in both branches by the same code. So a corpus
  is divided in the same way whether the audio branch lists it, lists further corpora beside it, or does not list it,
  as long as both branches have the same utterances and labels of it and the same strategy, fractions and seed. With
  the defaults this holds for every corpus without an official split: ``official`` draws it by speaker.

An experiment on other audio corpora thus leaves the text split as it is, byte for byte, unless it gives the audio
branch another strategy, other fractions, another seed or other labels while both branches use one corpus. With the
strategies ``speaker_folds`` and ``leave_one_*_out`` the audio corpora are divided together, so there the list of audio
corpora decides about a corpus that both branches use.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from emopipe.io.errors import UserError
from emopipe.schemas.manifest import DIMENSIONS, SETS
from emopipe.schemas.notices import notice
from emopipe.schemas.splits import AudioItem, Leak, TextItem, same_text
from emopipe.splits.leakage import drop_duplicates_across_sets, resolve_speaker_overlap, strictest_set
from emopipe.splits.parameters import Partition
from emopipe.splits.strategies import assign, require_corpora

RARE = 0.1  # an emotion with fewer training utterances than this share of the mean over emotions is named


def split_audio(
    manifest: pd.DataFrame,
    settings: Partition,
    labels: list[str] | None,
    merge: dict[str, str],
    targets: Sequence[str] = (),
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the audio branch's utterances with their emotion, VAD and set, and the leakage report.

    Args:
        manifest: data/audio/manifest.csv
        settings: split.audio
        labels: emotions to keep; None for all that occur
        merge: emotions that count as another one
        targets: dimensions every utterance must be rated for, which is then all it needs; none: it needs an emotion

    Raises:
        UserError: if the strategy cannot be applied, a speaker is in two sets where that is an error, a set is empty,
            or no training utterance has one of ``labels``
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
    rows, copies = drop_duplicates_across_sets(rows, "sha256", "recording", "audio")
    rows, speakers = resolve_speaker_overlap(rows, settings, "audio")
    if not targets:
        rows = _learnable(rows, labels or [])
    _require_sets(rows, "split.audio")
    return rows[list(AudioItem.model_fields)], pd.concat([copies, speakers], ignore_index=True)


def split_text(
    manifest: pd.DataFrame, audio: pd.DataFrame, settings: Partition, labels: list[str] | None, merge: dict[str, str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the text branch's utterances with VAD, emotion and set, and the leakage report.

    What is in the audio split takes over its set, by utterance, else by speaker (then the strictest set); see above.

    Args:
        manifest: data/raw/text.csv
        audio: the audio branch's split
        settings: split.text
        labels: emotions to keep; None for all that occur; another emotion counts as unknown
        merge: emotions that count as another one

    Raises:
        UserError: if the strategy cannot be applied, a speaker is in two sets where that is an error, or a set is empty
    """
    if manifest.empty:
        return manifest.reindex(columns=list(TextItem.model_fields)), pd.DataFrame(columns=list(Leak.model_fields))
    emotion = manifest["emotion"].replace(merge)
    rows = manifest.assign(emotion=emotion.where(emotion.isin(labels), "") if labels else emotion)
    useful = (rows["emotion"] != "") | rows[list(DIMENSIONS)].notna().all(axis=1)
    rows = _keep(rows, useful, "text", "with neither VAD nor a label of data.text.labels")
    if rows.empty:
        raise UserError("data.text: no utterance has valence, arousal and dominance, or an emotion of data.text.labels")
    require_corpora(rows, settings, "split.text")
    sets = _audio_sets(rows, audio)
    following = sets != ""
    if following.any():
        print(f"text: {following.sum()} of {len(rows)} utterances follow the audio split")
        _require_tested(rows.assign(split=sets)[following], settings)
    if not following.all():  # drawn from all rows, so that those of the others do not depend on which ones follow
        sets = sets.where(following, assign(rows, settings, "split.text"))
    rows["split"] = sets
    rows["text"] = same_text(rows["transcript"])
    rows, copies = drop_duplicates_across_sets(rows, "text", "text", "text")
    rows, speakers = resolve_speaker_overlap(rows, settings, "text", audio)
    _require_sets(rows, "split.text")
    return rows[list(TextItem.model_fields)], pd.concat([copies, speakers], ignore_index=True)


def _rated(rows: pd.DataFrame, targets: Sequence[str]) -> pd.DataFrame:
    names = ", ".join(targets)
    rows = _keep(rows, rows[list(targets)].notna().all(axis=1), "audio", f"not rated for {names}")
    if rows.empty:
        raise UserError(f"model.targets: no utterance is rated for {names}; choose other targets or another corpus")
    return rows


def _labelled(rows: pd.DataFrame, wanted: list[str]) -> pd.DataFrame:
    rows = _keep(rows, rows["emotion"].isin(wanted), "audio", "without a label of data.audio.labels")
    if rows.empty:
        raise UserError(
            f"data.audio.labels: no utterance has one of the emotions {', '.join(wanted)}"
            if wanted
            else "data.audio.corpora: no utterance has an emotion; choose model.task=regression, or another corpus"
        )
    return rows


def _learnable(rows: pd.DataFrame, labels: list[str]) -> pd.DataFrame:
    """Return the rows whose emotion is in the training set, where every one of ``labels`` has to be."""
    trained = set(rows.loc[rows["split"] == "train", "emotion"])
    if absent := sorted(set(labels) - trained):
        raise UserError(f"data.audio.labels: no training utterance has the emotion(s) {', '.join(absent)}")
    _require_two_emotions(rows)
    others = ", ".join(sorted(set(rows["emotion"]) - trained))
    rows = _keep(rows, rows["emotion"].isin(trained), "audio", f"no training utterance has their emotion ({others})")
    _report_rare_emotions(rows.loc[rows["split"] == "train", "emotion"])
    return rows


def _report_rare_emotions(emotions: pd.Series) -> None:
    """Say so where so few training utterances have an emotion that its weight drowns what the others teach."""
    counts = emotions.value_counts()
    rare = counts[counts < RARE * counts.mean()]
    what = (
        f"of rare emotions ({_counted(emotions[emotions.isin(rare.index)])}), so that train.class_weights=balanced "
        f"counts one of them up to {counts.mean() / counts.min():.0f} times; data.audio.labels leaves emotions out"
    )
    notice("audio", int(rare.sum()), "training utterances", what, int(counts.sum()))


def _require_two_emotions(rows: pd.DataFrame) -> None:
    """Check that train has two emotions; say so where dev or test has one alone."""
    for name in SETS:
        counts = rows.loc[rows["split"] == name, "emotion"].value_counts()
        if len(counts) != 1:
            continue
        if name == "train":
            raise UserError(
                f"data.audio.labels: {counts.index[0]} is the only emotion in train, and a classification needs two; "
                f"all utterances by emotion: {_counted(rows['emotion'])}"
            )
        what = f"has one emotion alone, so that its scores say little: {name}, {counts.index[0]}"
        notice("audio", 1, "set", what)


def _counted(emotions: pd.Series) -> str:
    return ", ".join(f"{emotion} {count}" for emotion, count in emotions.value_counts().sort_index().items())


def _audio_sets(rows: pd.DataFrame, audio: pd.DataFrame) -> pd.Series:
    """Return the audio branch's set of each row, empty where it has neither the utterance nor the speaker."""
    by_utterance = rows["utterance"].map(audio.set_index("utterance")["split"].to_dict()).astype(object)
    return by_utterance.fillna(rows["speaker"].map(strictest_set(audio, "speaker"))).fillna("")


def _require_tested(rows: pd.DataFrame, settings: Partition) -> None:
    others = rows[rows["corpus"].isin(settings.test_corpora) & (rows["split"] != "test")]
    if len(others):
        raise UserError(
            f"split.text.test_corpora: {len(others)} utterances of {', '.join(sorted(others['corpus'].unique()))} "
            "follow the audio split, where they are not in test; set split.audio in the same way"
        )


def _keep(rows: pd.DataFrame, kept: pd.Series, branch: str, what: str) -> pd.DataFrame:
    """Return the rows that are kept, with a notice of how many are not."""
    notice(branch, int((~kept).sum()), "utterances", f"left out: {what}", len(rows))
    return rows[kept].copy()


def _require_sets(rows: pd.DataFrame, key: str) -> None:
    for name in SETS:
        if not (rows["split"] == name).any():
            raise UserError(f"{key}: the {name} set is empty; choose other fractions or another strategy")
