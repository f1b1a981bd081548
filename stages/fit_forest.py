"""Fit the random forest from valence, arousal and dominance, as predicted from words, to an emotion."""

from __future__ import annotations

from stages.contracts.errors import run
from stages.contracts.parameters import load
from stages.contracts.splits import TEXT, read_text
from stages.text import forest, saving
from stages.text.cross_fitting import unseen_vad
from stages.training import checkpoints
from stages.training.device import prepare


def main() -> None:
    """Write models/forest.skops, empty where no utterance has an emotion."""
    settings, runtime = load("forest", "runtime")
    device = prepare(runtime, settings.seed)
    rows = read_text()
    trained = saving.load()
    if trained is None or (rows["emotion"] == "").all():
        print("fit_forest: data/splits/text.csv has no utterance with an emotion; no forest")
        forest.save(None)
        return
    emotions = rows.loc[(rows["split"] == "train") & (rows["emotion"] != ""), "emotion"]
    forest.require_two(emotions)  # before regressors are trained for nothing
    with checkpoints.kept("fit_forest", [settings, trained.settings], runtime, [TEXT]) as folder:
        vad = unseen_vad(rows, trained, settings.cross_fit, device, folder)
    forest.require_two(emotions[vad.index])  # a text that the regressor knows by chance may have been left out
    forest.save(forest.fit(vad.to_numpy(), emotions[vad.index], settings))
    print(f"fit_forest: {settings.trees} trees on {len(vad)} utterances, {emotions.nunique()} emotions")


if __name__ == "__main__":
    run(main)
