"""From a network to the ONNX graph that is written: traced, of a precision, and with what is to be known of it."""

from __future__ import annotations

import logging
import warnings
from ast import literal_eval
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from textwrap import shorten
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from emopipe.export.precision import Precision, converted
from emopipe.io.errors import UserError

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto

OPSET = 20  # the first with Gelu
MOST = 2**31 - 2**24  # bytes that one file can hold, and what else is in it
SCOPES = "pkg.torch.onnx.name_scopes"  # where the exporter notes the modules that an operator comes from


class Exportable(Protocol):
    """A network that can be traced."""

    exact: tuple[str, ...]  # names of buffers that are stored in float32 whatever the precision
    output: str  # name of what it returns
    sizes: Mapping[str, Mapping[int, Any]]  # of each input, the axes of any length

    def example(self) -> dict[str, Tensor]:
        """Return inputs by name."""

    def lowest(self) -> list[nn.Module]:
        """Return the transformer blocks that no other stands below."""


def graph_of(network: Exportable, precision: Precision, properties: Mapping[str, str]) -> ModelProto:
    """Return the graph of a network; the same network gives the same bytes.

    Args:
        network: in eval mode
        precision: of its weights
        properties: what is to be known of it, by name

    Raises:
        UserError: if one file cannot hold it, or no graph can be made of it
    """
    from onnx import helper

    with _quietly():
        graph = _traced(network)
        graph = converted(graph, precision, network.exact, _operators_of(network.lowest(), network, graph))
    size = sum(len(table.raw_data) for table in graph.graph.initializer)
    if size > MOST:
        raise UserError(
            f"{size / 1e9:.1f} GB of weights in {precision}, more than the 2 GB that an ONNX file can hold; choose "
            "another --precision, or a smaller backbone"
        )
    _strip(graph.graph)
    del graph.metadata_props[:]
    helper.set_model_props(graph, dict(properties))
    return graph


def _traced(network: Exportable) -> ModelProto:
    inputs = network.example()
    try:
        with torch.no_grad():
            return torch.onnx.export(
                network, kwargs=inputs, dynamo=True, opset_version=OPSET, input_names=list(inputs),
                output_names=[network.output], dynamic_shapes=network.sizes, verbose=False,
            ).model_proto  # fmt: skip
    except torch.onnx.OnnxExporterError as error:
        reason = shorten(str(error.__cause__ or error), 300)
        raise UserError(f"PyTorch cannot write this network as an ONNX graph: {reason}") from error


def _operators_of(modules: Sequence[nn.Module], network: Exportable, graph: ModelProto) -> list[str]:
    """Return the names of the operators that come from modules of a network, by the exporter's notes."""
    names = {name for name, module in network.named_modules(remove_duplicate=False) if module in modules}
    return [
        node.name
        for node in graph.graph.node
        for note in node.metadata_props
        if note.key == SCOPES and names & set(literal_eval(note.value))
    ]


def _strip(graph: GraphProto) -> None:
    """Remove the exporter's notes, which name places on this disk, and sizes that a runtime finds for itself."""
    del graph.value_info[:]
    for noted in (graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        del noted.metadata_props[:]
        noted.doc_string = ""


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep back what the libraries note on their way, and leave logging as it was: one of them sets it up anew."""
    root, disabled = logging.getLogger(), logging.root.manager.disable
    handlers, level = list(root.handlers), root.level
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.disable(disabled)
