"""How long it takes to cancel a job, by what the server is doing with it.

    python -m benchmarks.cancelling

Run it after a change of the server or its model processes: when you press Cancel, the answer must come at once, and
nobody should be at work on the job after a second. Times are seconds on the clock until the reply, and until no process
works on the job any more. The pipeline is the fake one from the tests, so that its stages last as long as needed.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.csv_results import write_csv
from tests.service.cancelling import STAGES, cancel_during
from tests.service.servers import Server, end, start


def server_in(folder: Path, running: ExitStack, **choices: Any) -> Server:
    """Start a server that is stopped together with the others in ``running``."""
    server = start(folder / "data", **choices)
    running.callback(end, server)
    return server


def main() -> None:
    """Measure, print the figures and write them as CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="jobs for each row (default: %(default)s)")
    repeats = parser.parse_args().repeats
    rows = []
    for stage in STAGES:
        taken = []
        for _ in range(repeats):
            with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
                taken.append(cancel_during(stage, Path(folder), partial(server_in, Path(folder), running)))
        answered, free = (statistics.median(getattr(one, name) for one in taken) for name in ("answered", "free"))
        print(f"cancel while {stage}: answered after {answered:.3f} s, nobody at work after {free:.3f} s", flush=True)
        rows.append({"while": stage, "answered after, s": answered, "nobody at work after, s": free})
    write_csv("cancelling", rows, [f"medians of {repeats} runs"])


if __name__ == "__main__":
    main()
