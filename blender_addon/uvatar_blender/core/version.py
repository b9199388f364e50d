# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's own version, from its manifest."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path


@cache
def addon_version() -> str:
    """As the manifest says."""
    manifest = Path(__file__).resolve().parents[1] / "blender_manifest.toml"
    return str(tomllib.loads(manifest.read_text(encoding="utf-8"))["version"])
