# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds received avatars, a slice per tick, each photo as one undo step."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

from ..core.problem import Problem, Remedy
from ..core.result import AvatarsResult, Result, ResultError, TextureResult
from ..core.session import Session
from ..scene.avatar import Imported, import_steps
from ..scene.batch import save_steps
from ..scene.painting import completed_steps
from .view import Views, show_textures

BUDGET = 0.012  # seconds that building may take of one tick; a slice that has begun is finished
_SLICES = (
    16  # of a person, until one was built and it is known: as many as an open body's import had when this was written
)


@dataclass(frozen=True)
class ImportedPerson:
    """An imported person as the panel shows it. ``preview``: the body over the photo, or None."""

    id: str
    confidence: float | None
    preview: Path | None


@dataclass(frozen=True)
class ImportedPhoto:
    """An imported photo as the panel shows it.

    Attributes:
        number: the photo as the backend counts in this job.
        notes: sentences about the photo, not about one of its people.
    """

    job: str
    number: int
    name: str
    people: tuple[ImportedPerson, ...]
    notes: tuple[str, ...] = ()


@dataclass
class _Building:
    """A photo whose people are being built; ``done`` takes their number, ``failed`` the reason for a failure.

    ``steps`` yields True where it is enough for this tick: where it can only wait, and when the file holds all of them.
        The
    undo step, for which Blender goes through the whole file, is then made in a tick of its own.
    """

    name: str
    people: int
    steps: Generator[bool, None, Imported | list[Any]]
    done: Callable[[int], None]
    failed: Callable[[Problem], None]
    slices: int = 0


class Importer:
    """Builds one photo's people at a time, while the artist is in Object Mode and not in the middle of moving
    something.

    Attributes:
        summaries: what was imported of the last run.
        folders: where the people of a job are saved, by its id, instead of being imported.
    """

    def __init__(self, session: Session) -> None:
        self.summaries: list[ImportedPhoto] = []
        self.folders: dict[str, Path] = {}
        self._session = session
        self._building: _Building | None = None
        self._views = Views()
        self._slices = float(_SLICES)

    def begin_run(self) -> None:
        """Clear the last run's results; the views follow avatars that arrive from now on."""
        self.summaries.clear()
        self._views.forget()

    @property
    def progress(self) -> tuple[float, str] | None:
        """Progress (0 to 1) and name of the photo whose people are being built; None if there is none."""
        if self._building is None:
            return None
        return min(self._building.slices / (self._slices * max(self._building.people, 1)), 0.98), self._building.name

    @property
    def building(self) -> bool:
        """Whether an avatar is partly built."""
        return self._building is not None

    def advance(self) -> bool:
        """Build for a slice of time; whether anything finished or failed."""
        if self._building is None and not (can_import() and self._begin()):
            return False
        building, end = self._building, time.perf_counter() + BUDGET
        assert building is not None
        try:
            while time.perf_counter() < end:
                building.slices += 1
                if next(building.steps):
                    break
            return False
        except StopIteration as finished:
            self._building = None
            if isinstance(finished.value, Imported):
                self._slices = building.slices / max(building.people, 1)
                self._show(finished.value)
            building.done(len(finished.value.rigs if isinstance(finished.value, Imported) else finished.value))
            bpy.ops.ed.undo_push(message="Import Avatars")  # a timer's work is no undo step by itself
        except ResultError as error:
            self._building = None
            building.failed(Problem(str(error), "Make the avatar again.", Remedy.RUN))
        except Exception as error:  # an error of ours must not end the timer, on which all else hangs
            traceback.print_exc()
            self._building = None
            building.failed(
                Problem(f"The avatar could not be built: {error!r}.", "Please report this, with the console output.")
            )
        return True

    def _show(self, imported: Imported) -> None:
        """Move the views to the new avatars, if the artist wants that and is not in the middle of something."""
        scene = bpy.context.scene
        here = any(scene in rig.users_scene for rig in imported.rigs)  # she may have gone to another scene
        if imported.box is not None and here and scene.uvatar.show and can_import():
            self._views.show(imported.box, scene)
            show_textures(scene)

    def abandon(self) -> None:
        """Remove the partly built avatar; it is built again later.

        Called before the file, or its past, is changed under it.
        """
        if self._building is not None:
            self._building.steps.close()
            self._building = None

    def _begin(self) -> bool:
        """Start on the next waiting photo; False if there is none."""
        session = self._session
        if session.fetched:
            result = session.fetched[0]

            def again(problem: Problem | None = None) -> None:
                session.fetched.remove(result)
                session.problem = problem

            self._building = _Building(
                result.name, _people(result), self._steps(result, ""), lambda people: again(), again
            )
            return True
        job, photo = next(session.run.waiting(), (None, 0)) if session.run is not None else (None, 0)
        if job is None:
            return False
        result = job.results[photo]

        def done(people: int) -> None:
            if isinstance(result, AvatarsResult):
                self.summaries.append(summarize(result, job.id, job.number(photo)))
            session.imported(job, photo, people)

        def failed(problem: Problem) -> None:
            job.problems[photo] = problem
            session.imported(job, photo, 0)

        self._building = _Building(result.name, _people(result), self._steps(result, job.id), done, failed)
        return True

    def _steps(self, result: Result, job: str) -> Generator[bool, None, Imported | list[Any]]:
        """The steps for a job's result: importing or saving it."""
        scene = bpy.context.scene
        if isinstance(result, TextureResult):
            return completed_steps(result)
        if job in self.folders:
            return save_steps(result, self.folders[job], scene.uvatar.import_options())
        return import_steps(result, scene, options=scene.uvatar.import_options())


def _people(result: Result) -> int:
    return len(result.people) if isinstance(result, AvatarsResult) else 1


def can_import() -> bool:
    """Whether the artist is not sculpting, painting, editing or moving something, from which an import would throw her
    out.
    """
    if bpy.context.mode != "OBJECT":
        return False
    windows = bpy.context.window_manager.windows
    return not any(
        operator.bl_idname.startswith("TRANSFORM_OT_") for window in windows for operator in window.modal_operators
    )


def summarize(result: AvatarsResult, job: str, number: int) -> ImportedPhoto:
    """What the panel shows of a result; previews are files that Blender removes when it exits."""
    people = []
    for avatar in result.people:
        confidence = avatar.facts.get("confidence")
        preview = None
        if avatar.overlay_jpeg:
            preview = Path(bpy.app.tempdir, f"uvatar-{job}-{number}-{bpy.path.clean_name(avatar.id)}.jpg")
            try:
                preview.write_bytes(avatar.overlay_jpeg)
            except OSError:
                preview = None
        people.append(
            ImportedPerson(avatar.id, float(confidence) if isinstance(confidence, (int, float)) else None, preview)
        )
    return ImportedPhoto(job, number, result.name, tuple(people), result.notes)
