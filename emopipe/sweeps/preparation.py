"""What several runs of a sweep have in common is computed once, before them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from emopipe.stage_file import outputs
from emopipe.sweeps.runs import Run, key_of

# Stages that run networks. What only others have in common takes less time than to start one run more.
HEAVY = {"encode", "finetune_audio", "cross_fit_audio", "finetune_text", "cross_fit_text"}


class Preparation(NamedTuple):
    """Stages that some runs have in common, run once with the parameters of the first of them."""

    run: Run
    followers: frozenset[str]  # names of the runs that wait for it, and of the preparations that need its stages


def preparations(stages: Mapping[str, Any], runs: Sequence[Run]) -> list[Preparation]:
    """Return what is to be run before some runs, in an order in which nothing is computed twice.

    A stage gives the same for two runs if neither it nor a stage before it reads a parameter in which they differ.

    Args:
        stages: those of dvc.yaml
        runs: of the sweep
    """
    groups: dict[frozenset[str], list[str]] = {}
    for stage in sorted(HEAVY & stages.keys()):
        alike: dict[tuple[str, ...], list[str]] = {}
        for run in runs:
            own = tuple(override for override in run.overrides if _acts(key_of(override), stages, stage))
            alike.setdefault(own, []).append(run.name)
        for names in alike.values():
            if len(names) > 1:
                groups.setdefault(frozenset(names), []).append(stage)
    by_name = {run.name: run for run in runs}
    prepared = {}
    for names in sorted(groups, key=lambda names: (-len(names), min(names))):
        leader = by_name[min(names)]
        prepared[names] = preparing(leader.name, leader.overrides, groups[names])
    needed = {stage: set(upstream(stages, stage)) for stage in HEAVY & stages.keys()}
    return [
        Preparation(run, names | {
            other.name for smaller, other in prepared.items()
            if smaller < names and any(needed[stage] & set(run.stages) for stage in other.stages)
        })
        for names, run in prepared.items()
    ]  # fmt: skip


def preparing(name: str, overrides: Sequence[str], stages: Sequence[str]) -> Run:
    """Return a run of some stages, with a name that no experiment of a sweep has: those have no full stop."""
    return Run(".".join([name, "-".join(stages)]), tuple(overrides), tuple(stages))


def unaffected(stages: Mapping[str, Any], keys: Sequence[str]) -> tuple[str, ...]:
    """Return the stages that run networks and give the same whatever the values of some parameters."""
    heavy = sorted(HEAVY & stages.keys())
    return tuple(name for name in heavy if not any(_acts(key, stages, name) for key in keys))


def upstream(stages: Mapping[str, Any], stage: str) -> list[str]:
    """Return a stage and all those whose outputs it needs."""
    makers = {path: name for name, entry in stages.items() for path in outputs(entry)}
    found, left = [], [stage]
    while left:
        name = left.pop()
        if name in found:
            continue
        found.append(name)
        for dependency in stages[name].get("deps", []):
            path = PurePosixPath(dependency)
            left += [makers[str(whole)] for whole in (path, *path.parents) if str(whole) in makers]
    return found


def _acts(key: str, stages: Mapping[str, Any], stage: str) -> bool:
    """Return whether a parameter changes what a stage gives.

    The stage `split` reads the parameters of both branches, but one branch's change nothing in the other. Where both
    take the same corpus they may; then some work is done twice, and no result is another.
    """
    other = "audio" if stage.endswith("_text") else "text"
    if f".{other}." in f"{key}.":
        return False
    names = [name for before in upstream(stages, stage) for name in stages[before].get("params", [])]
    return any(f"{key}.".startswith(f"{name}.") or f"{name}.".startswith(f"{key}.") for name in names)
