"""What README.md and docs/ tell users to type is accepted, what they point at is there, what they repeat is right."""

from __future__ import annotations

import ast
import re
import shlex
import shutil
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from pkgutil import resolve_name

import pytest
import yaml
from dvc.utils.hydra import apply_overrides, get_hydra_sweeps

from docs import tables
from emopipe.commands import main
from emopipe.parameters import Runtime
from helpers.paths import ROOT
from helpers.stage_outputs import OUTPUTS

TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8") for page in tables.PAGES}
FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
PATHS = re.compile(
    r"(?<![\w/.:~<-])(?:data|metrics|models|recipes|stages|emopipe|tests|benchmarks|docs)/[\w/*.-]*[\w/*]"
)
CHOICE = re.compile(r"(?:-S )?'?\+*([a-z_]+(?:\.\w+)+)(?:=|: )([^|']+)'?")  # of a parameter
OURS = {"stages", "emopipe", "benchmarks", "docs"}  # packages that `python -m` is told to run
PARAMETERS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))


def typed(text: str) -> list[str]:
    """Return the lines of a page's indented blocks, continued ones joined; one that has && is several."""
    lines = FENCED.sub("", text).replace("\\\n", " ").splitlines()
    return [part.strip() for line in lines if line.startswith("    ") for part in line.split(" && ")]


def quoted(text: str) -> list[str]:
    """Return what stands between backquotes in a page's text."""
    prose = "\n".join(line for line in FENCED.sub("", text).splitlines() if not line.startswith("    "))
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)]


def commands(*first: str, texts: dict[str, str] = TEXTS) -> list[tuple[str, ...]]:
    """Return every command of the pages that begins with these words, as words."""
    found = [line for text in texts.values() for line in (*typed(text), *quoted(text))]
    split = (tuple(shlex.split(line, comments=True)) for line in found if " ".join(first) in line)
    return sorted({words for words in split if words[: len(first)] == first})


def experiments() -> list[str]:
    """Return every ``dvc exp run`` of the pages, and one for each value of a parameter that stands in a sentence."""
    found = {line for text in TEXTS.values() for line in typed(text) if "dvc exp run" in line}
    spans = [CHOICE.fullmatch(span) for text in TEXTS.values() for span in quoted(text)]
    values = {f"{span[1]}={span[2]}" for span in spans if span and span[1].split(".")[0] in PARAMETERS}
    task = ["dvc", "exp", "run", "-S", "model.task=regression"]  # with which every value goes
    return sorted(found | {shlex.join([*task, "-S", value]) for value in values})


def choices(command: str) -> list[str]:
    """Return what a command sets: the value of each ``-S``, those of a recipe behind ``<`` included."""
    words = shlex.split(command, comments=True)
    if "<" in words:
        words += shlex.split((ROOT / words[words.index("<") + 1]).read_text(encoding="utf-8"))
    return [value for option, value in pairwise(words) if option == "-S"]


@pytest.mark.parametrize("command", experiments())
def test_an_experiment_can_be_run(command: str, tmp_path: Path):
    params = tmp_path / "params.yaml"
    sweeps = [sweep["params.yaml"] for sweep in get_hydra_sweeps({"params.yaml": choices(command)})]
    assert sweeps
    for overrides in sweeps:
        shutil.copy(ROOT / "params.yaml", params)
        apply_overrides(str(params), overrides)
        Runtime.load(path=params)


@pytest.mark.parametrize("words", commands("emopipe"), ids=" ".join)
def test_a_command_is_understood(words: tuple[str, ...]):
    if len(words) == 1:
        return
    if len(words) == 2 and not words[1].startswith("-"):  # named in a sentence
        assert words[1] in main.COMMANDS
        import_module(f"emopipe.commands.{words[1]}")
        return
    try:
        main.parse(words[1:])
    except SystemExit as end:
        assert end.code == 0, words  # --help, --version


def test_the_pages_name_every_command():
    assert {words[1] for words in commands("emopipe") if len(words) > 1} >= main.COMMANDS.keys()


def test_a_module_that_is_run_is_there():
    modules = {name for text in TEXTS.values() for name in re.findall(r"(?:python|\s)-m\s+([a-z][\w.]+)", text)}
    ours = {name for name in modules if name.split(".")[0] in OURS and not name.endswith(".NAME")}
    assert {"stages.finetune_audio", "benchmarks.first_result"} <= ours
    assert not [name for name in ours if find_spec(name) is None]
    assert {words[1] for words in commands("make") if len(words) > 1} <= set(
        re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    )


@pytest.mark.parametrize("page", TEXTS)
def test_a_link_leads_somewhere(page: str):
    for target in LINK.findall(FENCED.sub("", TEXTS[page])):
        if not target.startswith(("http://", "https://")):
            file, _, heading = target.partition("#")
            assert not heading, "link to pages: nothing holds headings to their names"
            assert (ROOT / page).parent.joinpath(file).is_file(), f"{page}: {target}"


def test_readme_leads_to_every_page():
    linked = set(LINK.findall(TEXTS["README.md"]))
    assert {page for page in TEXTS if page.startswith("docs/")} <= linked


@pytest.mark.parametrize("page", TEXTS)
def test_a_path_is_of_this_repository_or_an_output_of_the_pipeline(page: str):
    outputs = [f"{path}/" for paths in OUTPUTS.values() for path in paths]
    outputs += ["metrics/crossval/"]  # of a command
    for path in PATHS.findall("\n".join([*typed(TEXTS[page]), *quoted(TEXTS[page])])):
        path = path.rstrip("/").replace("NAME", "*")
        made = any(f"{path}/".startswith(output) or output.startswith(f"{path}/") for output in outputs)
        assert made or any(ROOT.glob(path)), f"{page}: {path}"


@pytest.mark.parametrize("page", TEXTS)
def test_a_parameter_is_one_of_params_yaml(page: str):
    for span in quoted(TEXTS[page]):
        key = re.split(r"[=:\s]", span.removeprefix("-S ").lstrip("'+"))[0]
        group, *rest = key.split(".")
        score, file = {"trained", "zero_shot"} & set(rest), key.endswith((".py", ".csv", ".safetensors", ".bin"))
        if group not in PARAMETERS or not rest or score or file:
            continue
        values = [PARAMETERS[group]]
        for name in rest:
            below = [value for value in values if isinstance(value, dict)]
            values = [x for value in below for n, x in value.items() if name in (n, "*")]
            assert values, f"{page}: {key}"


@pytest.mark.parametrize("page", [page for page, text in TEXTS.items() if "<!-- table" in text])
def test_a_table_repeats_its_source(page: str):
    assert TEXTS[page] == tables.filled(TEXTS[page]), f"{page}: run `python -m docs.tables`"


def test_every_table_stands_somewhere():
    marked = [name for text in TEXTS.values() for _, name, _ in tables.MARKED.findall(text)]
    assert sorted(marked) == sorted(tables.TABLES)


def test_every_recipe_is_described():
    page = TEXTS["docs/training.md"]
    assert all(f"`recipes/{recipe.name}`" in page for recipe in (ROOT / "recipes").iterdir())


def test_names_of_the_library_are_there():
    """Those that a page quotes, and those that its Python imports."""
    names = [span for text in TEXTS.values() for span in quoted(text) if re.fullmatch(r"emopipe(\.\w+)+", span)]
    assert names
    blocks = [code for text in TEXTS.values() for language, code in FENCED.findall(text) if language == "python"]
    nodes = [node for code in blocks for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ImportFrom)]
    for name in [*names, *(f"{node.module}.{alias.name}" for node in nodes for alias in node.names)]:
        resolve_name(name)


@pytest.mark.parametrize("page", TEXTS)
def test_lines_fit_on_a_screen(page: str):
    without_tables = tables.MARKED.sub("", TEXTS[page])
    assert not [line for line in without_tables.splitlines() if len(line) > 118]
