"""Export the audio model to one ONNX file, and check that it answers alike."""

from __future__ import annotations

from pathlib import Path

from emopipe.export.parameters import Export
from emopipe.export.precision import Precision
from emopipe.io.errors import run_stage
from emopipe.io.outputs import write_json
from emopipe.parameters import Runtime
from emopipe.schemas.splits import read_audio

MODEL, FOLDER = Path("models/audio"), Path("models/onnx")
REPORT, METRICS = FOLDER / "export.json", Path("metrics/export.json")


def main() -> None:
    """Write models/onnx and metrics/export.json; where nothing is exported, without a model and empty."""
    precision, rows = Export.load().precision, read_audio()
    if precision is None or rows.empty:
        print(f"export: {'export.precision is null' if len(rows) else 'no audio'}; nothing to do")
        found = {}
    else:
        found = _export(precision, Runtime.load())
    write_json(found, REPORT)
    write_json(found, METRICS)


def _export(precision: Precision, runtime: Runtime) -> dict:
    # Here: PyTorch takes seconds to import, and where nothing is exported nobody waits for it.
    from emopipe.export import onnx_file
    from emopipe.export.outcome import untimed
    from emopipe.recognition.speech import Recognizer
    from emopipe.training.devices import set_up

    set_up(runtime, seed=0)
    exported = onnx_file.export(Recognizer.load(MODEL, device="cpu"), precision, FOLDER, None)
    print(f"export: {exported.verified.agreement}")
    return untimed(exported.report)


if __name__ == "__main__":
    run_stage(main)
