"""The command `emopipe` in the tests' own process."""

from __future__ import annotations

import pytest

from emopipe.commands.main import main


def run_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, *words: object) -> tuple[int, str, str]:
    """Run `emopipe WORDS`; return its exit code, and what it wrote to stdout and to stderr."""
    monkeypatch.setattr("sys.argv", ["emopipe", *map(str, words)])
    capsys.readouterr()
    try:
        main()
        code, told = 0, ""
    except SystemExit as end:
        code, told = (end.code, "") if isinstance(end.code, int) else (1, str(end.code))
    printed = capsys.readouterr()
    return code, printed.out, printed.err + told
