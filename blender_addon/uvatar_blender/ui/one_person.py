# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs that make a single person of a photo again, with everything that is known of the person."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bpy

from ..core.hand_corrections import Corrections
from ..protocol.heights import heights_of
from ..protocol.options import FIND_PEOPLE
from ..protocol.photo_lists import photo_name
from ..scene.photo_joints import photo_box
from . import state

CORRECTIONS = "uvatar_corrections"  # of the armature: what was said of the person by hand


def corrections_of(rig: bpy.types.Object) -> Corrections:
    """Return what was said by hand of the person of an avatar."""
    return Corrections.read(str(rig.get(CORRECTIONS, "")))


def number_of(rig: bpy.types.Object) -> int:
    """Return the number of an avatar's person among those of the photo, from 0."""
    digits = str(rig.get("uvatar_person", "")).removeprefix("p")
    return min(int(digits), 255) if digits.isdecimal() else 0


def options_for(
    rig: bpy.types.Object, path: Path, options: Mapping[str, Any], corrections: Corrections
) -> dict[str, Any]:
    """Return the options of a job that makes only the person of an avatar.

    Args:
        rig: of the avatar.
        path: its photo.
        options: of the job, as on the panel.
        corrections: what is said of the person by hand.

    Raises:
        RigError: the avatar does not store which person of the photo it is.
    """
    box, number = photo_box(rig), number_of(rig)
    photo = {"photo": photo_name(path.name)}
    session = state.session()
    height = corrections.height or typed_height(str(options.get("height", "")), number)
    if session.options and FIND_PEOPLE not in session.options:  # an older backend makes everybody
        heights = ", ".join(["-"] * number + [f"{height:g}"]) if height else ""
        given = [{**photo, "pins": list(corrections.pins)}] if corrections.pins else None
        return {**options, "height": heights, "given_people": given}
    given = {
        **photo,
        "chosen": [[number, *box, height]],
        "pins": [[*box, *pin[4:]] for pin in corrections.pins],
        "strokes": [[*box, *stroke[4:]] for stroke in corrections.strokes],
    }
    return {**options, "height": "", "same_person": False, "given_people": [given]}


def typed_height(heights: str, number: int) -> float:
    """Return the height of a person by the number, of those typed on the panel; 0 for an unknown one."""
    try:
        known = heights_of(heights)
    except ValueError:  # something else was typed
        return 0.0
    return (known[number] or 0.0) if number < len(known) else 0.0
