# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings the copy of the protocol up to date before the distribution ``uvatar-blender`` is built."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ProtocolCopied(BuildHookInterface[Any]):
    """Brings the copy up to date, which git ignores, but which wheels and source distributions contain."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Copy the protocol; hatchling calls this before a build."""
        runpy.run_path(str(Path(self.root, "copy_protocol.py")), run_name="__main__")
