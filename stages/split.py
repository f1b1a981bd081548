"""Divide both branches' utterances into train, dev and test."""

from __future__ import annotations

from pathlib import Path

from emopipe.io.errors import run_stage
from emopipe.schemas import notices, splits, tables
from emopipe.schemas.manifest import read_manifest
from emopipe.schemas.notices import notice
from emopipe.splits.balance import balance, summary
from emopipe.splits.branches import split_audio, split_text
from emopipe.splits.parameters import AudioTarget, Labels, Split
from emopipe.trust.speakers import speakers_of_one_emotion


def main() -> None:
    """Write data/splits: of each branch the sets, their balance, and what had leaked between them."""
    split, target = Split.load(), AudioTarget.load()
    audio_labels, text_labels = Labels.load("data.audio"), Labels.load("data.text")
    rated = target.targets if target.task == "regression" else []
    manifest = read_manifest(Path("data/audio/manifest.csv"))
    with notices.collected(notices.SPLIT):
        audio, audio_leaks = split_audio(manifest, split.audio, audio_labels.labels, audio_labels.merge, rated)
        manifest = read_manifest(Path("data/raw/text.csv"))
        text, text_leaks = split_text(manifest, audio, split.text, text_labels.labels, text_labels.merge)
        for one in speakers_of_one_emotion(audio):
            if one.passed is False:
                what = "have hardly more than one emotion: a model may go by the voice, however they are split"
                notice(one.subject, round(one.value * one.n), "speakers", what, one.n)
        tables.write(audio, splits.AUDIO, splits.AudioItem)
        tables.write(audio_leaks, splits.AUDIO_LEAKS, splits.Leak)
        tables.write(balance(audio, splits.Balance), splits.AUDIO_BALANCE, splits.Balance)
        tables.write(text, splits.TEXT, splits.TextItem)
        tables.write(text_leaks, splits.TEXT_LEAKS, splits.Leak)
        tables.write(balance(text, splits.TextBalance), splits.TEXT_BALANCE, splits.TextBalance)
    print(summary(audio, "audio"), summary(text, "text"), sep="\n")


if __name__ == "__main__":
    run_stage(main)
