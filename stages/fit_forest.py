"""Fit the random forest from valence, arousal and dominance, as predicted from text, audio or both, to an emotion."""

from __future__ import annotations

from emopipe.forest import saving
from emopipe.forest.fitting import fit
from emopipe.forest.inputs import join_branches, require_two_emotions
from emopipe.forest.parameters import Forest
from emopipe.io.errors import run_stage
from emopipe.schemas import tables
from emopipe.schemas.vad import AUDIO_VAD, BRANCHES, TEXT_VAD, PredictedVad, feature_names


def main() -> None:
    """Write models/forest.skops, empty where it would take text alone and no training text has an emotion."""
    settings = Forest.load()
    branches = BRANCHES[settings.inputs]
    vad = {branch: tables.read({"text": TEXT_VAD, "audio": AUDIO_VAD}[branch], PredictedVad) for branch in branches}
    training_rows = join_branches(vad)
    if training_rows.empty and settings.inputs == "text":
        print("fit_forest: data/splits/text.csv has no training text with an emotion; no forest")
        saving.save(None)
        return
    require_two_emotions(training_rows["emotion"], settings.inputs)
    saving.save(fit(training_rows[feature_names(*branches)], training_rows["emotion"], settings))
    emotions = training_rows["emotion"].nunique()
    print(f"fit_forest: {settings.trees} trees on {len(training_rows)} utterances, {emotions} emotions")


if __name__ == "__main__":
    run_stage(main)
