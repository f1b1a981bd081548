"""Experiments in clones of every kind, in environments of every kind; with a cache that holds a part."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from helpers.clones import Clone, reproduced
from helpers.paths import ROOT
from helpers.processes import ENVIRONMENT

pytestmark = pytest.mark.slow
WITHOUT_IDENTITY = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "EMAIL": ""}


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)


def shallow(folder: Path) -> Path:
    git(folder, "clone", "--quiet", "--depth", "1", f"file://{ROOT}", "clone")
    return folder / "clone"


def worktree(folder: Path) -> Path:
    git(folder, "clone", "--quiet", str(ROOT), "main")
    git(folder / "main", "worktree", "add", "--quiet", "../clone", "-b", "other")
    return folder / "clone"


def detached(folder: Path) -> Path:
    git(folder, "clone", "--quiet", str(ROOT), "clone")
    git(folder / "clone", "checkout", "--quiet", "--detach")
    return folder / "clone"


def within_another(folder: Path) -> Path:
    git(folder, "init", "--quiet", "outer")
    git(folder / "outer", "clone", "--quiet", str(ROOT), "clone")
    return folder / "outer" / "clone"


def from_an_archive(folder: Path) -> Path:
    (folder / "clone").mkdir()
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, check=True, capture_output=True).stdout
    subprocess.run(["tar", "x"], cwd=folder / "clone", input=archive, check=True)
    for command in (
        ["init", "--quiet"],
        ["add", "-A"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "start"],
    ):
        git(folder / "clone", *command)
    return folder / "clone"


@pytest.mark.parametrize("made", [shallow, worktree, detached, within_another, from_an_archive])
def test_an_experiment_begins_in_any_clone(tmp_path, made):
    folder = made(tmp_path)
    environment = ENVIRONMENT | WITHOUT_IDENTITY | {"HOME": str(tmp_path / "nowhere")}
    command = ["dvc", "exp", "run", "-S", "forest.trees=7", "code"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load((folder / "params.yaml").read_text())["forest"]["trees"] == 7


def test_a_clone_of_windows_has_no_carriage_returns(tmp_path):
    git(tmp_path, "-c", "core.autocrlf=true", "clone", "--quiet", str(ROOT), "clone")
    texts = [path for path in (tmp_path / "clone").rglob("*") if path.suffix in (".yaml", ".py", ".txt", ".md", ".csv")]
    assert len(texts) > 100 and not [path for path in texts if b"\r" in path.read_bytes()]
    assert not [path for path in (tmp_path / "clone" / "recipes").iterdir() if b"\r" in path.read_bytes()]


def test_make_says_what_is_missing_where_there_is_no_commit(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    for prepare in ([], ["init", "--quiet"]):
        if prepare:
            git(tmp_path, *prepare)
        done = subprocess.run(["make", "repro"], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True)
        assert done.returncode and "git init && git add -A && git commit" in done.stderr


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """Return a folder with a reproduced clone and its cache, all of it small."""
    folder = tmp_path_factory.mktemp("places")
    reproduced(folder / "one")
    git(folder / "one/clone", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qam", "small")
    return folder / "one"


def lacking(finished: Path, folder: Path, *outputs: str) -> Clone:
    """Return a clone with a cache that lacks some outputs of its lock."""
    shutil.copytree(finished / "clone/.dvc/cache", folder / "cache")
    git(folder, "clone", "--quiet", str(finished / "clone"), "clone")
    clone = Clone(folder / "clone")
    clone.run("dvc", "cache", "dir", "--local", str(folder / "cache"))
    lock = yaml.safe_load((clone.folder / "dvc.lock").read_text())["stages"]
    for out in (out for stage in lock.values() for out in stage["outs"] if out["path"] in outputs):
        (folder / "cache/files/md5" / out["md5"][:2] / out["md5"][2:]).unlink()
    return clone


@pytest.mark.parametrize("how", [[], ["--temp"]])
@pytest.mark.parametrize(
    "outputs", [("models/text",), ("data/audio", "models/audio"), ("data/code/split.txt", "data/encoded")]
)
def test_an_experiment_begins_with_a_cache_that_lacks_what_the_lock_names(finished, tmp_path, outputs, how):
    clone = lacking(finished, tmp_path, *outputs)
    done = clone.run("dvc", "exp", "run", "-n", "first", *how, "-S", "forest.trees=7")
    assert "failed to load directory" not in done.stderr
    scores = clone.run("git", "show", f"{clone.experiment('first')}:metrics/evaluation.json").stdout
    assert json.loads(scores)["forest"]["emotion"]["trained"]["accuracy"] >= 0


def test_a_queue_of_six_by_two_workers_finishes(finished, tmp_path):
    clone = lacking(finished, tmp_path)
    clone.run("dvc", "exp", "run", "--queue", "-S", "forest.trees=range(5,11)")
    clone.run("dvc", "queue", "start", "-j", "2")
    clone.run("timeout", "300", "bash", "-c", "while dvc queue status | grep -qE 'Queued|Running'; do sleep 1; done")
    assert clone.run("dvc", "queue", "status").stdout.count("Success") == 6


@pytest.mark.skipif(
    subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode != 0, reason="no namespaces"
)
def test_a_folder_for_dvc_of_ones_own_where_var_tmp_may_not_be_written(finished, tmp_path):
    clone = lacking(finished, tmp_path)
    read_only = ["unshare", "-m", "bash", "-c", 'mount -t tmpfs -o ro none /var/tmp && exec "$@"', "-"]
    assert "Read-only file system" in clone.run(*read_only, "dvc", "repro", check=False).stderr
    clone.run("dvc", "config", "--local", "core.site_cache_dir", str(tmp_path / "site"))
    clone.run(*read_only, "dvc", "repro")


@pytest.mark.skipif(
    shutil.which("setpriv") is None or subprocess.run(["id", "-u"], capture_output=True).stdout != b"0\n",
    reason="not root",
)
def test_a_user_without_a_name_sets_one(finished, tmp_path):
    clone = lacking(finished, tmp_path)
    subprocess.run(["chown", "-R", "23456", str(tmp_path)], check=True)
    for parent in list(tmp_path.parents)[:3]:
        parent.chmod(0o755)
    nameless = [
        "setpriv",
        "--reuid",
        "23456",
        "--regid",
        "23456",
        "--clear-groups",
        "env",
        "-u",
        "USER",
        "-u",
        "LOGNAME",
        f"HOME={tmp_path}",
    ]
    if clone.run(*nameless, "dvc", "--version", check=False).returncode == 126:
        pytest.skip("another user may not run what is installed here")
    assert "uid not found: 23456" in clone.run(*nameless, "dvc", "repro", check=False).stderr
    clone.run(*nameless, "USER=me", "dvc", "config", "--local", "core.site_cache_dir", str(tmp_path / "site"))
    clone.run(*nameless, "USER=me", "dvc", "repro")
