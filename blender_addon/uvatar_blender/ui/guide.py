# SPDX-License-Identifier: GPL-3.0-or-later
"""The artist's guide, which ships with the add-on and needs no network."""

# No "from __future__ import annotations" here: Blender reads the properties from the annotations.

from pathlib import Path

import bpy

from .translation import tr

_ADDON = Path(__file__).resolve().parents[1]
# In the built add-on (tools/build_addon.py writes it), and in a checkout of the source.
_PLACES = ((_ADDON / "guide", ".html"), (_ADDON.parents[1] / "docs", ".md"))


def guide(page: str = "artist-guide") -> Path | None:
    """Find the file of a page of the guide; None if it is missing."""
    files = (folder / f"{page}{suffix}" for folder, suffix in _PLACES)
    return next((file for file in files if file.is_file()), None)


class UVATAR_OT_guide(bpy.types.Operator):
    """Open the artist's guide in the web browser. It ships with the add-on, so nothing is downloaded"""

    bl_idname = "uvatar.guide"
    bl_label = "Help"

    page: bpy.props.StringProperty(default="artist-guide", options={"HIDDEN", "SKIP_SAVE"})  # type: ignore[valid-type]
    section: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})  # type: ignore[valid-type]

    def execute(self, context: bpy.types.Context) -> set[str]:
        file = guide(self.page)
        if file is None:
            self.report({"ERROR"}, tr("The guide is missing: install the add-on again."))
            return {"CANCELLED"}
        bpy.ops.wm.url_open(url=file.as_uri() + (f"#{self.section}" if self.section else ""))
        return {"FINISHED"}


CLASSES = (UVATAR_OT_guide,)
