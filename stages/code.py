"""Write which code each stage runs, one file a stage; see emopipe/fingerprint.py."""

from __future__ import annotations

from pathlib import Path

from emopipe.fingerprint import Tree
from emopipe.io.errors import run_stage
from emopipe.io.outputs import write_text

CODE = Path("data/code")


def main() -> None:
    """Write data/code."""
    tree, stages = Tree(), sorted({path.stem for path in Path("stages").glob("*.py")} - {"__init__", "code"})
    for stage in stages:
        write_text(tree.fingerprint(stage), CODE / f"{stage}.txt")
    print(f"code: fingerprints of {len(stages)} stages")


if __name__ == "__main__":
    run_stage(main)
