# SPDX-License-Identifier: GPL-3.0-or-later
"""What is selected."""

from __future__ import annotations

import bpy


def select_only(*things: bpy.types.Object) -> None:
    """Select these objects and no others in the view layer; the first of them becomes the active one."""
    layer = bpy.context.view_layer
    for thing in layer.objects.selected:
        thing.select_set(False)
    for thing in things:
        thing.select_set(True)
    if things:
        layer.objects.active = things[0]
