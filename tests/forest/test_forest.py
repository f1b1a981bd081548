from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pandas as pd
import pytest
import skops.io
import torch
from sklearn.ensemble import RandomForestClassifier

from emopipe.forest import saving
from emopipe.forest.fitting import fit
from emopipe.forest.inputs import require_two_emotions
from emopipe.forest.parameters import Forest
from emopipe.io.errors import UserError
from emopipe.schemas import tables
from emopipe.schemas.manifest import DIMENSIONS
from emopipe.schemas.splits import TextItem, same_text
from emopipe.schemas.vad import as_features, feature_names
from emopipe.text import cross_fitting
from emopipe.text.cross_fitting import out_of_sample_vad
from emopipe.training.cross_fitting import folds
from emopipe.training.fitting import Run
from emopipe.training.tracking import Tracker
from helpers.tiny_text import settings

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = Forest(
    inputs="text", vad="out_of_sample", trees=10, max_depth=None, min_leaf=1, class_weight="balanced", cross_fit=3,
    seed=42,
)  # fmt: skip


def fitted(*branches: str) -> tuple[RandomForestClassifier, pd.DataFrame, list[str]]:
    draw, names = np.random.default_rng(0), feature_names(*(branches or ["text"]))
    vad = draw.uniform(1, 5, (120, len(names)))
    emotions = ["happiness" if row[0] > 3.3 else "anger" if row[1] > 3 else "sadness" for row in vad]
    vad = pd.DataFrame(vad, columns=names)
    return fit(vad, emotions, SETTINGS), vad, emotions


@pytest.mark.parametrize("branches", [["text"], ["audio"], ["text", "audio"]], ids=" and ".join)
def test_a_forest_comes_back_as_it_was(tmp_path: Path, branches: list[str]):
    model, vad, emotions = fitted(*branches)
    saving.save(model, tmp_path / "forest.skops")
    loaded = saving.load(tmp_path / "forest.skops")
    np.testing.assert_array_equal(loaded.predict_proba(vad), model.predict_proba(vad))
    assert list(loaded.feature_names_in_) == feature_names(*branches)
    assert list(loaded.classes_) == ["anger", "happiness", "sadness"]
    assert np.mean(loaded.predict(vad) == np.array(emotions)) > 0.95
    assert loaded.n_jobs is None
    assert loaded.class_weight == "balanced"


def test_a_forest_has_the_same_bytes_in_every_process(tmp_path: Path):
    code = (
        "import sys; sys.path[:0] = ['tests/forest', 'tests', '.']\n"
        "from test_forest import *\n"
        "saving.save(fitted()[0], Path(sys.argv[1]))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "there")], check=True, cwd=ROOT)
    saving.save(fitted()[0], tmp_path / "here")
    assert (tmp_path / "here").read_bytes() == (tmp_path / "there").read_bytes()
    with ZipFile(tmp_path / "here") as archive:
        assert {entry.date_time[0] for entry in archive.infolist()} == {1980}


def test_without_a_forest_the_file_is_empty(tmp_path: Path):
    saving.save(None, tmp_path / "forest.skops")
    assert (tmp_path / "forest.skops").read_bytes() == b""
    assert saving.load(tmp_path / "forest.skops") is None
    with pytest.raises(UserError, match="no such file"):
        saving.load(tmp_path / "another.skops")


def test_what_is_not_a_sound_forest_is_refused(tmp_path: Path):
    path = tmp_path / "forest.skops"
    path.write_bytes(b"not a zip")
    with pytest.raises(UserError, match="not a forest"):
        saving.load(path)
    path.write_bytes(skops.io.dumps({"a": np.ones(3)}))
    with pytest.raises(UserError, match="not a forest"):
        saving.load(path)
    path.write_bytes(skops.io.dumps(Path))  # a type that skops does not know
    with pytest.raises(UserError, match="not a forest"):
        saving.load(path)
    draw = np.random.default_rng(0).normal(size=(50, 3))
    for given in (draw, pd.DataFrame(draw, columns=["a", "b", "c"])):
        saving.save(RandomForestClassifier(2).fit(given, ["a", "b"] * 25), path)
        with pytest.raises(UserError, match="not a forest over valence, arousal and dominance"):
            saving.load(path)
    lying = RandomForestClassifier(2).fit(as_features(draw, "text"), ["a", "b"] * 25)
    lying.feature_names_in_ = lying.feature_names_in_[:2]
    saving.save(lying, path)
    with pytest.raises(UserError, match="not a forest over valence, arousal and dominance"):
        saving.load(path)


def test_a_tree_that_leads_nowhere_is_refused(tmp_path: Path):
    saving.save(fitted()[0], tmp_path / "good")
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
        saving.load(tmp_path / "bad")


def test_one_emotion_is_not_enough():
    require_two_emotions(pd.Series(["anger", "sadness"]), "text")
    with pytest.raises(UserError, match=r"^data\.text: .* needs two emotions or more, .* 1 \(anger\)"):
        require_two_emotions(pd.Series(["anger", "anger"]), "text")
    with pytest.raises(UserError, match=r"^data\.text and data\.audio: .* that both branches share have 0 \(none\)"):
        require_two_emotions(pd.Series([], dtype=str), "both")


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
    """Stands in for a trained regressor and remembers what it was trained on."""

    def __init__(self, rows: pd.DataFrame, sha256: str = "same") -> None:
        self.seen = set(same_text(rows["transcript"]))
        self.settings = settings("encoder")
        self.origin = type("Origin", (), {"sha256": sha256, "name": "encoder"})


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Regressor]:
    """The regressors that cross-fitting trained; none may predict a text that it was trained on."""
    regressors: list[Regressor] = []

    def fit(train, dev, own, _):
        assert own.ensemble_size == 1
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


@pytest.fixture
def vad_of(tmp_path: Path) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def vad(rows: pd.DataFrame) -> pd.DataFrame:
        trained = Regressor(rows[(rows["split"] == "train") & rows["valence"].notna()])
        return out_of_sample_vad(rows, trained, 3, Run(torch.device("cpu"), Tracker("test"), tmp_path))

    return vad


def test_no_vad_is_predicted_by_a_regressor_that_was_trained_on_the_text(made: list[Regressor], vad_of):
    rows = table(7, 4)
    vad = vad_of(rows)
    assert len(made) == 3
    assert list(vad.index) == list(rows.index)
    assert vad.notna().all(axis=None)
    assert (vad["valence"].groupby(rows["speaker"]).nunique() == 1).all()  # a speaker is in one fold
    assert set(vad["valence"]) == {1.0, 2.0, 3.0}


def test_texts_that_two_folds_share_are_not_trained_on(made: list[Regressor], vad_of):
    rows = table(6, 4)
    rows["transcript"] = [f"{'Hello ' * (i % 4 == 0)} {text}" for i, text in enumerate(rows["transcript"])]
    rows.loc[::4, "transcript"] = ["Hello there", "hello  THERE"] * 3
    assert vad_of(rows).notna().all(axis=None)
    assert all(len(regressor.seen) == 12 for regressor in made)


def test_a_corpus_without_vad_is_predicted_by_the_regressor_itself(made: list[Regressor], vad_of):
    rated = table(6, 4, emotion="")
    other = table(2, 3, corpus="meld", valence=np.nan, arousal=np.nan, dominance=np.nan)
    other["utterance"], other["transcript"] = "meld/" + other["utterance"], "then " + other["transcript"]
    vad = vad_of(pd.concat([rated, other], ignore_index=True))
    assert not made
    assert len(vad) == 6
    assert (vad == 5.0).all(axis=None)


def test_a_text_that_chances_to_be_known_is_left_out_rather_than_trained_for(made: list[Regressor], vad_of):
    rated = table(6, 4, emotion="")
    other = table(2, 3, corpus="meld", valence=np.nan, arousal=np.nan, dominance=np.nan)
    other["utterance"], other.loc[1:, "transcript"] = "meld/" + other["utterance"], "then " + other["transcript"][1:]
    rows = pd.concat([rated, other], ignore_index=True)
    assert list(vad_of(rows).index) == list(rows.index[-5:])
    assert not made


def test_the_same_text_in_a_corpus_without_vad_is_cross_fitted(made: list[Regressor], vad_of):
    other = table(1, 3, corpus="meld", valence=np.nan, arousal=np.nan, dominance=np.nan)
    other["utterance"] = "meld/" + other["utterance"]
    other.loc[2, "transcript"] = "something new"
    rows = pd.concat([table(6, 4), other], ignore_index=True)
    vad = vad_of(rows)
    assert vad["valence"].iloc[-1] == 5.0
    assert (vad["valence"].iloc[:-1] < 5.0).all()


def test_test_and_dev_utterances_are_left_alone(made: list[Regressor], vad_of):
    rows = pd.concat([table(6, 4), table(1, 3, split="dev"), table(1, 3, split="test")], ignore_index=True)
    rows["utterance"] = [f"own/{i}" for i in range(len(rows))]
    rows.loc[24:, "transcript"] = [f"held out {i}" for i in range(6)]
    assert list(vad_of(rows).index) == list(range(24))


def folds_of(rows: pd.DataFrame, n_folds: int = 3) -> list[pd.DataFrame]:
    return list(folds(rows, same_text(rows["transcript"]), n_folds))


def test_few_speakers_are_divided_by_text():
    rows = table(2, 9)
    found = folds_of(rows)
    assert sorted(len(fold) for fold in found) == [6, 6, 6]
    assert sorted(pd.concat(found)["utterance"]) == sorted(rows["utterance"])
    assert [list(p.index) for p in folds_of(rows)] == [list(p.index) for p in found]
    with pytest.raises(UserError, match=r"forest\.cross_fit: 3 folds, but only 1 training utterance\(s\) that differ"):
        folds_of(rows.assign(transcript="the same"))


@pytest.mark.parametrize("speakers", [0, 2], ids=["no speaker is known", "fewer speakers than folds"])
def test_no_dialogue_crosses_folds_where_speakers_cannot_be_kept_apart(speakers: int):
    rows = table(2, 30)
    rows["session"] = [f"dialogue {i // 5}" for i in range(60)]
    rows["speaker"] = rows["speaker"] if speakers else ""
    found = folds_of(rows)
    assert sorted(len(fold) for fold in found) == [20, 20, 20]
    sessions = [set(fold["session"]) for fold in found]
    assert sum(map(len, sessions)) == len(set.union(*sessions)) == 12


def test_no_known_speaker_crosses_folds_and_no_dialogue_of_unknown_ones():
    rows = table(5, 12)
    rows["session"] = [f"dialogue {i % 7}" for i in range(60)]
    rows.loc[rows["session"] < "dialogue 3", "speaker"] = ""
    known, unknown = (rows["speaker"] != ""), (rows["speaker"] == "")
    number = pd.concat([own.assign(fold=i)["fold"] for i, own in enumerate(folds_of(rows))])
    assert number[known].groupby(rows["speaker"]).nunique().eq(1).all()
    assert number[unknown].groupby(rows["session"]).nunique().eq(1).all()


def test_neither_speaker_nor_session_crosses_folds_where_each_pair_has_its_own():
    rows = table(6, 5)
    rows["session"] = [f"Ses0{i // 10}" for i in range(30)]  # as in IEMOCAP, of which three sessions are trained on
    for column in ("speaker", "session"):
        found = [set(fold[column]) for fold in folds_of(rows)]
        assert sum(map(len, found)) == rows[column].nunique()
    assert len(folds_of(rows, 5)) == 5  # more than sessions: by speaker
    assert all(fold["speaker"].nunique() <= 2 for fold in folds_of(rows, 5))


def test_sessions_of_two_corpora_with_one_name_are_two():
    rows = pd.concat([table(1, 6, session="1"), table(1, 6, session="1", corpus="other")], ignore_index=True)
    rows["utterance"], rows["speaker"] = [f"x/{i}" for i in range(12)], ""
    assert [set(fold["corpus"]) for fold in folds_of(rows, 2)] in ([{"own"}, {"other"}], [{"other"}, {"own"}])


def test_another_encoder_is_refused(made: list[Regressor], vad_of, monkeypatch: pytest.MonkeyPatch):
    rows = table(6, 4)
    monkeypatch.setattr(cross_fitting, "fit", lambda train, *_: Regressor(train, "another"))
    with pytest.raises(UserError, match="the weights changed"):
        vad_of(rows)
