# SPDX-License-Identifier: GPL-3.0-or-later
"""Drawing functions that the panels share: problems with their buttons, wrapped text, set-up progress, options."""

from __future__ import annotations

import re
import textwrap
import unicodedata

import bpy

from ..core.problem import ONLINE_NOW, Problem, Remedy
from . import state
from .translation import tr

_REMEDIES = {
    Remedy.SETUP: ("uvatar.setup_backend", "IMPORT"),
    Remedy.UPDATE: ("uvatar.update_backend", "FILE_REFRESH"),
    Remedy.START: ("uvatar.start_backend", "PLAY"),
    Remedy.CONNECT: ("uvatar.connect", "LINKED"),
    Remedy.PREFERENCES: ("uvatar.open_preferences", "PREFERENCES"),
    Remedy.LOG: ("uvatar.show_log", "TEXT"),
    Remedy.RUN: ("uvatar.run", "FILE_REFRESH"),
    Remedy.PHOTOS: ("uvatar.remove_unreadable", "X"),
    Remedy.TEXTURE: ("uvatar.complete_texture", "BRUSH_DATA"),
}
_CLOSING = "、。，：；！？）」』”…ー"  # which do not begin a line
_WORDS = re.compile(r"[!-\u2000]+|.", re.DOTALL)  # names and numbers, which stay whole, and single letters
_LETTER, _MARGIN = 6.5, 8  # mean width of a letter in pixels; the width of box and icon in letters


def draw_problem(layout: bpy.types.UILayout, problem: Problem, about: str = "") -> None:
    """Draw a box with the problem, what to do about it, and the button that does it.

    Args:
        about: a heading, such as the name of the photo that the problem concerns.
    """
    problem = _as_it_is_now(problem)
    box = layout.box()
    column = box.column(align=True)
    if about:
        column.label(text=about, icon="ERROR")
    icon = "INFO" if problem is ONLINE_NOW else "ERROR"
    draw_text(column, problem.message, "NONE" if about else icon)
    draw_text(column, problem.fix)
    if problem.remedy in _REMEDIES:
        operator, icon = _REMEDIES[problem.remedy]
        box.operator(operator, icon=icon)
    elif problem.remedy is Remedy.ONLINE:
        _draw_online_button(box)


def _as_it_is_now(problem: Problem) -> Problem:
    """Being offline is over as soon as the artist has allowed Blender to go online, which Blender tells nobody."""
    return ONLINE_NOW if problem.remedy is Remedy.ONLINE and bpy.app.online_access else problem


def _draw_online_button(layout: bpy.types.UILayout) -> None:
    """Draw Blender's own button that allows online access; the add-on never changes that preference itself."""
    if hasattr(bpy.types, "EXTENSIONS_OT_userpref_allow_online"):
        layout.operator("extensions.userpref_allow_online", text="Allow Online Access", icon="INTERNET")
    else:  # Blender's add-on for extensions is turned off
        layout.operator("screen.userpref_show", text="Open Preferences", icon="PREFERENCES").section = "SYSTEM"


def offers_setup(problem: Problem | None) -> bool:
    """Whether a problem's box has a button that sets up the backend."""
    return problem is not None and _as_it_is_now(problem).remedy in (Remedy.SETUP, Remedy.UPDATE)


def draw_text(layout: bpy.types.UILayout, text: str, icon: str = "NONE", width: float | None = None) -> None:
    """Draw text in several lines, because Blender's labels do not wrap but lose their middle.

    Args:
        width: in pixels at a resolution scale of 1, as for dialogs; None for what a box in the region has.
    """
    region = bpy.context.region
    if width is None:
        whole = region.width / bpy.context.preferences.system.ui_scale if region is not None else 10_000
        width = whole - _MARGIN * _LETTER
    lines = _wrapped(tr(text), max(20, int(width / _LETTER)))
    for number, line in enumerate(lines):
        layout.label(text=line, icon=icon if number == 0 else "NONE")


def _wrapped(text: str, letters: int) -> list[str]:
    """Break a text into lines of so many letters; those of Chinese and Japanese are twice as wide."""
    if not any(map(_is_wide, text)):
        return textwrap.wrap(text, letters, break_on_hyphens=False)  # paths have hyphens
    lines, used = [""], 0
    for piece in _WORDS.findall(text):
        for part in (piece[start : start + letters] for start in range(0, len(piece), letters)):
            width = sum(1 + _is_wide(letter) for letter in part)
            if used + width > letters and part not in _CLOSING:
                lines.append("")
                used = 0
            lines[-1] += part
            used += width
    return [line.strip() for line in lines]


def _is_wide(letter: str) -> bool:
    return unicodedata.east_asian_width(letter) in "WF"


def draw_setup(layout: bpy.types.UILayout) -> bool:
    """Draw the progress of a running set-up, or why the last one failed.

    Returns:
        Whether a set-up is running.
    """
    setup = state.setup()
    if setup is None:
        return False
    if setup.running:
        row = layout.row(align=True)
        row.progress(factor=setup.progress.fraction, text=tr(setup.progress.message))
        row.operator("uvatar.cancel_setup", icon="CANCEL", text="")
        return True
    if setup.problem is not None:
        draw_problem(layout, setup.problem)
    return False


def draw_import_options(layout: bpy.types.UILayout, settings: bpy.types.PropertyGroup) -> None:
    """Draw the options for importing avatars into the scene."""
    layout.use_property_split = True
    layout.use_property_decorate = False
    layout.prop(settings, "photo_pose")
    layout.prop(settings, "rest_pose", expand=True)
    layout.prop(settings, "naming")
    layout.prop(settings, "placement")
    layout.prop(settings, "level")
    column = layout.column(heading="Import")
    column.active = settings.placement == "PHOTO"
    column.prop(settings, "camera")
    camera = column.row()
    camera.active = settings.camera
    camera.prop(settings, "use_camera")
    layout.prop(settings, "unlit")
    layout.prop(settings, "split")
    layout.prop(settings, "show")


def duration(seconds: float) -> str:
    """Format a duration, given in seconds, as seconds or minutes."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
