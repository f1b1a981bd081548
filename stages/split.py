"""Divide both branches' utterances into train, dev and test."""

from __future__ import annotations

from pathlib import Path

from stages.contracts import tables
from stages.contracts.errors import run
from stages.contracts.manifest import read_manifest
from stages.contracts.parameters import load
from stages.contracts.splits import AUDIO, TEXT, AudioItem, TextItem
from stages.splits.branches import split_audio, split_text, summary


def main() -> None:
    """Write data/splits/audio.csv and data/splits/text.csv."""
    split, audio_labels, audio_merge = load("split", "data.audio.labels", "data.audio.merge")
    text_labels, text_merge = load("data.text.labels", "data.text.merge")
    audio = split_audio(read_manifest(Path("data/audio/manifest.csv")), split.audio, audio_labels, audio_merge)
    text = split_text(read_manifest(Path("data/raw/text.csv")), audio, split.text, text_labels, text_merge)
    tables.write(audio, AUDIO, AudioItem)
    tables.write(text, TEXT, TextItem)
    print(summary(audio, "audio"), summary(text, "text"), sep="\n")


if __name__ == "__main__":
    run(main)
