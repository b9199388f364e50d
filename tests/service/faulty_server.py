"""``uvatar serve`` that stops at a chosen point of its inside, so that a test can kill whomever it likes right there.

UVATAR_TEST_POINT names the point.  The first time it is reached, the file UVATAR_TEST_REACHED is made and the process
waits until that file is gone, or until it is killed.  Results are written by the model process, which
`tests.service.fake_pipeline` has stop there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from uvatar.commands import cli
from uvatar.service.job_files import JobFiles
from uvatar.service.journal import Journal
from uvatar.service.pool import Pool
from uvatar.service.requests import RequestHandlers

# Point -> the function at which it is, and whether it comes before or after it.
POINTS: dict[str, tuple[type, str, str]] = {
    "before the photos are written": (JobFiles, "store", "before"),
    "when the photos are written": (JobFiles, "store", "after"),
    "when the job is in the journal": (Journal, "enter", "after"),
    "when the first photo is handed out": (Pool, "_hand_out", "after"),
    "before the first photo's end is told": (Pool, "_publish_end", "before"),
    "before the photos of the ended job are deleted": (JobFiles, "delete_photos", "before"),
    "when a result is asked for": (RequestHandlers, "result", "before"),
}
MODEL_POINTS: dict[str, tuple[type, str, str]] = {
    "before the first result is written": (JobFiles, "store_result", "before"),
    "when the first result is written": (JobFiles, "store_result", "after"),
}


def stop_once() -> None:
    """Say that the point is reached and wait, the first time."""
    reached = Path(os.environ["UVATAR_TEST_REACHED"])
    with suppress(FileExistsError):
        reached.with_suffix(".once").touch(exist_ok=False)
        reached.touch()
        while reached.exists():
            time.sleep(0.005)


def stop_at(point: str) -> None:
    """Have the process stop at the point."""
    owner, name, side = {**POINTS, **MODEL_POINTS}[point]
    original: Callable[..., Any] = getattr(owner, name)

    def stopping(*arguments: Any, **named: Any) -> Any:
        if side == "before":
            stop_once()
        value = original(*arguments, **named)
        if side == "after" and (name != "_hand_out" or arguments[1].unit):
            stop_once()
        return value

    setattr(owner, name, stopping)


if __name__ == "__main__":
    if os.environ.get("UVATAR_TEST_POINT") in POINTS:
        stop_at(os.environ["UVATAR_TEST_POINT"])
    cli.main()
