"""Estimates a job's remaining time from the time its photos took so far."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Pace:
    """How many photos of a job are done, and how many seconds they took together."""

    photos: int = 0
    seconds: float = 0.0


def seconds_left(spent: float, fraction: float, waiting: int, pace: Pace) -> float | None:
    """Estimate the seconds until a job is finished; None if no estimate is possible yet.

    Args:
        spent: seconds spent on the current photo.
        fraction: how much of the current photo is done, 0..1.
        waiting: number of photos after it.
        pace: time that the job's photos took so far.
    """
    if pace.photos:
        each = pace.seconds / pace.photos
    elif fraction >= 0.05:
        each = spent / fraction
    else:
        return None
    return each * (1 - fraction) + waiting * each
