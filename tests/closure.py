"""Which modules of the project a module imports, directly or through others."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent


def closure(path: Path) -> set[Path]:
    """Return the files below stages/ that run when ``path`` is imported or run: its own imports, and theirs."""
    seen: set[Path] = set()
    waiting = [path, ROOT / "stages" / "__init__.py"]
    while waiting:
        file = waiting.pop()
        if file not in seen:
            seen.add(file)
            waiting += _imported(file)
    return {file.relative_to(ROOT) for file in seen}


def _imported(file: Path) -> list[Path]:
    names: list[str] = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    files = [ROOT / f"{name.replace('.', '/')}.py" for name in names if name.split(".")[0] == "stages"]
    return [file for file in files if file.is_file()]
