"""From a recording, or a stream of sound, to the segments that are answered, and what lies between them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, groupby
from typing import Literal, NamedTuple

import numpy as np

from emopipe.io.errors import UserError
from emopipe.recognition.detection import SECONDS, WINDOW, Detector, detector, speech
from emopipe.recordings.reading import RejectedError, SilentError, TooShortError
from emopipe.recordings.resampling import MIN_SAMPLES, require_sound
from emopipe.schemas.manifest import SAMPLE_RATE

Mode = Literal["auto", "none", "speech", "windows"]

HYSTERESIS = 0.15  # speech ends where the probability is lower by this than where it begins; silero's value
LEAST = 0.01  # of the probability below which speech ends; likewise
LEAST_HOP = 0.01  # s; windows that lie closer together are the same one many times
STATUS: dict[type[RejectedError], str] = {TooShortError: "too_short", SilentError: "no_speech"}


@dataclass(frozen=True)
class Cutting:
    """How recordings are cut into segments.

    ``auto`` takes what the model hears at once as it is, if there is speech in it, and cuts what is longer as
    ``speech`` does, at silences. ``windows`` cuts at equal distances. ``none`` takes every recording as it is, whether
    there is speech in it or not; of a long one the beginning is heard.

    Speech begins where its probability reaches the threshold, and ends where that has been low for ``min_silence``, as
    in silero-vad 6, whose values these are but for two: an emotion is that of a whole utterance, which that package's
    0.1 s of silence and 0.03 s of padding take apart.
    """

    mode: Mode = "auto"
    window: float | None = None  # s; None: what the model hears at once
    hop: float | None = None  # s from the beginning of one window to that of the next; None: the length of a window
    threshold: float = 0.5
    min_speech: float = 0.25  # s; less gets no answer
    min_silence: float = 0.5  # s; a shorter silence is part of the speech around it
    padding: float = 0.05  # s before and behind speech that belong to its segment

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            UserError: naming the option of the command line
        """
        if not 0 < self.threshold < 1:
            raise UserError(f"--threshold: {self.threshold:g} is not between 0 and 1")
        if not self.min_speech >= MIN_SAMPLES / SAMPLE_RATE:
            raise UserError(f"--min-speech: {self.min_speech:g} s; no model hears less than 0.025 s")
        if not math.isfinite(self.min_silence):
            raise UserError(f"--min-silence: {self.min_silence:g} s; no silence is so long")
        if not 0 <= 2 * self.padding <= self.min_silence:
            raise UserError(
                f"--padding: {self.padding:g} s; twice that must fit into --min-silence {self.min_silence:g}"
            )
        if self.mode != "windows" and (self.window, self.hop) != (None, None):
            raise UserError("--window and --hop need --segments windows")
        if self.window is not None and not self.window >= self.min_speech:
            raise UserError(f"--window: {self.window:g} s, shorter than --min-speech {self.min_speech:g}")
        if self.hop is not None and not self.hop >= LEAST_HOP:
            raise UserError(f"--hop: {self.hop:g} s; it must be {LEAST_HOP:g} or more")

    def cutter(self, longest: int) -> Cutter:
        """Return what cuts a long recording, or a stream.

        Args:
            longest: samples that the model hears at once

        Raises:
            UserError: if segments would be longer than that, or none could be long enough
        """
        limit = longest / SAMPLE_RATE
        if self.min_speech > limit:
            raise UserError(f"--min-speech: {self.min_speech:g} s, but the model hears {limit:g} s at once")
        if self.mode != "windows":
            return _SpeechCutter(self, longest)
        window = limit if self.window is None else self.window
        hop = window if self.hop is None else self.hop
        if window > limit:
            raise UserError(f"--window: {window:g} s, but the model hears {limit:g} s at once")
        if hop > window:
            raise UserError(f"--hop: {hop:g} s, longer than a window of {window:g} s: what lies between is lost")
        return _WindowCutter(self, round(window * SAMPLE_RATE), round(hop * SAMPLE_RATE))


class Piece(NamedTuple):
    """A segment of a recording: with samples if it can be answered, else with the reason why not."""

    start: float  # s from the beginning of the recording
    end: float  # likewise; NaN where it could not be read to its end
    samples: np.ndarray | None = None  # at 16 kHz, float32 [samples]
    status: str = "ok"
    reason: str = ""


def pieces(blocks: Iterator[np.ndarray], cutting: Cutting, longest: int) -> Iterator[Piece]:
    """Yield the segments of a recording, in order; together they are the whole, and only windows may overlap.

    Memory does not grow with the length. What comes before a damaged place is answered.

    Args:
        blocks: the samples of the recording at 16 kHz, float32 [samples] each; they may raise RejectedError
        cutting: how to cut
        longest: samples that the model hears at once
    """
    if cutting.mode == "none":
        yield _uncut(blocks, longest)
        return
    held: list[np.ndarray] = []
    if cutting.mode == "auto":
        try:
            while sum(map(len, held)) <= longest:
                held.append(next(blocks))
        except StopIteration:
            yield _short(np.concatenate([np.empty(0, np.float32), *held]), cutting)
            return
        except RejectedError as error:
            yield _rejected(error)
            return
    yield from cutting.cutter(longest).cut(chain(held, blocks))


def _rejected(error: RejectedError, start: float = 0.0, end: float = math.nan) -> Piece:
    return Piece(start, end, None, STATUS.get(type(error), "unreadable"), str(error))


def _unanswerable(samples: int, silent: bool) -> Piece | None:
    """Return the segment of a recording that is too short, or without any sound; None of any other."""
    try:
        require_sound(samples, silent)
    except RejectedError as error:
        return _rejected(error, end=samples / SAMPLE_RATE)
    return None


def _uncut(blocks: Iterable[np.ndarray], longest: int) -> Piece:
    """Return a recording as one segment; what the model does not hear is not kept in memory."""
    kept: list[np.ndarray] = []
    total, silent = 0, True
    try:
        for block in blocks:
            if total < longest:
                kept.append(block[: longest - total])
            total += len(block)
            silent = silent and not block.any()
    except RejectedError as error:
        return _rejected(error)
    if rejected := _unanswerable(total, silent):
        return rejected
    reason = f"only the first {longest / SAMPLE_RATE:g} s were heard" if total > longest else ""
    return Piece(0.0, total / SAMPLE_RATE, np.concatenate(kept), "ok", reason)


def _short(samples: np.ndarray, cutting: Cutting) -> Piece:
    """Return a recording that the model hears at once as one segment, with samples if there is speech in it."""
    end = len(samples) / SAMPLE_RATE
    if rejected := _unanswerable(len(samples), not samples.any()):
        return rejected
    needed = min(cutting.min_speech, end / 2)  # of a word alone there may be no more
    found = speech(samples, cutting.threshold, needed)
    if found < needed:
        return Piece(
            0.0, end, None, "no_speech", f"{found:.2g} s of speech found; --segments none answers all the same"
        )
    return Piece(0.0, end, samples)


class Cutter:
    """Cuts a recording that comes block by block; it makes no difference how long the blocks are."""

    def __init__(self, cutting: Cutting) -> None:
        self.cutting = cutting
        self._new: list[np.ndarray] = []  # blocks that do not fill a window yet
        self._buffer = np.empty(0, np.float32)
        self._first = 0  # number of the buffer's first sample within the recording
        self._processed = 0  # samples that the detector has been given
        self._total = 0  # samples that have come

    def cut(self, blocks: Iterable[np.ndarray]) -> Iterator[Piece]:
        """Yield the segments as soon as they have ended.

        Args:
            blocks: samples at 16 kHz, float32 [samples] each; they may raise RejectedError
        """
        damage: RejectedError | None = None
        with detector() as detect:
            try:
                for block in blocks:
                    self._new.append(block)
                    self._total += len(block)
                    while self._total - self._processed >= WINDOW:
                        yield from self._process(detect)
            except SilentError:
                pass  # the detector has noticed it, too
            except RejectedError as error:
                damage = error
            if self._total > self._processed:
                yield from self._process(detect)
        yield from self._finish()
        if damage is not None:
            yield _rejected(damage, start=self._total / SAMPLE_RATE)

    def _process(self, detect: Detector) -> Iterator[Piece]:
        if self._new:
            self._buffer = np.concatenate([self._buffer, *self._new])
            self._new.clear()
        probability = detect(self._samples(self._processed, self._processed + WINDOW))
        self._processed += WINDOW
        yield from self._step(probability)

    def _samples(self, start: int, end: int) -> np.ndarray:
        return self._buffer[start - self._first : end - self._first]

    def _forget(self, before: int) -> None:
        """Drop the samples before one that nobody will ask for."""
        if before > self._first:
            self._buffer = self._buffer[before - self._first :]
            self._first = before

    def _piece(self, start: int, end: int, status: str = "ok", reason: str = "") -> Piece:
        samples = self._samples(start, end).copy() if status == "ok" else None
        return Piece(start / SAMPLE_RATE, end / SAMPLE_RATE, samples, status, reason)

    def _too_little(self, found: float, status: str) -> tuple[str, str]:
        return status, f"{found:.2f} s of speech, less than {self.cutting.min_speech:g} s"

    def _step(self, probability: float) -> Iterator[Piece]:
        """Take note of a window, and yield the segments that ended with it."""
        raise NotImplementedError

    def _finish(self) -> Iterator[Piece]:
        """Yield the segments that end with the recording."""
        raise NotImplementedError


class _SpeechCutter(Cutter):
    """Cuts at silences: speech, too short or long enough, and what lies between."""

    def __init__(self, cutting: Cutting, longest: int) -> None:
        super().__init__(cutting)
        self._longest = longest
        self._low = max(cutting.threshold - HYSTERESIS, LEAST)
        self._silence = round(cutting.min_silence * SAMPLE_RATE)
        self._padding = round(cutting.padding * SAMPLE_RATE)
        self._told = 0  # where the next segment begins
        self._begin: int | None = None  # where the speech began that goes on
        self._end: int | None = None  # where it may have ended: the silence since then is still short
        self._probabilities: list[float] = []  # of the windows since it began

    def _step(self, probability: float) -> Iterator[Piece]:
        at = self._processed - WINDOW
        if self._begin is None:
            if probability < self.cutting.threshold:
                self._forget(max(self._told, self._processed - self._padding))
                return
            self._begin, self._probabilities = at, []
            yield from self._gap(max(self._told, at - self._padding))
        self._probabilities.append(probability)
        if probability >= self.cutting.threshold:
            self._end = None
        elif probability < self._low and self._end is None:
            self._end = at
        if self._end is not None and self._processed - self._end >= self._silence:
            yield from self._close(self._end)
        elif self._processed + WINDOW + self._padding - self._told > self._longest:
            yield from self._split()

    def _close(self, end: int) -> Iterator[Piece]:
        """Yield the speech that has ended."""
        found = (end - self._begin) / SAMPLE_RATE
        stop = min(end + self._padding, self._processed, self._total)
        enough = found >= self.cutting.min_speech
        yield self._piece(self._told, stop, *(() if enough else self._too_little(found, "too_short")))
        self._begin = self._end = None
        self._told = stop
        self._forget(stop)

    def _split(self) -> Iterator[Piece]:
        """Yield the beginning of speech that is too long for the model, up to the best place in its latter half.

        That is where it may have ended just now, else the middle of the longest silence, else where speech is least
        probable.
        """
        if self._end is not None:
            yield from self._close(self._end)
            return
        count, rest = len(self._probabilities), math.ceil(self.cutting.min_speech / SECONDS)
        half = count // 2
        latter = self._probabilities[half : max(half + 1, count - rest)]  # what remains is enough for an answer, too
        runs = [list(run) for low, run in groupby(range(len(latter)), lambda i: latter[i] < self._low) if low]
        longest = max(runs, key=len, default=[int(np.argmin(latter))])
        place = half + longest[len(longest) // 2]
        cut = self._begin + place * WINDOW
        yield self._piece(self._told, cut)
        self._begin = self._told = cut
        self._probabilities = self._probabilities[place:]
        self._forget(cut)

    def _gap(self, end: int) -> Iterator[Piece]:
        if end > self._told:
            yield self._piece(self._told, end, "no_speech", "no speech")
            self._told = end

    def _finish(self) -> Iterator[Piece]:
        if self._begin is not None:
            yield from self._close(min(self._total, self._processed if self._end is None else self._end))
        yield from self._gap(self._total)


class _WindowCutter(Cutter):
    """Cuts at equal distances; a window with too little speech gets no answer. The last one may be shorter."""

    def __init__(self, cutting: Cutting, window: int, hop: int) -> None:
        super().__init__(cutting)
        self._window = window
        self._hop = hop
        self._begin = 0  # of the next window
        self._speech: list[int] = []  # where the windows of the detector begin that held speech

    def _step(self, probability: float) -> Iterator[Piece]:
        if probability >= self.cutting.threshold:
            self._speech.append(self._processed - WINDOW)
        while min(self._processed, self._total) >= self._begin + self._window:
            yield self._next(self._begin + self._window)

    def _next(self, end: int) -> Piece:
        middles = (at + WINDOW // 2 for at in self._speech)
        found = SECONDS * sum(self._begin <= middle < end for middle in middles)
        short = end - self._begin < self.cutting.min_speech * SAMPLE_RATE
        enough = found >= self.cutting.min_speech
        why = () if enough else self._too_little(found, "too_short" if short else "no_speech")
        piece = self._piece(self._begin, end, *why)
        self._begin += self._hop
        self._speech = [at for at in self._speech if at + WINDOW > self._begin]
        self._forget(min(self._begin, self._processed))
        return piece

    def _finish(self) -> Iterator[Piece]:
        reached = self._begin - self._hop + self._window if self._begin else 0
        if self._total > reached:
            yield self._next(self._total)
