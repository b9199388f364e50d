# SPDX-License-Identifier: GPL-3.0-or-later
"""A run and its jobs, as the panel shows them.

A run is what one press of the button begins. The backend merges all photos of a job into one avatar or none, so a run
with groups of photos that show the same person is several jobs: one for each group, one for all other photos.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from ..protocol import photo_lists
from ..protocol.jobs import has_one_result
from .events import Accepted, JobEnded, JobEvent, PhotoDone, PhotoFailed, PhotoMerged, Progress
from .problem import Problem
from .result import Result

# The backend's stages of a photo, in their order, and what the panel calls them.
STAGES: Mapping[str, str] = {
    "reading": "Read",
    "finding people": "Find people",
    "predicting": "Predict bodies",
    "fitting": "Fit",
    "texturing": "Dress and texture",
}


class JobState(Enum):
    """How things stand with a job, or with a run."""

    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass
class Job:
    """One job.

    Attributes:
        id: UUID.
        photos: files as chosen.
        options: as the protocol names them.
        state: how it stands.
        sent: index among ``photos`` of each photo that the backend has, in its order; None until it has said so.
        fraction: 0 to 1, of all photos.
        photo, stage, message: what is being done, to which photo; the message in the artist's words.
        seconds_left: of the job, None if not known.
        ended: photos that are over, by index.
        problems: of photos, by index.
        problem: of the whole job, or None.
        results: photos that have come and wait to be imported, by index.
        imported: photos that were imported, by index.
        people: how many people were imported.
    """

    id: str
    photos: tuple[Path, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    state: JobState = JobState.RUNNING
    sent: tuple[int, ...] | None = None
    fraction: float = 0.0
    photo: int = 0
    stage: str = ""
    message: str = "Waiting"
    seconds_left: float | None = None
    ended: set[int] = field(default_factory=set)
    problems: dict[int, Problem] = field(default_factory=dict)
    problem: Problem | None = None
    results: dict[int, Result] = field(default_factory=dict)
    imported: set[int] = field(default_factory=set)
    people: int = 0

    @property
    def over(self) -> bool:
        """Whether nothing more comes of it and nothing waits to be imported."""
        return self.state is not JobState.RUNNING and not self.results

    def number(self, photo: int) -> int:
        """A chosen photo as the backend counts."""
        return self.sent.index(photo) if self.sent is not None and photo in self.sent else photo

    def apply(self, event: JobEvent) -> None:
        """Take in what has happened to it."""
        if isinstance(event, Accepted):
            self.sent = event.sent
        elif isinstance(event, Progress):
            self.fraction = max(self.fraction, (len(self.ended) + event.fraction) / max(len(self.photos), 1))
            self.photo, self.stage = event.photo, event.stage
            self.message, self.seconds_left = event.message, event.seconds_left
        elif isinstance(event, JobEnded):
            self.problem = event.problem
            failed = event.problem is not None or (not event.cancelled and len(self.problems) == len(self.photos))
            self.state = JobState.CANCELLED if event.cancelled else JobState.FAILED if failed else JobState.DONE
            self.fraction, self.seconds_left = 1.0, None
        elif isinstance(event, (PhotoDone, PhotoFailed, PhotoMerged)):
            self.ended.add(event.photo)
            self.fraction = max(self.fraction, len(self.ended) / max(len(self.photos), 1))
            if isinstance(event, PhotoDone):
                self.results[event.photo] = event.result
            elif isinstance(event, PhotoFailed):
                self.problems[event.photo] = event.problem


def portioned(photos: Sequence[Path], options: Mapping[str, Any]) -> list[list[Path]]:
    """The photos of each job where they are more, or larger, than one job may have.

    Pictures that become one result must be one job.
    """
    if has_one_result(options):
        return [list(photos)]
    return [[photos[index] for index in portion] for portion in photo_lists.portions(map(_size, photos))]


def _size(photo: Path) -> int:
    try:
        return photo.stat().st_size
    except OSError:
        return 0  # one that cannot be read is told later; one that is being written is a picture of Blender's


@dataclass
class JobGroup:
    """The jobs of one press of the button; ``begun`` on `time.monotonic`'s clock."""

    jobs: list[Job]
    begun: float = field(default_factory=time.monotonic)

    @property
    def state(self) -> JobState:
        """Running while one job is; failed where all have failed."""
        states = {job.state for job in self.jobs}
        for state in (JobState.RUNNING, JobState.CANCELLED, JobState.DONE):
            if state in states:
                return state
        return JobState.FAILED

    @property
    def fraction(self) -> float:
        """0 to 1, of all photos."""
        return sum(job.fraction * len(job.photos) for job in self.jobs) / max(
            sum(len(job.photos) for job in self.jobs), 1
        )

    @property
    def current(self) -> Job:
        """The job that is being worked on; the last one when all are over."""
        return next((job for job in self.jobs if job.state is JobState.RUNNING), self.jobs[-1])

    @property
    def seconds_left(self) -> float | None:
        """As the backend reckons for one job; of several, as fast as it went so far. None if not known."""
        left = self.current.seconds_left
        if left is None or len(self.jobs) == 1:
            return left
        return max(left, (time.monotonic() - self.begun) * (1 - self.fraction) / max(self.fraction, 1e-3))

    @property
    def people(self) -> int:
        """How many people were imported."""
        return sum(job.people for job in self.jobs)

    def waiting(self) -> Iterator[tuple[Job, int]]:
        """Photos that have come and wait to be imported."""
        for job in self.jobs:
            for photo in sorted(job.results):
                yield job, photo

    def problems(self) -> Iterator[tuple[Path | None, Problem]]:
        """What went wrong: with which photo, or with a whole job (None)."""
        for job in self.jobs:
            if job.problem is not None:
                yield None, job.problem
            for photo, problem in sorted(job.problems.items()):
                yield job.photos[photo], problem

    def job(self, identifier: str) -> Job | None:
        """The job with this id."""
        return next((job for job in self.jobs if job.id == identifier), None)


def grouped(photos: Sequence[tuple[Path, str]]) -> list[tuple[list[Path], bool]]:
    """Photos with the mark of the person whom they show ("" for any) -> the photos of each job, and whether they show
    one person.
    """
    groups: dict[str, list[Path]] = {}
    for path, person in photos:
        groups.setdefault(person, []).append(path)
    others = groups.pop("", [])
    # A photo alone may have a letter, too: a sheet that shows the person from several sides.
    return [(others, False)] * bool(others) + [(paths, True) for paths in groups.values()]
