"""Errors in data, with messages that say what to fix."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path


class DataError(ValueError):
    """A file that cannot be used. The message names it and says why."""

    def __init__(self, path: Path | str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path, self.reason = path, reason

    def __reduce__(self) -> tuple[type, tuple[Path | str, str]]:
        """So that it crosses from a loading process whole."""
        return DataError, (self.path, self.reason)


@dataclass
class Skipped:
    """What was left out and why; `report` is for people."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def add(self, error: DataError) -> None:
        """Count one more."""
        self.counts[error.reason] += 1
        self.examples.setdefault(error.reason, str(error.path))

    def __len__(self) -> int:
        return sum(self.counts.values())

    def report(self) -> str:
        """One line per reason, most frequent first; empty where nothing was skipped."""
        return "\n".join(
            f"{count} skipped: {reason} (first: {self.examples[reason]})" for reason, count in self.counts.most_common()
        )
