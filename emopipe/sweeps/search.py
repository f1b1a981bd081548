"""Searching: the next run depends on how the runs before it scored on dev (Optuna)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emopipe.io.errors import UserError
from emopipe.sweeps.job import Outcome
from emopipe.sweeps.runs import Run, parsed

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override
    from optuna import Study, Trial
    from optuna.distributions import BaseDistribution

JOURNAL = "study.jsonl"  # in the sweep's folder
NAME = "emopipe_run"  # the attribute of a trial that holds the name of its run


class Search:
    """Draws parameters by a tree-structured Parzen estimator, as many runs at a time as there is room for.

    Bergstra et al., "Algorithms for hyper-parameter optimization", NIPS 2011. The study lies in the sweep's folder: a
    search that was stopped goes on, and begins the runs again that had not ended.
    """

    def __init__(
        self, sweep: str, words: Sequence[str], metric: str, trials: int, seed: int, folder: Path,
        preparation: Run | None,
    ) -> None:  # fmt: skip
        """Open the study, or begin it.

        Args:
            sweep: its name
            words: as behind ``-S``; an interval (``tag(log,interval(1e-5,1e-2))``), a range and a choice are drawn from
            metric: a score on dev by its keys in metrics/audio/metrics.json, such as ``dev.uar``; the higher the better
            trials: runs in all
            seed: of what is drawn
            folder: of the sweep
            preparation: what no drawn parameter acts on; the runs wait for it

        Raises:
            UserError: where Optuna is not installed, or nothing is to be drawn
        """
        try:
            import optuna
            from optuna.storages import JournalStorage
            from optuna.storages.journal import JournalFileBackend
        except ImportError:
            raise UserError("Optuna is not installed: `pip install -r requirements-cluster.txt`") from None
        overrides = parsed(words)
        self._sweep, self._metric, self._trials = sweep, metric.split("."), trials
        self._drawn = {o.key_or_group: _distribution(o) for o in overrides if o.is_sweep_override()}
        self._fixed = [o.input_line for o in overrides if not o.is_sweep_override()]
        if not self._drawn:
            raise UserError("nothing to search: no -S gives an interval or several values")
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._state = optuna.trial.TrialState
        self._study: Study = optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(folder / JOURNAL))), study_name=sweep, direction="maximize",
            sampler=optuna.samplers.TPESampler(seed=seed), load_if_exists=True,
        )  # fmt: skip
        self._preparation, self._prepared = preparation, preparation is None
        self._running: dict[str, Trial] = {}
        for trial in self._study.get_trials(states=[self._state.RUNNING]):  # of a search that was stopped
            self._study.tell(trial.number, state=self._state.FAIL)
            self._study.enqueue_trial(trial.params)

    def next(self) -> Run | None:
        """Return what prepares the runs, then runs with parameters that are drawn, until there are enough."""
        if not self._prepared:
            run, self._preparation = self._preparation, None
            return run
        begun = len(self._running) + len(self._study.get_trials(states=[self._state.COMPLETE], deepcopy=False))
        if begun + self._failed() >= self._trials:
            return None
        trial = self._study.ask(self._drawn)
        run = Run(f"{self._sweep}-{trial.number:03}", (*self._fixed, *_words(trial.params)))
        self._running[run.name] = trial
        return run

    def ended(self, run: Run, outcome: Outcome) -> None:
        """Tell the study how a run scored."""
        if run.stages:
            self._prepared = True
            return
        trial = self._running.pop(run.name)
        value = None if outcome.bundle is None else self._score(outcome.scores)
        if value is None:
            trial.set_user_attr("failed", True)
            self._study.tell(trial, state=self._state.FAIL)
        else:
            trial.set_user_attr(NAME, run.name)
            self._study.tell(trial, value)

    def best(self) -> str | None:
        """Return the best run and its score in a sentence; None where no run has ended."""
        ended = self._study.get_trials(states=[self._state.COMPLETE])
        if not ended:
            return None
        best = max(ended, key=lambda trial: trial.value)
        return (
            f"{best.user_attrs[NAME]}: {'.'.join(self._metric)} {best.value:.4f} with {' '.join(_words(best.params))}"
        )

    def _failed(self) -> int:
        failed = self._study.get_trials(states=[self._state.FAIL], deepcopy=False)
        return sum("failed" in trial.user_attrs for trial in failed)

    def _score(self, scores: dict[str, Any]) -> float:
        value: Any = scores
        for key in self._metric:
            if not isinstance(value, dict) or key not in value:
                names = ", ".join(scores.get("dev", {}))
                raise UserError(
                    f"--metric {'.'.join(self._metric)}: not in metrics/audio/metrics.json; dev has {names}"
                )
            value = value[key]
        return -math.inf if value is None or not math.isfinite(value) else float(value)


def _words(params: dict[str, Any]) -> list[str]:
    return [f"{key}={value}" for key, value in params.items()]


def _distribution(override: Override) -> BaseDistribution:
    """Return what a parameter is drawn from, by the grammar of Hydra's own sweeper for Optuna.

    Raises:
        UserError: naming an interval whose ends do not fit
    """
    from hydra.core.override_parser.types import IntervalSweep, RangeSweep
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    value = override.value()
    try:
        if isinstance(value, IntervalSweep):
            low, high, log = value.start, value.end, "log" in value.tags
            if isinstance(low, int) and isinstance(high, int):
                return IntDistribution(low, high, log=log)
            return FloatDistribution(float(low), float(high), log=log)
        if isinstance(value, RangeSweep) and all(isinstance(v, int) for v in (value.start, value.stop, value.step)):
            return IntDistribution(value.start, value.stop - 1, step=value.step)
    except ValueError as error:
        raise UserError(f"-S {override.input_line}: {error}") from None
    return CategoricalDistribution(list(override.sweep_string_iterator()))
