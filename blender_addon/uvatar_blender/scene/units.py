# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a metre is in a scene."""

from __future__ import annotations

import bpy


def per_metre(scene: bpy.types.Scene) -> float:
    """How many of the scene's units a metre is:

    1 unless the artist has set another unit scale (100 at a scale of 0.01).
    """
    units = scene.unit_settings
    return 1.0 if units.system == "NONE" else 1.0 / units.scale_length
