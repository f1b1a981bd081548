"""Comparing experiments, and pooling their folds, where dimensions were predicted from audio."""

from __future__ import annotations

import io
import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score

from emopipe.commands import compare, crossval, experiments
from emopipe.io.errors import UserError
from emopipe.schemas import predictions
from emopipe.schemas.manifest import DIMENSIONS
from emopipe.schemas.predictions import FOREST_COLUMNS, TEXT_COLUMNS, rated_table
from emopipe.scoring.regression import regression

NAMES = ["arousal", "valence"]


def heard(seed, names=NAMES, first=0):
    """Return the audio predictions of a run: the same ratings for all seeds."""
    generator, number = np.random.default_rng(seed), np.arange(first, first + 30)
    rows = pd.DataFrame({"utterance": [f"c/u{i}" for i in number], "corpus": "c", "sex": "", "language": ""})
    rows["speaker"] = [f"c/s{i % 6}" for i in number]
    gold = {name: 3 + 2 * np.sin(number + i) for i, name in enumerate(DIMENSIONS)}
    rows = rows.assign(**gold)
    return rated_table(rows, rows[names].to_numpy() + 0.1 * seed * generator.normal(size=(30, len(names))), names)


@pytest.fixture
def revisions(monkeypatch, tmp_path):
    """Return the audio predictions of each revision; the text branch is off. A revision's fold is its number."""
    tables = {"a0": heard(1), "b1": heard(5), "c2": heard(2, first=30), "d3": heard(2, ["valence"])}
    none = {
        predictions.TEXT: pd.DataFrame(columns=list(TEXT_COLUMNS)),
        predictions.FOREST: pd.DataFrame(columns=list(FOREST_COLUMNS)),
    }

    def read(path, revision):
        table = tables[revision] if path == predictions.AUDIO else tables.get((path, revision), none.get(path))
        return io.StringIO(table.to_csv(index=False))

    monkeypatch.setattr(experiments, "read", read)
    monkeypatch.setattr(experiments, "names", lambda: [name for name in tables if isinstance(name, str)])
    monkeypatch.setattr(experiments, "parameters", lambda name: {crossval.FOLD: int(name[-1])})
    monkeypatch.chdir(tmp_path)
    return tables


def call(script, monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", [script.__name__, *arguments])
    script.main()


def scores_of(table):
    return regression(table[NAMES].to_numpy(), table[[f"{name}_predicted" for name in NAMES]].to_numpy(), NAMES)


def test_regressions_are_compared_target_by_target(revisions, monkeypatch, capsys):
    call(compare, monkeypatch, "a0", "b1")
    lines = {
        line.split()[0]: line.split() for line in capsys.readouterr().out.splitlines() if line[:3] in ("ccc", "mse")
    }
    assert lines.keys() == {f"{score}.{name}" for score in ("ccc", "mse") for name in (*NAMES, "mean")}
    for key, cells in lines.items():
        score, name = key.split(".")
        a, b = (scores_of(revisions[revision])[score][name] for revision in ("a0", "b1"))
        assert [float(cell) for cell in cells[1:4]] == pytest.approx([a, b, a - b], abs=1e-4)


def forested(seed):
    """Return the predictions of a forest that hears."""
    rows, generator = heard(1), np.random.default_rng(seed)
    truth = np.array(["anger", "calm", "fear"], dtype=object)[np.arange(30) % 3]
    answers = np.where(generator.random(30) < 0.1 * seed, "calm", truth)
    rows = rows.assign(truth=truth, prediction=answers, text_alone="calm", audio_alone="fear", majority="anger")
    return rows.reindex(columns=list(FOREST_COLUMNS), fill_value="")


def test_forests_are_compared_where_both_runs_have_one_that_hears(revisions, monkeypatch, capsys):
    call(compare, monkeypatch, "a0", "b1")
    assert "forest:" not in capsys.readouterr().out
    pair = {"a0": forested(1), "b1": forested(6)}
    revisions |= {(predictions.FOREST, name): table for name, table in pair.items()}
    call(compare, monkeypatch, "a0", "b1")
    shown = capsys.readouterr().out.split("forest: 30 test utterances, resampled by speaker (6)")[1]
    a, b = (balanced_accuracy_score(table["truth"], table["prediction"]) for table in pair.values())
    (cells,) = (line.split() for line in shown.splitlines() if line.startswith("uar"))
    assert [float(cell) for cell in cells[1:4]] == pytest.approx([a, b, a - b], abs=1e-4)


def test_runs_of_other_targets_are_not_compared(revisions, monkeypatch):
    with pytest.raises(UserError, match="do not predict the same from audio"):
        call(compare, monkeypatch, "a0", "d3")


def test_the_folds_of_a_regression_are_pooled(revisions, monkeypatch, capsys):
    call(crossval, monkeypatch, "a0", "c2")
    found = json.loads((crossval.FOLDER / "a0.json").read_text())
    whole = pd.concat([revisions["a0"], revisions["c2"]])
    for score, values in scores_of(whole).items():
        for name, value in values.items():
            assert found["pooled"][f"{score}.{name}"]["value"] == pytest.approx(value)
    each = [scores_of(revisions[name])["ccc"]["mean"] for name in ("a0", "c2")]
    assert found["folds"]["ccc.mean"]["values"] == pytest.approx(each)
    assert found["folds"]["ccc.mean"]["mean"] == pytest.approx(np.mean(each))
    assert "ccc.mean" in capsys.readouterr().out
