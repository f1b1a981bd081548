"""Fit the random forest from valence, arousal and dominance, as predicted from words, sound or both, to an emotion."""

from __future__ import annotations

import pandas as pd

from emopipe.forest import saving
from emopipe.forest.fitting import fit, require_two
from emopipe.forest.inputs import meet
from emopipe.forest.parameters import Forest
from emopipe.io.errors import run_stage
from emopipe.parameters import Runtime
from emopipe.schemas import tables
from emopipe.schemas.splits import TEXT, read_text
from emopipe.schemas.vad import HEARD, LEARNT, SOURCES, Heard, Learnt, features
from emopipe.text import saving as text_model
from emopipe.text.cross_fitting import training_vad
from emopipe.training import checkpoints
from emopipe.training.device import set_up


def main() -> None:
    """Write models/forest.skops and what it learnt from, data/forest.csv; empty where no utterance has an emotion."""
    settings, runtime = Forest.load(), Runtime.load()
    heard = tables.read(HEARD, Heard)
    branches = SOURCES[settings.inputs]
    vad = {"audio": heard} if "audio" in branches else {}
    if "text" in branches:
        read = _read(settings, runtime, heard)
        if read is None:
            print("fit_forest: data/splits/text.csv has no utterance with an emotion; no forest")
            saving.save(None)
            tables.write(pd.DataFrame(columns=list(Learnt.model_fields)), LEARNT, Learnt)
            return
        vad = {"text": read, **vad}
    learnt = meet(vad)
    require_two(learnt["emotion"], settings.inputs)  # a text that the regressor knows by chance may have been left out
    saving.save(fit(learnt[features(*branches)], learnt["emotion"], settings))
    tables.write(learnt, LEARNT, Learnt)
    print(f"fit_forest: {settings.trees} trees on {len(learnt)} utterances, {learnt['emotion'].nunique()} emotions")


def _read(settings: Forest, runtime: Runtime, heard: pd.DataFrame) -> pd.DataFrame | None:
    """Return the VAD of training utterances from words; None where there is nothing to learn and nothing was asked."""
    device = set_up(runtime, settings.seed)
    rows, trained = read_text(), text_model.load()
    if settings.inputs == "text" and (trained is None or (rows["emotion"] == "").all()):
        return None
    train = rows[rows["split"] == "train"]
    known = meet({"text": train} | ({"audio": heard} if settings.inputs == "both" else {}))
    require_two(known["emotion"], settings.inputs)  # before regressors are trained for nothing
    rows["emotion"] = rows["emotion"].where(rows["utterance"].isin(known["utterance"]), "")
    with checkpoints.kept("fit_forest", [settings, trained.settings], runtime, [TEXT, HEARD]) as folder:
        return training_vad(rows, trained, settings, device, folder)


if __name__ == "__main__":
    run_stage(main)
