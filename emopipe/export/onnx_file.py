"""A trained model as an ONNX file that answers as the model does, or no file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import yaml

from emopipe.audio.tasks import Regression
from emopipe.export import material, metadata, verification
from emopipe.export.graphs import Exportable, graph_of
from emopipe.export.networks import Speech
from emopipe.export.outcome import REPORT, Exported, report, require
from emopipe.export.precision import Precision
from emopipe.export.verification import Verified
from emopipe.io.errors import UserError
from emopipe.io.outputs import atomic_write, write_json, write_text
from emopipe.recognition.speech import Recognizer
from emopipe.schemas import splits

GRAPH = "model.onnx"
AUDONNX = "$audonnx.core.model.Model==1.0.1"  # the class, and the version, that its files name


def export(recognizer: Recognizer, precision: Precision, output: Path, named: str | None) -> Exported:
    """Write ``model.onnx`` and ``export.json``.

    Args:
        recognizer: the audio model, on the CPU
        precision: of the weights
        output: folder, made when absent
        named: what to compare file and model on; None: the test set of the pipeline that the model lies in

    Returns:
        how they compare, and the report

    Raises:
        UserError: if there is nothing to compare on, a package is missing, or the file does not answer as the model
            does: then it is not there
    """
    require_packages()
    folder, trained = recognizer.folder, recognizer.trained
    properties = metadata.of_speech(folder, precision, material.corpora(folder, splits.AUDIO))
    exact = precision == trained.provenance["precision"] == "float32"
    with material.recordings(folder, named) as found:
        return write(
            output,
            Speech(trained, recognizer.encoder),
            precision,
            properties,
            lambda file: verification.of_speech(file, recognizer, found),
            exact,
        )


def export_audonnx(recognizer: Recognizer, precision: Precision, output: Path, named: str | None) -> Exported:
    """Write what :func:`export` does, and the ``model.yaml`` by which the package audonnx loads it."""
    exported = export(recognizer, precision, output, named)
    task = recognizer.trained.task
    labels = {"vad" if isinstance(task, Regression) else "probabilities": task.names}
    content = {AUDONNX: {"path": GRAPH, "labels": labels, "transform": None}}
    write_text(yaml.safe_dump(content, sort_keys=False), output / "model.yaml")
    return exported


def write(
    output: Path,
    network: Exportable,
    precision: Precision,
    properties: Mapping[str, str],
    verify: Callable[[Path], Verified],
    exact: bool,
) -> Exported:
    """Write a file and the report on it, once the file is verified.

    Args:
        output: folder
        network: what the file is to compute
        precision: of its weights
        properties: what is to be known of it
        verify: compares a file with the model
        exact: whether it is to answer as a float32 file does

    Raises:
        UserError: if it does not answer as the model does, or cannot be written; what was there before is left
    """
    graph = graph_of(network, precision, properties)
    with atomic_write(output / GRAPH) as part:
        part.write_bytes(graph.SerializeToString(deterministic=True))
        size = part.stat().st_size
        verified = verify(part)
        how = "" if precision == "float32" else "; choose another precision"
        require(verified, exact, f"{output / GRAPH}", how)
        (output / REPORT).unlink(missing_ok=True)  # of another file
    found = report(verified, precision, size, ("onnx", "onnxruntime", "torch", "transformers"))
    write_json(found, output / REPORT)
    return Exported(verified, found)


def require_packages() -> None:
    """Check that what writes and runs such files is installed.

    Raises:
        UserError: if not
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401 - PyTorch's exporter needs it
    except ImportError as error:
        raise UserError(f"--to onnx: no package {error.name}; run `pip install 'emopipe[onnx]'`") from None
