"""The messages of protocol version 1, as they are packed: docs/protocol.md describes them.

Replies carry ``request``, too, by which a client tells them from events.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypedDict


class PhotoStatus(TypedDict):
    """A photo's state; ``error`` (code, message and fix) if it failed."""

    index: int
    name: str
    state: str
    error: dict[str, str] | None


class JobStatus(TypedDict):
    """How a job is; ``created`` in seconds since the epoch."""

    job: str
    state: str
    created: float
    photos: list[PhotoStatus]


class JobSummary(TypedDict):
    """A job among others: how many photos it has, and how many of them are in each state."""

    job: str
    state: str
    created: float
    photos: int
    waiting: int
    done: int
    failed: int
    merged: int


# -- requests ----------------------------------------------------------------------------------------------------------


class SentPhoto(TypedDict):
    """A photo of a request ``reconstruct``: its name, and its file's bytes."""

    name: str
    data: bytes


class JobRequest(TypedDict):
    """The fields of a ``reconstruct`` request, which submits jobs of every kind (`protocol.jobs`)."""

    job: str
    photos: list[SentPhoto]
    options: dict[str, Any]


# -- replies -----------------------------------------------------------------------------------------------------------


class Hello(TypedDict):
    """A server's description of itself."""

    kind: Literal["hello"]
    version: str
    protocol: int
    result_schema: int
    capabilities: Sequence[str]
    options: dict[str, Any]
    bodies: list[str]
    models_folder: str
    device: str
    model: dict[str, Any]


# -- events ------------------------------------------------------------------------------------------------------------


class ProgressEvent(TypedDict):
    """The progress of a photo: its ``fraction``, 0 to 1; ``seconds_left`` of the whole job, if known."""

    kind: Literal["progress"]
    job: str
    photo: int
    photos: int
    stage: str
    fraction: float
    message: str
    seconds_left: float | None


class PhotoEvent(TypedDict):
    """A photo is done, has failed or was merged."""

    kind: Literal["photo"]
    job: str
    photo: int
    state: str
    error: dict[str, str] | None


class FinishedEvent(TypedDict):
    """A job is finished or cancelled: its status."""

    kind: Literal["finished"]
    job: str
    state: str
    created: float
    photos: list[PhotoStatus]


Event = ProgressEvent | PhotoEvent | FinishedEvent


def photo_event(job: str, photo: PhotoStatus) -> PhotoEvent:
    """The event that a photo has come to its end."""
    return {"kind": "photo", "job": job, "photo": photo["index"], "state": photo["state"], "error": photo["error"]}


def finished_event(status: JobStatus) -> FinishedEvent:
    """The event that a job has come to its end. ``status`` may hold more, such as the fields of a reply."""
    return {
        "kind": "finished",
        "job": status["job"],
        "state": status["state"],
        "created": status["created"],
        "photos": status["photos"],
    }
