"""A trained model as an ONNX file that answers as the model does, or no file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path

import torch
import yaml

from emopipe.audio.tasks import Regression
from emopipe.export import material, metadata, verification
from emopipe.export.graphs import Exportable, graph_of
from emopipe.export.networks import Speech, Text
from emopipe.export.outcome import REPORT, report, require
from emopipe.export.precision import Precision
from emopipe.export.verification import Verified
from emopipe.io.errors import UserError
from emopipe.io.outputs import atomic_write, write_json, write_text
from emopipe.recognition.speech import Recognizer
from emopipe.recognition.text import TextRecognizer, regressor
from emopipe.schemas import splits
from emopipe.text.saving import Trained
from emopipe.training.saving import CONFIG, read_config

GRAPH, TOKENIZER = "model.onnx", "tokenizer.json"
AUDONNX = "$audonnx.core.model.Model==1.0.1"  # the class, and the version, that its files name
METRICS = Path("metrics")  # of a pipeline, whose export.json DVC can compare
CPU = torch.device("cpu")


def export(model: str, precision: Precision, output: Path, named: str | None = None) -> Verified:
    """Write ``model.onnx`` and ``export.json``, and of a text regressor ``tokenizer.json``.

    Args:
        model: folder of an audio model or a text regressor, or repository of an audio model
        precision: of the weights
        output: folder, made when absent
        named: what to compare file and model on; None: the test set of the pipeline that the model lies in

    Returns:
        how they compare

    Raises:
        UserError: if there is no model or nothing to compare on, a package is missing, or the file does not answer as
            the model does: then it is not there
    """
    _require_packages()
    folder = Path(model).expanduser()
    if (folder / CONFIG).is_file() and "model" not in read_config(folder, "finetune_audio"):
        return _export_text(folder, precision, output, named)
    return export_speech(Recognizer.load(model, device="cpu"), precision, output, named)


def export_speech(recognizer: Recognizer, precision: Precision, output: Path, named: str | None) -> Verified:
    """Write the file of an audio model that is loaded, on the CPU; see :func:`export`."""
    _require_packages()
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
            METRICS if material.pipeline_of(folder) == Path.cwd() else None,
        )


def export_audonnx(model: str, precision: Precision, output: Path, named: str | None = None) -> Verified:
    """Write an audio model as :func:`export` does, and the ``model.yaml`` by which the package audonnx loads it."""
    recognizer = Recognizer.load(model, device="cpu")
    verified = export_speech(recognizer, precision, output, named)
    task = recognizer.trained.task
    labels = {"vad": task.names} if isinstance(task, Regression) else {"probabilities": task.labels}
    content = {AUDONNX: {"path": GRAPH, "labels": labels, "transform": None}}
    write_text(yaml.safe_dump(content, sort_keys=False), output / "model.yaml")
    return verified


def _export_text(folder: Path, precision: Precision, output: Path, named: str | None) -> Verified:
    trained = regressor(folder)
    recognizer = TextRecognizer(trained, None, CPU)
    found = material.transcripts(folder, named)
    tokenizer = _tokenizer(trained)
    verified = write(
        output,
        Text(trained),
        precision,
        metadata.of_text(folder, precision, material.corpora(folder, splits.TEXT)),
        lambda file: verification.of_text(file, recognizer, found),
        precision == "float32",
        None,
    )
    write_text(tokenizer, output / TOKENIZER)
    return verified


def write(
    output: Path,
    network: Exportable,
    precision: Precision,
    properties: Mapping[str, str],
    verify: Callable[[Path], Verified],
    exact: bool,
    metrics: Path | None,
) -> Verified:
    """Write a file and the report on it, once the file is verified.

    Args:
        output: folder
        network: what the file is to compute
        precision: of its weights
        properties: what is to be known of it
        verify: compares a file with the model
        exact: whether it is to answer as a float32 file does
        metrics: folder for the report, too, where there is such a folder

    Raises:
        UserError: if it does not answer as the model does, or cannot be written; what was there before is left
    """
    graph = graph_of(network, precision, properties)
    with atomic_write(output / GRAPH) as part:
        part.write_bytes(graph.SerializeToString(deterministic=True))
        size = part.stat().st_size
        verified = verify(part)
        how = "" if precision == "float32" else "; choose another --precision"
        require(verified, exact, f"{output / GRAPH}", how)
        (output / REPORT).unlink(missing_ok=True)  # of another file
    found = report(verified, precision, size, ("onnx", "onnxruntime", "torch", "transformers"))
    write_json(found, output / REPORT)
    if metrics is not None and metrics.is_dir():
        write_json(found, metrics / REPORT)
    return verified


def _tokenizer(trained: Trained) -> str:
    """Return the tokenizer as the library tokenizers reads it, cutting texts off where the regressor does."""
    backend = getattr(trained.tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise UserError(f"{trained.origin.name}: its tokenizer is Python code, which no file can hold")
    own = deepcopy(backend)
    own.enable_truncation(trained.settings.max_tokens)
    own.no_padding()
    return own.to_str(pretty=True)


def _require_packages() -> None:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401 - PyTorch's exporter needs it
    except ImportError as error:
        raise UserError(f"--to onnx: no package {error.name}; run `pip install 'emopipe[onnx]'`") from None
