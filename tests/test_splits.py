"""Splits: nothing crosses sets, every class is where it can be, the same every time."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from stages.contracts.errors import UserError
from stages.contracts.parameters import Partition
from stages.splits.branches import split_audio, split_text


def partition(**changes):
    values = {"strategy": "speaker", "fractions": [0.6, 0.2, 0.2], "folds": 5, "fold": 0, "seed": 1}
    return Partition(**(values | changes))


def manifest(speakers=10, each=12, emotions=("anger", "neutral", "sadness"), corpus="c", **columns):
    """Return a manifest whose speakers say every emotion."""
    rows = [
        {
            "utterance": f"{corpus}/s{s:02}u{u}",
            "corpus": corpus,
            "speaker": f"{corpus}/s{s:02}",
            "sex": "female" if s % 2 else "male",
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


NONE = pd.DataFrame(columns=["utterance", "speaker", "split"])


@pytest.mark.parametrize("strategy", ["speaker", "speaker_folds", "official"])
def test_no_speaker_crosses_sets_and_all_sets_hold_all_emotions(strategy):
    split = split_audio(manifest(), partition(strategy=strategy), None, {})
    assert split.groupby("speaker")["split"].nunique().max() == 1
    assert split.groupby("split")["emotion"].nunique().to_dict() == {"train": 3, "dev": 3, "test": 3}
    assert split["split"].value_counts(normalize=True).to_dict() == pytest.approx(
        {"train": 0.6, "dev": 0.2, "test": 0.2}, abs=0.01
    )


def test_a_rare_class_reaches_every_set_when_its_speakers_allow():
    rows = manifest(speakers=12)
    few = rows["speaker"].isin(["c/s00", "c/s01", "c/s02"]) & (rows["emotion"] == "anger")
    split = split_audio(rows[(rows["emotion"] != "anger") | few], partition(), None, {})
    assert set(split.loc[split["emotion"] == "anger", "split"]) == {"train", "dev", "test"}


def test_every_set_hears_both_sexes():
    for seed in range(5):
        rows = manifest()
        split = split_audio(rows, partition(seed=seed), None, {})
        sex = split["utterance"].map(rows.set_index("utterance")["sex"])
        assert sex.groupby(split["split"]).nunique().to_dict() == {"train": 2, "dev": 2, "test": 2}


def test_the_same_seed_gives_the_same_split_whatever_the_order_and_another_seed_another():
    rows = manifest()
    first = split_audio(rows, partition(strategy="random"), None, {})
    again = split_audio(rows.copy(), partition(strategy="random"), None, {})
    other = split_audio(rows, partition(strategy="random", seed=2), None, {})
    pd.testing.assert_frame_equal(first, again)
    assert (first["split"].to_numpy() != other["split"].to_numpy()).any()


def test_folds_are_contiguous_groups_of_speakers_and_every_utterance_is_tested_once():
    rows = manifest(speakers=24)
    tested = [
        split.loc[split["split"] == "test", "speaker"].unique().tolist()
        for fold in range(6)
        for split in [split_audio(rows, partition(strategy="speaker_folds", folds=6, fold=fold), None, {})]
    ]
    assert tested == [[f"c/s{s:02}" for s in range(4 * fold, 4 * fold + 4)] for fold in range(6)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strategy": "speaker_folds", "folds": 11}, r"split\.audio\.folds: 11, but there are 10 speakers"),
        ({"strategy": "speaker_folds", "fold": 5}, r"split\.audio\.fold: 5; with 5 folds choose 0 to 4"),
    ],
)
def test_impossible_folds_are_named(changes, message):
    with pytest.raises(UserError, match=message):
        split_audio(manifest(), partition(**changes), None, {})


def test_unknown_speakers_are_refused_by_speaker_and_split_at_random_by_official():
    rows = manifest(speaker="")
    with pytest.raises(UserError, match="speakers of c are unknown; choose random or official"):
        split_audio(rows, partition(), None, {})
    split = split_audio(rows, partition(strategy="official"), None, {})
    assert set(split["split"]) == {"train", "dev", "test"}


def test_one_speaker_only_is_refused():
    with pytest.raises(UserError, match="needs 3 groups or more, here are 1"):
        split_audio(manifest(speakers=1), partition(), None, {})


def test_the_official_split_is_kept_and_a_missing_dev_set_comes_from_train():
    rows = manifest()
    rows["split"] = np.where(rows["speaker"] < "c/s07", "train", "test")
    split = split_audio(rows, partition(strategy="official"), None, {}).set_index("utterance")["split"]
    official = rows.set_index("utterance")["split"]
    assert (split[official == "test"] == "test").all()
    assert set(split[official == "train"]) == {"train", "dev"}


def test_half_an_official_split_is_refused():
    rows = manifest()
    rows.loc[0, "split"] = "train"
    with pytest.raises(UserError, match="c gives a split for some rows and not for others"):
        split_audio(rows, partition(strategy="official"), None, {})


@pytest.mark.parametrize("strategy", ["speaker", "speaker_folds", "official", "random"])
def test_a_recording_under_two_names_stays_in_the_test_set_alone(strategy, capsys):
    rows = manifest()
    clean = split_audio(rows, partition(strategy=strategy), None, {})
    test, train = (clean.loc[clean["split"] == name, "utterance"].iloc[0] for name in ("test", "train"))
    rows.loc[rows["utterance"] == train, "sha256"] = rows.loc[rows["utterance"] == test, "sha256"].item()
    split = split_audio(rows, partition(strategy=strategy), None, {})
    assert test in set(split["utterance"])
    assert train not in set(split["utterance"])
    assert "1 of 120 utterances left out: the same recording" in capsys.readouterr().out


@pytest.mark.parametrize("strategy", ["speaker", "speaker_folds", "official", "random"])
def test_a_text_that_is_repeated_stays_in_the_set_held_out_most(strategy):
    rows = manifest()
    rows.loc[rows.index % 3 == 0, "transcript"] = "Oh my  GOD"
    rows.loc[rows.index % 3 == 1, "transcript"] += " "
    split = split_text(rows, NONE, partition(strategy=strategy), None, {})
    texts = split.assign(text=split["transcript"].str.casefold().str.split().str.join(" "))
    assert texts.groupby("text")["split"].nunique().max() == 1
    assert set(texts.loc[texts["text"] == "oh my god", "split"]) == {"test"}


def test_text_follows_the_audio_split_by_utterance_and_by_speaker():
    rows = manifest()
    audio = split_audio(rows, partition(seed=3), None, {})
    heard = audio[audio["utterance"].str.endswith(("u1", "u2"))]
    text = split_text(rows, heard, partition(seed=9), None, {})
    expected = audio.groupby("speaker")["split"].first()
    assert (text["split"] == text["speaker"].map(expected)).all()


def test_the_audio_split_does_not_depend_on_the_text_and_strange_text_splits_by_itself():
    other = manifest(corpus="other")
    text = split_text(other, split_audio(manifest(), partition(), None, {}), partition(), None, {})
    alone = split_text(other, NONE, partition(), None, {})
    pd.testing.assert_frame_equal(text, alone, check_dtype=False)


def test_labels_are_merged_and_picked():
    split = split_audio(manifest(), partition(), ["anger", "neutral"], {"sadness": "anger"})
    assert split["emotion"].value_counts().to_dict() == {"anger": 80, "neutral": 40}
    text = split_text(manifest(), NONE, partition(), ["anger", "neutral"], {})
    assert set(text["emotion"]) == {"anger", "neutral", ""}  # sadness has VAD: the regressor may learn from it


def test_an_emotion_that_cannot_be_learnt_is_left_out_or_refused_when_asked_for(capsys):
    rows = manifest()
    clean = split_audio(rows, partition(), None, {})
    lonely = clean.loc[clean["split"] == "test", "utterance"].iloc[0]
    rows.loc[rows["utterance"] == lonely, "emotion"] = "fear"
    split = split_audio(rows, partition(), None, {})
    assert ("fear" in set(split["emotion"])) == ("fear" in set(split.loc[split["split"] == "train", "emotion"]))
    with pytest.raises(UserError, match=r"data\.audio\.labels: no training utterance has the emotion\(s\) surprise"):
        split_audio(rows, partition(), ["anger", "surprise"], {})
    with pytest.raises(UserError, match="no utterance has one of the emotions boredom, calm"):
        split_audio(rows, partition(), ["boredom", "calm"], {})


def test_a_branch_without_rows_is_empty_and_has_its_columns():
    empty = manifest().iloc[:0]
    assert split_audio(empty, partition(), None, {}).empty
    assert "transcript" in split_text(empty, NONE, partition(), None, {}).columns


def test_text_without_vad_or_emotion_is_refused():
    rows = manifest(valence=float("nan"))
    with pytest.raises(UserError, match="no utterance has valence"):
        split_text(rows.assign(emotion=""), NONE, partition(), None, {})
