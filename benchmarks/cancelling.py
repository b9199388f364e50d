"""How long it takes to cancel a job, by what is being done with it.

    python -m benchmarks.cancelling [--repeats 3]

Seconds on the clock until the answer, and until no process works on the job any more. The pipeline is the tests' fake
one, so that its stages last as long as is needed.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from benchmarks.csv_results import write_csv
from tests.backend_process.cancelling import STAGES, cancel_during
from tests.backend_process.conftest import end, start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    rows = []
    for stage in STAGES:
        taken = []
        for _ in range(repeats):
            with tempfile.TemporaryDirectory() as folder:
                taken.append(cancel_during(stage, Path(folder), start, end))
        answered, free = (statistics.median(values) for values in zip(*taken, strict=True))
        print(f"cancel while {stage}: answered after {answered:.3f} s, nobody at work after {free:.3f} s", flush=True)
        rows.append({"while": stage, "answered after, s": answered, "nobody at work after, s": free})
    write_csv("cancelling", rows, [f"medians of {repeats} runs"])


if __name__ == "__main__":
    main()
