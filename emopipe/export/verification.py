"""Whether an exported file answers as emopipe does: both are run, the file in a process that has no emopipe."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import shorten
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import soundfile
import torch

from emopipe.audio.tasks import Regression
from emopipe.export.agreement import Agreement, of_probabilities, of_ratings
from emopipe.export.material import Material
from emopipe.io.errors import UserError
from emopipe.recognition.speech import Recognizer

GRAPH, PIPELINE = (Path(__file__).with_name(name) for name in ("standalone.py", "standalone_pipeline.py"))


class Answers(NamedTuple):
    """What was answered, and in what time."""

    values: np.ndarray  # probabilities or ratings, [inputs, outputs]
    seconds: float


class Verified(NamedTuple):
    """How a file and the model that it was made from compare."""

    agreement: Agreement
    facts: dict[str, Any]  # on what they were compared, and what time both took


def of_speech(file: Path, recognizer: Recognizer, material: Material[Path]) -> Verified:
    """Compare an exported audio model with the model.

    Args:
        file: to be checked
        recognizer: that it was made from
        material: recordings that can be answered

    Raises:
        UserError: if the file does not run
    """
    return _compared(recognizer, material, lambda paths: alone(file, paths))


def _compared(
    recognizer: Recognizer, material: Material[Path], exported: Callable[[Sequence[str]], Answers]
) -> Verified:
    task = recognizer.trained.task
    rated = isinstance(task, Regression)
    columns = task.names if rated else [f"p_{label}" for label in task.names]
    before = answered(lambda paths: recognizer(paths)[columns].to_numpy(np.float64), material.items)
    after = exported([str(path) for path in material.items])
    agreement = (of_ratings if rated else of_probabilities)(before.values, after.values, task.names, material.truth)
    seconds = sum(soundfile.info(path).duration for path in material.items)
    facts = {"compared_on": material.name, "recordings": len(material.items), "seconds": round(seconds, 3)}
    return Verified(agreement, facts | {"seconds_per_second": times(before, after, seconds)})


def of_pipeline(folder: Path, recognizer: Recognizer, material: Material[Path]) -> Verified:
    """Compare a folder of transformers with the model that it was made from; see :func:`of_speech`."""
    most = recognizer.encoder.max_samples
    return _compared(recognizer, material, lambda paths: _in_a_process(PIPELINE, folder, paths, most))


def answered(recognizer: Callable[[Sequence[Any]], np.ndarray], inputs: Sequence[Any]) -> Answers:
    """Return what a recogniser answers to inputs, [inputs, outputs], and in what time."""
    recognizer(inputs[:1])  # the first run makes room for the others
    begun = perf_counter()
    values = recognizer(inputs)
    return Answers(values, perf_counter() - begun)


def times(before: Answers, after: Answers, size: float) -> dict[str, float]:
    """Return the seconds that both took, per unit of what they were given."""
    return {name: round(found.seconds / size, 6) for name, found in (("emopipe", before), ("exported", after))}


def alone(file: Path, inputs: Sequence[str | Sequence[int]]) -> Answers:
    """Return what a file answers in a process that has ONNX Runtime, NumPy and soundfile, and is told of nothing else.

    Args:
        file: the graph
        inputs: paths of recordings at 16 kHz with one channel, or tokens

    Raises:
        UserError: if it does not run
    """
    return _in_a_process(GRAPH, file, inputs)


def _in_a_process(script: Path, target: Path, inputs: Sequence[Any], *further: int) -> Answers:
    with TemporaryDirectory() as folder:
        given, answered = Path(folder, "inputs.json"), Path(folder, "answers.json")
        given.write_text(json.dumps(inputs), encoding="utf-8")
        words = [script, target, given, answered, torch.get_num_threads(), *further]
        environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_MODULES_CACHE": str(Path(folder, "modules"))}
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-I", *map(str, words)], capture_output=True, text=True, env=environment
        )
        if done.returncode:
            reason = shorten((done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1], 300)
            raise UserError(f"{target}: does not run in a process of its own: {reason}")
        found = json.loads(answered.read_text(encoding="utf-8"))
    return Answers(np.array(found["answers"], dtype=np.float64), found["seconds"])
