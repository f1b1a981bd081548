"""Write the tables of README.md and docs/*.md that repeat what stands elsewhere: ``python -m docs.tables``.

A table stands between ``<!-- table: NAME -->`` and ``<!-- end -->``; tests/test_readme.py holds it to its source.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from emopipe.commands import backbones, corpora
from emopipe.conditions.catalogue import CONDITIONS, DRAWN

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted(Path(__file__).parent.glob("*.md"))]
MARKED = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

AUDIO_SAME = ("data/raw/audio", "data/splits/audio")
TEXT_SAME = ("data/raw/text", "data/splits/text", "data/vad/audio")

# Rows of the table of reruns: a parameter, what the row says, and what outputs begin with that come out as they were.
CHANGES = (
    ("data.audio.corpora", "`data.audio.corpora`", TEXT_SAME),
    ("data.text.corpora", "`data.text.corpora`", AUDIO_SAME),
    ("split.audio.fold", "`split.audio.*`, `data.audio.labels`", TEXT_SAME),
    ("split.text.fold", "`split.text.*`, `data.text.labels`", AUDIO_SAME),
    ("model.backbone", "`model.backbone`, `model.output_layer`, `model.trainable_layers`, `encode.*`", TEXT_SAME),
    ("model.head", "`train.*`, the rest of `model.*`", TEXT_SAME),
    ("text.epochs", "`text.*`", ()),
    ("forest.trees", "`forest.trees`", ()),
    ("evaluate.temperature", "`evaluate.temperature`", ()),
    ("shortcuts.egemaps", "`shortcuts.egemaps`", ()),
    ("robustness.suite", "`robustness.*`", ()),
    ("export.precision", "`export.precision`", ()),
    ("plot.dpi", "`plot.*`", ()),
)


def reruns() -> str:
    """Return which stages run again for which change, where the branches share no corpus and the forest uses text."""
    rows = ["| changed | runs again |", "|---|---|"]
    rows += [f"| {shown} | {', '.join(_downstream(key, same))} |" for key, shown, same in CHANGES]
    return "\n".join([*rows, "| `runtime.*` | nothing |"])


def stages() -> str:
    """Return the stages, what each does and what it writes; of many files in one folder, the folder."""
    rows = ["| stage | what it does | writes |", "|---|---|---|"]
    for name, stage in _pipeline().items():
        outputs = _outputs(stage, "outs", "metrics")
        folders = Counter(str(Path(path).parent) for path in outputs)
        written = [f"{folder}/" if folders[folder := str(Path(path).parent)] > 2 else path for path in outputs]
        rows.append(f"| `{name}` | {stage['desc']} | {', '.join(f'`{path}`' for path in dict.fromkeys(written))} |")
    return "\n".join(rows)


def conditions() -> str:
    """Return the conditions of the robustness tests, with their levels and published thresholds."""
    rows = ["| condition | what it does | levels | unchanged | change | source |", "|---|---|---|---|---|---|"]
    for condition in CONDITIONS.values():
        levels = ", ".join(level for level in condition.levels if level != DRAWN) or "drawn for each utterance"
        change = {"UAR": condition.change_uar, "CCC": condition.change_ccc}
        shown = [f"{score} > −{-limit:g}" for score, limit in change.items() if limit is not None]
        unchanged = "" if condition.unchanged is None else f"> {condition.unchanged:g}"
        cells = [f"`{condition.name}`", condition.description, levels, unchanged, ", ".join(shown), condition.source]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _downstream(key: str, same: tuple[str, ...]) -> list[str]:
    """Return the stages that read a parameter, and those that read what these change, in order."""
    found: list[str] = []
    changed: list[str] = []
    for name, stage in _pipeline().items():
        reads = any(f"{key}.".startswith(f"{listed}.") for listed in stage.get("params", []))
        if reads or any(_within(path, other) for path in stage["deps"] for other in changed):
            found.append(name)
            outputs = _outputs(stage, "outs", "metrics", "plots")
            changed += [path for path in outputs if not path.startswith(same)]
    return found


def _within(one: str, other: str) -> bool:
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")


def _pipeline() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]


def _outputs(stage: dict[str, Any], *kinds: str) -> list[str]:
    listed = [output for kind in kinds for output in stage.get(kind, [])]
    return [next(iter(output)) if isinstance(output, dict) else output for output in listed]


TABLES: dict[str, Callable[[], str]] = {
    "corpora": corpora.table,
    "backbones": backbones.table,
    "text_encoders": backbones.text_table,
    "reruns": reruns,
    "conditions": conditions,
    "stages": stages,
}


def filled(text: str) -> str:
    """Return a page with its tables as they should be."""
    return MARKED.sub(lambda found: f"{found[1]}{TABLES[found[2]]()}\n{found[3]}", text)


def main() -> None:
    """Bring all pages up to date."""
    for page in PAGES:
        page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
