"""params.yaml: typed, complete, and clear about what is wrong."""

from __future__ import annotations

import copy
import re

import pytest
import yaml
from dvc.utils.hydra import apply_overrides

from emopipe.audio.parameters import Model, Train
from emopipe.backbones.parameters import BackboneChoice
from emopipe.forest.parameters import Forest
from emopipe.io.errors import UserError
from helpers.paths import ROOT

PARAMS_TEXT = (ROOT / "params.yaml").read_text()
PARAMS = yaml.safe_load(PARAMS_TEXT)


def written(tmp_path, key, value, absent=False):
    """Write params.yaml with one key changed, or taken out."""
    params = copy.deepcopy(PARAMS)
    *path, last = key.split(".")
    group = params
    for name in path:
        group = group[name]
    if absent:
        del group[last]
    else:
        group[last] = value
    file = tmp_path / "params.yaml"
    file.write_text(yaml.safe_dump(params))
    return file


def test_the_committed_file_is_valid():
    path = ROOT / "params.yaml"
    assert Train.load(path=path).seed == 42
    assert BackboneChoice.load(path=path).backbone == Model.load(path=path).backbone


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("train.epochs", "many", "train.epochs: 'many'"),
        ("train.epochs", 0, "train.epochs: 0"),
        ("train.epochs", True, "train.epochs: True"),
        ("train.epoch", 3, "train.epoch: unknown key; the keys here are epochs, batch_size"),
        ("model.pooling", "max", "model.pooling: 'max': Input should be 'mean' or 'attentive_statistics'"),
        ("model.dropout", 1.0, "model.dropout: 1.0"),
        ("model.targets", [], "model.targets: []"),
        ("encode.speed_perturbation", [0.9, 1.0], "encode.speed_perturbation: [0.9, 1.0]: each speed once, and not 1"),
        ("encode.speed_perturbation", [0.9, 0.9], "encode.speed_perturbation: [0.9, 0.9]: each speed once"),
        ("encode.speed_perturbation", [3.0], "encode.speed_perturbation[0]: 3.0"),
        ("model.targets", ["arousal", "arousal"], "model.targets: ['arousal', 'arousal']: names a dimension twice"),
        ("model.targets", ["anger"], "model.targets[0]: 'anger'"),
        (
            "train.loss.regression",
            "huber",
            "train.loss.regression: 'huber': Input should be 'ccc', 'pcc', 'mse', 'mae' or 'mse_ccc'",
        ),
        ("data.audio.labels", ["anger", "rage"], "data.audio.labels[1]: 'rage'"),
        ("train.epochs", "1e1", "train.epochs: '1e1'"),
        ("train.epochs", 10.0, "train.epochs: 10.0"),
        ("train.patience", "None", "train.patience: 'None'"),
        ("data.audio.merge", {"exitement": "happiness"}, "did you mean excitement?"),
        ("data.audio.corpora", "synthetic", "data.audio.corpora: 'synthetic'"),
        ("split.text.fractions", [0.5, 0.2, 0.2], "split.text.fractions: [0.5, 0.2, 0.2]: the shares"),
        ("train.lr_scale.upper", -1, "train.lr_scale.upper: -1"),
        ("typo", 1, "typo: unknown key; the keys here are data, resample"),
        ("evaluate.anchors.valence.low", [], "evaluate.anchors.valence.low: []"),
    ],
)
def test_a_wrong_value_is_named_by_its_full_key(tmp_path, key, value, message):
    with pytest.raises(UserError, match=re.escape(message)):
        Train.load(path=written(tmp_path, key, value))


def test_a_forest_that_reads_audio_wants_a_regression_of_all_dimensions(tmp_path):
    file = written(tmp_path, "forest.inputs", "both")
    with pytest.raises(UserError, match=r"(?m)^  forest\.inputs: 'both': .* model\.task is classification; set model"):
        Train.load(path=file)
    file.write_text(file.read_text().replace("task: classification", "task: regression"))
    assert Forest.load(path=file).inputs == "both"
    file.write_text(file.read_text().replace("  - dominance\n", ""))
    with pytest.raises(UserError, match=r"forest\.inputs: 'both': model\.targets lacks dominance"):
        Train.load(path=file)


def test_a_missing_key_is_named(tmp_path):
    with pytest.raises(UserError, match=r"forest\.trees: missing"):
        Train.load(path=written(tmp_path, "forest.trees", None, absent=True))


def test_every_violation_is_named_at_once(tmp_path):
    file = written(tmp_path, "train.epochs", "x")
    file.write_text(file.read_text().replace("threads: 2", "threads: -2"))
    with pytest.raises(UserError, match=r"(?s)2 invalid value.*train\.epochs.*runtime\.threads"):
        Train.load(path=file)


@pytest.mark.parametrize("spelling", ["1e-5", "0.00001", "1.0e-05", '"1e-5"', "1E-5"])
def test_all_spellings_of_a_small_number_are_numbers(tmp_path, spelling):
    file = written(tmp_path, "train.learning_rate", 0.5)
    file.write_text(file.read_text().replace("learning_rate: 0.5", f"learning_rate: {spelling}"))
    assert Train.load(path=file).learning_rate == 1e-5


def test_an_absent_or_broken_file_is_named(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        Train.load(path=tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text("train: [")
    with pytest.raises(UserError, match="not valid YAML"):
        Train.load(path=tmp_path / "params.yaml")


LISTS = {
    "data.audio.corpora": "[emodb]",
    "data.text.corpora": "[emodb]",
    "split.audio.test_corpora": "[emodb]",
    "encode.speed_perturbation": "[0.9,1.1]",
    "encode.conditions": "[gain,room]",
}


@pytest.mark.parametrize("key", LISTS)
def test_experiments_one_after_the_other_leave_a_file_that_can_be_read(tmp_path, key):
    """An experiment that empties a list by ``[]`` after another one breaks the file; by ``null`` it does not."""
    file = tmp_path / "params.yaml"
    file.write_text((ROOT / "params.yaml").read_text())
    for override in ("model.dropout=0.1", f"{key}={LISTS[key]}", f"{key}=null", "train.epochs=3"):
        apply_overrides(str(file), [override])
        assert Train.load(path=file)
    assert yaml.safe_load(file.read_text())["train"]["epochs"] == 3


THREADS = next(line for line in PARAMS_TEXT.splitlines() if line.startswith("  threads:"))


def test_a_key_that_stands_twice_is_named_with_its_lines(tmp_path):
    file = tmp_path / "params.yaml"
    file.write_text(PARAMS_TEXT.replace(THREADS, f"{THREADS}\n  threads: 1"))
    first = PARAMS_TEXT.splitlines().index(THREADS) + 1
    with pytest.raises(UserError, match=rf"threads stands twice in one group, in the lines {first} and {first + 1}"):
        Train.load(path=file)


def test_a_tab_is_named(tmp_path):
    file = tmp_path / "params.yaml"
    file.write_text(PARAMS_TEXT.replace(THREADS, THREADS.replace("  threads", "\tthreads")))
    with pytest.raises(UserError, match="not valid YAML"):
        Train.load(path=file)


def test_windows_line_ends_are_read(tmp_path):
    file = tmp_path / "params.yaml"
    file.write_bytes(PARAMS_TEXT.replace("\n", "\r\n").encode())
    assert Train.load(path=file) == Train.load(path=ROOT / "params.yaml")
