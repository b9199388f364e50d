"""How long-running functions tell how far they are."""

from __future__ import annotations

from collections.abc import Callable

# Within one stage: the fraction of it that is done (0..1) and a message in the artist's words.
StageProgress = Callable[[float, str], None]
# Of a whole job: the stage's name, the fraction of the photo that is done (0..1) and a message in the artist's words.
Progress = Callable[[str, float, str], None]


def ignore_progress(stage: str, fraction: float, message: str) -> None:
    """A `Progress` that tells nobody."""


def within(report: Progress, start: float, end: float) -> Progress:
    """A `Progress` whose fractions 0..1 are those from ``start`` to ``end`` of ``report``."""
    return lambda stage, fraction, message: report(stage, start + (end - start) * fraction, message)


def of_stage(report: Progress, stage: str, start: float, end: float) -> StageProgress:
    """The `StageProgress` of a stage that takes the photo from ``start`` to ``end``."""
    return lambda fraction, message: report(stage, start + (end - start) * fraction, message)
