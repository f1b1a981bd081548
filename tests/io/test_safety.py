"""What others made is data: no code in it is run, neither here nor by the spreadsheet that opens a table.

That no module uses a function that could run such code is checked by ruff: S and TID251 in pyproject.toml.
"""

from __future__ import annotations

import csv
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from emopipe.commands import crossval
from emopipe.corpora import own_manifest
from emopipe.encoding import store
from emopipe.forest import saving
from emopipe.io.errors import UserError
from emopipe.schemas import predictions, splits, tables
from emopipe.schemas.manifest import Rejection, Utterance, read_manifest, write_manifest
from emopipe.training import cross_fitting
from emopipe.weights.files import read_tensors
from stages import resample

# ---- no loader runs code


class Code:
    """A pickle that would run code if anybody loaded it."""

    def __reduce__(self):
        return print, ("pickled code ran",)


def objects(path: Path) -> None:
    """Write an array of objects, which NumPy stores as a pickle."""
    np.save(path, np.array([Code()], dtype=object), allow_pickle=True)


def test_a_pickle_in_the_place_of_any_file_that_is_loaded_is_refused_and_does_not_run(tmp_path, capsys):
    for name in ("model.safetensors", "pytorch_model.bin", "model.pt"):
        for write in (lambda path: path.write_bytes(pickle.dumps(Code())), lambda path: torch.save([Code()], path)):
            write(tmp_path / name)
            with pytest.raises(UserError, match=rf"{name}: not a whole file of tensors"):
                read_tensors(tmp_path / name)
    (tmp_path / "forest.skops").write_bytes(pickle.dumps(Code()))
    with pytest.raises(UserError, match=r"forest\.skops: not a forest"):
        saving.load(tmp_path / "forest.skops")
    store.write(
        tmp_path / "encoded",
        [store.StoredEncoding("a/b", store.ORIGINAL, np.ones((1, 2)), np.ones((2, 3, 2)))],
        2,
        3,
        {},
    )
    objects(tmp_path / "encoded/shards/00000/frames.npy")
    with pytest.raises(UserError, match=r"frames\.npy: not an array of float16 rows"):
        store.Store(tmp_path / "encoded").frames(0)
    objects(tmp_path / "encoded/shards/00000/statistics.npy")
    with pytest.raises(UserError, match=r"statistics\.npy: not an array of float16 rows"):
        store.Store(tmp_path / "encoded")
    objects(tmp_path / "part-1-of-2.npy")
    with pytest.raises(ValueError, match="allow_pickle"):
        cross_fitting._once(tmp_path / "part-1-of-2", lambda folder: np.zeros(3))
    assert "ran" not in capsys.readouterr().out


# ---- no spreadsheet does

FORMULAS = ("=1+1", "+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "'=1", "''-1", "=cmd|'/c calc'!A1", "-- no, wait")
# A lone carriage return becomes a newline, and no reader of CSV agrees with another on what a null byte means.
words = st.text(st.characters(exclude_characters="\r\x00", exclude_categories=["Cs"]))
starts = st.sampled_from(["", "'", "''", "=", "+", "-", "@", "\t", "\n", "'=", "''@", "'\t", '"', '"=', ",=", ";"])
cells = st.builds(str.__add__, starts, words)


def begins_a_formula(cell: str) -> bool:
    """Tell whether a spreadsheet would compute a cell; numbers are what they are."""
    try:
        float(cell)
    except ValueError:
        return cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    return False


def in_a_spreadsheet(path: Path) -> list[list[str]]:
    """Return the cells of the rows of a CSV as a program sees them that knows nothing of its origin."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))[1:]


@settings(max_examples=300, deadline=None)
@given(texts=st.lists(cells, min_size=1, max_size=4), numbers=st.floats(allow_nan=False, allow_infinity=False))
def test_words_come_back_as_they_were_and_are_no_formulas(tmp_path_factory, texts, numbers):
    path = tmp_path_factory.getbasetemp() / "words.csv"
    written = pd.DataFrame({"words": texts, "number": numbers})
    tables.write_csv(written, path)
    back = tables.read_csv(path)
    assert list(back["words"]) == texts
    assert [float(cell) for cell in back["number"]] == [numbers] * len(texts)
    for row, text in zip(in_a_spreadsheet(path), texts, strict=True):
        assert not row[0].startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
        assert row[0] in (text, f"'{text}")
        assert float(row[1]) == numbers  # no apostrophe before a minus


def test_numbers_and_words_that_are_no_formulas_are_written_as_ever(tmp_path):
    frame = pd.DataFrame({"words": ["'tis", "it's", "a=b", "", "'"], "number": [-0.5, 1e-7, float("nan"), -3, 2.0]})
    tables.write_csv(frame, tmp_path / "new.csv")
    frame.to_csv(tmp_path / "plain.csv", index=False, lineterminator="\n")
    assert (tmp_path / "new.csv").read_bytes() == (tmp_path / "plain.csv").read_bytes()


def test_a_lone_carriage_return_does_not_end_a_row(tmp_path):
    tables.write_csv(pd.DataFrame({"words": ["one\rtwo", "\r=1", "three\r\nfour"]}), tmp_path / "a.csv")
    assert list(tables.read_csv(tmp_path / "a.csv")["words"]) == ["one\ntwo", "\n=1", "three\r\nfour"]


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("text", FORMULAS)
def test_every_table_is_safe_to_open_and_comes_back(workspace, text):
    text = text.strip()  # as every table of rows does, on reading too
    name = f"{text.replace('/', ' ')}/{text}"
    row = {
        "utterance": name, "corpus": text, "speaker": name, "session": text, "language": text, "path": text,
        "transcript": text, "prompt": text, "valence": 1.5, "emotion": "fear", "split": "train",
    }  # fmt: skip
    manifest = tables.check([row], Utterance, "rows")
    rejection = pd.DataFrame([{"utterance": name, "path": text, "reason": text}])
    leak = {"kind": "speaker", "content": name, "sets": "train|dev", "utterances": 1, "action": "reported"}
    item = {key: row[key] for key in splits.TextItem.model_fields if key in row}
    ours = {
        resample.RAW: (Utterance, manifest),
        resample.REJECTED: (Rejection, rejection),
        splits.TEXT: (splits.TextItem, pd.DataFrame([item])),
        splits.TEXT_LEAKS: (splits.Leak, pd.DataFrame([leak])),
    }
    for path, (kind, table) in ours.items():
        tables.write(table, path, kind)
        for column, value in tables.read(path, kind).iloc[0].items():
            if column in table:
                assert value == table.at[0, column] or value != value  # NaN: unknown on both sides
    assert read_manifest(resample.RAW).equals(manifest)

    row |= {"sex": "", "arousal": 2.0, "dominance": float("nan")}
    rows = pd.DataFrame([row])
    emotion = predictions.emotion_table(rows, "audio", "trained", ["fear"], np.array([[0.5]]), ["fear"])
    predictions.write_emotion(emotion, predictions.EMOTION)
    assert predictions.read_emotion().equals(emotion)
    vad = predictions.vad_table(rows, "audio", "trained", np.array([[-0.5, 1, 2]])).reset_index(drop=True)
    predictions.write_vad(vad, predictions.VAD)
    assert predictions.read_vad().equals(vad)
    tables.write_csv(vad.assign(fold=0), crossval.FOLDER / "x.csv")
    predictions.write_embedding(pd.DataFrame({"utterance": [name], "component_1": [-0.25]}))
    assert predictions.read_embedding().to_dict("records") == [{"utterance": name, "component_1": -0.25}]

    written = list(workspace.rglob("*.csv"))
    assert len(written) == len(ours) + 4
    for path in written:
        formulas = [cell for cells in in_a_spreadsheet(path) for cell in cells if begins_a_formula(cell)]
        assert not formulas, path


def test_a_manifest_of_the_users_own_is_what_it_is(workspace):
    Path("my.csv").write_text("utterance,corpus,transcript\nme/1,me,'=1\nme/2,me,=1\n", encoding="utf-8")
    rows = own_manifest.read(Path("my.csv"))
    assert rows["transcript"].tolist() == ["'=1", "=1"]
    path = Path("data/raw/text.csv")
    write_manifest(rows, path)
    assert in_a_spreadsheet(path)[0][-3] == "''=1"
    assert list(read_manifest(path)["transcript"]) == ["'=1", "=1"]
