"""Runs all benchmarks in turn, each in a separate process: `python -m benchmarks [NAME ...]`, `make bench`.

Each writes benchmarks/results/NAME.csv. All together take about half an hour on two cores. `python -m benchmarks.NAME`
runs a single benchmark, with its own options (`--help`) if it has any.
"""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import benchmarks

NO_BENCHMARKS = {"__main__", "csv_results", "kernel"}


def main() -> None:
    """Run the named benchmarks, or all; the exit status is 1 if one fails."""
    known = [module.name for module in pkgutil.iter_modules(benchmarks.__path__) if module.name not in NO_BENCHMARKS]
    chosen = sys.argv[1:] or known
    if unknown := set(chosen) - set(known):
        sys.exit(f"There is no benchmark named {', '.join(sorted(unknown))}. There are: {', '.join(known)}.")
    failed = []
    for name in chosen:
        print(f"\n== {name}", flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"]).returncode != 0:
            failed.append(name)
    if failed:
        sys.exit(f"Failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
