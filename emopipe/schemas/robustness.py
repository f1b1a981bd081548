"""The answers of the audio model for its test set under conditions, and to sounds that are no speech."""

from __future__ import annotations

from pathlib import Path

ANSWERS = Path("data/robustness/answers.csv")
SOUND_ANSWERS = Path("data/robustness/sounds.csv")
KEYS = ("condition", "level", "utterance")  # of an answer; the others are those of a recogniser
CLEAN = ("clean", "")  # the name and the level of no condition
