"""Parameters of the exported audio model."""

from __future__ import annotations

from emopipe.export.precision import Precision
from emopipe.parameters import Group


class Export(Group):
    """Whether the pipeline writes its audio model as an ONNX file as well."""

    KEY = "export"

    precision: Precision | None
