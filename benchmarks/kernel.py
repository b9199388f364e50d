"""How fast this machine is, in one number: a fixed piece of NumPy, timed on one thread.

    python benchmarks/kernel.py

Prints milliseconds of a product of two 1024 x 1024 float32 matrices, which is bound by arithmetic, of two sums of two
arrays of 64 MB, which are bound by memory, and of both together. `python -m benchmarks.avatar` runs it between its
photos, so that its seconds can be compared with those of another machine. It needs only NumPy.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SIDE = 1024  # of the matrices: their product is 2.1 GFLOP
NUMBERS = 16 * 2**20  # in each array of the sums: more bytes than caches hold
SUMS = 2  # so that both parts count
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "VECLIB_MAXIMUM", "BLIS")}


@dataclass(frozen=True)
class Kernel:
    """Milliseconds of the matrix product and of the sums."""

    product: float
    sums: float

    @property
    def both(self) -> float:
        """Milliseconds of both together."""
        return self.product + self.sums


def measure(repeats: int = 9) -> Kernel:
    """Time the kernel in a process of its own, whose BLAS has one thread; the best of the repeats of each part."""
    command = [sys.executable, str(Path(__file__).resolve()), "--repeats", str(repeats), "--plain"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **ONE_THREAD})
    return Kernel(*map(float, done.stdout.split()))


def best(kernels: list[Kernel]) -> Kernel:
    """The best time of each part: what the machine can do when nothing disturbs it."""
    return Kernel(min(kernel.product for kernel in kernels), min(kernel.sums for kernel in kernels))


def _measure_here(repeats: int) -> Kernel:
    import numpy as np  # after the number of threads was set

    matrix, product = np.full((SIDE, SIDE), 0.5, np.float32), np.empty((SIDE, SIDE), np.float32)
    left, right, total = (np.full(NUMBERS, value, np.float32) for value in (1, 2, 0))

    def sums() -> None:
        for _ in range(SUMS):
            np.add(left, right, out=total)

    return Kernel(_best_of(repeats, lambda: np.matmul(matrix, matrix, out=product)), _best_of(repeats, sums))


def _best_of(repeats: int, run: Callable[[], object]) -> float:
    """Milliseconds of the fastest run after a warm-up."""
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return 1e3 * min(times)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9, help="runs of each part, of which the best counts")
    parser.add_argument("--plain", action="store_true", help="internal: measure in this process, print numbers only")
    arguments = parser.parse_args()
    if arguments.plain:
        kernel = _measure_here(arguments.repeats)
        print(kernel.product, kernel.sums)
        return
    kernel = measure(arguments.repeats)
    print(f"kernel: {kernel.both:.1f} ms (product {kernel.product:.1f} ms, sums {kernel.sums:.1f} ms)")


if __name__ == "__main__":
    main()
