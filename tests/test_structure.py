"""The pipeline's own rules: dependencies, parameters and the direction of imports."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml

from helpers.closure import ROOT, closure
from helpers.stage_outputs import OUTPUTS

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
ROOMS = sorted(path.name for path in (ROOT / "stages").iterdir() if path.is_dir() and path.name != "__pycache__")
SCRIPTS = sorted(path.stem for path in (ROOT / "stages").glob("*.py") if path.stem != "__init__")
STRANGERS = ("corpora", "backbones", "scoring", "figures", "report")  # rooms that do not know each other


def calls_of_load(script: Path) -> set[str]:
    """Return the parameter groups that a script asks for."""
    groups: set[str] = set()
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "load":
            groups |= {argument.value for argument in node.args if isinstance(argument, ast.Constant)}
    return groups


@pytest.mark.parametrize("stage", STAGES)
def test_every_module_a_stage_imports_is_among_its_dependencies(stage):
    listed = {dep for dep in STAGES[stage]["deps"] if dep.startswith("stages/")}
    assert listed == {str(path) for path in closure(ROOT / "stages" / f"{stage}.py")}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_reads_the_parameters_it_lists_and_no_others(stage):
    assert calls_of_load(ROOT / "stages" / f"{stage}.py") - {"runtime"} == set(STAGES[stage]["params"])


def test_runtime_is_a_parameter_of_no_stage():
    assert not [stage for stage, entry in STAGES.items() if any(p.startswith("runtime") for p in entry["params"])]


def test_only_scripts_load_parameters():
    scripts = ("parameters", "__main__")  # a command of a room is a script, too
    rooms = [path for room in ROOMS for path in (ROOT / "stages" / room).rglob("*.py") if path.stem not in scripts]
    assert not [path for path in rooms if "parameters import load" in path.read_text()]


@pytest.mark.parametrize("stage", STAGES)
def test_stages_are_described_and_run_as_modules(stage):
    assert STAGES[stage]["cmd"] == f"python -m stages.{stage}"
    assert STAGES[stage]["desc"]


def test_rooms_hold_no_code_of_their_own():
    for path in (ROOT / "stages").glob("*/__init__.py"):
        (docstring,) = ast.parse(path.read_text()).body
        assert isinstance(docstring.value, ast.Constant)


def test_imports_run_one_way():
    for room in ROOMS:
        for path in (ROOT / "stages" / room).glob("*.py"):
            imported = closure(path)
            scripts = {file.stem for file in imported if len(file.parts) == 2} - {"__init__"}
            assert not scripts, f"{path} imports the script(s) {scripts}"
            rooms = {file.parts[1] for file in imported if len(file.parts) > 2}
            assert room != "contracts" or rooms <= {"contracts"}, path
            assert room not in STRANGERS or not rooms & (set(STRANGERS) - {room}), path


def test_no_two_stages_write_into_one_folder():
    outputs = [path for paths in OUTPUTS.values() for path in paths]
    assert len(outputs) == len(set(outputs))
    for one in outputs:
        assert not [other for other in outputs if other != one and other.startswith(f"{one}/")]


def test_files_can_be_held_in_the_head():
    long = {str(p): n for p in (ROOT / "stages").rglob("*.py") if (n := len(p.read_text().splitlines())) > 300}
    assert not long


def test_the_lock_asks_for_no_build_that_is_to_be_had_on_one_machine_alone():
    pins = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if re.match(r"[\w.-]+==", line)]
    assert "torch==2.13.0" in pins
    assert not [pin for pin in pins if "+" in pin]
