# SPDX-License-Identifier: GPL-3.0-or-later
"""The length of a metre in a scene."""

from __future__ import annotations

import bpy


def per_metre(scene: bpy.types.Scene) -> float:
    """Return how many of the scene's units make a metre: 100 at a unit scale of 0.01."""
    units = scene.unit_settings
    return 1.0 if units.system == "NONE" else 1.0 / units.scale_length


def fit_units(collection: bpy.types.Collection, units: float) -> None:
    """Scale objects that were built in metres for a scene with ``units`` units per metre; their data stay in metres."""
    if units == 1.0:
        return
    for thing in collection.objects:
        if thing.parent is not None:
            continue
        thing.location *= units
        if thing.type == "CAMERA":
            lens = thing.data
            lens.clip_start, lens.clip_end, lens.display_size = (
                lens.clip_start * units,
                lens.clip_end * units,
                lens.display_size * units,
            )
        else:
            thing.scale *= units
