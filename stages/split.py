"""Divide both branches' utterances into train, dev and test."""

from __future__ import annotations

from pathlib import Path

from stages.contracts import splits, tables
from stages.contracts.errors import run
from stages.contracts.manifest import read_manifest
from stages.contracts.parameters import load
from stages.splits.balance import balance, summary
from stages.splits.branches import split_audio, split_text


def main() -> None:
    """Write data/splits: of each branch the sets, their balance, and what had leaked between them."""
    split, audio_labels, audio_merge = load("split", "data.audio.labels", "data.audio.merge")
    text_labels, text_merge = load("data.text.labels", "data.text.merge")
    task, targets = load("model.task", "model.targets")
    rated = targets if task == "regression" else []
    manifest = read_manifest(Path("data/audio/manifest.csv"))
    audio, audio_leaks = split_audio(manifest, split.audio, audio_labels, audio_merge, rated)
    manifest = read_manifest(Path("data/raw/text.csv"))
    text, text_leaks = split_text(manifest, audio, split.text, text_labels, text_merge)
    tables.write(audio, splits.AUDIO, splits.AudioItem)
    tables.write(audio_leaks, splits.AUDIO_LEAKS, splits.Leak)
    tables.write(balance(audio, splits.Balance), splits.AUDIO_BALANCE, splits.Balance)
    tables.write(text, splits.TEXT, splits.TextItem)
    tables.write(text_leaks, splits.TEXT_LEAKS, splits.Leak)
    tables.write(balance(text, splits.TextBalance), splits.TEXT_BALANCE, splits.TextBalance)
    print(summary(audio, "audio"), summary(text, "text"), sep="\n")


if __name__ == "__main__":
    run(main)
