"""Which files of the project a module needs: what it imports, directly or through others, and templates beside it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def closure(path: Path) -> set[Path]:
    """Return the files below stages/ that act when ``path`` is imported or run: its own imports, and theirs."""
    seen: set[Path] = set()
    waiting = [path, ROOT / "stages" / "__init__.py"]
    while waiting:
        file = waiting.pop()
        if file not in seen:
            seen.add(file)
            waiting += _imported(file) if file.suffix == ".py" else []
    return {file.relative_to(ROOT) for file in seen}


def _imported(file: Path) -> list[Path]:
    names: list[str] = []
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    files = [ROOT / f"{name.replace('.', '/')}.py" for name in names if name.split(".")[0] == "stages"]
    names = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    beside = [file.parent / name for name in names if re.fullmatch(r"[\w.]+\.(j2|css)", name)]  # read, not imported
    return [found for found in (*files, *beside) if found.is_file()]
