"""Where corpora lie in the folder that a user names: nested, doubled, in capitals, above, below, in other editions."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from emopipe.corpora import crema_d, emodb, iemocap, meld, msp_podcast, ravdess, savee, tess
from emopipe.corpora.catalogue import read_corpus
from emopipe.corpora.parameters import Synthetic
from emopipe.io.errors import UserError
from emopipe.schemas import notices, tables

ROOT = Path(__file__).parents[2]
RAVDESS = ("03-01-05-01-01-01-{0}.wav", "03-01-03-01-01-02-{0}.wav")


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x" * len(name))
    return folder


def read(name: str):
    return read_corpus(name, "data.audio.corpora", Synthetic(speakers=6, utterances=1, seed=1), Path("unused"))


def counted(path: Path, make) -> list[tuple[int, str, str]]:
    with notices.collected(path):
        make()
    return [(row.number, row.unit, row.what) for row in tables.read(path, notices.Notice).itertuples()]


# ---- recordings known by their names

ACTORS = tuple(f"Actor_{n}/{name.format(n)}" for n in ("01", "02") for name in RAVDESS)
LAYOUTS = {
    tess: ("OAF_angry/OAF_back_angry.wav", "YAF_happy/YAF_back_happy.wav"),
    ravdess: ACTORS,
    savee: ("DC/a01.wav", "KL/su15.wav"),
    crema_d: ("AudioWAV/1001_DFA_ANG_XX.wav", "AudioWAV/1002_IEO_HAP_LO.wav"),
    emodb: ("wav/03a01Fa.wav", "wav/16b10Nd.wav"),
}
each_corpus = pytest.mark.parametrize("reader", LAYOUTS, ids=lambda reader: reader.CORPUS.key)


@each_corpus
@pytest.mark.parametrize("nested", ["", "Corpus", "archive (1)/corpus/corpus", "a/b/c/d"])
def test_a_corpus_is_found_however_deep_it_lies(tmp_path, reader, nested):
    plain = reader.read(touch(tmp_path / "plain", *LAYOUTS[reader])).drop(columns="path")
    rows = reader.read(touch(tmp_path / "x" / nested, *LAYOUTS[reader]) and tmp_path / "x")
    assert rows.drop(columns="path").equals(plain) and len(rows) == len(LAYOUTS[reader])
    assert all(Path(path).is_file() for path in rows["path"])


@each_corpus
def test_capitals_matter_neither_in_folders_nor_in_names(tmp_path, reader):
    plain = reader.read(touch(tmp_path / "plain", *LAYOUTS[reader]))
    for change in (str.upper, str.lower, lambda name: name.replace(".wav", ".WAV")):
        folder = touch(tmp_path / f"x{change('a.wav')}", *map(change, LAYOUTS[reader]))
        rows = reader.read(folder)
        assert sorted(rows["utterance"]) == sorted(plain["utterance"])
        assert rows.set_index("utterance")["emotion"].to_dict() == plain.set_index("utterance")["emotion"].to_dict()


@each_corpus
def test_of_a_doubled_corpus_each_recording_is_read_once_and_the_copies_are_counted(tmp_path, reader):
    names = LAYOUTS[reader]
    touch(tmp_path, *names, *(f"copy/copy/{name}" for name in names))
    found = counted(tmp_path / "n.csv", lambda: reader.read(tmp_path))
    assert found == [(len(names), "files", "left out: copies, that is, of the same name as another one")]
    assert all("copy" not in path for path in reader.read(tmp_path)["path"])


def test_the_signal_of_the_larynx_is_never_taken_for_speech(tmp_path):
    touch(tmp_path, "laryngo/03a01Fa.wav", "silb/03a01Fa.wav", "deep/er/wav/03a01Fa.wav")
    assert emodb.read(tmp_path)["path"].tolist() == [str(tmp_path / "deep/er/wav/03a01Fa.wav")]


def test_one_part_of_a_corpus_is_read_and_the_folder_of_all_parts_is_named(tmp_path, capsys):
    touch(tmp_path, *ACTORS)
    assert len(ravdess.read(tmp_path / "Actor_01")) == 2
    assert f"is one of 2 parts of the corpus; all of them are in {tmp_path}" in capsys.readouterr().out
    ravdess.read(tmp_path)
    assert capsys.readouterr().out == ""


def test_where_nothing_is_found_the_message_says_what_is_there_and_names_the_nearest_folder(tmp_path):
    touch(tmp_path, *ACTORS, "notes/readme.txt", "notes/more.TXT", "notes/song.wav")
    with pytest.raises(UserError) as error:
        read(f"ravdess:{tmp_path}/notes")
    message = str(error.value)
    assert f"no utterance found under {tmp_path}/notes: nothing is named 03-01-EE-II-SS-RR-AA.wav" in message
    assert "it holds 2 .txt, 1 .wav, the first" in message
    assert f"{tmp_path} holds some: data.audio.corpora=[ravdess:{tmp_path}]" in message


def test_links_are_followed_and_a_circle_of_them_ends(tmp_path):
    touch(tmp_path / "far", "Actor_01/03-01-05-01-01-01-01.wav")
    (tmp_path / "near").mkdir()
    (tmp_path / "near" / "speech").symlink_to(tmp_path / "far")
    (tmp_path / "far" / "again").symlink_to(tmp_path / "near")
    assert len(ravdess.read(tmp_path / "near")) == 1


def test_invisible_folders_and_those_of_archives_of_a_mac_are_not_looked_at(tmp_path):
    touch(tmp_path, "wav/03a01Fa.wav", ".git/03a01Wa.wav", "__MACOSX/wav/03a02Wa.wav", ".ipynb_checkpoints/03a04Wa.wav")
    assert emodb.read(tmp_path)["utterance"].tolist() == ["emodb/03a01Fa"]


def test_a_lossless_copy_is_preferred_and_lossy_ones_alone_are_said(tmp_path):
    names = ("1001_DFA_ANG_XX", "1002_IEO_HAP_LO", "1003_ITH_SAD_X")
    touch(tmp_path, *(f"AudioMP3/{name}.mp3" for name in names))
    found = counted(tmp_path / "n.csv", lambda: crema_d.read(tmp_path))
    assert found == [(3, "recordings", "there as lossy copies alone")]
    touch(tmp_path, *(f"AudioWAV/{name}.wav" for name in names))
    assert {Path(path).suffix for path in crema_d.read(tmp_path)["path"]} == {".wav"}
    touch(tmp_path / "flac", *(f"{name}.FLAC" for name in names))
    assert len(crema_d.read(tmp_path / "flac")) == 3


def test_the_clip_of_several_emotions_in_crema_d_is_left_out_and_counted(tmp_path):
    touch(tmp_path, "AudioWAV/1064_IEO_DIS_MD.wav", "AudioWAV/1001_DFA_ANG_XX.wav")
    found = counted(tmp_path / "n.csv", lambda: crema_d.read(tmp_path))
    assert found == [(1, "recordings", "left out: of several emotions")]
    assert crema_d.read(tmp_path)["utterance"].tolist() == ["crema_d/1001_DFA_ANG_XX"]


@pytest.mark.parametrize("where", ["wav", "Gr\udcf6\udcdfe"])
def test_a_name_that_is_not_utf_8_is_shown_with_escapes(tmp_path, where):
    for name in ("03a01Fa", "03a01Wa", "09b02Na"):
        touch(tmp_path, f"wav/{name}.wav")
    (tmp_path / where).mkdir(exist_ok=True)
    (Path(os.fsdecode(os.fsencode(tmp_path / where))) / os.fsdecode(b"Gr\xf6\xdfe.wav")).touch()
    command = [sys.executable, "-m", "emopipe", "corpora", "check", f"emodb:{tmp_path}"]
    environment = os.environ | {"PYTHONIOENCODING": "utf-8", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr and "utterances   3 of emodb" in done.stdout
    assert "left out 1 file: not named like 03a01Fa.wav" in done.stdout and r"Gr\udcf6\udcdfe.wav" in done.stdout


# ---- corpora of tables


def test_iemocap_a_level_too_high_in_capitals_or_one_session_alone(tmp_path, capsys):
    label = "[6.29 - 8.23]\tSes0{0}F_impro01_F000\tang\t[2.5, 2.5, 2.5]\n"
    for session in "12":
        folder = tmp_path / f"P/IEMOCAP/Session{session}"
        touch(folder, f"sentences/WAV/Ses0{session}F_impro01/SES0{session}F_impro01_F000.WAV")
        touch(folder, "dialog/transcriptions/x.txt")
        labels = folder / f"dialog/EmoEvaluation/Ses0{session}F_impro01.txt"
        labels.parent.mkdir(parents=True)
        labels.write_text(label.format(session))
    rows = iemocap.read(tmp_path / "P")
    assert rows["utterance"].tolist() == ["iemocap/Ses01F_impro01_F000", "iemocap/Ses02F_impro01_F000"]
    assert all(Path(path).is_file() for path in rows["path"])
    capsys.readouterr()
    assert len(iemocap.read(tmp_path / "P/IEMOCAP/Session1")) == 1
    assert f"is one of 2 parts of the corpus; all of them are in {tmp_path}/P/IEMOCAP" in capsys.readouterr().out


def write_msp(folder: Path, spelling: str, sets: tuple[str, ...] = ("Train", "Validation", "Test1", "Test2")) -> None:
    header = "FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set\n"
    rows = (f"MSP-PODCAST_0001_000{i}.wav,A,4,4,4,{i},Male,{name}\n" for i, name in enumerate(sets, 1))
    (folder / "Labels").mkdir(parents=True, exist_ok=True)
    (folder / "Labels" / f"labels_{spelling}.csv").write_text(header + "".join(rows))
    touch(folder, *(f"Audio/MSP-PODCAST_0001_000{i}.wav" for i in range(1, len(sets) + 1)))


@pytest.mark.parametrize("spelling", ["concensus", "consensus", "Concensus"])
@pytest.mark.parametrize("nested", ["", "MSP-PODCAST-Publish-1.8"])
def test_msp_podcast_in_either_spelling_with_the_sets_of_any_release(tmp_path, spelling, nested):
    write_msp(tmp_path / nested, spelling)
    rows = msp_podcast.read(tmp_path)
    assert rows["split"].tolist() == ["train", "dev", "test"]
    assert all(Path(path).is_file() for path in rows["path"])
    found = counted(tmp_path / "n.csv", lambda: msp_podcast.read(tmp_path))
    assert (1, "utterances", "left out: Test2 and Test3") in found


def test_msp_podcast_1_6_has_one_test_set(tmp_path):
    write_msp(tmp_path, "concensus", ("Train", "Validation", "Test"))
    assert msp_podcast.read(tmp_path)["split"].tolist() == ["train", "dev", "test"]


def test_of_both_spellings_the_newer_is_read_and_said(tmp_path, capsys):
    write_msp(tmp_path, "concensus", ("Train",))
    write_msp(tmp_path, "consensus")
    assert len(msp_podcast.read(tmp_path)) == 3
    assert "left out 1 table: labels_consensus.csv is read; the first:" in capsys.readouterr().out


@pytest.mark.parametrize("train", ["train/train_sent_emo.csv", "Train_Sent_Emo.CSV", "deep/er/train_sent_emo.csv"])
def test_meld_as_its_raw_archive_holds_it(tmp_path, train):
    header = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime\n"
    rows = "".join(f"{i},Hi {i}.,Ross,joy,positive,0,{i},1,1,a,b\n" for i in range(3))
    for name in (train, "dev_sent_emo.csv", "test_sent_emo.csv"):
        (tmp_path / "MELD.Raw" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "MELD.Raw" / name).write_text(header + rows)
    rows = meld.read(tmp_path)
    assert len(rows) == 9 and rows["split"].value_counts().to_dict() == {"train": 3, "dev": 3, "test": 3}
    assert set(rows["emotion"]) == {"happiness"}
