# SPDX-License-Identifier: GPL-3.0-or-later
"""Building received avatars in slices, one per timer tick; each photo is one undo step."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import bpy

from ..core.any_result import Result
from ..core.found_people import FoundPeople
from ..core.hand_corrections import of_person
from ..core.jobs import Job
from ..core.problem import Problem, Remedy
from ..core.result import AvatarData, AvatarsResult, ResultError, TextureResult
from ..core.session import Session
from ..scene.avatar import Imported, import_steps
from ..scene.batch import save_steps
from ..scene.painting import completed_steps
from .found import name_of, take
from .people import boxed_photo
from .view import Views, show_textures

BUDGET = 0.012  # seconds after which a tick begins no further slice; one that has begun is finished
_SLICES = 16  # per person, until one has been built and the number is known: what the open body takes


@dataclass(frozen=True)
class ImportedPerson:
    """An imported person as the panel shows it.

    Attributes:
        id: name within the photo ("p0").
        confidence: 0 to 1, or None if the result does not say.
        preview: file with the body drawn over the photo, or None.
    """

    id: str
    confidence: float | None
    preview: Path | None


@dataclass(frozen=True)
class ImportedPhoto:
    """An imported photo as the panel shows it.

    Attributes:
        job: id of the job.
        number: index of the photo in the job, as the backend counts.
        name: name of the photo.
        people: the people imported from it.
        digest: sha256 of the photo.
        boxes: file with the photo and numbered boxes around its people, or None for a photo of one person.
        notes: sentences about the photo as a whole.
    """

    job: str
    number: int
    name: str
    people: tuple[ImportedPerson, ...]
    notes: tuple[str, ...] = ()
    digest: str = ""
    boxes: Path | None = None


@dataclass
class _Building:
    """A photo whose people are being built.

    Attributes:
        name: name of the photo.
        people: how many people are built.
        steps: the slices. It yields True where a tick should end: where it can only wait, and when all people are in
            the file. The undo step, for which Blender goes through the whole file, is then made in a tick of its own.
        done: called with the number of people that were built.
        failed: called with the reason for a failure.
        slices: how many slices have been made.
    """

    name: str
    people: int
    steps: Generator[bool, None, Imported | list[Any]]
    done: Callable[[int], None]
    failed: Callable[[Problem], None]
    slices: int = 0


class Importer:
    """Builds the people of one photo at a time, while the user is in Object Mode and is not transforming anything.

    Attributes:
        summaries: what was imported in the last run.
        folders: job id -> folder in which its people are saved instead of being imported.
    """

    def __init__(self, session: Session) -> None:
        self.summaries: list[ImportedPhoto] = []
        self.folders: dict[str, Path] = {}
        self._session = session
        self._building: _Building | None = None
        self._views = Views()
        self._slices = float(_SLICES)

    def begin_run(self) -> None:
        """Clear the results of the last run; the views follow the avatars that arrive from now on."""
        self.summaries.clear()
        self._views.forget()

    @property
    def progress(self) -> tuple[float, str] | None:
        """Progress (0 to 1) and name of the photo whose people are being built; None if none is."""
        if self._building is None:
            return None
        return min(self._building.slices / (self._slices * max(self._building.people, 1)), 0.98), self._building.name

    @property
    def building(self) -> bool:
        """Whether an avatar is partly built."""
        return self._building is not None

    def advance(self) -> bool:
        """Build at least one slice, and more until `BUDGET` seconds have passed.

        Returns:
            Whether a photo was finished or failed.
        """
        if self._take_found():
            return True
        if self._building is None and not (can_import() and self._begin()):
            return False
        building, end = self._building, time.perf_counter() + BUDGET
        assert building is not None
        try:
            while True:  # at least one slice, however busy the computer is
                building.slices += 1
                if next(building.steps) or time.perf_counter() >= end:
                    return False
        except StopIteration as finished:
            self._building = None
            if isinstance(finished.value, Imported):
                self._slices = building.slices / max(building.people, 1)
                self._show(finished.value)
            building.done(len(finished.value.rigs if isinstance(finished.value, Imported) else finished.value))
            bpy.ops.ed.undo_push(message="Import Avatars")  # what a timer does is not an undo step by itself
        except ResultError as error:
            self._building = None
            building.failed(Problem(str(error), "Make the avatar again.", Remedy.RUN))
        except Exception as error:  # a programming error must not end the timer, on which everything else depends
            traceback.print_exc()
            self._building = None
            building.failed(
                Problem(f"The avatar could not be built: {error!r}.", "Please report this, with the console output.")
            )
        return True

    def _show(self, imported: Imported) -> None:
        """Move the views to the new avatars, if the user wants that and is not in the middle of something."""
        scene = bpy.context.scene
        here = any(scene in rig.users_scene for rig in imported.rigs)  # the user may have switched to another scene
        if imported.box is not None and here and scene.uvatar.show and can_import():
            self._views.show(imported.box, scene)
            show_textures(scene)

    def abandon(self) -> None:
        """Remove the partly built avatar; it is built again later.

        Called before a file is loaded or saved, and before undo and redo.
        """
        if self._building is not None:
            self._building.steps.close()
            self._building = None

    def _take_found(self) -> bool:
        """Keep the people found in a photo whose result has arrived; False if there is none."""
        run = self._session.run
        for job, number in run.waiting() if run is not None else ():
            result = job.results[number]
            if isinstance(result, FoundPeople):
                for photo in bpy.context.scene.uvatar.photos:
                    if photo.file() == job.photos[number]:
                        take(photo, result)
                self._session.imported(job, number, 0)
                if can_import():  # otherwise the user is in the middle of something, whose undo step takes it up
                    bpy.ops.ed.undo_push(message="Find People")
                return True
        return False

    def _begin(self) -> bool:
        """Start building the next waiting photo; False if there is none."""
        session = self._session
        if session.fetched:
            result = session.fetched[0]

            def again(problem: Problem | None = None) -> None:
                session.fetched.remove(result)
                session.problem = problem

            self._building = _Building(
                result.name, _people(result), self._steps(result, None), lambda _: again(), again
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

        self._building = _Building(result.name, _people(result), self._steps(result, job), done, failed)
        return True

    def _steps(
        self, result: AvatarsResult | TextureResult, job: Job | None
    ) -> Generator[bool, None, Imported | list[Any]]:
        """Return the steps that import or save a result; ``job``: None if it was requested again."""
        scene = bpy.context.scene
        if isinstance(result, TextureResult):
            return completed_steps(result)
        if job is not None and job.id in self.folders:
            return save_steps(result, self.folders[job.id], scene.uvatar.import_options())
        given = (job.options.get("given_people") if job is not None else None) or ()
        result = replace(result, people=tuple(_with_corrections(one, given, result.name) for one in result.people))
        names = {one.id: name_of(scene, result.name, one.facts.get("box") or []) for one in result.people}
        return import_steps(result, scene, options=replace(scene.uvatar.import_options(), names=names))


def _people(result: Result) -> int:
    return len(result.people) if isinstance(result, AvatarsResult) else 1


def _with_corrections(avatar: AvatarData, given: Sequence[Mapping[str, Any]], photo: str) -> AvatarData:
    """Return the avatar with what its job says of the person by hand, so that this is kept when it is made again."""
    digits = avatar.id.removeprefix("p")
    corrections = of_person(given, photo, int(digits)) if digits.isdecimal() else None
    return avatar if corrections is None else replace(avatar, facts={**avatar.facts, "corrections": corrections.text()})


def can_import() -> bool:
    """Whether an import would not interrupt the user, who may be sculpting, painting, editing or transforming."""
    if bpy.context.mode != "OBJECT":
        return False
    windows = bpy.context.window_manager.windows
    return not any(
        operator.bl_idname.startswith("TRANSFORM_OT_") for window in windows for operator in window.modal_operators
    )


def summarize(result: AvatarsResult, job: str, number: int) -> ImportedPhoto:
    """Collect what the panel shows of a result; previews are files that Blender removes when it exits."""
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
    boxes = boxed_photo(result, Path(bpy.app.tempdir, f"uvatar-{job}-{number}-boxes.png"))
    return ImportedPhoto(job, number, result.name, tuple(people), result.notes, result.digest, boxes)
