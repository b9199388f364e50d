# SPDX-License-Identifier: GPL-3.0-or-later
"""A run and its jobs, as the panel shows them.

*Make Avatars* starts a run. A job either merges all of its photos into one avatar or treats each by itself, so a run
consists of one job for each group of photos of the same person and of further jobs for all other photos.
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
from .any_result import Result
from .events import Accepted, JobEnded, JobEvent, PhotoDone, PhotoFailed, PhotoMerged, Progress
from .problem import Problem

# The stages of a photo in the backend, in order, and their names on the panel.
STAGES: Mapping[str, str] = {
    "reading": "Read",
    "finding people": "Find people",
    "predicting": "Predict bodies",
    "fitting": "Fit",
    "texturing": "Dress and texture",
}


class JobState(Enum):
    """The state of a job or of a run."""

    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass
class Job:
    """One job.

    Attributes:
        id: UUID.
        photos: the files as chosen.
        options: option name -> value, as in the protocol.
        state: the state of the job.
        sent: index in ``photos`` of each photo that the backend has, in its order; None until it has accepted the job.
        fraction: progress of all photos together, 0 to 1.
        photo, stage, message: the photo being worked on and what is being done, also in words for the user.
        seconds_left: of the job; None if not known.
        ended: indices of the photos that are done, failed or merged.
        problems: problems of photos, by index.
        problem: problem of the whole job, or None.
        results: results that wait to be imported, by index of the photo.
        imported: indices of the photos that were imported.
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
        """Whether the job has ended and nothing waits to be imported."""
        return self.state is not JobState.RUNNING and not self.results

    def number(self, photo: int) -> int:
        """Return the backend's index of a chosen photo."""
        return self.sent.index(photo) if self.sent is not None and photo in self.sent else photo

    def apply(self, event: JobEvent) -> None:
        """Update the job with an event."""
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
    """Divide photos into jobs if they are more, or larger, than one job may have.

    Photos that make a single result stay in one job.
    """
    if has_one_result(options):
        return [list(photos)]
    return [[photos[index] for index in portion] for portion in photo_lists.portions(map(_size, photos))]


def _size(photo: Path) -> int:
    try:
        return photo.stat().st_size
    except OSError:
        return 0  # an unreadable file is reported later; an image of Blender's may still be being written


@dataclass
class JobGroup:
    """The jobs of a run; ``begun`` is its start on the clock of `time.monotonic`."""

    jobs: list[Job]
    begun: float = field(default_factory=time.monotonic)

    @property
    def state(self) -> JobState:
        """The state of the run: running while any job is, failed only if all jobs have failed."""
        states = {job.state for job in self.jobs}
        for state in (JobState.RUNNING, JobState.CANCELLED, JobState.DONE):
            if state in states:
                return state
        return JobState.FAILED

    @property
    def fraction(self) -> float:
        """Progress of all photos together, 0 to 1."""
        return sum(job.fraction * len(job.photos) for job in self.jobs) / max(
            sum(len(job.photos) for job in self.jobs), 1
        )

    @property
    def current(self) -> Job:
        """The job that is being worked on; the last one when all have ended."""
        return next((job for job in self.jobs if job.state is JobState.RUNNING), self.jobs[-1])

    @property
    def seconds_left(self) -> float | None:
        """The backend's estimate for a single job; for several, extrapolated from the progress. None if not known."""
        left = self.current.seconds_left
        if left is None or len(self.jobs) == 1:
            return left
        return max(left, (time.monotonic() - self.begun) * (1 - self.fraction) / max(self.fraction, 1e-3))

    @property
    def people(self) -> int:
        """How many people were imported."""
        return sum(job.people for job in self.jobs)

    def waiting(self) -> Iterator[tuple[Job, int]]:
        """Yield the photos whose results wait to be imported."""
        for job in self.jobs:
            for photo in sorted(job.results):
                yield job, photo

    def problems(self) -> Iterator[tuple[Path | None, Problem]]:
        """Yield the problems, each with its photo, or None if it concerns a whole job."""
        for job in self.jobs:
            if job.problem is not None:
                yield None, job.problem
            for photo, problem in sorted(job.problems.items()):
                yield job.photos[photo], problem

    def job(self, identifier: str) -> Job | None:
        """Return the job with this id, or None."""
        return next((job for job in self.jobs if job.id == identifier), None)


def grouped(photos: Sequence[tuple[Path, str]]) -> list[tuple[list[Path], bool]]:
    """Group photos into jobs.

    Args:
        photos: files with the letter of the person whom they show, "" for none.

    Returns:
        The photos of each job, and whether they show the same person.
    """
    groups: dict[str, list[Path]] = {}
    for path, person in photos:
        groups.setdefault(person, []).append(path)
    others = groups.pop("", [])
    # A single photo may have a letter as well: a sheet that shows the person from several sides.
    return [(others, False)] * bool(others) + [(paths, True) for paths in groups.values()]
