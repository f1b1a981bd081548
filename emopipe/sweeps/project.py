"""The repository that a sweep belongs to: what a run starts from, and where its experiment comes back to."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from emopipe import stage_file
from emopipe.io.errors import UserError
from emopipe.sweeps.runs import Run, experiment_reference

SWEEPS = Path(".dvc/tmp/sweeps")  # one folder per sweep: its table, and the logs and clones of its runs


class Project:
    """The repository of the working folder, as of its last commit."""

    def __init__(self) -> None:
        """Look at the repository.

        Raises:
            UserError: where something is not committed, which no clone would have
        """
        self.stages = stage_file.read()
        changed = _git("status", "--porcelain", "--untracked-files=no").splitlines()
        if changed:
            raise UserError(
                f"{', '.join(line[3:] for line in changed[:5])}: changed since the last commit; runs start from what "
                "is committed: `git commit -a`, or `git stash`"
            )
        self.commit = _git("rev-parse", "HEAD").strip()
        if _git("rev-parse", "--is-shallow-repository").strip() == "true":
            raise UserError("this clone lacks the history that runs are cloned with; `git fetch --unshallow`")

    def bundle(self) -> bytes:
        """Return the last commit and its history in one file of Git's, which can be cloned."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "source.bundle")
            _git("bundle", "create", "--quiet", str(file), "HEAD")
            return file.read_bytes()

    def configuration(self) -> str:
        """Return the settings of DVC that Git does not track, such as the keys of a remote."""
        file = Path(".dvc/config.local")
        return file.read_text(encoding="utf-8") if file.is_file() else ""

    def cache(self) -> Path:
        """Return the folder of DVC's cache."""
        from dvc.repo import Repo

        with Repo() as repo:
            return Path(repo.cache.local_cache_dir).absolute()

    def share(self) -> None:
        """Send to DVC's remote what is finished here: no machine of a cluster needs the corpora then.

        Raises:
            UserError: if there is no remote, or it cannot be reached
        """
        from dvc.config import NoRemoteError
        from dvc.exceptions import DvcException
        from dvc.repo import Repo

        with Repo() as repo:
            try:
                repo.cloud.get_remote()
                repo.push(run_cache=True)
            except NoRemoteError:
                raise UserError(
                    "no DVC remote: the machines of a cluster share finished stages through one; "
                    "`dvc remote add -d storage s3://bucket/folder`, and commit .dvc/config"
                ) from None
            except DvcException as error:
                raise UserError(
                    f"dvc push: {error}; the machines of a cluster share what is finished through it"
                ) from None

    def missing(self, runs: Sequence[Run]) -> list[Run]:
        """Return the runs that are no experiment of this commit yet.

        Raises:
            UserError: naming an experiment that has the name of a run, and other parameters
        """
        have = set(_git("for-each-ref", "--format=%(refname)", experiment_reference(self.commit, "")).split())
        missing = []
        for run in runs:
            reference = experiment_reference(self.commit, run.name)
            if reference not in have:
                missing.append(run)
            elif yaml.safe_load(_git("show", f"{reference}:params.yaml")) != self._parameters(run):
                raise UserError(
                    f"{run.name}: an experiment of this name has other parameters; give the sweep another name, or "
                    f"`dvc exp remove {run.name}`"
                )
        return missing

    def names(self) -> set[str]:
        """Return the names of the experiments of all commits."""
        return {line.rpartition("/")[2] for line in _git("for-each-ref", "--format=%(refname)", "refs/exps").split()}

    def check(self, runs: Sequence[Run]) -> None:
        """Check the parameters of every run before the first one starts.

        Raises:
            UserError: naming the key that is unknown or whose value cannot be
        """
        from emopipe import parameter_file

        for run in runs:
            try:
                parameter_file.check(self._parameters(run), Path("params.yaml"))
            except UserError as error:
                raise UserError(f"{run.name}: {error}") from None

    def adopt(self, name: str, bundle: bytes) -> None:
        """Take over an experiment from a bundle."""
        reference = experiment_reference(self.commit, name)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "result.bundle")
            file.write_bytes(bundle)
            _git("fetch", "--quiet", "--no-auto-gc", str(file), f"+{reference}:{reference}")

    def content(self, path: str) -> str:
        """Return the content of a file in the commit; an empty text where it has none."""
        done = subprocess.run(["git", "show", f"{self.commit}:{path}"], capture_output=True, text=True)  # noqa: S603, S607
        return "" if done.returncode else done.stdout

    @cached_property
    def _committed(self) -> str:
        """The parameters of the last commit, as they stand in the file; every run changes some of them."""
        return _git("show", f"{self.commit}:params.yaml")

    def _parameters(self, run: Run) -> dict[str, Any]:
        from dvc.exceptions import InvalidArgumentError
        from dvc.utils.hydra import apply_overrides
        from omegaconf.errors import OmegaConfBaseException

        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "params.yaml")
            file.write_text(self._committed, encoding="utf-8")
            try:
                apply_overrides(file, list(run.overrides))
                return yaml.safe_load(file.read_text(encoding="utf-8"))
            except (InvalidArgumentError, OmegaConfBaseException, yaml.YAMLError) as error:
                raise UserError(str(error.__cause__ or error)) from None


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], capture_output=True, text=True)  # noqa: S603, S607
    if done.returncode:
        raise UserError(f"git {words[0]}: {done.stderr.strip()}")
    return done.stdout
