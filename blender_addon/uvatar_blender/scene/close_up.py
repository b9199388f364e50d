# SPDX-License-Identifier: GPL-3.0-or-later
"""Smoother surfaces for close-ups."""

from __future__ import annotations

import bpy

from .rig import PART, check_own, find_body

_SMOOTH = "Uvatar close-up"  # name of the modifiers
_VIEWPORT, _RENDER = 1, 2  # levels: 4 and 16 times the faces; more does not show at 4096 texels


def is_subdivided(rig: bpy.types.Object) -> bool:
    """Whether `subdivide` has been called for this avatar."""
    return _SMOOTH in find_body(rig).modifiers


def subdivide(rig: bpy.types.Object, on: bool) -> None:
    """Subdivide an avatar's body and parts after they are posed, or undo that.

    Shape keys, weights and texture stay as they are.

    Raises:
        RigError: the avatar is incomplete, or linked from another file.
    """
    meshes = [find_body(rig), *(thing for thing in rig.children if PART in thing)]
    check_own(rig, *meshes)
    for thing in meshes:
        smooth = thing.modifiers.get(_SMOOTH)
        if on and smooth is None:
            smooth = thing.modifiers.new(_SMOOTH, "SUBSURF")
            smooth.levels, smooth.render_levels = _VIEWPORT, _RENDER
            smooth.uv_smooth = "PRESERVE_BOUNDARIES"  # or the texture would shift at the seams
        elif not on and smooth is not None:
            thing.modifiers.remove(smooth)
