"""Conversion of recordings to the one format that every backbone takes: 16 kHz, mono, 16 bit, lossless (FLAC)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import soundfile
import soxr
from tqdm import tqdm

from emopipe.io.errors import UserError
from emopipe.io.orphans import begin_as_worker
from emopipe.io.outputs import reporting_faults, write_bytes, write_json
from emopipe.recordings.reading import (
    Converted,
    Recording,
    RejectedError,
    SilentError,
    TooShortError,
    duration,
    fingerprint,
    mono,
    mono_blocks,
    open_audio,
    segment,
)
from emopipe.schemas.manifest import SAMPLE_RATE

if TYPE_CHECKING:
    from emopipe.cluster.connection import Cluster

Job = tuple[Recording, Path]  # source and target

PART = 100  # recordings
OUTCOMES = "outcomes.json"
MIN_SAMPLES = 400  # 25 ms: the receptive field of the encoders' convolutions, which crash on less


def convert_all(
    jobs: Sequence[Job], workers: int, parts: Path, cluster: Cluster | None = None
) -> list[Converted | RejectedError]:
    """Convert each (source, target), in parts of so many; a part that is there is not made again.

    Args:
        jobs: what to convert to what
        workers: processes of this machine
        parts: folder for what is converted until all is; what is in it is taken for that of these jobs
        cluster: whose nodes convert; None: this machine

    Returns:
        the outcomes, in the order of the jobs
    """
    shares = [jobs[first : first + PART] for first in range(0, len(jobs), PART)]
    places = {parts / f"{number:05}": [source for source, _ in share] for number, share in enumerate(shares)}
    missing = {place: sources for place, sources in places.items() if not (place / OUTCOMES).is_file()}
    if cluster is None:
        _convert_here(missing, workers)
    else:
        packed = ((place, _packed(sources)) for place, sources in missing.items())
        for place, (outcomes, files) in cluster.map(_convert_on_node, None, packed):
            for name, content in files.items():
                write_bytes(content, place / name)
            _write_outcomes(outcomes, place)
    outcomes = [outcome for place in places for outcome in _read_outcomes(place)]
    for number, (outcome, (_, target)) in enumerate(zip(outcomes, jobs, strict=True)):
        if isinstance(outcome, Converted):
            target.parent.mkdir(parents=True, exist_ok=True)
            _link(parts / f"{number // PART:05}" / _name(number % PART), target)
    return outcomes


def _convert_here(places: Mapping[Path, Sequence[Recording]], workers: int) -> None:
    jobs = [(one, place / _name(i)) for place, sources in places.items() for i, one in enumerate(sources)]
    found = _in_processes(_attempt, jobs, workers)
    for place, sources in places.items():
        _write_outcomes(list(islice(found, len(sources))), place)


def _packed(sources: Sequence[Recording]) -> tuple[list[Recording], dict[Path, bytes]]:
    """Return recordings with the content of their files; those that cannot be read here will be missing there."""
    files: dict[Path, bytes] = {}
    for path in {source.path for source in sources}:
        with suppress(OSError):
            if path.is_file():  # a pipe would be waited for
                files[path] = path.read_bytes()
    return list(sources), files


def _convert_on_node(
    _: None, packed: tuple[Sequence[Recording], Mapping[Path, bytes]]
) -> tuple[list[Converted | RejectedError], dict[str, bytes]]:
    """Return the outcomes of recordings, and the files that they were converted to."""
    sources, files = packed
    with TemporaryDirectory() as folder:
        here: dict[Path, Path] = {}
        for number, (path, content) in enumerate(files.items()):
            here[path] = Path(folder, str(number), path.name)
            here[path].parent.mkdir()
            here[path].write_bytes(content)
        there = [source._replace(path=here.get(source.path, source.path)) for source in sources]
        made = Path(folder, "made")
        outcomes = [_attempt((source, made / _name(i))) for i, source in enumerate(there)]
        return outcomes, {file.name: file.read_bytes() for file in made.glob("*.flac")}


def _link(source: Path, target: Path) -> None:
    """Give a file a second name: one that is moved would be missed, should this run be killed before its end."""
    with reporting_faults(target):
        target.unlink(missing_ok=True)
        try:
            target.hardlink_to(source)
        except OSError:  # a file system without such names, or another disk
            shutil.copyfile(source, target)


def _name(number: int) -> str:
    return f"{number:03}.flac"


def _write_outcomes(outcomes: Sequence[Converted | RejectedError], place: Path) -> None:
    """Write the outcomes of a part, which is whole with them."""
    write_json([str(one) if isinstance(one, RejectedError) else list(one) for one in outcomes], place / OUTCOMES)


def _read_outcomes(place: Path) -> list[Converted | RejectedError]:
    found = json.loads((place / OUTCOMES).read_text(encoding="utf-8"))
    return [RejectedError(one) if isinstance(one, str) else Converted(*one) for one in found]


def check_all(sources: Sequence[Recording], workers: int) -> list[Converted | RejectedError]:
    """Return the outcome that a conversion of each recording would have; no file is kept."""
    with TemporaryDirectory() as scratch:
        jobs = [(source, Path(scratch) / f"{i}.flac") for i, source in enumerate(sources)]
        return list(_in_processes(_attempt_and_delete, jobs, workers))


def _in_processes(
    attempt: Callable[[Job], Converted | RejectedError], jobs: Sequence[Job], workers: int
) -> Iterator[Converted | RejectedError]:
    with ProcessPoolExecutor(workers, initializer=begin_as_worker) as pool:
        try:
            results = pool.map(attempt, jobs, chunksize=8)  # raises too, if a worker is gone before all is handed out
            yield from tqdm(results, total=len(jobs), desc="resampling", unit="file", disable=None)
        except BrokenProcessPool:
            raise UserError(
                "a process that resamples was killed, by the system for want of memory perhaps; lower "
                "runtime.workers, or free memory, then run again"
            ) from None


def _attempt_and_delete(job: Job) -> Converted | RejectedError:
    outcome = _attempt(job)
    job[1].unlink(missing_ok=True)
    return outcome


def _attempt(job: Job) -> Converted | RejectedError:
    try:
        return convert(*job)
    except RejectedError as reason:
        return reason


def convert(source: Recording, target: Path) -> Converted:
    """Write a recording as 16 kHz mono FLAC of 16 bits; one that is so already keeps its samples, bit for bit.

    Resampling is soxr's "HQ"; values beyond full scale are clipped. Memory does not grow with the length. The target
    appears whole or not at all. A segment becomes what a file that had been cut there would become.

    Raises:
        RejectedError: if the source cannot be used
        UserError: if the target cannot be written
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    try:
        with open_audio(source.path) as file:
            blocks = _varying(mono_blocks(file, *segment(file, source), source.channel))
            samples = _write(_resample(blocks, file.samplerate), part)
        converted = Converted(samples, fingerprint(part))
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return converted


def converted_blocks(source: Recording) -> Iterator[np.ndarray]:
    """Yield the samples that :func:`convert` would write block by block, float32 with full scale ±1, [samples] each.

    Memory does not grow with the length.

    Raises:
        RejectedError: where the source turns out to be of no use; that it is too short or silent is not looked for
    """
    with open_audio(source.path) as file:
        yield from _floats(_varying(mono_blocks(file, *segment(file, source), source.channel)), file.samplerate)


def converted_stream(chunks: Iterable[np.ndarray], rate: int) -> Iterator[np.ndarray]:
    """Yield what :func:`converted_blocks` yields of a file, of a signal that comes piece by piece.

    Args:
        chunks: of any length: floats of full scale ±1, or int16; [samples] or [samples, channels]
        rate: of them, in Hz

    Raises:
        RejectedError: as :func:`converted_blocks`
    """
    yield from _floats(_varying(mono(chunk) for chunk in chunks if len(chunk)), rate)


def _floats(blocks: Iterator[np.ndarray], rate: int) -> Iterator[np.ndarray]:
    for block in _quantised(_resample(blocks, rate)):
        yield block.astype(np.float32) / 32768


def _varying(blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Pass on the blocks of a recording whose samples are not all the same.

    Looked at before resampling, which would ring at both ends of a constant.
    """
    low, high = np.inf, -np.inf
    for block in blocks:
        low, high = min(low, block.min()), max(high, block.max())
        yield block
    if low == high != 0:  # zeros are silence, which is looked for at 16 bit
        raise SilentError(f"constant signal: every sample is {low:.6g} of full scale")


def _resample(blocks: Iterator[np.ndarray], rate: int) -> Iterator[np.ndarray]:
    if rate == SAMPLE_RATE:
        yield from blocks
        return
    stream = soxr.ResampleStream(rate, SAMPLE_RATE, num_channels=1, dtype="float32", quality="HQ")
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.empty(0, np.float32), last=True)  # what the filter still holds


class _Flac(soundfile.SoundFile):
    """A FLAC file to write, closed without waiting until the disk has it: that took longer than the conversion."""

    def flush(self) -> None:
        """Leave the time of writing to the system: after a power failure DVC runs the stage again in any case."""


def _write(blocks: Iterator[np.ndarray], path: Path) -> int:
    samples, silent, target = 0, True, path.with_suffix("")
    try:
        with _Flac(path, "w", SAMPLE_RATE, 1, "PCM_16", format="FLAC") as file:
            for quantised in _quantised(blocks):
                samples += len(quantised)
                silent = silent and not quantised.any()
                file.write(quantised)
    except soundfile.SoundFileError as error:
        raise UserError(
            f"{target}: cannot be written ({error}); is the disk full? Make room there, then run again"
        ) from None
    require_sound(samples, silent)
    if duration(path) != samples / SAMPLE_RATE:  # a disk that fills up as the file is closed is no error to libsndfile
        raise UserError(f"{target}: not written whole; is the disk full? Make room there, then run again")
    return samples


def _quantised(blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Round and clip to 16 bits, which float32 holds exactly: what needs no resampling stays as it is."""
    for block in blocks:
        yield np.clip(np.rint(block * 32768), -32768, 32767).astype(np.int16)


def require_sound(samples: int, silent: bool) -> None:
    """Check that there is enough of a recording, and sound in it.

    Args:
        samples: number of them, at 16 kHz
        silent: whether all of them are zero

    Raises:
        RejectedError: if not
    """
    if samples < MIN_SAMPLES:
        raise TooShortError(f"too short: {samples} samples at {SAMPLE_RATE} Hz, fewer than {MIN_SAMPLES}")
    if silent:
        raise SilentError(f"digital silence: all {samples} samples are zero at 16 bit")
