"""Whether what is fuzzed hangs or grows."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil


@dataclass
class Watch:
    """What was seen of many calls.

    Attributes:
        slowest: seconds of processor time of the slowest call.
        outcomes: how often each outcome came.
        growth: bytes that the process grew by, from the end of the first fifth to the end.
    """

    slowest: float = 0.0
    count: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    growth: int = 0
    _base: int = 0

    @contextmanager
    def call(self) -> Iterator[None]:
        """Around each call."""
        start = time.process_time()
        yield
        self.slowest = max(self.slowest, time.process_time() - start)
        self.count += 1

    def note(self, outcome: str) -> bool:
        """Count an outcome; whether it is a new one."""
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1
        return self.outcomes[outcome] == 1

    def mark(self, done: float) -> None:
        """Look at the memory when this share of all calls is done."""
        gc.collect()
        size = psutil.Process().memory_info().rss
        if done <= 0.2:
            self._base = size
        self.growth = size - self._base

    def __str__(self) -> str:
        told = ", ".join(
            f"{name} {count}" for name, count in sorted(self.outcomes.items(), key=lambda item: -item[1])[:12]
        )
        return f"{self.count} inputs; slowest {self.slowest:.2f} s; growth {self.growth / 1e6:.1f} MB; {told}"
