"""Cancel a job in each of its stages: for a test of what happens, and a benchmark of how long it takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.service.servers import Server, photo, wait_until

STAGES = ("loading", "queued", "between stages", "in a stage that does not end", "storing the result")
PIPELINE = "tests.service.fake_pipeline:SlowlyLoadingPipeline"


@dataclass(frozen=True)
class Cancelled:
    """The job's state in the answer, seconds until the answer, and until no process worked on the job any more."""

    state: str
    answered: float
    free: float


def cancel_during(stage: str, folder: Path, start: Callable[..., Server]) -> Cancelled:
    """Start a server and cancel a job of two photos at this stage of the first.

    Args:
        stage: one of STAGES.
        folder: for files that tell the fake pipeline when to go on.
        start: starts the server, with the pipeline and environment variables as keywords.
    """
    loaded, never = folder / "loaded", folder / "never"
    if stage != "loading":
        loaded.touch()
    server = start(pipeline=PIPELINE, UVATAR_TEST_LOADED=str(loaded))
    orders: dict[str, Any] = {
        "between stages": {"stages": 1000, "seconds": 0.05},
        "in a stage that does not end": {"wait_for": str(never)},
        "storing the result": {"pad": 50_000_000, "stages": 1},
    }.get(stage, {})  # type: ignore[assignment]
    with server.client() as client:
        if stage != "loading":
            list(client.events(client.submit([("warm.jpg", photo())])))
        if stage == "queued":
            client.submit([("first.jpg", photo(stages=1000, seconds=0.05))])
        job = client.submit([("a.jpg", photo(**orders)), ("b.jpg", photo())])
        if orders:
            next(event for event in client.events(job) if event["kind"] == "progress")
        begun = time.monotonic()
        state = client.cancel(job)["state"]
        answered = time.monotonic() - begun
        wait_until(lambda: all(worker["job"] != job for worker in client.status()["workers"]), "no process works on it")
        return Cancelled(state, answered, time.monotonic() - begun)
