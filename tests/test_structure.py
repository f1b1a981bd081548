"""The pipeline's own rules: parameters of stages, outputs, and the direction of imports."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from importlib import import_module

import pytest
import yaml

from emopipe.fingerprint import Tree
from emopipe.parameter_file import ParameterFile
from emopipe.parameters import Group
from helpers.paths import ROOT
from helpers.stage_outputs import OUTPUTS

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
PACKAGES = sorted(path.parent.name for path in (ROOT / "emopipe").glob("*/__init__.py"))
STRANGERS = ("corpora", "backbones", "scoring", "figures", "report")  # packages that do not know each other


def leaves(key: str) -> set[str]:
    """Return the full keys of the values below a key of params.yaml."""
    group = ParameterFile
    for name in key.split("."):
        group = group.model_fields[name].annotation
    if isinstance(group, type) and issubclass(group, Group):
        return {leaf for name in group.model_fields for leaf in leaves(f"{key}.{name}")}
    return {key}


def loaded(stage: str) -> set[str]:
    """Return the full keys of the values that a stage loads."""
    module = import_module(f"stages.{stage}")
    keys: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / f"stages/{stage}.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "load":
            group = getattr(module, getattr(node.func.value, "id", ""), None)
            if isinstance(group, type) and issubclass(group, Group):
                start = node.args[0].value if node.args else group.KEY
                names = group.model_fields
                keys |= {leaf for name in names for leaf in leaves(f"{start}.{name}" if start else name)}
    return keys


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_loads_the_parameters_it_lists_and_no_others(stage):
    listed = {leaf for key in STAGES[stage].get("params", []) for leaf in leaves(key)}
    assert loaded(stage) - leaves("runtime") == listed


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_its_own_fingerprint(stage):
    own = [dep for dep in STAGES[stage]["deps"] if dep.startswith("data/code/")]
    assert own == ([] if stage == "code" else [f"data/code/{stage}.txt"])


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_outputs_as_they_are_named_and_on_nothing_within_one(stage):
    folders = [path for paths in OUTPUTS.values() for path in paths]
    assert not [dep for dep in STAGES[stage]["deps"] if any(dep.startswith(f"{folder}/") for folder in folders)]


def test_every_stage_stands_in_dvc_yaml_and_is_described():
    scripts = {path.stem for path in (ROOT / "stages").glob("*.py")} - {"__init__"}
    assert scripts == STAGES.keys()
    assert all(entry["desc"] and entry["cmd"] == f"python -m stages.{name}" for name, entry in STAGES.items())


def test_every_stage_has_a_fingerprint_of_its_own():
    own = {f"data/code/{name}.txt" for name in STAGES if name != "code"}
    assert set(OUTPUTS["code"]) == own
    assert all(f"data/code/{name}.txt" in entry["deps"] for name, entry in STAGES.items() if name != "code")


def test_imports_run_one_way():
    """Stages import the library, the library no stage; some packages know nothing of each other."""
    tree = Tree()
    for package in PACKAGES:
        for path in (ROOT / "emopipe" / package).glob("*.py"):
            reached = tree.files(path)
            assert not [file for file in reached if file.parts[0] == "stages"], path
            packages = {file.parts[1] for file in reached if len(file.parts) > 2}
            assert package not in STRANGERS or not packages & (set(STRANGERS) - {package}), path
            assert package not in ("io", "schemas") or packages <= {"io", "schemas"}, path


LIGHT = [
    "fetch", "resample", "split", "shortcuts", "cross_fit_audio", "cross_fit_text", "fit_forest", "evaluate",
    "fairness", "robustness", "export", "plot", "code",
]  # fmt: skip
HEAVY = {"torch", "transformers", "dvc"}


@pytest.mark.parametrize("stage", LIGHT)
def test_a_stage_that_computes_no_network_imports_no_torch(stage):
    assert not HEAVY & imported(f"stages.{stage}")


@pytest.mark.parametrize("stage", ["encode", "predict_audio", "predict_text"])
def test_a_stage_without_training_never_imports_the_trainer(stage):
    assert not {"transformers.trainer", "accelerate", "dvclive"} & imported(f"stages.{stage}")


def imported(module: str) -> set[str]:
    code = f"import sys, json, {module}; print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_no_two_stages_write_into_one_folder():
    outputs = [path for paths in OUTPUTS.values() for path in paths]
    assert len(outputs) == len(set(outputs))
    assert not [(a, b) for a in outputs for b in outputs if a.startswith(f"{b}/")]


def test_the_lock_pins_no_build_that_is_available_on_one_machine_alone():
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert not [line for line in lines if "==" in line and "+" in line.split("#")[0]]
