from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pandas as pd
import pytest
import skops.io
import torch
from sklearn.ensemble import RandomForestClassifier

from stages.contracts import tables
from stages.contracts.errors import UserError
from stages.contracts.manifest import DIMENSIONS
from stages.contracts.parameters import Forest
from stages.contracts.splits import TextItem, same_text
from stages.text import cross_fitting, forest
from stages.text.cross_fitting import divide, unseen_vad

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = Forest(trees=10, max_depth=None, min_leaf=1, class_weight="balanced", cross_fit=3, seed=42)


def grown(seed: int = 0) -> tuple[RandomForestClassifier, np.ndarray, list[str]]:
    draw = np.random.default_rng(seed)
    vad = draw.uniform(1, 5, (120, 3))
    emotions = ["happiness" if v > 3.3 else "anger" if a > 3 else "sadness" for v, a, _ in vad]
    return forest.fit(vad, emotions, SETTINGS), vad, emotions


def test_a_forest_comes_back_as_it_was(tmp_path: Path):
    model, vad, emotions = grown()
    forest.save(model, tmp_path / "forest.skops")
    loaded = forest.load(tmp_path / "forest.skops")
    np.testing.assert_array_equal(loaded.predict_proba(vad), model.predict_proba(vad))
    assert list(loaded.classes_) == ["anger", "happiness", "sadness"]
    assert np.mean(loaded.predict(vad) == np.array(emotions)) > 0.95
    assert loaded.n_jobs is None
    assert loaded.class_weight == "balanced"


def test_a_forest_has_the_same_bytes_in_every_process(tmp_path: Path):
    code = (
        "import sys; sys.path[:0] = ['tests', '.']\n"
        "from test_forest import *\n"
        "forest.save(grown()[0], Path(sys.argv[1]))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "there")], check=True, cwd=ROOT)
    forest.save(grown()[0], tmp_path / "here")
    assert (tmp_path / "here").read_bytes() == (tmp_path / "there").read_bytes()
    with ZipFile(tmp_path / "here") as archive:
        assert {entry.date_time[0] for entry in archive.infolist()} == {1980}


def test_without_a_forest_the_file_is_empty(tmp_path: Path):
    forest.save(None, tmp_path / "forest.skops")
    assert (tmp_path / "forest.skops").read_bytes() == b""
    assert forest.load(tmp_path / "forest.skops") is None
    with pytest.raises(UserError, match="no such file"):
        forest.load(tmp_path / "another.skops")


def test_what_is_not_a_sound_forest_is_refused(tmp_path: Path):
    path = tmp_path / "forest.skops"
    path.write_bytes(b"not a zip")
    with pytest.raises(UserError, match="not a forest"):
        forest.load(path)
    path.write_bytes(skops.io.dumps({"a": np.ones(3)}))
    with pytest.raises(UserError, match="not a forest"):
        forest.load(path)
    path.write_bytes(skops.io.dumps(Path))  # a type that skops does not know
    with pytest.raises(UserError, match="not a forest"):
        forest.load(path)
    forest.save(RandomForestClassifier(2).fit(np.random.default_rng(0).normal(size=(50, 9)), ["a", "b"] * 25), path)
    with pytest.raises(UserError, match="not a forest over valence, arousal, dominance"):
        forest.load(path)


def test_a_tree_that_leads_nowhere_is_refused(tmp_path: Path):
    forest.save(grown()[0], tmp_path / "good")
    bad = io.BytesIO()
    with ZipFile(tmp_path / "good") as source, ZipFile(bad, "w") as target:
        for entry in source.namelist():
            content = source.read(entry)
            array = np.load(io.BytesIO(content)) if entry.endswith(".npy") else np.empty(0)
            if array.dtype.names:
                array["right_child"][0] = 10**9
                buffer = io.BytesIO()
                np.save(buffer, array)
                content = buffer.getvalue()
            target.writestr(entry, content)
    (tmp_path / "bad").write_bytes(bad.getvalue())
    with pytest.raises(UserError, match="not a forest over"):
        forest.load(tmp_path / "bad")


def test_one_emotion_is_not_enough():
    forest.require_two(["anger", "sadness"])
    with pytest.raises(UserError, match=r"needs two emotions or more, .* 1 \(anger\)"):
        forest.require_two(["anger", "anger"])


# Cross-fitting


def table(speakers: int, per_speaker: int, **changes: object) -> pd.DataFrame:
    rows = [
        {"utterance": f"own/{s}-{i}", "corpus": "own", "speaker": f"own/{s}", "split": "train",
         "transcript": f"speaker {s} says {i}", "emotion": "anger" if i % 2 else "calm",
         "valence": 2.0, "arousal": 3.0, "dominance": 4.0} | changes
        for s in range(speakers) for i in range(per_speaker)
    ]  # fmt: skip
    return tables.check(rows, TextItem, "rows")


class Regressor:
    """Stands in for a trained regressor and remembers what it saw."""

    def __init__(self, rows: pd.DataFrame, sha256: str = "same") -> None:
        self.seen = set(same_text(rows["transcript"]))
        self.settings = None
        self.origin = type("Origin", (), {"sha256": sha256, "name": "encoder"})


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Regressor]:
    """The regressors that cross-fitting trained; none may predict a text it has seen."""
    regressors: list[Regressor] = []

    def fit(train, dev, *_):
        assert set(dev["split"]) <= {"dev"}
        assert train[list(DIMENSIONS)].notna().all(axis=None)
        regressors.append(Regressor(train))
        return regressors[-1]

    def predict(trained, texts, _):
        assert not trained.seen & set(same_text(pd.Series(texts)))
        return np.full((len(texts), 3), 1.0 + regressors.index(trained) if trained in regressors else 5.0)

    monkeypatch.setattr(cross_fitting, "fit", fit)
    monkeypatch.setattr(cross_fitting, "predict", predict)
    return regressors


def vad_of(rows: pd.DataFrame) -> pd.DataFrame:
    trained = Regressor(rows[(rows["split"] == "train") & rows["valence"].notna()])
    return unseen_vad(rows, trained, 3, torch.device("cpu"), Path("unused"))


def test_no_vad_is_predicted_by_a_regressor_that_saw_the_text(made: list[Regressor]):
    rows = table(7, 4)
    vad = vad_of(rows)
    assert len(made) == 3
    assert list(vad.index) == list(rows.index)
    assert vad.notna().all(axis=None)
    assert (vad["valence"].groupby(rows["speaker"]).nunique() == 1).all()  # a speaker is in one part
    assert set(vad["valence"]) == {1.0, 2.0, 3.0}


def test_texts_that_two_parts_share_are_not_learnt_from(made: list[Regressor]):
    rows = table(6, 4)
    rows["transcript"] = [f"{'Hello ' * (i % 4 == 0)} {text}" for i, text in enumerate(rows["transcript"])]
    rows.loc[::4, "transcript"] = ["Hello there", "hello  THERE"] * 3
    assert vad_of(rows).notna().all(axis=None)
    assert all(len(regressor.seen) == 12 for regressor in made)


def test_a_corpus_without_vad_is_predicted_by_the_regressor_itself(made: list[Regressor]):
    rated = table(6, 4, emotion="")
    other = table(2, 3, corpus="meld", valence=np.nan, arousal=np.nan, dominance=np.nan)
    other["utterance"], other["transcript"] = "meld/" + other["utterance"], "then " + other["transcript"]
    vad = vad_of(pd.concat([rated, other], ignore_index=True))
    assert not made
    assert len(vad) == 6
    assert (vad == 5.0).all(axis=None)


def test_a_text_that_chances_to_be_known_is_left_out_rather_than_trained_for(made: list[Regressor]):
    rated = table(6, 4, emotion="")
    other = table(2, 3, corpus="meld", valence=np.nan, arousal=np.nan, dominance=np.nan)
    other["utterance"], other.loc[1:, "transcript"] = "meld/" + other["utterance"], "then " + other["transcript"][1:]
    rows = pd.concat([rated, other], ignore_index=True)
    assert list(vad_of(rows).index) == list(rows.index[-5:])
    assert not made


def test_the_same_text_in_a_corpus_without_vad_is_cross_fitted(made: list[Regressor]):
    other = table(1, 3, corpus="meld", valence=np.nan, arousal=np.nan, dominance=np.nan)
    other["utterance"] = "meld/" + other["utterance"]
    other.loc[2, "transcript"] = "something new"
    rows = pd.concat([table(6, 4), other], ignore_index=True)
    vad = vad_of(rows)
    assert vad["valence"].iloc[-1] == 5.0
    assert (vad["valence"].iloc[:-1] < 5.0).all()


def test_test_and_dev_utterances_are_left_alone(made: list[Regressor]):
    rows = pd.concat([table(6, 4), table(1, 3, split="dev"), table(1, 3, split="test")], ignore_index=True)
    rows["utterance"] = [f"own/{i}" for i in range(len(rows))]
    rows.loc[24:, "transcript"] = [f"held out {i}" for i in range(6)]
    assert list(vad_of(rows).index) == list(range(24))


def test_few_speakers_are_divided_by_text():
    rows = table(2, 9)
    parts = list(divide(rows, 3))
    assert sorted(len(part) for part in parts) == [6, 6, 6]
    assert sorted(pd.concat(parts)["utterance"]) == sorted(rows["utterance"])
    assert [list(p.index) for p in divide(rows, 3)] == [list(p.index) for p in parts]
    with pytest.raises(UserError, match=r"forest\.cross_fit: 3 parts, but only 1 different"):
        list(divide(rows.assign(transcript="the same"), 3))


def test_another_encoder_is_refused(made: list[Regressor], monkeypatch: pytest.MonkeyPatch):
    rows = table(6, 4)
    monkeypatch.setattr(cross_fitting, "fit", lambda train, *_: Regressor(train, "another"))
    with pytest.raises(UserError, match="the weights changed"):
        vad_of(rows)
