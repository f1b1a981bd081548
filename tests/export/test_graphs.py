"""A graph in ONNX Runtime answers as the recogniser does, in every precision, and tells nothing of this machine."""

from __future__ import annotations

import logging
from copy import deepcopy
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, numpy_helper

from benchmarks.networks import LARGE_LAYOUT
from emopipe.export import graphs
from emopipe.export.graphs import graph_of
from emopipe.export.networks import Speech
from emopipe.export.precision import PRECISIONS, converted
from emopipe.io.errors import UserError
from helpers.clips import clip

HEARD = 14_400  # samples, 0.9 s
FLIP = 5e-4  # a value of a layer that lies between two numbers of float16 may be rounded to the other one
PROPERTIES = {"labels": '["anger"]', "licence": "none"}
MODELS = {  # by name: a family, changes of its network, and of the parameters
    "tuned": (
        "whisper",
        {"encoder_layers": 2},
        {"features": "tuned_layers", "trainable_layers": 1, "layer_pooling": "concat_means"},
    ),
    "rated": (
        "wav2vec2",
        LARGE_LAYOUT | {"num_hidden_layers": 1},
        {"features": "finetuned", "trainable_layers": 1, "task": "regression", "head": "tanh", "ensemble_size": 1},
    ),
}


def session_of(graph: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])


class Exported:
    """A recogniser, and the graph of its network."""

    def __init__(self, recognizer, precision="float32", graph=None):
        self.recognizer = recognizer
        self.graph = graph or graph_of(Speech(recognizer.trained, recognizer.encoder), precision, PROPERTIES)
        self.session = session_of(self.graph)

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        (found,) = self.session.run(None, {"samples": samples[None]})
        return found


@pytest.fixture(scope="module")
def exported(untrained):
    """Return a function from the name of a model, and a precision, to what is exported; each model is traced once."""
    made, recognizers, traces = {}, {}, {}
    traced = graphs._traced

    def export(name: str, precision: str = "float32") -> Exported:
        if (name, precision) not in made:
            family, network, changes = MODELS[name]
            if name not in recognizers:
                recognizers[name] = untrained(family, network, **changes)
                with graphs._quietly():
                    traces[name] = traced(Speech(recognizers[name].trained, recognizers[name].encoder))
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(graphs, "_traced", lambda _: deepcopy(traces[name]))
                made[name, precision] = Exported(recognizers[name], precision)
        return made[name, precision]

    return export


def noise(length):
    return clip(length, length).numpy()


@pytest.mark.parametrize("name", ["tuned", pytest.param("rated", marks=pytest.mark.slow)])
def test_it_answers_as_the_recogniser(exported, answer, name):
    export = exported(name)
    clips = [*map(noise, (400, 401, 9_000, HEARD, HEARD + 1, 40_000)), np.zeros(5_000, np.float32)]
    found = [export(samples) for samples in clips]
    for own, samples in zip(found, clips, strict=True):
        np.testing.assert_allclose(own, answer(export.recognizer, samples), atol=FLIP)
    assert np.ptp(found, axis=0).max() > 20 * FLIP
    np.testing.assert_array_equal(export(np.append(noise(HEARD), noise(99))), found[3])  # it is not heard


@settings(max_examples=25, deadline=None)
@given(length=st.integers(400, 3 * HEARD), loudness=st.floats(1e-4, 1))
def test_of_any_length_and_loudness(exported, answer, length, loudness):
    export = exported("tuned")
    samples = noise(length) * np.float32(loudness)
    found = export(samples)
    np.testing.assert_allclose(found, answer(export.recognizer, samples), atol=FLIP)
    assert found.sum() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("name", ["tuned", pytest.param("rated", marks=pytest.mark.slow)])
def test_its_inputs_and_outputs_are_those_that_were_promised(exported, name):
    export = exported(name)
    ((given, sizes, kind),) = [(one.name, one.shape, one.type) for one in export.session.get_inputs()]
    assert (given, sizes, kind) == ("samples", [1, "samples"], "tensor(float)")
    ((output, sizes),) = [(one.name, one.shape) for one in export.session.get_outputs()]
    assert (output, sizes) == (("probabilities", [1, 3]) if name == "tuned" else ("vad", [1, 2]))


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_it_tells_what_it_was_told_and_nothing_of_this_machine(exported, precision):
    graph = exported("tuned", precision).graph
    assert {prop.key: prop.value for prop in graph.metadata_props} == PROPERTIES
    assert not any(node.metadata_props or node.doc_string for node in graph.graph.node)
    content = graph.SerializeToString()
    for place in (Path(torch.__file__).parents[1], Path(__file__).parents[2], Path.home()):
        assert str(place).encode() not in content
    domains = {node.domain for node in graph.graph.node}
    assert domains == ({"", "com.microsoft"} if precision == "int8" else {""})
    onnx.checker.check_model(graph)


def test_float16_is_half_the_size_and_computes_in_float32(exported, answer):
    whole = exported("tuned")
    half = Exported(whole.recognizer, graph=converted(deepcopy(whole.graph), "float16", Speech.exact, ()))
    before, after = ({table.name: table for table in one.graph.graph.initializer} for one in (whole, half))
    halved = [name for name in before if name not in after]
    assert {"front.conv1.weight", "front.positions"} < set(halved) and len(halved) > 12
    assert after["front.log_mel.transform"] == before["front.log_mel.transform"]
    for name in halved:
        kept, stored = after[f"{name}.half"], numpy_helper.to_array(before[name])
        assert kept.data_type == TensorProto.FLOAT16 and 2 * len(kept.raw_data) == len(before[name].raw_data)
        np.testing.assert_allclose(numpy_helper.to_array(kept), stored, rtol=2**-11, atol=2**-25)
    left = [table for name, table in after.items() if not name.endswith(".half") and name not in Speech.exact]
    assert sum(len(table.raw_data) for table in left) < 0.05 * len(whole.graph.SerializeToString())
    for length in (400, 9_000, 20_000):
        found = half(noise(length))
        np.testing.assert_allclose(found, answer(half.recognizer, noise(length)), atol=0.02)
        assert (found != whole(noise(length))).any()


def test_what_leaves_the_range_of_float16_stays_in_float32():
    tables = {
        "small": np.full((32, 32), 1e-9),
        "large": np.full((32, 32), 1e5),
        "few": np.ones((3, 3)),
        "row": np.ones(2048),
    }
    stored = [numpy_helper.from_array(table.astype(np.float32), name) for name, table in tables.items()]
    graph = onnx.helper.make_model(onnx.helper.make_graph([], "one", [], [], stored))
    left = [table.name for table in converted(graph, "float16", (), ()).graph.initializer]
    assert left == ["small.half", "large", "few", "row"]


def test_int8_computes_in_integers_where_that_is_borne(exported, answer):
    whole, small = exported("tuned"), exported("tuned", "int8")
    nodes = small.graph.graph.node
    made = {name: node.op_type for node in nodes for name in node.output}
    kinds = [node.op_type for node in nodes]
    # of a block the four products of attention and the first one behind it; not the one behind the activation
    assert kinds.count("MatMulInteger") == 5 + 2
    weights_alone = [node for node in nodes if node.op_type == "MatMulNBits"]
    assert len(weights_alone) == 6 + 1 + 2  # the lowest block, and of others and of heads what is behind an activation
    assert sum(made.get(node.input[0]) in ("Gelu", "Relu") for node in weights_alone) == 2 + 2
    assert not any(
        made.get(node.input[0]) in ("Gelu", "Relu") for node in nodes if node.op_type == "DynamicQuantizeLinear"
    )
    signs = {table.data_type for table in small.graph.graph.initializer if table.name.endswith("_quantized")}
    assert signs == {TensorProto.UINT8}
    for length in (400, 9_000, 20_000):
        found, expected = small(noise(length)), answer(small.recognizer, noise(length))
        np.testing.assert_allclose(found, expected, atol=0.1)
        assert np.abs(found - whole(noise(length))).max() > 0


def test_what_no_file_can_hold_is_refused(line, monkeypatch):
    monkeypatch.setattr("emopipe.export.graphs.MOST", 10_000)
    with pytest.raises(UserError, match=r"0\.0 GB of weights in float32, more than the 2 GB that an ONNX file"):
        graph_of(line, "float32", {})


def test_what_is_no_graph_is_refused(line, monkeypatch):
    monkeypatch.setattr(line, "forward", lambda x: x if x.sum() > 0 else -x)
    with pytest.raises(UserError, match="PyTorch cannot write this network as an ONNX graph: "):
        graph_of(line, "float32", {})


def test_it_says_nothing_and_leaves_logging_as_it_was(line, capfd):
    root = logging.getLogger()
    before = root.level, list(root.handlers), logging.root.manager.disable
    graph_of(line, "int8", {})
    assert (root.level, list(root.handlers), logging.root.manager.disable) == before
    assert capfd.readouterr() == ("", "")


EVERY = [
    ("whisper", {}),
    *((family, changes) for family in ("wav2vec2", "hubert", "wavlm") for changes in ({}, LARGE_LAYOUT)),
    ("data2vec-audio", {}),
    ("emotion2vec", {}),
    ("emotion2vec", {"learned_alibi_scale_per_layer": True}),
]


@pytest.mark.slow
@pytest.mark.parametrize(("family", "network"), EVERY, ids=str)
@pytest.mark.parametrize(
    "changes",
    [
        {"features": "tuned_layers"},
        {"features": "both", "trainable_layers": "all", "ensemble_size": 1, "task": "regression"},
    ],
    ids=["tuned", "rated"],
)
def test_of_every_family_and_precision(untrained, answer, monkeypatch, family, network, changes):
    recognizer = untrained(family, network, **changes)
    own = Speech(recognizer.trained, recognizer.encoder)
    with graphs._quietly():
        trace = graphs._traced(own)
    monkeypatch.setattr(graphs, "_traced", lambda _: deepcopy(trace))
    width = 4 if recognizer.trained.settings.task == "regression" else 1
    clips = [*map(noise, (400, 719, 9_000, HEARD + 1, 40_000)), np.zeros(5_000, np.float32)]
    expected = [answer(recognizer, samples) for samples in clips]
    for precision, within in (("float32", FLIP), ("float16", 0.03), ("int8", 0.2)):
        export = Exported(recognizer, graph=graph_of(own, precision, PROPERTIES))
        for samples, wanted in zip(clips, expected, strict=True):
            np.testing.assert_allclose(export(samples), wanted, atol=within * width)


@pytest.mark.slow
@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_same_network_gives_the_same_bytes(untrained, precision):
    recognizer = untrained("whisper", features="tuned_layers")
    network = Speech(recognizer.trained, recognizer.encoder)
    first, second = (graph_of(network, precision, PROPERTIES).SerializeToString(deterministic=True) for _ in "ab")
    assert first == second
