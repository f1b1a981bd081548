"""What becomes of an export: it is refused where it does not answer as the model does, and reported where it does."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import metadata as packages
from typing import Any

import torch

from emopipe.export.precision import Precision
from emopipe.export.verification import Verified
from emopipe.io.errors import UserError
from emopipe.report.formatting import without_folders

REPORT = "export.json"


def require(verified: Verified, exact: bool, what: str, how: str = "") -> None:
    """Check that an export answers as the model does.

    Args:
        verified: how they compare
        exact: whether it is to answer as a float32 file does
        what: is exported
        how: to do better

    Raises:
        UserError: if it does not
    """
    if not verified.agreement.is_enough(exact):
        raise UserError(
            f"{what}: not written: on {verified.facts['compared_on']} it does not answer as the model does: "
            f"{verified.agreement}{how}"
        )


def report(verified: Verified, precision: Precision, size: int, used: Iterable[str]) -> dict[str, Any]:
    """Return the content of ``export.json``.

    Args:
        verified: how the export and the model compare
        precision: of the weights
        size: in bytes
        used: packages whose versions are told
    """
    return {
        "precision": precision,
        "megabytes": round(size / 1e6, 2),
        **without_folders(verified.facts),
        **verified.agreement.facts(),
        "threads": torch.get_num_threads(),
        "versions": {name: packages.version(name) for name in used},
    }
