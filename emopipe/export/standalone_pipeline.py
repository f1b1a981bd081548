"""Ask a folder of transformers as whoever receives it does: by its pipeline, without emopipe.

    python -I standalone_pipeline.py FOLDER INPUTS OUTPUT THREADS MAX_SAMPLES

INPUTS is a list in JSON of paths of recordings at 16 kHz with one channel, of which the first MAX_SAMPLES are taken.
OUTPUT will be an object: ``answers``, one score for every label, in the order of the model's; ``seconds`` that they
took, reading included.
"""

import json
import sys
import time
from pathlib import Path

import soundfile
import torch
from transformers import pipeline


def main(folder: str, inputs: str, output: str, threads: str, max_samples: str) -> None:
    """Answer every input."""
    torch.set_num_threads(int(threads))
    classify = pipeline("audio-classification", folder, trust_remote_code=True, top_k=None, device="cpu")
    labels = classify.model.config.label2id

    def answer(path: str) -> list[float]:
        samples, _ = soundfile.read(path, dtype="float32", frames=int(max_samples))
        found = {one["label"]: one["score"] for one in classify(samples)}
        return [found[label] for label in sorted(labels, key=labels.get)]

    paths = json.loads(Path(inputs).read_text(encoding="utf-8"))
    answer(paths[0])  # the first run makes room for the others
    begun = time.perf_counter()
    answers = [answer(path) for path in paths]
    found = {"answers": answers, "seconds": time.perf_counter() - begun}
    Path(output).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
