"""What becomes of an export: it is refused where it does not answer as the model does, and reported where it does."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import metadata as packages
from typing import Any, NamedTuple

import torch

from emopipe.export.precision import Precision
from emopipe.export.verification import Verified
from emopipe.io.errors import UserError
from emopipe.report.formatting import without_folders

REPORT = "export.json"
TIMED = ("seconds_per_second", "seconds_per_text", "threads")  # in a report, what no two runs share


class Exported(NamedTuple):
    """What was exported, once it is written."""

    verified: Verified
    report: dict[str, Any]  # the content of export.json


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


def untimed(found: dict[str, Any]) -> dict[str, Any]:
    """Return a report without what depends on the machine and its day."""
    return {name: value for name, value in found.items() if name not in TIMED}
