"""The precisions of a graph's weights: what is stored in float16 or in 8 bits, and what is computed in integers.

``float16``: weights are stored in half the space and read as float32, which is computed in: what is rounded is the
weights alone, and no sum over a whole clip, as of norms and statistics, leaves the range of float16.

``int8``: the matrix products are computed in 8 bits where they bear it, with weights of a scale for every column and
activations of a scale for every product, which is found as it runs (dynamic quantisation). Where they do not, the
weights alone are in 8 bits, with a scale for 128 of a column. These are the products of the lowest block, whose errors
all blocks above it make larger, and those behind an activation, whose few large values leave no steps for the others.
All that is no matrix product is stored in float16.

The weights are unsigned: signed ones overflow in processors without instructions for them (AVX2), and the answer would
depend on the machine.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from onnx import ModelProto

Precision = Literal["float32", "float16", "int8"]
PRECISIONS: dict[Precision, str] = {  # and what each is
    "float32": "as it was trained",
    "float16": "half the size",
    "int8": "less than a third of an audio model's",
}
BLOCK = 128  # weights of a column that share a scale
ACTIVATIONS = ("Gelu", "Relu")
WORTH = 1024  # numbers of a table, below which it is not worth storing them otherwise


def converted(graph: ModelProto, precision: Precision, exact: Collection[str], lowest: Collection[str]) -> ModelProto:
    """Return a graph of another precision.

    Args:
        graph: in float32
        precision: of its weights
        exact: names of tables that stay as they are
        lowest: names of the operators of the lowest block
    """
    match precision:
        case "float32":
            return graph
        case "float16":
            return _halved(graph, exact)
        case "int8":
            return _halved(_quantised(graph, lowest), exact)


def _halved(graph: ModelProto, exact: Collection[str]) -> ModelProto:
    """Store the tables of weights in float16, with an operator behind each that makes float32 of it."""
    from onnx import TensorProto, helper, numpy_helper

    own, casts = graph.graph, []
    scales = {name for node in own.node if node.op_type == "MatMulNBits" for name in node.input}
    for table in own.initializer:
        if table.data_type != TensorProto.FLOAT or np.prod(table.dims) < WORTH or table.name in {*scales, *exact}:
            continue
        with np.errstate(over="ignore"):  # looked for below
            half = numpy_helper.to_array(table).astype(np.float16)
        if len(table.dims) > 1 and np.isfinite(half).all():
            casts.append(helper.make_node("Cast", [f"{table.name}.half"], [table.name], to=TensorProto.FLOAT))
            table.CopyFrom(numpy_helper.from_array(half, f"{table.name}.half"))
    nodes = [*casts, *own.node]
    del own.node[:]
    own.node.extend(nodes)
    return graph


def _quantised(graph: ModelProto, lowest: Collection[str]) -> ModelProto:
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
    from onnxruntime.quantization.onnx_model import ONNXModel
    from onnxruntime.quantization.quant_utils import add_pre_process_metadata

    flat = ONNXModel(graph)
    flat.replace_gemm_with_matmul()  # which gives them these names
    low = {*lowest, *(f"{name}_MatMul" for name in lowest)}
    active = {name for node in graph.graph.node if node.op_type in ACTIVATIONS for name in node.output}
    products = [node for node in graph.graph.node if node.op_type == "MatMul"]
    others = [node.name for node in products if node.name not in low and node.input[0] not in active]
    weights = MatMulNBitsQuantizer(graph, bits=8, block_size=BLOCK, is_symmetric=True, nodes_to_exclude=others)
    weights.process()
    add_pre_process_metadata(weights.model.model)  # it is simplified already; else there is a warning
    with TemporaryDirectory() as folder:
        file = Path(folder, "model.onnx")
        quantize_dynamic(
            weights.model.model, file, op_types_to_quantize=["MatMul"], per_channel=True, weight_type=QuantType.QUInt8
        )
        return onnx.load(file)
