"""The command ``emopipe`` finds its commands, is quick to answer, and reports errors in one line."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from emopipe.commands import main
from helpers.paths import ROOT

SLOW = ("numpy", "pandas", "torch", "transformers", "sklearn", "dvc")


def emopipe(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "emopipe", *words], cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("name", main.COMMANDS)
def test_a_command_has_help_arguments_and_work_to_do(name, capsys):
    module = import_module(f"emopipe.commands.{name}")
    with pytest.raises(SystemExit) as end:
        main.parse([name, "--help"])
    assert end.value.code == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"usage: emopipe {name} ")
    assert module.__doc__.strip().splitlines()[0] in printed
    assert callable(module.run)


def test_help_and_version_wait_for_no_library():
    code = f"import sys, emopipe.commands.main; sys.exit(sorted({set(SLOW)} & sys.modules.keys()) or 0)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
    assert emopipe("--version").stdout == f"emopipe {main.VERSION}\n"
    printed = emopipe("--help").stdout
    assert all(name in printed for name in main.COMMANDS)


def test_an_error_is_a_line_and_no_traceback():
    done = emopipe("backbones", "./nowhere")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1] == "error: 1 of 1 backbone(s) cannot be used"


def test_an_unknown_command_is_refused_with_those_there_are(capsys):
    with pytest.raises(SystemExit) as end:
        main.parse(["guess"])
    assert end.value.code == 2
    assert "compare" in capsys.readouterr().err


def test_a_reader_that_has_enough_ends_the_command_quietly():
    command = f"{sys.executable} -m emopipe backbones | head -n 1"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.startswith("whisper_tiny_en")
    assert "Traceback" not in done.stderr
    assert "Broken pipe" not in done.stderr
