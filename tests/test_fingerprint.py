"""Stages rerun for a change of meaning, and for nothing else: edits of a copy of the tree, as DVC sees them."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from emopipe.fingerprint import Tree, meaning
from emopipe.io.errors import UserError
from helpers.paths import ROOT
from helpers.processes import ENVIRONMENT
from helpers.stage_outputs import OUTPUTS

NETWORKS = ["encode", "finetune_audio", "cross_fit_audio", "predict_audio", "finetune_text", "cross_fit_text",
            "predict_text", "robustness", "export"]  # fmt: skip


class Copy:
    """A copy of the tree whose stages all count as up to date, with outputs of one byte."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("emopipe", "stages"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("dvc.yaml", "params.yaml", "requirements.txt"):
            shutil.copy(ROOT / name, folder / name)
        self.run("git", "init", "--quiet")
        self.run("dvc", "init", "--quiet")
        stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
        files = {dep for stage in stages.values() for dep in stage["deps"] if not (folder / dep).exists()}
        self.run("dvc", "repro", "--quiet", "--single-item", "code")
        for path in sorted(files | {out for stage in stages for out in OUTPUTS[stage]}):
            place = folder / path
            if any(other.startswith(f"{path}/") for other in files) or not place.suffix:
                place.mkdir(parents=True, exist_ok=True)
            elif not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text("x")
        self.run("dvc", "commit", "--force", "--quiet")

    def run(self, *command: str) -> str:
        done = subprocess.run(command, cwd=self.folder, env=ENVIRONMENT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def changed(self) -> list[str]:
        """Let the code stage run, and return the stages that DVC would run then, in order."""
        self.run("dvc", "repro", "--quiet", "--single-item", "code")
        changed = json.loads(self.run("dvc", "status", "--json"))
        return [stage for stage in OUTPUTS if stage in changed]


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Copy:
    return Copy(tmp_path_factory.mktemp("copy") / "repository")


def replaced(old: str, new: str) -> Callable[[str], str]:
    def edit(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return edit


TABLE = {
    "a docstring of the lowest module": ("emopipe/io/errors.py", replaced('"""Errors', '"""All errors'), []),
    "a comment": ("emopipe/backbones/whisper.py", lambda text: f"# a comment\n\n{text}", []),
    "the code of the lowest module": ("emopipe/io/outputs.py", lambda text: f"{text}\nX = 1\n", [
        stage for stage in OUTPUTS if stage != "code"
    ]),
    "a loss": ("emopipe/losses/classification.py", replaced("MARGIN = 0.5", "MARGIN = 0.6"), [
        "finetune_audio", "cross_fit_audio", "predict_audio", "robustness", "export",
    ]),
    "a forest parameter": ("emopipe/forest/parameters.py", replaced("trees: Count", "trees: Count\n    x: Count"), [
        "fit_forest", "evaluate", "plot",
    ]),
    "the check of all parameters": ("emopipe/parameter_file.py", lambda text: f"{text}\nX = 1\n", ["plot"]),
    "a style sheet": ("emopipe/report/style.css", lambda text: f"{text}\n/* */\n", ["plot"]),
    "a stage": ("stages/resample.py", lambda text: f"{text}\nX = 1\n", ["resample"]),
    "PyTorch's version": ("requirements.txt", replaced("torch==2.13.0", "torch==2.12.0"), NETWORKS),
    "soxr's version": ("requirements.txt", replaced("soxr==", "soxr==0."), [
        "resample", "encode", "robustness", "export", "plot",  # which knows the parameters of all
    ]),
    "the version of what decides no number": ("requirements.txt", replaced("tqdm==", "tqdm==1."), []),
}  # fmt: skip


@contextmanager
def edited(folder: Path, row: str) -> Iterator[list[str]]:
    """Edit a file of a folder, and yield the stages that are to run for that."""
    path, edit, expected = TABLE[row]
    file = folder / path
    text = file.read_text(encoding="utf-8")
    file.write_text(edit(text), encoding="utf-8")
    try:
        yield expected
    finally:
        file.write_text(text, encoding="utf-8")


def fingerprints(folder: Path) -> dict[str, str]:
    tree = Tree(folder)
    return {stage: tree.fingerprint(stage) for stage in OUTPUTS if stage != "code"}


@pytest.fixture(scope="module")
def before(copy) -> dict[str, str]:
    return fingerprints(copy.folder)


@pytest.mark.parametrize("row", TABLE)
def test_what_an_edit_means_to_a_stage(copy, before, row):
    with edited(copy.folder, row) as expected:
        after = fingerprints(copy.folder)
    assert [stage for stage in before if before[stage] != after[stage]] == expected


@pytest.mark.parametrize("row", ["a comment", "a loss", pytest.param("PyTorch's version", marks=pytest.mark.slow)])
def test_what_an_edit_reruns(copy, row):
    with edited(copy.folder, row) as expected:
        assert copy.changed() == expected


def test_what_is_edited_back_reruns_nothing(copy):
    assert copy.changed() == []


SOURCE = '''#!/usr/bin/env python
"""A module."""

import os  # for nothing


class A:
    """A class."""

    x = """not a
    # docstring

    """  # a comment


def f(é):  # é
    """Document."""
    return f"# {é!r}"  # more
'''
MEANT = '''import os
class A:
    x = """not a
    # docstring

    """
def f(é):
    return f"# {é!r}"'''


def test_docstrings_comments_and_blank_lines_have_no_meaning():
    assert meaning(SOURCE) == MEANT


names = st.sampled_from(["a", "b", "é"])
lines = st.one_of(
    names.map(lambda n: f"{n} = '# {n}'"), names.map(lambda n: f'{n} = """\n# {n}\n\n"""'), st.just("pass")
)
noise = st.sampled_from(["", "\n", "# comment\n", "\n# comment 'with' \"quotes\"\n"])


@given(st.lists(lines, min_size=1), st.data())
def test_only_noise_is_cut(statements, data):
    plain = "\n".join(statements)
    noisy = "".join(f"{data.draw(noise)}{line}{data.draw(st.sampled_from(['', '  # why']))}\n" for line in statements)
    assert meaning(noisy) == meaning(plain)
    assert ast.dump(ast.parse(meaning(noisy))) == ast.dump(ast.parse(plain))


def test_a_fingerprint_reaches_what_is_imported_within_functions_and_files_that_are_named():
    tree = Tree()
    assert "emopipe/audio/cross_fitting.py" in tree.fingerprint("cross_fit_audio")
    assert "emopipe/report/page.html.j2" in tree.fingerprint("plot")
    assert "torch" not in tree.fingerprint("split")
    assert "\ntorch 2.13.0\n" in tree.fingerprint("encode")


def test_a_package_without_a_version_is_named(tmp_path):
    for name in ("emopipe", "stages"):
        shutil.copytree(ROOT / name, tmp_path / name)
    (tmp_path / "requirements.txt").write_text("numpy==2.0\n")
    with pytest.raises(UserError, match=r"requirements\.txt: no line \w[\w-]*==VERSION"):
        Tree(tmp_path).fingerprint("encode")
