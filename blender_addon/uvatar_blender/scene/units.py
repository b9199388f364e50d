# SPDX-License-Identifier: GPL-3.0-or-later
"""The length of a metre in a scene."""

from __future__ import annotations

import bpy


def per_metre(scene: bpy.types.Scene) -> float:
    """Return how many of the scene's units make a metre: 100 at a unit scale of 0.01."""
    units = scene.unit_settings
    return 1.0 if units.system == "NONE" else 1.0 / units.scale_length
