# SPDX-License-Identifier: GPL-3.0-or-later
"""What the buttons that make an avatar's photo again ask for."""

from __future__ import annotations

import json

import bpy


def ask_again(button: bpy.types.OperatorProperties, rig: bpy.types.Object, change: str) -> None:
    """Set a button so that it makes the avatar's photo again; a height is asked for from the avatar's on."""
    button.photo, button.digest = str(rig.get("uvatar_photo", "")), str(rig.get("uvatar_photo_digest", ""))
    button.person, button.rig, button.change = str(rig.get("uvatar_person", "")), rig.name, change
    height = stature(rig)
    if height is not None:
        button.height = height


def stature(rig: bpy.types.Object) -> float | None:
    """Return the avatar's height when it was made, in centimetres; None if it does not store that."""
    try:
        return float(json.loads(rig["uvatar_measurements"])["stature"])
    except (ValueError, TypeError, KeyError):
        return None
