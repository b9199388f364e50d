"""Estimates a job's remaining time from the time its photos took so far."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Pace:
    """How many photos of a job were done, and the seconds that they took together."""

    photos: int = 0
    seconds: float = 0.0


def seconds_left(spent: float, fraction: float, waiting: int, pace: Pace) -> float | None:
    """Seconds until a job is finished, None if nothing can be said yet.

    Args:
        spent: seconds on the photo that is being worked on.
        fraction: of that photo that is done, 0..1.
        waiting: photos after it.
        pace: what the job's photos took so far.
    """
    if pace.photos:
        each = pace.seconds / pace.photos
    elif fraction >= 0.05:
        each = spent / fraction
    else:
        return None
    return each * (1 - fraction) + waiting * each
