"""Run an exported file as whoever receives it does: with ONNX Runtime, NumPy and soundfile, and nothing else.

    python -I standalone.py MODEL INPUTS OUTPUT THREADS

INPUTS is a list in JSON: paths of recordings at 16 kHz with one channel, or lists of tokens. OUTPUT will be an object:
``answers``, one for every input; ``seconds`` that they took, reading included; ``properties`` of the file. An input is
answered by one thread, as many at a time as THREADS.
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import soundfile

RATE = 16_000


def main(model: str, inputs: str, output: str, threads: str) -> None:
    """Answer every input.

    Raises:
        ValueError: if a recording is not at 16 kHz with one channel
    """
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
    items = json.loads(Path(inputs).read_text(encoding="utf-8"))

    def answer(item: str | list[int]) -> list[float]:
        return session.run(None, feed(item))[0][0].tolist()

    answer(items[0])  # the first run makes room for the others
    begun = time.perf_counter()
    with ThreadPoolExecutor(int(threads)) as pool:
        answers = list(pool.map(answer, items))
    seconds = time.perf_counter() - begun
    properties = session.get_modelmeta().custom_metadata_map
    found = {"answers": answers, "seconds": seconds, "properties": properties}
    Path(output).write_text(json.dumps(found), encoding="utf-8")


def feed(item: str | list[int]) -> dict[str, np.ndarray]:
    """Return the inputs of the graph."""
    if isinstance(item, str):
        samples, rate = soundfile.read(item, dtype="float32")
        if rate != RATE or samples.ndim != 1:
            raise ValueError(f"{item}: not at {RATE} Hz with one channel")
        return {"samples": samples[None]}
    tokens = np.array([item], dtype=np.int64)
    return {"input_ids": tokens, "attention_mask": np.ones_like(tokens)}


if __name__ == "__main__":
    main(*sys.argv[1:])
