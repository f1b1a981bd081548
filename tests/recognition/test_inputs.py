"""What a user names becomes the recordings that are meant: of folders, tables and databases in audformat."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest
import soundfile

from emopipe.io.errors import UserError
from emopipe.recognition.inputs import inputs
from emopipe.recordings.reading import Recording
from emopipe.recordings.resampling import convert
from helpers.bad_recordings import voice


def found(*paths: object) -> list[tuple]:
    """Return the recordings below paths; None for a time that is the file's own."""
    recordings = [one.recording for one in inputs([str(path) for path in paths])]
    return [
        (one.path, *(None if math.isnan(time) else time for time in (one.start, one.end)), one.channel)
        for one in recordings
    ]


def lay(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / name, voice(frames=48_000), 16_000, format="WAV")


# ---- files and folders


def test_files_and_folders_in_the_order_in_which_they_are_named(tmp_path):
    lay(tmp_path, "z.wav", "calls/b.flac", "calls/a.mp3", "calls/deep/c.WAV", "calls/.hidden.wav", "calls/notes.txt")
    names = [tmp_path / "z.wav", *(tmp_path / "calls" / name for name in ("a.mp3", "b.flac", "deep/c.WAV"))]
    assert found(tmp_path / "z.wav", tmp_path / "calls") == [(name, None, None, None) for name in names]
    assert [one.columns for one in inputs([str(tmp_path / "z.wav")])] == [{"file": str(tmp_path / "z.wav")}]


@pytest.mark.parametrize("there", [True, False])
def test_a_folder_is_searched_for_what_can_be_read(tmp_path, monkeypatch, there):
    monkeypatch.setattr("emopipe.recordings.containers.find_spec", lambda name: object() if there else None)
    lay(tmp_path, "a.wav", "b.webm", "c.amr", "d.MOV", "e.m4a", "f.ts", "g.pdf")
    expected = ["a.wav", "b.webm", "c.amr", "d.MOV", "e.m4a"] if there else ["a.wav", "e.m4a"]
    assert [path.name for path, *_ in found(tmp_path)] == expected
    for file in tmp_path.iterdir():
        file.unlink()
    with pytest.raises(UserError) as error:
        found(tmp_path)
    assert str(error.value).startswith(f"{tmp_path}: no recording below it; looked for .wav, ")
    assert (".webm" in str(error.value)) == there and str(error.value).count(".m4a") == 1


# ---- tables


def test_a_table_names_files_seen_from_its_folder_and_their_segments(tmp_path):
    lay(tmp_path, "wav/a.wav", "b.wav")
    (tmp_path / "t.csv").write_text(f"who,audio,onset,stop\nx,wav/a.wav,0.5,\ny,{tmp_path / 'b.wav'},,1.25\n")
    assert found(tmp_path / "t.csv") == [
        (tmp_path / "wav/a.wav", 0.5, None, None),
        (tmp_path / "b.wav", None, 1.25, None),
    ]
    assert [one.columns["who"] for one in inputs([str(tmp_path / "t.csv")])] == ["x", "y"]


# ---- audformat


@pytest.fixture
def database(tmp_path) -> Path:
    """Return the folder of a database with two tables of files and two of segments, as the package writes it."""
    audformat = pytest.importorskip("audformat", reason="audformat is an extra, and not installed")
    db = audformat.Database("talk", source="x", usage="research", languages=["en"])
    db.schemes["who"] = audformat.Scheme("str")
    db["people"] = audformat.MiscTable(pd.Index(["anna", "bert"], dtype="string", name="who"))
    tables = {
        "files": audformat.filewise_index(["wav/b.wav", "wav/a.wav"]),
        "again": audformat.filewise_index(["wav/a.wav", "wav/c.wav"]),
        "segments": audformat.segmented_index(
            ["wav/a.wav", "wav/a.wav", "wav/b.wav"], ["0.25s", "1.5s", "0s"], ["1.5s", None, None]
        ),
        "more": audformat.segmented_index(["wav/a.wav", "wav/b.wav"], ["0.25s", "0s"], ["1.5s", "61.001s"]),
    }
    for name, index in tables.items():
        db[name] = audformat.Table(index)
        db[name]["who"] = audformat.Column(scheme_id="who")
        db[name]["who"].set(["anna"] * len(index))
    db.save(str(tmp_path / "talk"), storage_format="csv")
    lay(tmp_path / "talk", "wav/a.wav", "wav/b.wav", "wav/c.wav", "wav/of no table.wav")
    return tmp_path / "talk"


def test_of_a_database_every_file_and_segment_of_its_tables_comes_once(database):
    a, b, c = (database / f"wav/{name}.wav" for name in "abc")
    assert found(database) == [
        (a, None, None, None), (c, None, None, None), (b, None, None, None),
        (a, 0.25, 1.5, None), (b, None, 61.001, None), (a, 1.5, None, None),
    ]  # fmt: skip
    assert [one.columns["file"] for one in inputs([str(database)])] == [str(path) for path, *_ in found(database)]


def test_its_tables_are_tables_too(database, tmp_path):
    lines = (database / "db.segments.csv").read_text().splitlines()
    assert lines[0] == "file,start,end,who" and lines[1].startswith("wav/a.wav,0 days 00:00:00.25")
    a, b = (database / f"wav/{name}.wav" for name in "ab")
    expected = [(a, 0.25, 1.5, None), (a, 1.5, None, None), (b, 0.0, None, None)]
    assert found(database / "db.segments.csv") == expected
    (one, two, *_) = [one.recording for one in inputs([str(database / "db.segments.csv")])]
    assert convert(one, tmp_path / "a.flac").samples == 20_000
    assert convert(two, tmp_path / "b.flac") == convert(Recording(a, 1.5), tmp_path / "c.flac")


def test_a_database_that_cannot_be_read_is_one_line(database, monkeypatch):
    (database / "db.more.csv").unlink()
    with pytest.raises(UserError, match=r"no db\.more\.parquet or db\.more\.csv"):
        found(database)
    (database / "db.yaml").write_text("name: !!python/object/apply:os.getcwd []")
    with pytest.raises(UserError, match=r"db\.yaml: not a header of audformat"):
        found(database)
    monkeypatch.setattr("emopipe.recognition.inputs.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"talk: a database in audformat; `pip install 'emopipe\[audformat\]'`"):
        found(database)


def test_a_database_without_files_says_so(tmp_path):
    audformat = pytest.importorskip("audformat", reason="audformat is an extra, and not installed")
    audformat.Database("none", source="x", usage="research").save(str(tmp_path))
    with pytest.raises(UserError, match="whose tables name no file"):
        found(tmp_path)


def test_what_is_said_of_a_tables_form_is_no_answer(tmp_path, capsys):
    (tmp_path / "t.csv").write_text('sep=;\nfile;note\na.wav;"x"\n')
    assert [one.columns for one in inputs([str(tmp_path / "t.csv")])] == [{"file": "a.wav", "note": "x"}]
    printed = capsys.readouterr()
    assert printed.out == "" and "names the separator" in printed.err
