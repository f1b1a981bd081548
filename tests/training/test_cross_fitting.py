"""The VAD that the forest is fitted on was predicted by models that were not trained on it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from emopipe.audio import cross_fitting as from_audio
from emopipe.audio import saving
from emopipe.audio.fitting import fit
from emopipe.audio.parameters import Model, Train
from emopipe.encoding import store
from emopipe.schemas import tables
from emopipe.schemas.manifest import DIMENSIONS
from emopipe.schemas.splits import AudioItem
from emopipe.text import cross_fitting as from_text
from emopipe.training.cross_fitting import cross_fit_predict
from emopipe.training.fitting import Run
from emopipe.training.parameters import CrossFitting
from emopipe.training.tracking import Tracker
from helpers.paths import ROOT
from helpers.tiny_text import CPU, fitted, sentences

PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
VAD = list(DIMENSIONS)
FOLDS = 2


# Out of sample


def marked(rows: pd.DataFrame, row: int) -> pd.DataFrame:
    """Return the rows with other ratings of one of them."""
    other = rows.copy()
    other.loc[row, VAD] = 6 - other.loc[row, VAD]
    return other


def test_a_rating_of_a_text_has_no_part_in_its_own_prediction(tiny: Path, tmp_path: Path):
    rows = sentences(60, 1)
    trained, _ = fitted(tiny, tmp_path / "model")
    teacher = int(rows.index[rows["split"] == "train"][4])
    found = [
        from_text.out_of_sample_vad(table, trained, FOLDS, Run(CPU, Tracker("test"), tmp_path / str(i)))
        for i, table in enumerate((rows, marked(rows, teacher)))
    ]
    with_marker = (found[0] == found[1]).all(axis=1)
    speaker = rows["speaker"][found[0].index] == rows.loc[teacher, "speaker"]
    assert with_marker[teacher]
    assert with_marker[speaker].all()
    assert not with_marker[~speaker].all()  # others were trained on it


def speech(folder: Path) -> tuple[pd.DataFrame, store.Store]:
    """Return a split of eight speakers, and a store whose layers tell what they feel."""
    draw = np.random.default_rng(3)
    sets = ["train"] * 6 + ["dev", "test"]
    rows = [
        {"utterance": f"own/{s}-{i}", "corpus": "own", "speaker": f"own/{s}", "split": sets[s],
         "emotion": "" if i == 5 else "happiness" if vad[0] > 3 else "sadness", **dict(zip(VAD, vad, strict=True))}
        for s in range(8) for i, vad in enumerate(draw.uniform(1, 5, (6, 3)))
    ]  # fmt: skip
    rows = tables.check(rows, AudioItem, "rows")

    def encodings():
        for name, vad in zip(rows["utterance"], rows[VAD].to_numpy(), strict=True):
            statistics = draw.normal(0, 0.1, (2, 3, 4))
            statistics[0, 1, :3] += vad
            yield store.StoredEncoding(name, store.ORIGINAL, draw.normal(size=(2, 4)), statistics)

    encoding = {"backbone": {"family": "whisper"}, "trainable_layers": 0, "blocks": 2, "dim": 4}
    store.write(folder, encodings(), 4, 3, encoding)
    return rows, store.Store(folder)


MODEL = Model(**(PARAMS["model"] | {"task": "regression", "targets": ["dominance", "valence", "arousal"],
                                    "features": "frozen", "layer_pooling": "concat", "head": "linear", "dropout": 0.0,
                                    "ensemble_size": 1}))  # fmt: skip
TRAIN = Train(**(PARAMS["train"] | {"epochs": 2, "batch_size": 8, "learning_rate": 0.05, "mixup": 0.0}))


@pytest.mark.parametrize("refit", ["best_epoch", "none"])
def test_a_rating_of_a_recording_has_no_part_in_its_own_prediction(tmp_path: Path, monkeypatch, refit: str):
    monkeypatch.chdir(tmp_path)
    rows, encoded = speech(tmp_path / "store")
    training = TRAIN.model_copy(update={"refit": refit})

    def vad(table: pd.DataFrame, kind: str, name: str) -> pd.DataFrame:
        settings = CrossFitting(inputs="audio", vad=kind, cross_fit=FOLDS)
        return from_audio.training_vad(
            table, settings, MODEL, training, encoded, Run(CPU, Tracker("test"), tmp_path / name)
        )

    teacher = 8
    found = [vad(table, "out_of_sample", str(i)) for i, table in enumerate((rows, marked(rows, teacher)))]
    assert list(found[0].index) == list(rows.index[(rows["split"] == "train") & (rows["emotion"] != "")])
    same = (found[0][VAD] == found[1][VAD]).all(axis=1)
    speaker = found[0]["speaker"] == rows.loc[teacher, "speaker"]
    assert same[speaker].all()
    assert not same[~speaker].all()

    both = pd.concat([rows[rows["split"] == name] for name in ("train", "dev")])
    sets = (both[both["split"] == name] for name in ("train", "dev"))
    saving.save(fit(*sets, MODEL, training, encoded, Run(CPU, Tracker("test"), tmp_path / "final")))
    seen = vad(rows, "in_sample", "unused")
    assert (seen[VAD] != found[0][VAD]).any(axis=None)
    for dimension in VAD:  # in the order of the table, whatever that of model.targets
        assert np.corrcoef(seen[dimension], rows.loc[seen.index, dimension])[0, 1] > 0.5
    pd.testing.assert_frame_equal(vad(rows, "gold", "unused"), rows.loc[seen.index])


class KilledError(Exception):
    """Stands for the end of the process."""


def test_folds_that_are_done_are_not_trained_for_again(tmp_path: Path):
    rows = pd.DataFrame({"corpus": "c", "speaker": [f"c/{i % 5}" for i in range(20)], "session": ""})
    rows["score"] = np.random.default_rng(0).normal(size=20)
    trained = []

    def fit_and_predict(others: pd.DataFrame, queries: pd.DataFrame, run: Run) -> np.ndarray:
        assert not set(others["speaker"]) & set(queries["speaker"])
        trained.append(run.tracker.name)
        (run.checkpoints / "checkpoint-1").mkdir(parents=True)
        if len(trained) == dies:
            raise KilledError
        return np.outer(np.arange(1, len(queries) + 1) * others["score"].mean(), [1, 2, 3])

    def run(folder: str) -> pd.DataFrame:
        queries, units = rows.index[rows["speaker"] != "c/3"], rows.index.to_series().astype(str)
        return cross_fit_predict(rows, queries, units, 5, Run(CPU, Tracker("test"), tmp_path / folder), fit_and_predict)

    dies = 0
    whole, calls = run("whole"), len(trained)
    assert calls == 4  # the fifth speaker is in no query
    trained, dies = [], 3
    with pytest.raises(KilledError):
        run("killed")
    left = sorted(path.name for path in (tmp_path / "killed").iterdir())
    assert [name for name in left if not name.endswith(".npy")] == left[2:3]  # the checkpoints of the part that died
    trained, dies = [], 0
    (tmp_path / "killed" / left[2] / "checkpoint-1").rmdir()
    pd.testing.assert_frame_equal(run("killed"), whole, check_exact=True)
    assert len(trained) == calls - 2
    assert sorted(path.suffix for path in (tmp_path / "killed").iterdir()) == [".npy"] * 4


def test_where_the_forest_takes_text_alone_nothing_is_predicted_from_audio_in_no_time(tmp_path: Path):
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from stages import cross_fit_audio as s; s.main(); "
        "print(sorted({'torch', 'transformers', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert (tmp_path / "data/vad/audio.csv").read_text() == "utterance,emotion,valence,arousal,dominance\n"
