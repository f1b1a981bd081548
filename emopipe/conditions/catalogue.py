"""Every condition, in the order in which they are listed, and the suites of them.

Parameters and thresholds are those that were published, where ``source`` names a publication:

* ser-tests: Derington et al., "Testing Correctness, Fairness, and Robustness of Speech Emotion Recognition Models"
  (IEEE Transactions on Affective Computing, 2025; arXiv 2312.06270), with the code of audEERING/ser-tests. Two things
  are not taken over: their mixing looks for the positive peak only where it prevents clipping, and their ratios of
  small noise hold on average, where here they hold for each utterance.
* RobuSER: BehavioralSignalTechnologies/ser_robustness (openreview NzrqCcqdbF), which publishes levels, no thresholds.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from emopipe.conditions import amplitude, codecs, filters, noise, packets, phone, rooms, silence
from emopipe.conditions.condition import SAMPLE_RATE, Condition, generator_of
from emopipe.io.errors import UserError

SER_TESTS = "ser-tests"
ROBUSER = "RobuSER"
DRAWN = "drawn"  # level of what every utterance draws its own value of
SMALL = {"group": "small changes", "source": SER_TESTS, "unchanged": 0.95}
SAMPLES = (100, 500, 1000)  # that a small change adds or cuts off
LOSSES = {"1%": 0.01, "5%": 0.05, "10%": 0.1, "20%": 0.2}
BURST = 4  # packets, 80 ms

_ALL = (
    Condition(
        name="additive_tone",
        description="a sine of 5 to 7 kHz, 40, 45 or 50 dB below the speech",
        transform=noise.tone,
        levels={DRAWN: {"frequency": range(5000, 7001), "snr": (40, 45, 50)}},
        **SMALL,
    ),
    Condition(
        name="append_zeros",
        description="100, 500 or 1000 zeros behind",
        transform=silence.pad,
        levels={DRAWN: {"after": SAMPLES}},
        **SMALL,
    ),
    Condition(
        name="prepend_zeros",
        description="100, 500 or 1000 zeros in front",
        transform=silence.pad,
        levels={DRAWN: {"before": SAMPLES}},
        **SMALL,
    ),
    Condition(
        name="crop_beginning",
        description="100, 500 or 1000 samples cut off at the beginning",
        transform=silence.crop,
        levels={DRAWN: {"beginning": SAMPLES}},
        **SMALL,
    ),
    Condition(
        name="crop_end",
        description="100, 500 or 1000 samples cut off at the end",
        transform=silence.crop,
        levels={DRAWN: {"end": SAMPLES}},
        **SMALL,
    ),
    Condition(
        name="slight_clipping",
        description="the loudest 0.1, 0.2 or 0.3 % of the samples clipped",
        transform=amplitude.clip_loudest,
        levels={DRAWN: {"share": (0.001, 0.002, 0.003)}},
        **SMALL,
    ),
    Condition(
        name="gain",
        description="2 or 1 dB softer or louder",
        transform=amplitude.gain,
        levels={DRAWN: {"decibels": (-2, -1, 1, 2)}},
        **SMALL,
    ),
    Condition(
        name="high_pass",
        description="high pass of first order at 50, 100 or 150 Hz",
        transform=filters.butterworth,
        levels={DRAWN: {"kind": "highpass", "cutoff": (50, 100, 150)}},
        **SMALL,
    ),
    Condition(
        name="low_pass",
        description="low pass of first order at 7500, 7000 or 6500 Hz",
        transform=filters.butterworth,
        levels={DRAWN: {"kind": "lowpass", "cutoff": (7500, 7000, 6500)}},
        **SMALL,
    ),
    Condition(
        name="faint_white_noise",
        description="white noise 35, 40 or 45 dB below the speech",
        transform=noise.white_noise,
        levels={DRAWN: {"snr": (35, 40, 45)}},
        **SMALL,
    ),
    Condition(
        name="white_noise",
        group="noise",
        description="white noise 20 dB below the speech",
        transform=noise.white_noise,
        levels={"20dB": {"snr": 20}},
        restores_rms=True,
        source=SER_TESTS,
        unchanged=0.9,
        change_uar=-0.05,
        change_ccc=-0.05,
    ),
    Condition(
        name="gaussian_noise",
        group="noise",
        description="white noise on top of the speech",
        transform=noise.white_noise,
        levels={"30dB": {"snr": 30}, "20dB": {"snr": 20}, "10dB": {"snr": 10}},
        source=ROBUSER,
    ),
    Condition(
        name="low_quality_phone",
        group="codec",
        description="compressor, AMR narrowband at 7.4 kbit/s, pink noise above 3 kHz",
        transform=phone.low_quality_phone,
        levels={"7.4kbps": {"bit_rate": 7400}},
        restores_rms=True,
        source=SER_TESTS,
        unchanged=0.5,
        change_uar=-0.05,
        change_ccc=-0.05,
    ),
    Condition(
        name="mp3",
        group="codec",
        description="MP3 of a constant bit rate",
        transform=codecs.mp3,
        levels={"32kbps": {"bit_rate": 32_000}, "16kbps": {"bit_rate": 16_000}, "8kbps": {"bit_rate": 8000}},
        source=ROBUSER,
    ),
    Condition(
        name="opus",
        group="codec",
        description="Opus, tuned for speech",
        transform=codecs.opus,
        levels={"24kbps": {"bit_rate": 24_000}, "12kbps": {"bit_rate": 12_000}, "6kbps": {"bit_rate": 6000}},
    ),
    Condition(
        name="vorbis",
        group="codec",
        description="Ogg Vorbis of the lowest qualities, of about 32 and 25 kbit/s",
        transform=codecs.vorbis,
        levels={"q2": {"quality": 2}, "q0": {"quality": 0}},
    ),
    Condition(
        name="room",
        group="room",
        description="reverberation of a room, by its RT60",
        transform=rooms.reverberate,
        levels={
            f"{low:g}-{high:g}s": {"low": low, "high": high, "number": range(rooms.ROOMS)}
            for low, high in ((0.1, 0.5), (0.5, 1.0), (1.0, 1.5))
        },
        restores_rms=True,
        source=f"{ROBUSER}, threshold of {SER_TESTS}",
        unchanged=0.8,
    ),
    Condition(
        name="spectral_tilt",
        group="channel",
        description="high frequencies raised, or lowered",
        transform=filters.tilt,
        levels={"up": {"direction": "up"}, "down": {"direction": "down"}},
        restores_rms=True,
        source=SER_TESTS,
        unchanged=0.8,
        change_uar=-0.02,
        change_ccc=-0.05,
    ),
    Condition(
        name="sample_rate",
        group="channel",
        description="a recording of a lower sample rate",
        transform=filters.through_rate,
        levels={"8kHz": {"rate": 8000}},
    ),
    Condition(
        name="packet_loss",
        group="channel",
        description="packets of 20 ms lost, each for itself, and not concealed",
        transform=packets.packet_loss,
        levels={level: {"rate": rate} for level, rate in LOSSES.items()},
    ),
    Condition(
        name="packet_loss_bursts",
        group="channel",
        description=f"packets of 20 ms lost, {BURST} one after another on average, and not concealed",
        transform=packets.packet_loss,
        levels={level: {"rate": rate, "burst": BURST} for level, rate in LOSSES.items()},
    ),
    Condition(
        name="dc_offset",
        group="channel",
        description="a constant added, a share of full scale",
        transform=amplitude.offset,
        levels={"1%": {"share": 0.01}, "10%": {"share": 0.1}},
    ),
    Condition(
        name="polarity",
        group="channel",
        description="the sign of every sample changed",
        transform=amplitude.invert,
        levels={"inverted": {}},
    ),
    Condition(
        name="clipping",
        group="level",
        description="up to so many of the samples clipped, evenly drawn",
        transform=amplitude.clip_percentiles,
        levels={f"{most}%": {"percent": range(most + 1)} for most in (20, 40, 60)},
        source=ROBUSER,
    ),
    Condition(
        name="gain_transition",
        group="level",
        description="a gain that changes over half of the utterance, from and to one drawn in the range",
        transform=amplitude.gain_transition,
        levels={f"{low}to{high}dB": {"low": low, "high": high} for low, high in ((-20, 0), (-30, -10), (-40, -20))},
        source=ROBUSER,
    ),
    Condition(
        name="leading_silence",
        group="silence",
        description="digital silence in front",
        transform=silence.pad,
        levels={f"{seconds}s": {"before": seconds * SAMPLE_RATE} for seconds in (1, 3)},
    ),
    Condition(
        name="trailing_silence",
        group="silence",
        description="digital silence behind",
        transform=silence.pad,
        levels={f"{seconds}s": {"after": seconds * SAMPLE_RATE} for seconds in (1, 3)},
    ),
    Condition(
        name="babble",
        group="speech",
        description="4 to 7 other talkers at once, their sum 20 dB below the speech",
        transform=noise.talkers,
        levels={"20dB": {"count": range(4, 8), "snr": 20}},
        restores_rms=True,
        needs_others=True,
        source=SER_TESTS,
        unchanged=0.9,
        change_uar=-0.05,
        change_ccc=-0.05,
    ),
    Condition(
        name="second_talker",
        group="speech",
        description="one other talker, so far below the speech",
        transform=noise.talkers,
        levels={f"{snr}dB": {"count": 1, "snr": snr} for snr in (20, 10, 0)},
        needs_others=True,
    ),
)
CONDITIONS = {condition.name: condition for condition in _ALL}

FULL = [(condition.name, level) for condition in _ALL for level in condition.levels]
QUICK = [  # one or two of every group, none of which takes long
    ("prepend_zeros", DRAWN),
    ("gain", DRAWN),
    ("faint_white_noise", DRAWN),
    ("white_noise", "20dB"),
    ("low_quality_phone", "7.4kbps"),
    ("room", "0.1-0.5s"),
    ("spectral_tilt", "down"),
    ("packet_loss", "5%"),
    ("clipping", "40%"),
    ("leading_silence", "1s"),
    ("babble", "20dB"),
]


def levels_of(names: Collection[str]) -> list[tuple[str, str]]:
    """Return the names and levels of conditions, in the order of the catalogue, whatever that of ``names`` is."""
    return [(name, level) for name, level in FULL if name in names]


def apply(
    name: str, level: str, samples: np.ndarray, utterance: str, seed: int, others: Sequence[np.ndarray] = ()
) -> np.ndarray:
    """Return an utterance under a condition, float32 [samples]; the same bytes for the same arguments.

    Args:
        name: of the condition
        level: of it
        samples: 16 kHz mono, full scale ±1, float32 [samples]; they are left as they are
        utterance: its name, of which the draws depend
        seed: of the suite, of which they depend too
        others: waveforms of other speakers, 16 kHz mono, [samples] each; for conditions with ``needs_others``

    Raises:
        UserError: if there is no such condition or level, no other speaker where one is needed, or a package is missing
        ValueError: if there is no sample, one is not finite, or the array has several dimensions

    >>> apply("polarity", "inverted", np.array([0.5, -0.25], np.float32), "corpus/utterance", seed=1)
    array([-0.5 ,  0.25], dtype=float32)
    """
    if name not in CONDITIONS:
        raise UserError(f"condition {name!r}: there is none of that name; there are {', '.join(CONDITIONS)}")
    return CONDITIONS[name].apply(samples, generator_of(seed, name, level, utterance), level, others)


def apply_in_training(name: str, level: str, samples: np.ndarray, utterance: str, seed: int) -> np.ndarray:
    """Return an utterance under a condition, as :func:`apply`, but in rooms that no test is made in."""
    condition = CONDITIONS[name]
    settings = dict(condition.levels[level])
    if settings.get("number") == range(rooms.ROOMS):
        settings["number"] = range(rooms.ROOMS, 2 * rooms.ROOMS)
    own = replace(condition, levels={level: settings})
    return own.apply(samples, generator_of(seed, name, level, utterance), level)
