"""A run that scores less than others did is stopped, by what it has logged of its own training."""

from __future__ import annotations

import sys

import pytest

from emopipe.sweeps.job import Job, Outcome, Watch, Watching, carry_out
from emopipe.sweeps.runs import Run
from emopipe.sweeps.search import FEWEST, Search

CURVE = "metrics/audio/plots/metrics/dev/uar.tsv"
COMMITTED = "step\tuar\n0\t0.1\n1\t0.2\n"


def logged(*scores: float) -> str:
    return "step\tuar\n" + "".join(f"{step}\t{score}\n" for step, score in enumerate(scores))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, ""),  # DVC has removed what was committed
        (COMMITTED, ""),
        ("step\tuar\n", ""),
        ("step\tuar\n0\t0.", "0.0000 at most after epoch 1, where half of the others had 0.5000"),
        ("step\tuar\n0\t", ""),  # a line that is half written
        (logged(0.5), ""),
        (logged(0.49), "0.4900 at most after epoch 1, where half of the others had 0.5000"),
        (logged(0.65, 0.1), ""),  # it had been better
        (logged(0.55, 0.59), "0.5900 at most after epoch 2, where half of the others had 0.6000"),
        (logged(0.55, 0.61, 0.0), ""),  # beyond what is known of the others
    ],
)
def test_a_run_is_judged_by_its_best_score_so_far(tmp_path, content, reason):
    if content is not None:
        (tmp_path / CURVE).parent.mkdir(parents=True)
        (tmp_path / CURVE).write_text(content)
    watching = Watching(Watch(CURVE, COMMITTED, (0.5, 0.6)), tmp_path)
    assert watching.is_lost() is bool(reason)
    assert watching.reason == reason


def test_nothing_is_stopped_where_nothing_is_known(tmp_path):
    (tmp_path / CURVE).parent.mkdir(parents=True)
    (tmp_path / CURVE).write_text(logged(0.0))
    assert not Watching(None, tmp_path).is_lost() and Watching(None, tmp_path).scores() == ()
    watching = Watching(Watch(CURVE, COMMITTED, ()), tmp_path)
    assert not watching.is_lost() and watching.scores() == (0.0,)


TRAINING = """#!/bin/sh
mkdir -p "$3/clone/metrics/audio/plots/metrics/dev"
cd "$3/clone/metrics/audio/plots/metrics/dev"
printf 'step\\tuar\\n0\\t0.7\\n' > uar.tsv
sleep 1
printf '1\\t0.4\\n' >> uar.tsv
sleep 600
"""


def test_the_process_is_stopped_and_its_folder_removed(tmp_path, monkeypatch):
    program = tmp_path / "python"
    program.write_text(TRAINING)
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    job = Job(Run("lr-009", ("train.dropout=0.9",)), "c", "", None, None, Watch(CURVE, COMMITTED, (0.6, 0.8)))
    outcome = carry_out(job, b"", tmp_path / "run")
    assert outcome.pruned and outcome.bundle is None and not outcome.late and outcome.curve == (0.7, 0.4)
    assert outcome.reason == "0.7000 at most after epoch 2, where half of the others had 0.8000"
    assert outcome.seconds < 60 and not (tmp_path / "run").exists()


def search(folder, prune=True, trials=12) -> Search:
    return Search("lr", ["train.dropout=interval(0.0,1.0)"], "dev.uar", trials, 42, folder, None, "c", set(), prune)


def scored(*curve: float) -> Outcome:
    return Outcome(b"", {"dev": {"uar": max(curve)}}, 1, "m", curve=curve)


def test_medians_are_those_of_enough_runs_at_each_epoch(tmp_path):
    pytest.importorskip("optuna")
    found = search(tmp_path)
    assert found.curve == CURVE
    curves = [(0.1 * i, 0.2 * i) + ((0.9,) if i < 4 else ()) for i in range(FEWEST)]
    for curve in curves:
        assert found.medians() == ()
        found.ended(found.next(), scored(*curve))
    assert found.medians() == pytest.approx((0.2, 0.4))  # of the third epoch too few are known
    found.ended(found.next(), Outcome(None, {}, 1, "m", "low", pruned=True, curve=(0.0,)))
    assert found.medians() == pytest.approx((0.2, 0.4))  # a run that was stopped lowers no median
    assert search(tmp_path).medians() == pytest.approx((0.2, 0.4))  # as a search that goes on knows, too
    assert search(tmp_path, prune=False).medians() == ()


def test_runs_that_were_stopped_count_and_are_not_the_best(tmp_path):
    pytest.importorskip("optuna")
    found, begun = search(tmp_path), []
    while (run := found.next()) is not None:
        begun.append(run)
        low = len(begun) > FEWEST and len(begun) % 2
        found.ended(run, Outcome(None, {}, 1, "m", "low", pruned=True, curve=(0.99,)) if low else scored(0.5, 0.6))
    assert len(begun) == 12 and len(found.done()) == 9
    assert found.best().startswith("lr-") and " 0.6000 with " in found.best()


def test_another_score_has_another_curve(tmp_path):
    pytest.importorskip("optuna")
    words = ["train.dropout=interval(0.0,1.0)"]
    found = Search("lr", words, "dev.ccc.mean", 3, 42, tmp_path, None, "c", set(), True)
    assert found.curve == "metrics/audio/plots/metrics/dev/ccc.tsv"
