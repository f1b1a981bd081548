"""The script that asks a file runs where there is no emopipe and no PyTorch."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import soundfile
from onnx import TensorProto, helper

from emopipe.export import standalone
from emopipe.export.verification import alone
from emopipe.io.errors import UserError

ABSENT = ("emopipe", "torch", "transformers", "scipy", "sklearn", "pandas", "onnx", "librosa")
RUN = f"""
import runpy, sys
sys.modules.update(dict.fromkeys({ABSENT}))  # whose import fails then
sys.argv.pop(0)
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture
def mean(tmp_path):
    """Return a file that answers with the mean of the samples and their number."""
    nodes = [
        helper.make_node("ReduceMean", ["samples"], ["mean"], keepdims=1),
        helper.make_node("Size", ["samples"], ["size"]),
        helper.make_node("Cast", ["size"], ["number"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["number", "one"], ["row"]),
        helper.make_node("Concat", ["mean", "row"], ["answer"], axis=1),
    ]
    given = helper.make_tensor_value_info("samples", TensorProto.FLOAT, [1, "samples"])
    told = helper.make_tensor_value_info("answer", TensorProto.FLOAT, [1, 2])
    one = helper.make_tensor("one", TensorProto.INT64, [2], [1, 1])
    graph = helper.make_model(
        helper.make_graph(nodes, "mean", [given], [told], [one]),
        opset_imports=[helper.make_opsetid("", 20)],
        ir_version=10,
    )
    helper.set_model_props(graph, {"labels": '["mean", "number"]'})
    onnx.save(graph, tmp_path / "mean.onnx")
    return tmp_path / "mean.onnx"


@pytest.fixture
def recordings(tmp_path):
    made = []
    for number in range(5):
        samples = np.random.default_rng(number).integers(-3000, 3000, 1000 * (number + 1)).astype(np.int16)
        made.append(tmp_path / f"{number}.flac")
        soundfile.write(made[-1], samples, 16_000)
    return made


def expected(recordings):
    read = [soundfile.read(path, dtype="float32")[0] for path in recordings]
    return [[samples.mean(), len(samples)] for samples in read]


def test_it_runs_without_emopipe_and_pytorch(mean, recordings, tmp_path):
    asked, answered = tmp_path / "inputs.json", tmp_path / "answers.json"
    asked.write_text(json.dumps([str(path) for path in recordings]))
    words = [standalone.__file__, mean, asked, answered, "2"]
    done = subprocess.run([sys.executable, "-I", "-c", RUN, *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(answered.read_text())
    np.testing.assert_allclose(found["answers"], expected(recordings), rtol=1e-5)
    assert found["properties"] == {"labels": '["mean", "number"]'} and found["seconds"] > 0


def test_it_imports_nothing_else():
    nodes = list(ast.walk(ast.parse(Path(standalone.__file__).read_text(encoding="utf-8"))))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module.split(".")[0] for node in nodes if isinstance(node, ast.ImportFrom)}
    assert names - sys.stdlib_module_names == {"numpy", "onnxruntime", "soundfile"}


def test_answers_are_in_order_whatever_the_number_of_threads(mean, recordings, monkeypatch):
    many = recordings * 20
    for threads in (1, 3):
        monkeypatch.setattr("torch.get_num_threads", lambda threads=threads: threads)
        found = alone(mean, [str(path) for path in many])
        np.testing.assert_allclose(found.values, expected(many), rtol=1e-5)


@pytest.mark.parametrize(
    ("content", "rate", "channels"), [("sound", 8_000, 1), ("sound", 16_000, 2), ("text", 16_000, 1)]
)
def test_a_recording_that_it_cannot_take_is_named(mean, tmp_path, content, rate, channels):
    path = tmp_path / "bad.wav"
    soundfile.write(path, np.zeros((100, channels)), rate)
    if content == "text":
        path.write_text("no sound")
    with pytest.raises(UserError, match=r"mean\.onnx: does not run in a process of its own: .*bad\.wav"):
        alone(mean, [str(path)])


def test_a_file_that_is_no_graph_is_refused(tmp_path, recordings):
    (tmp_path / "bad.onnx").write_bytes(b"no graph")
    with pytest.raises(UserError, match=r"bad\.onnx: does not run in a process of its own: .*"):
        alone(tmp_path / "bad.onnx", [str(recordings[0])])
