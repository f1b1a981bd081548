"""The readers, on generated trees of the published layouts and on the real data where it is at hand."""

from collections import Counter
from pathlib import Path

import pytest

from emopipe.corpora import emobank, emodb, meld, own_manifest, ravdess
from emopipe.io.errors import UserError
from emopipe.schemas.manifest import read_manifest, write_manifest

REAL = Path(__file__).parents[3] / "shared" / "data"
MELD_HEADER = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime"


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def write_meld(folder: Path, train: list[str], encoding: str = "utf-8") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for split in ("train", "dev", "test"):
        lines = train if split == "train" else ["1,Hi.,Ross,neutral,neutral,0,0,1,1,a,b"]
        (folder / f"{split}_sent_emo.csv").write_bytes("\r\n".join([MELD_HEADER, *lines, ""]).encode(encoding))


def write_emobank(folder: Path, *lines: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "emobank.csv").write_text("\n".join(["id,split,V,A,D,text", *lines, ""]))


# ---- EmoDB


def test_emodb_reads_speaker_sex_emotion_and_sentence_from_the_name(tmp_path):
    letters = {"W": "anger", "L": "boredom", "E": "disgust", "A": "fear", "F": "happiness", "T": "sadness"}
    letters["N"] = "neutral"
    touch(tmp_path / "wav", *(f"03a01{letter}a.wav" for letter in letters), "16b10Fd.wav")
    frame = emodb.read(tmp_path).set_index("utterance")
    assert {letter: frame.at[f"emodb/03a01{letter}a", "emotion"] for letter in letters} == letters
    last = frame.loc["emodb/16b10Fd"]
    assert (last.speaker, last.sex, last.language, last.transcript) == ("emodb/16", "female", "de", "")
    assert last.prompt == "Die wird auf dem Platz sein, wo wir sie immer hinlegen."
    assert frame.at["emodb/03a01Fa", "sex"] == "male"
    assert last.path == str(tmp_path / "wav" / "16b10Fd.wav")


def test_emodb_files_may_lie_in_the_folder_itself_and_come_sorted(tmp_path):
    touch(tmp_path, "09b02Wa.wav", "03a01Fa.wav")
    assert emodb.read(tmp_path)["utterance"].tolist() == ["emodb/03a01Fa", "emodb/09b02Wa"]


def test_foreign_names_are_left_out_and_counted(tmp_path, capsys):
    touch(tmp_path, "03a01Fa.wav", "._03a01Fa.wav", "noise.wav")
    assert len(emodb.read(tmp_path)) == 1
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1 and "left out 2 files" in printed and "._03a01Fa.wav" in printed


def test_a_folder_of_nothing_but_foreign_names_is_an_error_that_names_one(tmp_path):
    touch(tmp_path, "one.wav", "two.wav")
    with pytest.raises(UserError, match=r"nothing is named like 03a01Fa\.wav; it holds 2 \.wav, the first .*one\.wav"):
        emodb.read(tmp_path)


# ---- RAVDESS


@pytest.mark.parametrize("inner", ["", "Audio_Speech_Actors_01-24"])
def test_ravdess_reads_the_fields_of_the_name(tmp_path, inner):
    touch(tmp_path / inner, *(f"Actor_01/03-01-0{e}-01-01-01-01.wav" for e in range(1, 9)))
    touch(tmp_path / inner, "Actor_20/03-01-05-02-02-02-20.wav")
    frame = ravdess.read(tmp_path)
    emotions = ["neutral", "calm", "happiness", "sadness", "anger", "fear", "disgust", "surprise", "anger"]
    assert frame["emotion"].tolist() == emotions
    first, last = frame.iloc[0], frame.iloc[-1]
    assert (first.sex, last.sex, last.speaker) == ("male", "female", "ravdess/20")
    assert first.prompt == "Kids are talking by the door"
    assert last.prompt == "Dogs are sitting by the door"
    assert last.utterance == "ravdess/03-01-05-02-02-02-20"


def test_ravdess_leaves_out_songs_and_a_second_copy(tmp_path, capsys):
    inner = tmp_path / "Audio_Speech_Actors_01-24"
    touch(inner, "Actor_01/03-01-05-02-02-02-01.wav", "Actor_01/03-02-05-02-02-02-01.wav")
    touch(tmp_path, "Actor_01/03-01-05-02-02-02-01.wav")
    assert len(ravdess.read(tmp_path)) == 1
    assert "03-02-05-02-02-02-01.wav" in capsys.readouterr().out


# ---- EmoBank


def test_emobank_keeps_every_row_as_it_stands(tmp_path):
    write_emobank(tmp_path, 'a_1,train,3.0,2.5,1,"She said ""no"', "b_2,test,5,3,3,.", "c_3,dev,3,3,3,NA")
    frame = emobank.read(tmp_path)
    assert frame["utterance"].tolist() == ["emobank/a_1", "emobank/b_2", "emobank/c_3"]
    assert frame["transcript"].tolist() == ['She said "no', ".", "NA"]
    assert frame["split"].tolist() == ["train", "test", "dev"]
    assert frame.loc[0, ["valence", "arousal", "dominance"]].tolist() == [3.0, 2.5, 1.0]
    assert set(frame["speaker"]) == {""} and set(frame["language"]) == {"en"}


def test_emobank_names_file_row_and_column_of_a_value_off_the_scale(tmp_path):
    write_emobank(tmp_path, "a,train,3,3,3,Yes.", "b,train,3,5.5,3,No.", "c,train,x,3,3,Well.")
    with pytest.raises(UserError) as error:
        emobank.read(tmp_path)
    message = str(error.value)
    assert "emobank.csv: 2 invalid value(s)" in message
    assert "row 3, column arousal: '5.5': outside the scale of 1 to 5" in message
    assert "row 4, column valence: 'x'" in message


def test_emobank_without_a_column_is_an_error_that_names_it(tmp_path):
    (tmp_path / "emobank.csv").write_text("id,split,V,A,text\n")
    with pytest.raises(UserError, match=r"emobank\.csv: column\(s\) D missing; found id, split, V, A, text"):
        emobank.read(tmp_path)


# ---- MELD


def test_meld_reads_three_files_as_three_sets(tmp_path):
    write_meld(tmp_path, ['1,"Oh, he’s lost it.",Phoebe ,joy,positive,7,3,8,21,"00:16:16,059","00:16:21,731"'])
    frame = meld.read(tmp_path)
    assert frame["utterance"].tolist() == ["meld/train_dia7_utt3", "meld/dev_dia0_utt0", "meld/test_dia0_utt0"]
    assert frame["split"].tolist() == ["train", "dev", "test"]
    first = frame.iloc[0]
    assert (first.emotion, first.speaker, first.session) == ("happiness", "meld/Phoebe", "train_dia7")
    assert first.transcript == "Oh, he’s lost it."


def test_meld_makes_slashes_in_speakers_safe_and_repairs_control_characters(tmp_path):
    write_meld(tmp_path, ["1,It\x92s \x93fine\x94\x85,Joey/Drake,sadness,negative,0,0,1,1,a,b"])
    first = meld.read(tmp_path).iloc[0]
    assert first.speaker == "meld/Joey-Drake"
    assert first.transcript == "It’s “fine”…"


def test_meld_names_the_row_of_an_unknown_emotion(tmp_path):
    write_meld(tmp_path, ["1,Hi.,Ross,neutral,neutral,0,0,1,1,a,b", "2,Grr.,Ross,rage,negative,0,1,1,1,a,b"])
    with pytest.raises(UserError, match=r"train_sent_emo\.csv: 1 invalid value\(s\)\n  row 3, column emotion: 'rage'"):
        meld.read(tmp_path)


def test_meld_in_another_encoding_is_an_error_that_says_so(tmp_path):
    write_meld(tmp_path, ["1,It’s fine.,Ross,neutral,neutral,0,0,1,1,a,b"], encoding="cp1252")
    with pytest.raises(UserError, match="not UTF-8 text"):
        meld.read(tmp_path)


def test_meld_without_one_of_its_files_names_it(tmp_path):
    write_meld(tmp_path, ["1,Hi.,Ross,neutral,neutral,0,0,1,1,a,b"])
    (tmp_path / "dev_sent_emo.csv").unlink()
    with pytest.raises(UserError, match=r"dev_sent_emo\.csv: no such file"):
        meld.read(tmp_path)


# ---- the real data


def real(key: str) -> Path:
    folder = REAL / key
    if not folder.is_dir():
        pytest.skip(f"{key} is not at hand in {folder}")
    return folder


def test_real_emodb():
    frame = emodb.read(real("emodb"))
    assert len(frame) == 342 and frame["speaker"].nunique() == 10
    emotions = Counter(frame["emotion"])
    assert [emotions[e] for e in ("anger", "neutral", "happiness", "sadness")] == [127, 79, 71, 62]
    assert [emotions[e] for e in ("fear", "disgust", "boredom")] == [1, 1, 1]
    assert frame["prompt"].all()


def test_real_ravdess():
    frame = ravdess.read(real("ravdess"))
    assert len(frame) == 180
    assert dict(zip(frame["speaker"], frame["sex"], strict=True)) == {
        "ravdess/01": "male",
        "ravdess/05": "male",
        "ravdess/20": "female",
    }


def test_real_emobank():
    frame = emobank.read(real("emobank"))
    assert len(frame) == 10_062 and frame["utterance"].is_unique and frame["transcript"].all()


def test_real_meld():
    frame = meld.read(real("meld"))
    assert len(frame) == 13_708 and frame["utterance"].is_unique and frame["transcript"].all()
    assert Counter(frame["split"]) == {"train": 9989, "dev": 1109, "test": 2610}
    assert not frame["transcript"].str.contains(r"[\x80-\x9f]").any()


# ---- what people bring, and what is kept of it


def test_utf_8_that_was_read_as_windows_1252_is_put_right_and_said(tmp_path, capsys):
    write_meld(
        tmp_path,
        ["1,heâ€™s right,Ross,neutral,neutral,0,0,1,1,a,b", "2,It’s Zoë’s café.,Ross,joy,positive,0,1,1,1,a,b"],
    )
    texts = meld.read(tmp_path)["transcript"]
    assert texts.tolist()[:2] == ["he’s right", "It’s Zoë’s café."]
    assert (
        "meld: 1 of 2 texts put right: UTF-8 that was read as Windows-1252; the first: heâ€™s right"
        in capsys.readouterr().out
    )


def test_songs_of_ravdess_are_left_out_and_counted_and_songs_alone_are_refused(tmp_path, capsys):
    touch(
        tmp_path,
        "Actor_01/03-01-05-01-01-01-01.wav",
        "Actor_01/03-02-05-01-01-01-01.wav",
        "Actor_02/03-02-02-01-01-01-02.wav",
    )
    assert ravdess.read(tmp_path)["utterance"].tolist() == ["ravdess/03-01-05-01-01-01-01"]
    assert (
        "ravdess: left out 2 files: not named 03-01-EE-II-SS-RR-AA.wav (speech, audio alone)" in capsys.readouterr().out
    )
    with pytest.raises(
        UserError, match=r"nothing is named 03-01-EE-II-SS-RR-AA\.wav \(speech, audio alone\); it holds 1 \.wav"
    ):
        ravdess.read(tmp_path / "Actor_02")


STRANGE = [
    "👍🏽 so",
    "&amp; &#39;",
    "a\u2028b",
    "x" * 100_000,
    "NA",
    "null",
    "a\u200bb",
    "=1+1",
    "'tis",
    "-- no",
    "e\u0301",
    "مرحبا",
]


@pytest.mark.parametrize("text", STRANGE, ids=[ascii(text[:6]) for text in STRANGE])
def test_a_text_goes_through_fetch_as_it_is(tmp_path, text):
    quoted = text.replace('"', '""')
    (tmp_path / "m.csv").write_text(f'utterance,corpus,transcript\nx/1,x,"{quoted}"\nx/2,x,So.\n', encoding="utf-8")
    rows = own_manifest.read(tmp_path / "m.csv")
    write_manifest(rows, tmp_path / "written.csv")
    assert read_manifest(tmp_path / "written.csv")["transcript"].tolist() == [text, "So."]
