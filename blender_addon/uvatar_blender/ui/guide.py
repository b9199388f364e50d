# SPDX-License-Identifier: GPL-3.0-or-later
"""The artist's guide, which ships with the add-on and needs no network."""

# No "from __future__ import annotations" here: Blender reads the properties from the annotations.

from pathlib import Path

import bpy

_ADDON = Path(__file__).resolve().parents[1]
# In the built add-on (tools/build_addon.py writes it), and in a checkout of the source.
_PLACES = (_ADDON / "guide" / "artist-guide.html", _ADDON.parents[1] / "docs" / "artist-guide.md")


def guide() -> Path | None:
    """Find the file of the guide; None if it is missing."""
    return next((place for place in _PLACES if place.is_file()), None)


class UVATAR_OT_guide(bpy.types.Operator):
    """Open the artist's guide in the web browser. It ships with the add-on, so nothing is downloaded"""

    bl_idname = "uvatar.guide"
    bl_label = "Help"

    def execute(self, context: bpy.types.Context) -> set[str]:
        file = guide()
        if file is None:
            self.report({"ERROR"}, "The guide is missing: install the add-on again.")
            return {"CANCELLED"}
        bpy.ops.wm.url_open(url=file.as_uri())
        return {"FINISHED"}


CLASSES = (UVATAR_OT_guide,)
