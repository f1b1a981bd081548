"""Tables of answers, read back by libraries that did not write them."""

from __future__ import annotations

import io
import math
import os
import sys
from pathlib import Path

import fastparquet
import orjson
import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emopipe.corpora import audformat_database
from emopipe.io.errors import UserError
from emopipe.recognition import tables
from emopipe.schemas.tables import unescape

ANSWER = tables.typed(
    [
        "file",
        "start",
        "end",
        "emotion",
        "confidence",
        "p_anger",
        "p_fear",
        "p_joy",
        "valence",
        "spread",
        "status",
        "reason",
    ]
)
COLUMNS = {"who": str, 'notes, of "a" user\t': str} | ANSWER | {"channel": int}
ROWS = [
    {"who": "=1+1", "file": "calls/ä b.wav", "start": 0.0, "end": 1 / 3, "emotion": "anger", "confidence": 0.1 + 0.2,
     "p_anger": 0.1 + 0.2, "p_joy": 0.0, "valence": 5.25, "spread": 1e-9, "status": "ok", "reason": "", "channel": 1},
    {"who": "-->", "file": "calls/ä b.wav", "start": 1 / 3, "end": math.nan, "emotion": None, "confidence": None,
     "p_anger": math.inf, "status": "unreadable", "reason": 'line 1\nline "2",\t→', "channel": None},
    {"who": "", "file": "/else/b.wav", "start": None, "end": None, "emotion": "joy", "confidence": 1.0000000000000002,
     "p_anger": 0.0, "p_joy": 1.0000000000000002, "valence": 0.75, "spread": 0.0, "status": "ok", "reason": "",
     "channel": 0},
]  # fmt: skip

FINITE = st.floats(allow_nan=False, allow_infinity=False)
CELLS = {
    str: st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12),
    float: st.none() | st.floats(),
    int: st.none() | st.integers(-(2**62), 2**62),
}
SOME = {"who": str, "text": str, "number": float, "count": int}
TABLES = st.lists(st.fixed_dictionaries({name: CELLS[kind] for name, kind in SOME.items()}), max_size=7)
several = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def expected(rows: list[dict], columns: dict[str, type]) -> list[dict]:
    """Return rows with every column, in order, and None for what is no finite number."""
    finite = {float: lambda cell: cell if cell is not None and abs(cell) < math.inf else None}
    return [
        {name: finite.get(kind, lambda cell: cell)(row.get(name)) for name, kind in columns.items()} for row in rows
    ]


def written(rows: list[dict], columns: dict[str, type], kind: str, folder: Path) -> Path:
    target = folder / f"answers.{kind}"
    tables.write(iter(rows), columns, kind, target)
    return target


def whole(cell: object) -> object:
    return None if pd.isna(cell) else cell


@several
@given(rows=TABLES)
def test_csv_is_read_by_pandas_to_the_last_digit_and_runs_no_formula(rows, tmp_path):
    path = written(rows, SOME, "csv", tmp_path)
    found = pd.read_csv(path, dtype=str, keep_default_na=False)
    texts = [str(cell) for name in ("who", "text") for cell in found[name]]
    assert not [cell for cell in texts if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    for row, cells in zip(expected(rows, SOME), found.to_dict("records"), strict=True):
        for name in ("who", "text"):  # a lone CR would end the row in other readers
            text = (row[name] or "").replace("\r\n", "\n").replace("\r", "\n")
            assert unescape(cells[name].replace("\r\n", "\n")) == text
        assert (float(cells["number"]) if cells["number"] else None) == row["number"]
        assert cells["count"] == ("" if row["count"] is None else str(row["count"]))


@several
@given(rows=TABLES)
@pytest.mark.parametrize("kind", ["json", "jsonl"])
def test_json_is_strict_and_a_row_is_a_line(rows, kind, tmp_path):
    content = written(rows, SOME, kind, tmp_path).read_bytes()
    lines = content.split(b"\n")
    found = orjson.loads(content) if kind == "json" else [orjson.loads(line) for line in lines[:-1]]
    assert found == expected(rows, SOME)
    assert [list(row) for row in found] == [list(SOME)] * len(rows)
    assert lines[-1] == b"" and len(lines) == (1 + len(rows) + (2 if rows else 1) * (kind == "json"))


@several
@given(rows=TABLES)
def test_parquet_is_read_by_fastparquet_with_its_types(rows, tmp_path):
    file = fastparquet.ParquetFile(written(rows, SOME, "parquet", tmp_path))
    kinds = {element.name: (element.type, element.converted_type) for element in file.schema.schema_elements[1:]}
    double, long, text = (5, None), (2, None), (6, 0)  # of the format's own numbers; 6, 0 is UTF-8
    assert kinds == {"who": text, "text": text, "number": double, "count": long}
    found = [{name: whole(cell) for name, cell in row.items()} for row in file.to_pandas().to_dict("records")]
    assert found == expected(rows, SOME)


def test_parquet_is_written_group_by_group_as_rows_come(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "GROUP", 3)
    sizes = []

    def rows():
        for number in range(10):
            sizes.append(next(tmp_path.glob(".*.part")).stat().st_size)
            yield {"who": None if number < 6 else "anna", "number": number / 2}

    tables.write(rows(), SOME, "parquet", tmp_path / "a.parquet")
    file = fastparquet.ParquetFile(tmp_path / "a.parquet")
    assert [group.num_rows for group in file.row_groups] == [3, 3, 3, 1]
    assert sizes[0] == sizes[2] < sizes[3] == sizes[5] < sizes[6]
    found = file.to_pandas()
    assert found["number"].tolist() == [number / 2 for number in range(10)]
    assert [whole(cell) for cell in found["who"]] == [None] * 6 + ["anna"] * 4


@pytest.mark.parametrize("kind", ["csv", "json", "jsonl"])
def test_the_terminal_gets_what_a_file_gets(kind, tmp_path):
    shown = io.StringIO()
    tables.write(iter(ROWS), COLUMNS, kind, shown)
    assert "ä b.wav" in shown.getvalue()
    assert shown.getvalue().encode() == written(ROWS, COLUMNS, kind, tmp_path).read_bytes()


@pytest.mark.parametrize("kind", tables.KINDS)
def test_a_name_that_is_not_utf_8_can_be_written(kind, tmp_path):
    rows = [{"file": os.fsdecode(b"/caf\xe9.wav"), "status": "ok", "reason": os.fsdecode(b"\xff")}]
    path = written(rows, ANSWER, kind, tmp_path)
    match kind:
        case "csv" | "audformat":
            found = pd.read_csv(path / "db.predictions.csv" if kind == "audformat" else path)
        case "json" | "jsonl":
            content = orjson.loads(path.read_bytes().splitlines()[kind == "json"])
            found = pd.DataFrame([content])
        case "parquet":
            found = fastparquet.ParquetFile(path).to_pandas()
    assert (found.loc[0, "file"], found.loc[0, "reason"]) == (r"/caf\udce9.wav", r"\udcff")


@pytest.mark.parametrize("kind", tables.KINDS)
def test_a_table_without_rows_has_its_columns(kind, tmp_path):
    path = written([], ANSWER, kind, tmp_path)
    match kind:
        case "csv" | "audformat":
            found = list(pd.read_csv(path / "db.predictions.csv" if kind == "audformat" else path))
            assert sorted(found) == sorted(ANSWER)
        case "json":
            assert orjson.loads(path.read_bytes()) == []
        case "jsonl":
            assert path.read_bytes() == b""
        case "parquet":
            assert list(fastparquet.ParquetFile(path).to_pandas()) == list(ANSWER)


@pytest.mark.parametrize("kind", tables.KINDS)
def test_the_same_rows_give_the_same_bytes(kind, tmp_path):
    first, second = (written(ROWS, COLUMNS, kind, tmp_path / name) for name in ("a", "b"))
    files = sorted(first.iterdir()) if kind == "audformat" else [first]
    others = sorted(second.iterdir()) if kind == "audformat" else [second]
    assert [file.read_bytes() for file in files] == [file.read_bytes() for file in others]
    assert {file.name for file in files} == ({"db.yaml", "db.predictions.csv"} if kind == "audformat" else {first.name})


@pytest.mark.parametrize("kind", tables.KINDS)
def test_what_fails_midway_leaves_what_was_there(kind, tmp_path):
    def rows():
        yield ROWS[0]
        raise UserError("stopped")

    kept = written(ROWS, COLUMNS, kind, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match="stopped"):
        tables.write(rows(), COLUMNS, kind, kept)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


# ---- audformat


def test_audformat_has_segments_and_what_their_columns_may_hold(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = written(ROWS, COLUMNS, "audformat", tmp_path / "deep/er")
    header = yaml.safe_load((folder / "db.yaml").read_text(encoding="utf-8"))
    schemes = {name: column["scheme_id"] for name, column in header["tables"]["predictions"]["columns"].items()}
    assert header["tables"]["predictions"]["type"] == "segmented"
    assert [header["schemes"][schemes[name]] for name in ("emotion", "confidence", "p_joy", "valence", "who")] == [
        {"dtype": "str", "labels": ["anger", "fear", "joy"]},
        {"dtype": "float", "minimum": 0, "maximum": 1},
        {"dtype": "float", "minimum": 0, "maximum": 1},
        {"dtype": "float", "minimum": 1, "maximum": 5},
        {"dtype": "str"},
    ]
    table = pd.read_csv(folder / "db.predictions.csv", keep_default_na=False)
    assert list(table)[:3] == ["file", "start", "end"] and set(table) == set(COLUMNS)
    assert table["file"].tolist() == [f"{tmp_path}/calls/ä b.wav"] * 2 + ["/else/b.wav"]
    starts, ends = (pd.to_timedelta(table[name]).dt.total_seconds().tolist() for name in ("start", "end"))
    assert starts == pytest.approx([0, 1 / 3, 0], abs=1e-9) and ends == pytest.approx(
        [1 / 3, math.nan, math.nan], abs=1e-9, nan_ok=True
    )
    assert table["emotion"].tolist() == ["anger", "", "joy"]
    assert table["confidence"].tolist() == ["0.30000000000000004", "", "1.0"]  # bounded, as its scheme says
    assert table["valence"].tolist() == ["5.0", "", "1.0"]
    assert table["reason"].tolist() == ["", 'line 1 line "2", →', ""]  # on one line: its readers take no other


def test_audformat_is_read_by_the_corpora_of_this_package(tmp_path):
    written(ROWS, COLUMNS, "audformat", tmp_path)
    found = audformat_database.read(tmp_path, words={"anger": "anger", "joy": "happiness"})
    assert found["emotion"].tolist() == ["anger", "happiness"] and found["valence"].tolist() == [5, 1]
    assert [Path(path).name for path in found["path"]] == ["ä b.wav", "b.wav"]
    assert found["end"].iloc[0] == pytest.approx(1 / 3) and math.isnan(found["end"].iloc[1])


@settings(several, max_examples=25)
@given(rows=TABLES)
def test_audformat_takes_any_text_and_number(rows, tmp_path):
    columns = {"file": str, "predicted_emotion": str, "valence": float} | SOME
    given_rows = [
        row | {"file": f"/{number}.wav", "predicted_emotion": row["who"], "valence": row["number"]}
        for number, row in enumerate(rows)
    ]
    folder = written(given_rows, columns, "audformat", tmp_path)
    audformat_database._load(folder)  # as the package reads it, which checks every value against its scheme
    table = pd.read_csv(folder / "db.predictions.csv", keep_default_na=False, dtype=str)
    header = yaml.safe_load((folder / "db.yaml").read_text(encoding="utf-8"))
    assert table["file"].tolist() == [row["file"] for row in given_rows]
    assert set(table["predicted_emotion"]) - {""} == set(header["schemes"]["predicted_emotion"].get("labels", []))
    for row, cells in zip(expected(given_rows, columns), table.to_dict("records"), strict=True):
        assert (float(cells["number"]) if cells["number"] else None) == row["number"]
        assert len(cells["text"]) == len(row["text"] or "")
        assert not cells["valence"] or 1 <= float(cells["valence"]) <= 5


def test_audformat_takes_a_segment_once_and_needs_files(tmp_path):
    folder = written([*ROWS, *ROWS], COLUMNS, "audformat", tmp_path)  # a recording named twice is answered alike
    assert len(pd.read_csv(folder / "db.predictions.csv")) == 3
    other = ROWS[0] | {"channel": 0}
    with pytest.raises(UserError, match=r"two rows for calls/ä b\.wav from 0 to 0\.333333 s"):
        written([ROWS[0], other], COLUMNS, "audformat", tmp_path)
    with pytest.raises(UserError, match="these rows have no column file"):
        written([{"text": "a"}], {"text": str}, "audformat", tmp_path)


def test_audformat_replaces_its_own_output_alone(tmp_path):
    folder = written(ROWS, COLUMNS, "audformat", tmp_path)
    written(ROWS[:1], COLUMNS, "audformat", tmp_path)
    assert len(pd.read_csv(folder / "db.predictions.csv")) == 1 and list(tmp_path.iterdir()) == [folder]
    (tmp_path / "empty").mkdir()
    tables.write(iter(ROWS), COLUMNS, "audformat", tmp_path / "empty")
    assert len(list((tmp_path / "empty").iterdir())) == 2


def foreign_folders(tmp_path: Path) -> dict[str, Path]:
    own = written(ROWS, COLUMNS, "audformat", tmp_path)
    cases = {name: tmp_path / name for name in ("full", "kept", "other", "broken", "file", "link", "dangling")}
    for name in ("full", "kept", "other", "broken"):
        cases[name].mkdir()
    (cases["full"] / "a.wav").write_bytes(b"a recording")
    for name in ("db.yaml", "db.predictions.csv"):
        (cases["kept"] / name).write_bytes((own / name).read_bytes())
    (cases["kept"] / "notes.txt").write_text("mine")
    (cases["other"] / "db.yaml").write_text("name: emodb\nauthor: somebody\n")
    (cases["broken"] / "db.yaml").write_text("author: [")
    cases["file"].write_text("mine")
    cases["link"].symlink_to(own)
    cases["dangling"].symlink_to(tmp_path / "nowhere")
    return cases


@pytest.mark.parametrize("case", ["full", "kept", "other", "broken", "file", "link", "dangling"])
def test_audformat_never_deletes_what_it_did_not_write(case, tmp_path):
    folder = foreign_folders(tmp_path)[case]
    before = {path: path.is_symlink() or path.is_dir() or path.read_bytes() for path in tmp_path.rglob("*")}
    with pytest.raises(UserError, match=rf"{case}: there already, and not only an earlier output"):
        tables.check("audformat", folder)
    with pytest.raises(UserError, match="there already"):
        tables.write(iter(ROWS), COLUMNS, "audformat", folder)
    after = {path: path.is_symlink() or path.is_dir() or path.read_bytes() for path in tmp_path.rglob("*")}
    assert after == before


def test_what_is_put_there_meanwhile_is_not_deleted_either(tmp_path):
    folder = tmp_path / "answers"

    def rows():
        yield ROWS[0]
        folder.mkdir()
        (folder / "mine.txt").write_text("mine")

    with pytest.raises(UserError, match="there already"):
        tables.write(rows(), COLUMNS, "audformat", folder)
    assert [path.name for path in tmp_path.rglob("*")] == ["answers", "mine.txt"]


# ---- before any work


@pytest.mark.parametrize(("kind", "package"), [("parquet", "pyarrow"), ("audformat", "audformat")])
def test_a_package_that_is_not_there_is_named(kind, package, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, tables.PACKAGES[kind], None)
    with pytest.raises(UserError, match=rf"no package {package}; `pip install 'emopipe\[{kind}\]'`"):
        tables.check(kind, tmp_path / "a")


@pytest.mark.parametrize(("kind", "what"), [("parquet", "a file"), ("audformat", "a folder")])
def test_what_the_terminal_cannot_show_needs_a_path(kind, what):
    with pytest.raises(UserError, match=f"--format {kind}: the terminal cannot show it; name {what}"):
        tables.write(iter(ROWS), COLUMNS, kind, io.StringIO())
