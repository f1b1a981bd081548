"""Names and parameters of the runs of a sweep."""

from __future__ import annotations

import itertools
import subprocess

import pytest
import yaml
from dvc.utils.hydra import apply_overrides
from dvc.utils.serialize import load_yaml
from hydra.core.override_parser.types import Quote, QuotedString
from hypothesis import given, settings
from hypothesis import strategies as st

from emopipe.io.errors import UserError
from emopipe.sweeps.runs import LONGEST, expand

LETTERS = "abcXYZ019 _-./~:,'()[]{}=&#ß日"  # what paths have, and what the grammar takes for its own
VALUES = st.one_of(st.integers(-(10**9), 10**9), st.floats(-1e6, 1e6), st.booleans(), st.text(LETTERS, min_size=1))
SWEEPS = st.lists(st.lists(VALUES, min_size=1, max_size=4), min_size=1, max_size=3)


def word(value: object) -> str:
    """Write a value as it stands behind -S."""
    return QuotedString(value, Quote.double).with_quotes() if isinstance(value, str) else str(value).lower()


def applied(folder, overrides, **content) -> dict:
    """Return a params.yaml after DVC has changed it."""
    file = folder / "params.yaml"
    file.write_text(yaml.safe_dump(content))
    apply_overrides(file, list(overrides))
    return load_yaml(file)


@settings(max_examples=60, deadline=None)
@given(SWEEPS)
def test_every_combination_is_a_run_in_order_and_dvc_takes_its_words(tmp_path_factory, lists):
    folder, keys = tmp_path_factory.mktemp("words"), [f"k{number}" for number in range(len(lists))]
    choices = [",".join(map(word, values)) for values in lists]
    runs = expand("s", [f"{key}=choice({words})" for key, words in zip(keys, choices, strict=True)])
    found = [tuple(applied(folder, run.overrides, **dict.fromkeys(keys)).values()) for run in runs]
    expected = dict.fromkeys(tuple(map(repr, values)) for values in itertools.product(*lists))  # 1 and True differ
    assert [tuple(map(repr, values)) for values in found] == list(expected)
    names = [run.name.lower() for run in runs]
    assert len(set(names)) == len(names)
    assert max(map(len, names)) <= LONGEST
    assert all("." not in name and "/" not in name for name in names)  # folders, and no names of preparations
    checked = [subprocess.run(["git", "check-ref-format", f"refs/exps/{name}"]).returncode for name in names[:5]]
    assert not any(checked)


def test_a_name_tells_the_values_that_change_and_no_others():
    runs = expand("cv", ["split.audio.fold=range(0,2)", "train.epochs=3", "model.backbone=/w/base,'/w/a (1)'"])
    assert [run.name for run in runs] == [
        "cv-fold-0-backbone-base", "cv-fold-0-backbone-a-1", "cv-fold-1-backbone-base", "cv-fold-1-backbone-a-1",
    ]  # fmt: skip
    assert runs[1].overrides == ("split.audio.fold=0", "train.epochs=3", "model.backbone='/w/a (1)'")
    assert [run.name for run in expand("one", ["train.seed=1"])] == ["one"]


def test_a_run_keeps_its_name_whatever_else_is_in_the_sweep():
    alone = {run.name for run in expand("s", ["a=1,x/y"])}
    more = {run.name for run in expand("s", ["a=1,x/y,0.5,-0.5," + "z" * 100])}  # two collide, one is long
    assert alone < more
    assert max(map(len, more)) <= LONGEST
    assert {name for name in more - alone if not name.startswith("s-a-z")} == {
        run.name for run in expand("s", ["a=-0.5,0.5"])
    }


@pytest.mark.parametrize(("values", "begin"), [("0.5,-0.5", "s-a-0_5-"), ("/x/m,/y/m", "s-a-m-"), ("Ab,aB", "s-a-")])
def test_names_that_would_be_one_get_a_digest(values, begin):
    one, other = expand("s", [f"a={values}"])
    assert one.name.lower() != other.name.lower()
    assert one.name.startswith(begin)
    assert other.name.startswith(begin)


@pytest.mark.parametrize(
    "word", ["a", "a=1,[2", "a=choice()", "a=glob(*)", "a=range(3,1)", "a@b=1,2", "a=interval(0,1)"]
)
def test_a_word_that_cannot_be_is_named(word):
    with pytest.raises(UserError) as refused:
        expand("s", ["b=1,2", word])
    assert f"-S {word}: " in str(refused.value)


def test_an_interval_needs_a_search():
    with pytest.raises(UserError, match="add --search"):
        expand("s", ["a=tag(log,interval(1e-4,1e-2))"])


def test_a_key_stands_once():
    with pytest.raises(UserError, match=r"-S a\.b: stands twice"):
        expand("s", ["a.b=1,2", "+a.b=3"])


def test_a_value_that_stands_twice_is_one_run():
    assert [run.overrides for run in expand("s", ["a=1,2,1"])] == [("a=1",), ("a=2",)]


def test_a_parameter_may_be_added(tmp_path):
    runs = expand("s", ["+a.merge.x=u,v"])
    assert [run.name for run in runs] == ["s-x-u", "s-x-v"]
    assert applied(tmp_path, runs[1].overrides, a={"merge": {}}) == {"a": {"merge": {"x": "v"}}}
