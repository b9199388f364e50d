"""How long each stage takes."""

from __future__ import annotations

import time


class Stopwatch:
    """Seconds by stage: every lap counts for the stage that has just ended."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """Add the time since the last lap to the stage."""
        now = time.perf_counter()
        self.laps[stage] = self.laps.get(stage, 0.0) + now - self._last
        self._last = now
