"""The synthetic corpus: emotional speech, made on the spot, to try the pipeline and to test it.

Nobody speaks here. espeak-ng reads sentences whose words carry an emotion in a voice that carries it too, by the cues
that the literature agrees on, so that sound, words and labels belong together as in recorded conversation:

- anger: loud, fast, a wide range of pitch, much energy in the high frequencies
- fear: the highest pitch, in a narrow range, the fastest, not loud, halting
- happiness: high pitch in the widest range, rather loud, a little fast
- neutral: the speaker's own middle
- sadness: low pitch in a narrow range, slow, soft, dull, with pauses

after Murray and Arnott, "Toward the simulation of emotion in synthetic speech", JASA 93, 1993; Scherer, "Vocal
communication of emotion", Speech Communication 40, 2003; Juslin and Laukka, "Communication of emotions in vocal
expression and music performance", Psychological Bulletin 129, 2003.

It is neither real nor meant to be easy: speakers differ in voice, pitch, tempo, loudness and in how much they show;
an emotion may be weak or mixed with another; the words may be small talk; there is noise; and the three annotators, as
imaginary as the rest, disagree. A number measured here says that a pipeline works, not how well a model hears people.

Licence: sound, sentences and labels are made by this program and free to use; for espeak-ng see
:mod:`emopipe.corpora.espeak`.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile

from emopipe.corpora.espeak import SAMPLE_RATE, Sentence, speak
from emopipe.corpora.parameters import Synthetic
from emopipe.corpora.synthetic_text import compose
from emopipe.io.outputs import write_bytes
from emopipe.schemas import tables
from emopipe.schemas.manifest import Utterance

# Voices of the synthesiser that sound human, women and men in turn.
VOICES = (
    "f2", "m3", "f3", "m1", "f1", "m6", "linda", "m2", "f5", "m7", "f4", "Alex", "belinda", "m4", "Annie", "max",
)  # fmt: skip
ACCENTS = ("en-us", "en-gb-x-rp", "en-gb-scotland")  # the voices come again with the next accent


@dataclass(frozen=True)
class Profile:
    """An emotion at full strength: its VAD, and how the voice departs from the speaker's middle."""

    share: float  # of the utterances
    vad: tuple[float, float, float]
    pitch: float  # in the synthesiser's points
    range: float  # in the synthesiser's points
    rate: float  # factor of the tempo, as its logarithm
    loudness: float  # dB
    tilt: float  # of the spectrum: above 0 brighter, below duller
    gap: float  # between words, 10 ms

    @property
    def cues(self) -> np.ndarray:
        """The departures of the voice as one vector."""
        return np.array([self.pitch, self.range, self.rate, self.loudness, self.tilt, self.gap])


EMOTIONS = {
    "anger": Profile(0.20, (1.5, 4.5, 4.2), 6, 22, 0.20, 7.0, 0.45, 0),
    "fear": Profile(0.15, (1.6, 4.3, 1.6), 26, -18, 0.26, -1.5, 0.10, 2),
    "happiness": Profile(0.19, (4.6, 4.0, 3.8), 18, 36, 0.07, 3.0, 0.05, 0),
    "neutral": Profile(0.30, (3.0, 2.5, 3.2), 0, 0, 0.0, 0.0, 0.0, 0),
    "sadness": Profile(0.16, (1.6, 2.0, 1.7), -14, -26, -0.24, -5.0, -0.35, 4),
}

# How much the voice varies for no reason: from one speaker to another, and from one utterance to the next.
SPEAKER_SPREAD = np.array([6, 5, 0.06, 1.5, 0.05, 0.3])
UTTERANCE_SPREAD = np.array([4, 6, 0.05, 1.5, 0.06, 0.5])

MIXED = 0.10  # share of utterances in which another emotion colours voice and words
SNR = (15.0, 40.0)  # dB
LEVEL = -30.0  # dBFS, of an utterance of medium loudness
WORDS_PER_MINUTE = 190
ANNOTATORS = 3
DISAGREEMENT = 0.6  # standard deviation of an annotator's rating


@dataclass(frozen=True)
class Speaker:
    """Who speaks: the voice, its middle, and how much it shows."""

    name: str
    sex: str
    session: str
    voice: str
    middle: np.ndarray  # the speaker's departure from the synthesiser's middle, in the order of the cues
    expressiveness: float


@dataclass(frozen=True)
class Take:
    """One utterance before its synthesis."""

    name: str
    emotion: str
    transcript: str
    vad: np.ndarray
    cues: np.ndarray


def make(folder: Path, settings: Synthetic) -> pd.DataFrame:
    """Synthesise the corpus into ``folder`` and return its utterances, without duration and fingerprint.

    An utterance depends on the seed, on its speaker's number and on that speaker's utterances before it: more
    speakers, or more utterances, leave the first ones as they were.

    Raises:
        UserError: if the synthesiser does not run here
    """
    rows = []
    for number in range(1, settings.speakers + 1):
        speaker = _speaker(number, settings.seed)
        first = _stream(settings.seed, number).permutation(list(EMOTIONS)).tolist()
        streams = [_stream(settings.seed, number, k) for k in range(1, settings.utterances + 1)]
        takes = [_take(speaker, k, first, rng) for k, rng in enumerate(streams, start=1)]
        spoken = speak([_sentence(take, speaker) for take in takes])
        for take, samples, rng in zip(takes, spoken, streams, strict=True):
            path = folder / f"{take.name}.wav"
            recording = _record(np.frombuffer(samples, np.int16), take.cues, rng)
            content = BytesIO()  # libsndfile does not report a disk that is full when it closes a file
            soundfile.write(content, recording, SAMPLE_RATE, subtype="PCM_16", format="WAV")
            write_bytes(content.getvalue(), path)
            rows.append(_row(take, speaker, path))
    return tables.check(rows, Utterance, "synthetic")


def _stream(seed: int, *key: int) -> np.random.Generator:
    """Return the random numbers of a speaker or an utterance: no draw for one moves those for another."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def _speaker(number: int, seed: int) -> Speaker:
    rng = _stream(seed, number, 0)
    accent, voice = divmod(number - 1, len(VOICES))
    return Speaker(
        name=f"s{number:02}",
        sex="male" if voice % 2 else "female",
        session=str((number + 1) // 2),  # two by two, a woman and a man, as in recorded dialogue
        voice=f"{ACCENTS[accent % len(ACCENTS)]}+{VOICES[voice]}",
        middle=rng.normal(0, SPEAKER_SPREAD),
        expressiveness=rng.uniform(0.9, 1.3),
    )


def _take(speaker: Speaker, number: int, first: list[str], rng: np.random.Generator) -> Take:
    """Draw the emotional state, then the words, the voice and the ratings that follow from it.

    Every speaker begins with the emotions ``first``, one utterance each, so that a small corpus has them all.
    """
    shares = [profile.share for profile in EMOTIONS.values()]
    emotion = first[number - 1] if number <= len(first) else _choose(list(EMOTIONS), rng, shares)
    other = _choose([name for name in EMOTIONS if name != emotion], rng)
    part = rng.uniform(0.15, 0.45) if rng.random() < MIXED else 0.0
    strength = rng.beta(5, 1.4)  # seldom weak
    mixture = [("neutral", 1 - strength), (emotion, strength * (1 - part)), (other, strength * part)]
    state = sum(weight * np.array(EMOTIONS[name].vad) for name, weight in mixture)
    shown = sum(weight * EMOTIONS[name].cues for name, weight in mixture)
    words = compose(state, rng)
    perceived = (state + words.vad) / 2  # the annotators hear the voice and understand the words
    ratings = np.clip(np.rint(rng.normal(perceived, DISAGREEMENT, (ANNOTATORS, 3))), 1, 5)
    return Take(
        name=f"{speaker.name}_{number:03}",
        emotion=emotion,
        transcript=words.text,
        vad=ratings.mean(0).round(4),
        cues=speaker.middle + speaker.expressiveness * shown + rng.normal(0, UTTERANCE_SPREAD),
    )


def _choose(names: list[str], rng: np.random.Generator, shares: list[float] | None = None) -> str:
    return names[rng.choice(len(names), p=shares)]


def _sentence(take: Take, speaker: Speaker) -> Sentence:
    pitch, spread, rate, _, _, gap = take.cues
    return Sentence(
        text=take.transcript,
        voice=speaker.voice,
        rate=round(WORDS_PER_MINUTE * np.exp(rate)),
        pitch=int(np.clip(round(45 + pitch), 0, 99)),
        range=int(np.clip(round(50 + spread), 0, 99)),
        word_gap=int(np.clip(round(gap), 0, 10)),
    )


def _record(samples: np.ndarray, cues: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Give the speech its timbre and loudness, and the room its noise."""
    _, _, _, loudness, tilt, _ = cues
    speech = samples / 32768
    speech[1:] -= np.clip(tilt, -0.8, 0.8) * speech[:-1]
    speech *= 10 ** ((LEVEL + loudness) / 20) / np.sqrt(np.mean(speech**2))
    hiss = rng.standard_normal(len(speech) + 1)
    noise = hiss[1:] + 0.9 * hiss[:-1]  # less hiss than white noise, as in a room
    # The room does not know how loud the speaker is: the noise is set against the medium level.
    noise *= 10 ** ((LEVEL - rng.uniform(*SNR)) / 20) / np.sqrt(np.mean(noise**2))
    return np.rint(np.clip(speech + noise, -1, 1) * 32767).astype(np.int16)


def _row(take: Take, speaker: Speaker, path: Path) -> dict[str, Any]:
    valence, arousal, dominance = take.vad.tolist()
    return {
        "utterance": f"synthetic/{take.name}",
        "corpus": "synthetic",
        "speaker": f"synthetic/{speaker.name}",
        "sex": speaker.sex,
        "session": speaker.session,
        "language": "en",
        "path": str(path),
        "emotion": take.emotion,
        "valence": valence,
        "arousal": arousal,
        "dominance": dominance,
        "transcript": take.transcript,
    }
