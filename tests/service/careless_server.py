"""``uvatar serve`` that keeps no reserve on the disk, so that it meets a full one in the middle of its work."""

from __future__ import annotations

from functools import partial

from uvatar.commands import cli
from uvatar.service import ingest

if __name__ == "__main__":
    ingest.QueueLimits = partial(ingest.QueueLimits, reserve=0)  # type: ignore[misc,assignment]
    cli.main()
