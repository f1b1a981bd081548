"""The MSP-Podcast reader, on generated trees of the released layout."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from emopipe.corpora import msp_podcast
from emopipe.io.errors import UserError

HEADER = "FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set"
MAPPED = "mapped linearly from the scale of 1 to 7"


def write(folder: Path, *lines: str, header: str = HEADER) -> None:
    (folder / "Labels").mkdir(parents=True, exist_ok=True)
    (folder / "Audios").mkdir(exist_ok=True)
    (folder / "Labels" / "labels_consensus.csv").write_text("\n".join([header, *lines, ""]))


def read(folder: Path):
    return msp_podcast.read(folder).set_index("utterance")


def test_a_turn_has_emotion_rescaled_ratings_speaker_set_words_and_audio(tmp_path, capsys):
    write(
        tmp_path,
        "MSP-PODCAST_0001_0008.wav,N,7,1,2.5,30,Male,Test1",
        "MSP-PODCAST_0153_0033_0001.wav,C,4.0,3.777778,,Unknown,Unknown,Train",
        "MSP-PODCAST_0002_0001.wav,X,4,4,4,39,Female,Development",
    )
    (tmp_path / "Transcripts").mkdir()
    (tmp_path / "Transcripts" / "MSP-PODCAST_0001_0008.txt").write_text("Well,\nthat is it.\n")
    frame = read(tmp_path)
    first, second, third = frame.itertuples()
    assert first.Index == "msp_podcast/MSP-PODCAST_0001_0008"
    assert (first.valence, first.arousal, first.dominance) == (1.0, 5.0, 2.0)
    assert (first.emotion, first.speaker, first.sex, first.split) == ("neutral", "msp_podcast/30", "male", "test")
    assert first.transcript == "Well, that is it."
    assert first.path == str(tmp_path / "Audios" / "MSP-PODCAST_0001_0008.wav")
    assert (second.emotion, second.speaker, second.sex, second.split) == ("contempt", "", "", "train")
    assert second.valence == pytest.approx(1 + 2.777778 * 4 / 6, abs=1e-6) and math.isnan(second.dominance)
    assert (third.emotion, third.split) == ("", "dev")
    printed = capsys.readouterr().out
    assert MAPPED in printed and "2 of 3 utterances without a transcript" in printed


def test_every_class_has_its_emotion(tmp_path):
    write(tmp_path, *(f"MSP-PODCAST_0001_000{i}.wav,{code},4,4,4,1,Male,Train" for i, code in enumerate("ASHUFDCNOX")))
    assert read(tmp_path)["emotion"].tolist() == [
        "anger", "sadness", "happiness", "surprise", "fear", "disgust", "contempt", "neutral", "other", "",
    ]  # fmt: skip


def test_further_test_sets_are_left_out_and_counted(tmp_path, capsys):
    sets = ("Train", "Test2", "Development", "Test3", "Test1", "Test2")
    write(tmp_path, *(f"MSP-PODCAST_0001_000{i}.wav,A,4,4,4,1,Male,{name}" for i, name in enumerate(sets)))
    assert read(tmp_path)["split"].tolist() == ["train", "dev", "test"]
    printed = capsys.readouterr().out
    assert (
        "left out 3 of 6 utterances: Test2 and Test3" in printed and "3 of 3 utterances without a transcript" in printed
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a.wav,A,4,9,4,1,Male,Train", r"row 3, column valence: 6\.333333: outside the scale"),
        ("a.wav,A,high,4,4,1,Male,Train", r"row 3, column arousal: 'high'"),
        ("a.wav,Q,4,4,4,1,Male,Train", r"row 3, column emotion: 'Q'"),
        ("a.wav,A,4,4,4,1,Male,Test9", r"row 3, column split: 'Test9'"),
        ("a.wav,A,4,4,4,1,X,Train", r"row 3, column sex: 'X'"),
    ],
)
def test_what_is_not_as_released_is_named_by_row_and_column(tmp_path, line, message):
    write(tmp_path, "b.wav,A,4,4,4,1,Male,Test2", line)
    with pytest.raises(UserError, match=r"labels_consensus\.csv: 1 invalid value\(s\)\n  " + message):
        msp_podcast.read(tmp_path)


def test_without_the_table_or_a_column_there_is_one_message(tmp_path):
    with pytest.raises(UserError, match=r"nothing is named labels_consensus\.csv"):
        msp_podcast.read(tmp_path)
    write(tmp_path, "a.wav,A,4,4,4,1,Male", header=HEADER.removesuffix(",Split_Set"))
    with pytest.raises(UserError, match=r"column\(s\) Split_Set missing"):
        msp_podcast.read(tmp_path)
