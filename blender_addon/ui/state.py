# SPDX-License-Identifier: GPL-3.0-or-later
"""The session between registering and unregistering, and the timer that keeps it going.

The timer and not a modal operator: opening another file ends modal operators and timers that are not persistent.
"""

from __future__ import annotations

from contextlib import suppress

import bpy
import bpy.utils.previews

from ..core.problem import Problem
from ..core.session import Session

INTERVAL = 0.1  # seconds between calls of `pump`

_session: Session | None = None
_thumbnails: bpy.utils.previews.ImagePreviewCollection | None = None


def open_session() -> None:
    """Called when the add-on is registered."""
    global _session, _thumbnails
    _session, _thumbnails = Session(), bpy.utils.previews.new()


def close_session() -> None:
    """Called when the add-on is unregistered: ends the connection and the backend that was started here."""
    global _session, _thumbnails
    if bpy.app.timers.is_registered(pump):
        bpy.app.timers.unregister(pump)
    if _session is not None:
        _session.close()
    if _thumbnails is not None:
        bpy.utils.previews.remove(_thumbnails)
    _session = _thumbnails = None


def session() -> Session:
    """The session; only while the add-on is registered."""
    assert _session is not None
    return _session


def thumbnail(path: str) -> int:
    """Icon of a photo file. Blender makes it in the background, when it is drawn first."""
    assert _thumbnails is not None
    if path not in _thumbnails:
        with suppress(KeyError, OSError):
            _thumbnails.load(path, path, "IMAGE")
    return _thumbnails[path].icon_id if path in _thumbnails else 0


def watch() -> None:
    """Have `pump` called until nothing is under way any more."""
    if not bpy.app.timers.is_registered(pump):
        bpy.app.timers.register(pump, first_interval=INTERVAL, persistent=True)


def pump() -> float | None:
    """Take in what the backend has told and import what has come; seconds until the next call, None to end.

    A plain function: tests call it where Blender runs no timers.
    """
    if _session is None:
        return None
    happened = bool(_session.pump())
    if can_import() and _session.job is not None:
        for photo in sorted(_session.job.results):
            import_photo(photo)
            happened = True
            break  # one per tick, so that Blender can draw in between
    if happened:
        _redraw()
    return INTERVAL if _session.busy else None


def can_import() -> bool:
    """Whether the artist is not in the middle of sculpting, painting or editing, from which an import would throw her out."""
    return bpy.context.mode == "OBJECT"


def import_photo(photo: int) -> None:
    """Import the people of one photo as one undo step. What goes wrong becomes the photo's problem."""
    job = session().job
    assert job is not None
    try:
        # Called like this, an operator makes its undo step even from a timer.
        bpy.ops.uvatar.import_result("EXEC_DEFAULT", True, photo=photo)
    except RuntimeError as error:
        job.problems[photo] = Problem(str(error).removeprefix("Error: ").strip())
    finally:
        job.results.pop(photo, None)


def _redraw() -> None:
    manager = bpy.context.window_manager
    for window in manager.windows if manager else ():
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                area.tag_redraw()
