"""Records of jobs in the journal: their states, photos and remaining work."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from uvatar.protocol.messages import JobStatus, JobSummary, PhotoStatus

ACTIVE = ("queued", "running")  # states of unfinished jobs


@dataclass(frozen=True)
class PhotoState:
    """The state of one photo of a job.

    Attributes:
        index: position in the job, from 0.
        name: the photo's name.
        state: "waiting", "done", "failed" or "merged" (into another photo's avatar).
        error: code, message and fix of a failed photo.
        crashes: how often the model process died on it.
    """

    index: int
    name: str
    state: str
    error: dict[str, str] | None
    crashes: int


@dataclass(frozen=True)
class JobRecord:
    """A job as the journal has it.

    Attributes:
        state: "queued", "running", "finished" or "cancelled".
        created: seconds since the epoch.
        updated: time of the last change, seconds since the epoch.
    """

    id: str
    state: str
    options: dict[str, Any]
    created: float
    updated: float
    photos: tuple[PhotoState, ...]

    @property
    def active(self) -> bool:
        """Whether the job is queued or running."""
        return self.state in ACTIVE

    def waiting(self) -> list[int]:
        """Indices of the photos that are not finished yet."""
        return [photo.index for photo in self.photos if photo.state == "waiting"]

    def as_dict(self) -> JobStatus:
        """The job's status as it is sent to clients."""
        photos: list[PhotoStatus] = [
            {"index": p.index, "name": p.name, "state": p.state, "error": p.error} for p in self.photos
        ]
        return {"job": self.id, "state": self.state, "created": self.created, "photos": photos}

    def summary(self) -> JobSummary:
        """The job's entry in the server's status: the number of photos in each state.

        Its size does not depend on the photos' number and names.
        """
        states = Counter(photo.state for photo in self.photos)
        return {
            "job": self.id,
            "state": self.state,
            "created": self.created,
            "photos": len(self.photos),
            "waiting": states["waiting"],
            "done": states["done"],
            "failed": states["failed"],
            "merged": states["merged"],
        }


@dataclass(frozen=True)
class WorkUnit:
    """The photos of a job that a model process takes at once: one, or all if they show the same person."""

    job: str
    indices: tuple[int, ...]
    options: dict[str, Any]


@dataclass(frozen=True)
class QueueLoad:
    """The queue's load: unfinished jobs, and their unfinished photos."""

    jobs: int
    photos: int
    bytes: int
