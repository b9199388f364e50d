# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of the registered add-on: the session, a set-up, previews, and the timer that drives them.

It is a persistent timer, because opening another file ends modal operators and all other timers.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

import bpy
import bpy.utils.previews

from ..core.backend_process import BackendNotFound, BackendOutdated, find_command
from ..core.pictures import PictureWriter
from ..core.problem import unwritten
from ..core.session import Session
from ..core.setup import Setup
from ..scene.avatar import remove_stages
from .importing import Importer

INTERVAL = 0.1  # seconds between calls of `pump`
BUSY_INTERVAL = 0.01  # while an avatar is being built
_LOOK_AGAIN = 2.0  # seconds for which `installed` keeps its answer
_BUILT = 0.1  # seconds between redraws of the progress bar while an avatar is being built

_session: Session | None = None
_setup: Setup | None = None
_importer: Importer | None = None
_pictures: PictureWriter | None = None
_previews: bpy.utils.previews.ImagePreviewCollection | None = None
_installed: tuple[str, float, bool] = ("", 0.0, False)
_outdated = ""  # version of the installed backend if it is too old
_drawn = 0.0  # when the progress bar was last redrawn


def open_session() -> None:
    """Open the session when the add-on is registered."""
    global _session, _importer, _pictures, _previews
    _session, _pictures, _previews = Session(), PictureWriter(), bpy.utils.previews.new()
    _importer = Importer(_session)
    for handler, names in _HANDLERS:
        for name in names:
            getattr(bpy.app.handlers, name).append(handler)


def close_session() -> None:
    """End the connection, a set-up and the backend started here when the add-on is unregistered."""
    global _session, _setup, _importer, _pictures, _previews
    if bpy.app.timers.is_registered(pump):
        bpy.app.timers.unregister(pump)
    for handler, names in _HANDLERS:
        for name in names:
            getattr(bpy.app.handlers, name).remove(handler)
    if _importer is not None:
        _importer.abandon()
    if _setup is not None:
        _setup.cancel()
    if _session is not None:
        _session.close()
    if _pictures is not None:
        _pictures.close()
    if _previews is not None:
        bpy.utils.previews.remove(_previews)
    _session = _setup = _importer = _pictures = _previews = None


def session() -> Session:
    """Return the session; available only while the add-on is registered."""
    assert _session is not None
    return _session


def importer() -> Importer:
    """Return the importer of received avatars; available only while the add-on is registered."""
    assert _importer is not None
    return _importer


def pictures() -> PictureWriter:
    """Return the writer of photos that are not files yet; available only while the add-on is registered."""
    assert _pictures is not None
    return _pictures


def setup() -> Setup | None:
    """Return the current or last set-up of the backend."""
    return _setup


def begin_setup(new: Setup | None) -> None:
    """Watch a set-up; pass None to forget the last one."""
    global _setup
    _setup = new
    watch()


def installed(location: str) -> bool:
    """Whether the backend is on this computer. The answer is kept for two seconds, because panels are drawn often."""
    global _installed, _outdated
    place, when, found = _installed
    if place != location or not 0 <= time.monotonic() - when < _LOOK_AGAIN:
        found, _outdated = True, ""
        try:
            find_command(location)
        except BackendOutdated as error:
            found, _outdated = False, error.version
        except BackendNotFound:
            found = False
        _installed = (location, time.monotonic(), found)
    return found


def outdated(location: str) -> str:
    """Return the version of this computer's backend if it is too old for this add-on, otherwise an empty string."""
    return "" if installed(location) else _outdated


def thumbnail(path: Path) -> int:
    """Return the icon of an image file, 0 if there is none. Blender makes it in the background at its first drawing."""
    assert _previews is not None
    name = str(path)
    if name not in _previews:
        with suppress(KeyError, OSError):
            _previews.load(name, name, "IMAGE")
    return _previews[name].icon_id if name in _previews else 0


def watch() -> None:
    """Start the timer that calls `pump` until nothing is in progress."""
    if not bpy.app.timers.is_registered(pump):
        bpy.app.timers.register(pump, first_interval=BUSY_INTERVAL, persistent=True)


def pump() -> float | None:
    """Process the backend's events and build results. Tests call it where Blender runs no timers.

    Returns:
        Seconds until the next call, or None to stop.
    """
    if _session is None or _importer is None or _pictures is None:
        return None
    happened = bool(_session.pump())
    happened |= _importer.advance()
    happened |= _look_after_setup()
    happened |= _look_after_pictures(_session, _pictures)
    if happened:
        redraw()
    if _importer.building:
        _redraw_bar()
        return BUSY_INTERVAL
    return INTERVAL if _session.busy or _pictures.busy or (_setup is not None and _setup.running) else None


def _look_after_setup() -> bool:
    global _setup, _installed
    if _setup is None:
        return False
    if _setup.done:
        _setup, _installed = None, ("", 0.0, False)
        bpy.ops.uvatar.start_backend()
    return True


def _look_after_pictures(session: Session, pictures: PictureWriter) -> bool:
    ended = pictures.ended()
    for path, error in ended.items():
        if _previews is not None and str(path) in _previews:
            del _previews[str(path)]  # it shows the file as it was before
        if error is not None:
            session.problem = unwritten(error, path)
    return bool(ended)


@bpy.app.handlers.persistent
def _before_change(*_: object) -> None:
    """Remove a partly built avatar, which must not get into a saved file or another undo step."""
    if _importer is not None:
        _importer.abandon()


@bpy.app.handlers.persistent
def _after_change(*_: object) -> None:
    """Remove partly built avatars from an undo step made meanwhile, or from a file that Blender saved by itself."""
    remove_stages()


@bpy.app.handlers.persistent
def _after_load(*_: object) -> None:
    """Forget the results of the last run, which are in the file that was closed; a run in progress continues."""
    if _importer is not None and _session is not None:
        _importer.begin_run()
        if _session.run is not None and all(job.over for job in _session.run.jobs):
            _session.run = None


_HANDLERS = (
    (_before_change, ("load_pre", "save_pre", "undo_pre", "redo_pre")),
    (_after_change, ("load_post", "undo_post", "redo_post")),
    (_after_load, ("load_post",)),
)


def _redraw_bar() -> None:
    """Redraw the sidebars only, and not at every slice, so that the progress bar does not slow down the building."""
    global _drawn
    if time.monotonic() - _drawn < _BUILT:
        return
    _drawn = time.monotonic()
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            for region in area.regions if area.type == "VIEW_3D" else ():
                if region.type == "UI":
                    region.tag_redraw()


def redraw() -> None:
    """Redraw the panels in the 3D Views and in the Preferences."""
    manager = bpy.context.window_manager
    for window in manager.windows if manager else ():
        for area in window.screen.areas:
            if area.type in ("VIEW_3D", "PREFERENCES"):
                area.tag_redraw()
