"""Searching: what is drawn, how many, and what a search that was stopped goes on from."""

from __future__ import annotations

import math

import pytest

from emopipe.io.errors import UserError
from emopipe.sweeps.job import Outcome
from emopipe.sweeps.preparation import preparing
from emopipe.sweeps.runs import Run
from emopipe.sweeps.search import Search

pytest.importorskip("optuna")

WORDS = ["train.epochs=3", "train.mixup=interval(0.0,1.0)", "train.dropout=interval(0.0,1.0)"]
FAILED = Outcome(None, {}, 1, "m", "broken")


def search(folder, words=WORDS, metric="dev.uar", trials=25, preparation=None, commit="c", taken=()) -> Search:
    return Search("lr", words, metric, trials, 42, folder, preparation, commit, set(taken))


def values(run: Run) -> dict[str, str]:
    return dict(override.split("=") for override in run.overrides)


def scored(run: Run) -> Outcome:
    """Score a run by how close two parameters are to their best."""
    mixup, dropout = (float(values(run)[f"train.{name}"]) for name in ("mixup", "dropout"))
    return Outcome(b"", {"dev": {"uar": 1 - (mixup - 0.3) ** 2 - (dropout - 0.7) ** 2, "ccc": {"mean": 0.5}}}, 1, "m")


def go_on(found: Search, most: int = 1000, at_a_time: int = 1, outcome=scored) -> list[Run]:
    """End runs in the order of their beginning; stop with others still running once there were enough."""
    begun, running = [], []
    while len(begun) - len(running) < most:
        while len(running) < at_a_time and (run := found.next()) is not None:
            begun.append(run)
            running.append(run)
        if not running:
            break
        run = running.pop(0)
        found.ended(run, outcome(run))
    return begun


@pytest.mark.parametrize("at_a_time", [1, 4])
def test_the_best_is_near_the_optimum_after_exactly_as_many_runs_as_were_asked_for(tmp_path, at_a_time):
    found = search(tmp_path)
    begun = go_on(found, at_a_time=at_a_time)
    assert len(begun) == len({run.name for run in begun}) == 25
    assert all(run.overrides[0] == "train.epochs=3" for run in begun)
    best = max(begun, key=lambda run: scored(run).scores["dev"]["uar"])
    score = scored(best).scores["dev"]["uar"]
    assert score > 0.97  # at random: half of all searches of 25 runs
    chance = [scored(run).scores["dev"]["uar"] for run in begun[:10]]
    assert score > max(chance)  # what is drawn before it is guided
    assert found.best() == f"{best.name}: dev.uar {score:.4f} with {' '.join(best.overrides[1:])}"
    assert found.done() == begun


def test_a_search_that_was_stopped_goes_on(tmp_path):
    before = go_on(search(tmp_path), most=6, at_a_time=3)
    assert len(before) == 8  # of which two had not ended
    resumed = search(tmp_path)
    assert resumed.done() == before[:6]
    after = go_on(resumed, at_a_time=3)
    assert after[:2] == before[6:]  # by the same names: they go on from their checkpoints
    assert len(after) == 25 - 6
    drawn = [run.overrides for run in [*before, *after[2:]]]
    assert len(set(drawn)) == len(drawn) == 25  # what was drawn first is not drawn again
    assert len({run.name for run in [*before, *after]}) == 25
    assert go_on(search(tmp_path)) == []
    assert len(go_on(search(tmp_path, trials=27))) == 2
    assert go_on(search(tmp_path, trials=5)) == []


def test_a_run_that_was_drawn_but_not_begun_is_no_run(tmp_path):
    first = search(tmp_path)
    first._study.ask(first._drawn)  # killed here: nobody has its name
    again = go_on(search(tmp_path))
    assert len(again) == 25
    assert again[0].name == "lr-001"


def test_the_same_search_draws_the_same(tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    assert go_on(search(tmp_path / "one")) == go_on(search(tmp_path / "other"))


@pytest.mark.parametrize(
    "changes", [{"commit": "d"}, {"metric": "dev.ccc.mean"}, {"words": [*WORDS[1:], "train.epochs=4"]}]
)
def test_another_question_is_another_search(tmp_path, changes):
    taken = [run.name for run in go_on(search(tmp_path))]
    other = search(tmp_path, **changes, taken=taken)
    assert other.done() == []
    assert other.best() is None
    begun = go_on(other)
    assert len(begun) == 25
    assert not {run.name for run in begun} & set(taken)
    assert [run.name for run in search(tmp_path).done()] == taken  # which is still there


def test_no_experiment_that_there_is_gets_a_run(tmp_path):
    names = [run.name for run in go_on(search(tmp_path, trials=4, taken=["lr-000", "lr-002", "lr-003"]))]
    assert names == ["lr-001", "lr-004", "lr-005", "lr-006"]


def test_runs_that_fail_count(tmp_path):
    found = search(tmp_path, trials=10)
    begun = go_on(found, outcome=lambda run: FAILED if run.name < "lr-004" else scored(run))
    assert len(begun) == 10
    assert found.done() == begun[4:]
    assert found.best().split(":")[0] >= "lr-004"
    assert search(tmp_path, trials=10).next() is None


def test_runs_wait_for_what_they_have_in_common_and_only_where_there_are_some(tmp_path):
    preparation = preparing("lr", WORDS[:1], ["encode"])
    found = search(tmp_path, trials=2, preparation=preparation)
    assert found.next() == preparation
    assert found.next() is None
    found.ended(preparation, FAILED)  # each run then says why
    assert [run.name for run in go_on(found)] == ["lr-000", "lr-001"]
    assert search(tmp_path, trials=2, preparation=preparation).next() is None


@pytest.mark.parametrize(
    ("metric", "told"),
    [("dev.uarr", "dev.uar, dev.ccc.mean"), ("dev.ccc", "dev.uar, dev.ccc.mean"), ("dev.uar.mean", "dev.uar, ")],
)
def test_a_metric_that_is_not_there_names_those_that_are(tmp_path, metric, told):
    found = search(tmp_path, metric=metric)
    run = found.next()
    with pytest.raises(UserError) as refused:
        found.ended(run, scored(run))
    assert f"--metric {metric}: " in str(refused.value)
    assert told in str(refused.value)


def test_a_run_without_scores_names_none(tmp_path):
    found = search(tmp_path)
    with pytest.raises(UserError, match="those on dev are none"):
        found.ended(found.next(), Outcome(b"", {}, 1, "m"))


def test_a_score_that_is_no_number_is_the_worst(tmp_path):
    found = search(tmp_path, trials=12)
    begun = go_on(
        found, outcome=lambda run: Outcome(b"", {"dev": {"uar": math.nan if run.name < "lr-009" else 0.1}}, 1, "m")
    )
    assert len(begun) == 12
    assert found.best().startswith(("lr-009: dev.uar 0.1000", "lr-010: dev.uar 0.1000", "lr-011: dev.uar 0.1000"))


@pytest.mark.parametrize(
    ("word", "every", "ends"),
    [
        ("k=tag(log,interval(1e-4,1e-2))", lambda values: sum(float(v) < 1e-3 for v in values) in range(15, 46), 2),
        ("k=interval(1e-4,1e-2)", lambda values: sum(float(v) < 1e-3 for v in values) < 20, 2),
        ("k=interval(2,4)", lambda values: len(set(values)) == 60, 2),  # as in Hydra, not of whole numbers
        ("k=int(interval(2,4))", lambda values: set(values) == {"2", "3", "4"}, 2),
        ("k=int(interval(1.5,3.5))", lambda values: set(values) == {"1", "2", "3"}, 2),
        ("k=tag(log,int(interval(1,100)))", lambda values: sum(int(v) < 10 for v in values) in range(15, 46), 2),
        ("k=range(0,6,2)", lambda values: set(values) == {"0", "2", "4"}, 2),
        ("k=range(5,0,-2)", lambda values: set(values) == {"1", "3", "5"}, 2),
        ("k=range(0,1,0.5)", lambda values: set(values) == {"0.0", "0.5"}, 2),
        ("k=a,'b c',null,1,1", lambda values: set(values) == {"a", "'b c'", "null", "1"}, 4),
        ("k=choice('b c',true)", lambda values: set(values) == {"b\\ c", "True"}, 2),
        ("+k=1,2", lambda values: set(values) == {"1", "2"}, 2),
    ],
)
@pytest.mark.filterwarnings("error")
def test_what_is_drawn_lies_where_the_word_says(tmp_path, word, every, ends):
    found = search(tmp_path, [word], trials=60)
    begun = go_on(found, outcome=lambda run: Outcome(b"", {"dev": {"uar": 0.5}}, 1, "m"))
    assert every([run.overrides[0].partition("=")[2] for run in begun])
    assert {run.overrides[0].partition("=")[0] for run in begun} == {word.partition("=")[0]}
    corners = [run.overrides for run in found.corners()]
    assert len(corners) == len(set(corners)) == ends


def test_every_end_and_choice_is_there_to_be_checked(tmp_path):
    found = search(tmp_path, ["a=7", "b=int(interval(1,3))", "c=x,y,z"]).corners()
    assert {run.overrides for run in found} == {
        ("a=7", "b=1", "c=x"), ("a=7", "b=3", "c=x"), ("a=7", "b=1", "c=y"), ("a=7", "b=1", "c=z"),
    }  # fmt: skip


@pytest.mark.parametrize("word", ["k=tag(log,interval(0,1))", "k=interval(2,1)", "k=tag(log,interval(0.0,1.0))"])
def test_an_interval_whose_ends_do_not_fit_is_named(tmp_path, word):
    with pytest.raises(UserError) as refused:
        search(tmp_path, [word])
    assert f"-S {word}: " in str(refused.value)


def test_something_is_to_be_drawn(tmp_path):
    with pytest.raises(UserError, match="nothing to search"):
        search(tmp_path, ["train.epochs=3"])
