"""Errors in data, with messages that say what to fix."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path


class DataError(ValueError):
    """A file or sample cannot be used; the message names it and gives the reason."""

    def __init__(self, path: Path | str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path, self.reason = path, reason

    def __reduce__(self) -> tuple[type, tuple[Path | str, str]]:
        """Pickle path and reason, for errors in loading processes."""
        return DataError, (self.path, self.reason)


@dataclass
class Skipped:
    """Counts samples that were left out, by reason.

    Attributes:
        counts: reason -> number of samples.
        examples: reason -> the first sample's name.
    """

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def add(self, error: DataError) -> None:
        """Count a sample."""
        self.counts[error.reason] += 1
        self.examples.setdefault(error.reason, str(error.path))

    def __len__(self) -> int:
        return sum(self.counts.values())

    def report(self) -> str:
        """A readable report: one line per reason, most frequent first; empty if nothing was skipped."""
        return "\n".join(
            f"{count} skipped: {reason} (first: {self.examples[reason]})" for reason, count in self.counts.most_common()
        )
