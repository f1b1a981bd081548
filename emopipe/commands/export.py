"""Export a trained model to a file that needs no emopipe, and check that it answers as emopipe does.

    emopipe export --to onnx --output exported/                    # models/audio: exported/model.onnx
    emopipe export --to onnx --output exported/ --precision int8   # less than a third of the size
    emopipe export --to onnx --output exported/ --model models/text
    emopipe export --to onnx --output exported/ --model owner/name --verify recordings/

An audio model becomes one graph from samples at 16 kHz (`samples`, float32 [1, samples], of any length; of a long clip
the beginning counts, as in training) to calibrated probabilities (`probabilities`, [1, labels]) or to ratings from 1
to 5 (`vad`, [1, targets]); a text regressor one from tokens (`input_ids`, `attention_mask`, [texts, tokens]) to `vad`,
with its tokenizer beside it. What they answer, what they were made from and their limits stand in the metadata.

Both answer the test set of the pipeline that the model lies in, the file in a process that has ONNX Runtime,
NumPy and soundfile alone. How they compare is written to export.json, and to metrics/export.json of the pipeline at
hand. A float32 file may differ by 1e-4 of a probability, another one by a point of UAR, or of CCC; one that differs by
more is not kept.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from emopipe.export.precision import PRECISIONS

MODEL = "models/audio"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--to", required=True, choices=["onnx"], help="the format")
    parser.add_argument("--output", required=True, type=Path, metavar="FOLDER", help="made when absent")
    parser.add_argument("--model", default=MODEL, help="a folder that the pipeline wrote, of audio or of text, or of "
        f"audio models a repository of the Hugging Face hub; by default {MODEL}")  # fmt: skip
    parser.add_argument("--precision", choices=PRECISIONS, default="float32", help="of the weights: "
        + "; ".join(f"{name}, {size}" for name, size in PRECISIONS.items()))  # fmt: skip
    parser.add_argument("--verify", metavar="PATH", help="recordings, or of a text regressor a file of texts, to "
        "compare on in place of the test set")  # fmt: skip


def run(arguments: argparse.Namespace) -> None:
    """Write the file, and print how it compares with the model.

    Raises:
        UserError: if there is no model or nothing to compare on, or the file answers otherwise
    """
    from emopipe.export.onnx_file import GRAPH, export

    verified = export(arguments.model, arguments.precision, arguments.output, arguments.verify)
    print(f"{arguments.output / GRAPH}: compared on {verified.facts['compared_on']}, {verified.agreement}")
