"""Parameters of the tests of shortcuts."""

from __future__ import annotations

from emopipe.parameters import Group


class Shortcuts(Group):
    """What stands beside the shortcuts."""

    KEY = "shortcuts"

    egemaps: bool
