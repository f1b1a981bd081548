"""Clones of this repository, and what DVC does in them."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import yaml
from transformers import BertConfig, BertModel, BertTokenizerFast

from helpers.paths import ROOT
from helpers.processes import ENVIRONMENT

STAGES = [
    "code", "fetch", "resample", "split", "shortcuts", "encode", "finetune_audio", "cross_fit_audio", "predict_audio",
    "finetune_text", "cross_fit_text", "predict_text", "fit_forest", "evaluate", "fairness", "robustness",
    "export", "plot",
]  # fmt: skip
# for Clone.set
SMALL = {
    "data__synthetic__speakers": 6, "data__synthetic__utterances": 6, "train__epochs": 2, "train__batch_size": 8,
    "train__tuning__epochs": 1, "train__interpolation": 1, "model__hidden": 16, "model__ensemble_size": 2,
    "text__epochs": 1, "text__learning_rate": 0.01, "text__ensemble_size": 2,
    "forest__trees": 5, "forest__cross_fit": 2, "plot__dpi": 40, "runtime__threads": 1,
}  # fmt: skip


class Clone:
    """A clone of the repository, and what DVC does in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(command, cwd=self.folder, env=ENVIRONMENT, capture_output=True, text=True)
        assert not check or done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done

    def repro(self, **changes: object) -> list[str]:
        """Set parameters (a__b for a.b), reproduce, and return the stages that ran, in order."""
        self.set(**changes)
        return self.ran(self.run("dvc", "repro"))

    def ran(self, done: subprocess.CompletedProcess[str]) -> list[str]:
        """Return the stages that ``dvc repro`` says it ran, in order."""
        ran = [line.split("'")[1] for line in done.stdout.splitlines() if line.startswith("Running stage")]
        return [stage for stage in STAGES if stage in ran]

    def outdated(self) -> list[str]:
        """Return the stages that DVC says are not up to date, in order."""
        changed = json.loads(self.run("dvc", "status", "--json").stdout)
        return [stage for stage in STAGES if stage in changed]

    def set(self, **changes: object) -> None:
        file = self.folder / "params.yaml"
        params = yaml.safe_load(file.read_text())
        for key, value in changes.items():
            *path, last = key.split("__")
            group = params
            for name in path:
                group = group[name]
            group[last] = value
        file.write_text(yaml.safe_dump(params, sort_keys=False))

    def experiment(self, name: str) -> str:
        """Return the Git reference of an experiment."""
        references = self.run("git", "for-each-ref", "--format=%(refname)", "refs/exps").stdout.split()
        return next(reference for reference in references if reference.endswith(f"/{name}"))

    def json(self, path: str) -> dict:
        return json.loads((self.folder / path).read_text())

    def csv(self, path: str) -> pd.DataFrame:
        return pd.read_csv(self.folder / path, keep_default_na=False)


def small_encoder(folder: Path) -> None:
    """Write a small BERT of random weights in the published layout."""
    letters = [*"abcdefghijklmnopqrstuvwxyz'.,!?", *(f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz'")]
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters]))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    config = BertConfig(
        vocab_size=5 + len(letters), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)


def cloned(folder: Path) -> Clone:
    """Return a clone with what is being worked on, committed or not."""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    for name in ("emopipe", "stages", "dvc.yaml", "params.yaml", "requirements.txt"):
        source, target = ROOT / name, folder / name
        if source.is_dir():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    return Clone(folder)


def reproduced(folder: Path) -> None:
    """Make a clone with everything made small, reproduced once: ``folder/clone``."""
    folder.mkdir()
    small_encoder(folder / "encoder")
    made = cloned(folder / "clone")
    assert made.repro(text__encoder=str(folder / "encoder"), **SMALL) == STAGES
