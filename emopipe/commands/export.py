"""Export a trained model to a file that needs no emopipe, and check that it answers as emopipe does.

    emopipe export --to onnx --output exported/                    # models/audio: exported/model.onnx
    emopipe export --to onnx --output exported/ --precision int8   # less than a third of the size
    emopipe export --to onnx --output exported/ --model models/text
    emopipe export --to onnx --output exported/ --model owner/name --verify recordings/
    emopipe export --to huggingface --output exported/             # for pipeline("audio-classification")
    emopipe export --to audonnx --output exported/                 # for audonnx.load
    emopipe export --to page --output page/                        # a page that runs in browsers, for any file host

An audio model becomes one graph from samples at 16 kHz (`samples`, float32 [1, samples], of any length; of a long clip
the beginning counts, as in training) to calibrated probabilities (`probabilities`, [1, labels]) or to ratings from 1
to 5 (`vad`, [1, targets]); a text regressor one from tokens (`input_ids`, `attention_mask`, [texts, tokens]) to `vad`,
with its tokenizer beside it. What they answer, what they were made from and their limits stand in the metadata.

For transformers an audio model becomes a folder that `pipeline("audio-classification", FOLDER)` loads: by a class of
that library where one computes the same, else with our code in one file, and `trust_remote_code=True`. `audonnx` is
the graph with the model.yaml that audEERING's package of that name reads.

The page holds an audio model, in int8 unless told otherwise, and what runs it in a browser: a file or the microphone
in, emotions along time out, and nothing leaves the device. ONNX Runtime for browsers is fetched by npm, once.

All of them answer the test set of the pipeline that the model lies in, in a process without emopipe. How they compare
is written to export.json. A float32 file may differ by 1e-4 of a probability, another one by a point of UAR, or of CCC;
one that differs by more is not kept. `export.precision` in params.yaml makes an ONNX file of every audio model that the
pipeline trains, and metrics/export.json.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from emopipe.export.precision import PRECISIONS, Precision
from emopipe.io.errors import UserError

if TYPE_CHECKING:
    from emopipe.export.outcome import Exported

MODEL = "models/audio"
PRECISION = {"onnx": "float32", "huggingface": "float32", "audonnx": "float32", "page": "int8"}  # by default, of each


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--to", required=True, choices=PRECISION, help="the format")
    parser.add_argument("--output", required=True, type=Path, metavar="FOLDER", help="made when absent")
    parser.add_argument("--model", default=MODEL, help="a folder that the pipeline wrote, of audio or of text, or of "
        f"audio models a repository of the Hugging Face hub; by default {MODEL}")  # fmt: skip
    parser.add_argument("--precision", choices=PRECISIONS, help="of the weights: "
        + "; ".join(f"{name}, {size}" for name, size in PRECISIONS.items())
        + "; by default " + ", ".join(f"{precision} of {to}" for to, precision in PRECISION.items()))  # fmt: skip
    parser.add_argument("--verify", metavar="PATH", help="recordings, or of a text regressor a file of texts, to "
        "compare on in place of the test set")  # fmt: skip


def run(arguments: argparse.Namespace) -> None:
    """Write the file, and print how it compares with the model.

    Raises:
        UserError: if there is no model or nothing to compare on, or the file answers otherwise
    """
    precision = arguments.precision or PRECISION[arguments.to]
    if arguments.to == "huggingface" and precision != "float32":
        raise UserError(f"--precision {precision}: what is written for transformers is in float32")
    output, verified = arguments.output, _exported(arguments, precision).verified
    print(f"{output}: compared on {verified.facts['compared_on']}, {verified.agreement}")


def _exported(arguments: argparse.Namespace, precision: Precision) -> Exported:
    from emopipe.recognition.speech import Recognizer
    from emopipe.training.saving import CONFIG, read_config

    folder, output, named = Path(arguments.model).expanduser(), arguments.output, arguments.verify
    if (folder / CONFIG).is_file() and "model" not in read_config(folder, "finetune_audio"):
        if arguments.to != "onnx":
            raise UserError(f"--to {arguments.to}: takes audio models, and {arguments.model} is a text regressor")
        from emopipe.export import text

        return text.export(folder, precision, output, named)
    recognizer = Recognizer.load(arguments.model, device="cpu")
    match arguments.to:
        case "huggingface":
            from emopipe.export import hugging_face

            return hugging_face.export(recognizer, output, named)
        case "page":
            from emopipe.page import folder as page

            return page.export(recognizer, precision, output, named)
        case to:
            from emopipe.export import onnx_file

            export = {"onnx": onnx_file.export, "audonnx": onnx_file.export_audonnx}[to]
            return export(recognizer, precision, output, named)
