"""Searching: the next run depends on how the runs before it scored on dev (Optuna)."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Container, Sequence
from hashlib import sha256
from itertools import count, takewhile
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from emopipe.io.errors import UserError
from emopipe.sweeps.job import Outcome
from emopipe.sweeps.runs import Run, parsed, values

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial, Trial

JOURNAL = "study.jsonl"  # in the sweep's folder
CURVES = "metrics/audio/plots/metrics/dev"  # of each score on dev, an epoch a line
FEWEST = 5  # runs that a median is taken of; that of Optuna's own
NAME = "emopipe_run"  # the attribute of a trial that holds the name of its run; one without was not begun


class Search:
    """Draws parameters by a tree-structured Parzen estimator, as many runs at a time as there is room for.

    Bergstra et al., "Algorithms for hyper-parameter optimization", NIPS 2011. The study lies in the sweep's folder: a
    search that was stopped goes on, and begins the runs again that had not ended. Another commit, other parameters or
    another score make another study.
    """

    def __init__(
        self, sweep: str, words: Sequence[str], metric: str, trials: int, seed: int, folder: Path,
        preparation: Run | None, commit: str, taken: Container[str], prune: bool = False,
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
            commit: that the runs start from
            taken: names that no new run may have, as those of the experiments there are
            prune: whether a run is stopped whose best score so far is below the median of those that were scored, at
                the same epoch (Golovin et al., "Google Vizier", KDD 2017)

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
        self._sweep, self._metric, self._trials, self._taken = sweep, metric.split("."), trials, taken
        self._drawn = {o.get_key_element(): _distribution(o) for o in overrides if o.is_sweep_override()}
        self._fixed = [o.input_line for o in overrides if not o.is_sweep_override()]
        if not self._drawn:
            raise UserError("nothing to search: no -S gives an interval or several values")
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._state, self._open = optuna.trial.TrialState, optuna.trial.Trial
        storage = JournalStorage(JournalFileBackend(str(folder / JOURNAL)))
        digest = sha256(json.dumps([commit, metric, sorted(words)]).encode()).hexdigest()[:12]
        self._study: Study = optuna.create_study(
            storage=storage, study_name=f"{sweep}-{digest}", direction="maximize", load_if_exists=True
        )
        before = self._study.get_trials()
        self._study.sampler = optuna.samplers.TPESampler(seed=seed + len(before))  # goes on, not over, when resumed
        self._preparation, self._prepared = preparation, preparation is None
        self._prune = prune
        self._running: dict[str, Trial] = {}
        left = [trial for trial in before if trial.state == self._state.RUNNING]  # of a search that was stopped
        self._again = deque(trial for trial in left if NAME in trial.user_attrs)
        for trial in left:
            if NAME not in trial.user_attrs:
                self._study.tell(trial.number, state=self._state.FAIL)

    def corners(self) -> list[Run]:
        """Return runs with every parameter at each of its ends, or with each of its choices; no run has another value.

        They are there to be checked before the first run.
        """
        ends = {key: _ends(distribution) for key, distribution in self._drawn.items()}
        first = {key: values[0] for key, values in ends.items()}
        return [
            Run(self._sweep, (*self._fixed, *_words(first | {key: value})))
            for key, values in ends.items()
            for value in values
        ]

    def done(self) -> list[Run]:
        """Return the runs that were scored."""
        return [self._run(trial) for trial in self._ended(self._state.COMPLETE)]

    def next(self) -> Run | None:
        """Return what prepares the runs, then runs with parameters that are drawn, until there are enough."""
        ended = self._ended(self._state.COMPLETE, self._state.FAIL, self._state.PRUNED)
        if len(self._running) + len(ended) >= self._trials:
            return None
        if not self._prepared:
            run, self._preparation = self._preparation, None
            return run
        if self._again:
            trial = self._open(self._study, self._again.popleft()._trial_id)
            name = trial.user_attrs[NAME]
        else:
            trial = self._study.ask(self._drawn)
            name = self._free(trial.number)
            trial.set_user_attr(NAME, name)
        self._running[name] = trial
        return Run(name, (*self._fixed, *_words(trial.params)))

    def ended(self, run: Run, outcome: Outcome) -> None:
        """Tell the study how a run scored."""
        if run.stages:
            self._prepared = True
            return
        trial = self._running.pop(run.name)
        for epoch, score in enumerate(outcome.curve):
            trial.report(score, epoch)
        if outcome.pruned:
            self._study.tell(trial, state=self._state.PRUNED)
        elif outcome.bundle is None:
            self._study.tell(trial, state=self._state.FAIL)
        else:
            self._study.tell(trial, self._score(outcome.scores))

    @property
    def curve(self) -> str:
        """Return the file that holds the score by epoch, as the Trainer tracks it: of a mean the score itself."""
        *_, name = [key for key in self._metric if key != "mean"]
        return f"{CURVES}/{name}.tsv"

    def medians(self) -> tuple[float, ...]:
        """Return the median of the runs that were scored, by epoch, as far as there are enough of them."""
        if not self._prune:
            return ()
        found = [trial.intermediate_values for trial in self._ended(self._state.COMPLETE)]
        by_epoch = takewhile(
            lambda scores: len(scores) >= FEWEST,
            ([scores[epoch] for scores in found if epoch in scores] for epoch in count()),
        )
        return tuple(median(scores) for scores in by_epoch)

    def best(self) -> str | None:
        """Return the best run and its score in a sentence; None where no run has been scored."""
        ended = self._ended(self._state.COMPLETE)
        if not ended:
            return None
        best = max(ended, key=lambda trial: trial.value)
        return (
            f"{best.user_attrs[NAME]}: {'.'.join(self._metric)} {best.value:.4f} with {' '.join(_words(best.params))}"
        )

    def _ended(self, *states: Any) -> list[FrozenTrial]:
        return [trial for trial in self._study.get_trials(deepcopy=False, states=states) if NAME in trial.user_attrs]

    def _free(self, number: int) -> str:
        """Return the first name, by numbers from this one on, that no experiment and no run of this search has."""
        used = {trial.user_attrs.get(NAME) for trial in self._study.get_trials(deepcopy=False)}
        while (name := f"{self._sweep}-{number:03}") in used or name in self._taken:
            number += 1
        return name

    def _run(self, trial: FrozenTrial) -> Run:
        return Run(trial.user_attrs[NAME], (*self._fixed, *_words(trial.params)))

    def _score(self, scores: dict[str, Any]) -> float:
        value: Any = scores
        for key in self._metric:
            value = value.get(key, scores) if isinstance(value, dict) else scores
        if isinstance(value, dict):
            raise UserError(
                f"--metric {'.'.join(self._metric)}: no score in metrics/audio/metrics.json; those on dev are "
                f"{', '.join(_names(scores.get('dev'), 'dev')) or 'none'}"
            )
        return -math.inf if value is None or not math.isfinite(value) else float(value)


def _names(scores: Any, name: str) -> list[str]:
    """Return the full keys of scores."""
    if not isinstance(scores, dict):
        return [] if scores is None else [name]
    return [full for key, value in scores.items() for full in _names(value, f"{name}.{key}")]


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
            numbers = sorted(range(value.start, value.stop, value.step))
            return IntDistribution(numbers[0], numbers[-1], step=abs(value.step))
    except ValueError as error:
        raise UserError(f"-S {override.input_line}: {error}") from None
    return CategoricalDistribution(values(override))


def _ends(distribution: BaseDistribution) -> list[Any]:
    from optuna.distributions import CategoricalDistribution

    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    return [distribution.low, distribution.high]
