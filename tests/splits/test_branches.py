"""Splits of the two branches: text follows audio, and each keeps the rows that it can learn from."""

from __future__ import annotations

import pandas as pd
import pytest
from pydantic import ValidationError

from emopipe.io.errors import UserError
from emopipe.splits.parameters import Labels
from helpers.partitions import NONE, corpora, manifest, partition, split_audio, split_text


def test_text_follows_the_audio_split_by_utterance_and_by_speaker():
    rows = manifest()
    audio = split_audio(rows, partition(seed=3), None, {})
    audio_split = audio[audio["utterance"].str.endswith(("u1", "u2"))]
    text = split_text(rows, audio_split, partition(seed=9), None, {})
    expected = audio.groupby("speaker")["split"].first()
    assert (text["split"] == text["speaker"].map(expected)).all()


def test_what_text_alone_has_of_a_speaker_follows_to_the_set_held_out_most():
    rows = manifest()
    audio_split = split_audio(rows[rows.index % 2 == 0], partition("random", seed=4), None, {})
    most = audio_split.groupby("speaker")["split"].agg(
        lambda sets: next(s for s in ("test", "dev", "train") if s in set(sets))
    )
    assert audio_split.groupby("speaker")["split"].nunique().max() == 3
    text = split_text(rows, audio_split, partition(), None, {}).set_index("utterance")
    known = audio_split.set_index("utterance")["split"]
    assert text["split"][known.index].tolist() == known.tolist()
    alone = text.drop(index=known.index)
    assert alone["split"].tolist() == alone["speaker"].map(most).tolist()


def test_text_is_tested_on_whole_corpora_unless_the_audio_split_trains_on_them():
    rows, settings = corpora(), partition("corpus", test_corpora=["d"])
    text = split_text(rows, split_audio(rows[rows["corpus"] == "c"], partition(), None, {}), settings, None, {})
    assert set(text.loc[text["corpus"] == "d", "split"]) == {"test"}
    audio = split_audio(rows, partition(), None, {})
    with pytest.raises(UserError, match=r"split\.text\.test_corpora: \d+ utterances of d follow the audio split"):
        split_text(rows, audio, settings, None, {})


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


def test_an_emotion_that_has_no_training_rows_is_left_out_or_refused_when_asked_for(capsys):
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
    assert list(split_audio(empty, partition(), None, {}).columns)[:4] == ["utterance", "corpus", "speaker", "sex"]
    assert "transcript" in split_text(empty, NONE, partition(), None, {}).columns


def test_text_without_vad_or_emotion_is_refused():
    rows = manifest(valence=float("nan"))
    with pytest.raises(UserError, match="no utterance has valence"):
        split_text(rows.assign(emotion=""), NONE, partition(), None, {})


def test_a_regression_keeps_what_is_rated_whatever_its_emotion(capsys):
    rows = manifest()
    rows.loc[rows["emotion"] == "anger", "valence"] = float("nan")
    rows.loc[rows["emotion"] == "neutral", "dominance"] = float("nan")
    rows["emotion"] = rows["emotion"].replace("neutral", "")
    split = split_audio(rows, partition(), None, {}, ["arousal", "valence"])
    assert set(split["emotion"]) == {"", "sadness"}
    assert split[["valence", "arousal"]].notna().all(axis=None)
    assert "audio: left out 40 of 120 utterances: not rated for arousal, valence" in capsys.readouterr().out
    assert split.groupby("split")["emotion"].nunique().to_dict() == {"train": 2, "dev": 2, "test": 2}
    assert set(split_audio(rows, partition(), ["sadness", "anger"], {}, ["arousal"])["emotion"]) == {"sadness", "anger"}


def test_a_regression_may_test_on_an_emotion_that_it_was_not_trained_on():
    rows = corpora()
    rows.loc[rows["corpus"] == "d", "emotion"] = "boredom"
    settings = partition("corpus", test_corpora=["d"])
    split = split_audio(rows, settings, None, {}, ["valence"])
    assert set(split.loc[split["split"] == "test", "emotion"]) == {"boredom"}
    with pytest.raises(UserError, match="the test set is empty"):
        split_audio(rows, settings, None, {})


def test_a_regression_without_ratings_is_refused():
    with pytest.raises(UserError, match=r"model\.targets: no utterance is rated for valence, arousal"):
        split_audio(manifest(valence=float("nan")), partition(), None, {}, ["valence", "arousal"])


def test_a_classification_of_one_emotion_stops_here():
    rows = manifest().assign(emotion="sadness")
    message = r"sadness is the only emotion in train, and a classification needs two; .*sadness 120"
    with pytest.raises(UserError, match=message):
        split_audio(rows, partition(), None, {})
    with pytest.raises(UserError, match=message):
        split_audio(manifest(), partition(), None, {"anger": "sadness", "neutral": "sadness"})
    with pytest.raises(UserError, match=r"no training utterance has the emotion\(s\) anger"):
        split_audio(rows, partition(), ["sadness", "anger"], {})
    split_audio(rows, partition(), None, {}, ["valence"])  # a regression needs none


def test_one_emotion_in_train_alone_stops_and_one_in_test_alone_is_said(capsys):
    rows = manifest()
    rows["split"] = [("train", "dev", "test")[i // 3 % 3] for i in range(120)]
    apart = rows.assign(emotion=rows["emotion"].where(rows["split"] != "train", "anger"))
    with pytest.raises(UserError, match="anger is the only emotion in train"):
        split_audio(apart, partition("official", speaker_overlap="warn"), None, {})
    apart = rows.assign(emotion=rows["emotion"].where(rows["split"] != "test", "anger"))
    split_audio(apart, partition("official", speaker_overlap="warn"), None, {})
    assert "audio: 1 set has one emotion alone, so that its scores say little: test, anger" in capsys.readouterr().out


def test_emotions_of_a_few_utterances_are_said_with_what_their_weight_is(capsys):
    rows = manifest(split="train").assign(emotion=["boredom", *["anger", "sadness"] * 59, "anger"])
    rows.loc[[100, 101], "split"] = ["dev", "test"]
    split_audio(rows, partition("official", speaker_overlap="warn"), None, {})
    printed = capsys.readouterr().out
    weight = 118 / 3  # balanced: N / (C n_c)
    assert "audio: 1 of 118 training utterances of rare emotions (boredom 1), so that" in printed
    assert f"counts one of them up to {weight:.0f} times" in printed
    split_audio(manifest(), partition(), None, {})
    assert "rare" not in capsys.readouterr().out


def test_utterances_without_any_emotion_are_named_as_that():
    with pytest.raises(UserError, match=r"no utterance has an emotion; choose model\.task=regression"):
        split_audio(manifest().assign(emotion=""), partition(), None, {})


def test_words_for_emotions_are_understood_in_params():
    found = Labels(labels=["angry", "HAP", "sadness"], merge={"exc": "happy", "amused": "joy"})
    assert found.labels == ["anger", "happiness", "sadness"]
    assert found.merge == {"excitement": "happiness", "amused": "happiness"} and found.words() == {
        "amused": "happiness"
    }
    with pytest.raises(ValidationError, match=r"did you mean excitement\?"):
        Labels(labels=None, merge={"exitement": "happiness"})
