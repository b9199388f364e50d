"""Fuzz by hand: ``python -m tests.fuzzing wire --count 100000``; files:

``python -m tests.fuzzing .photo --count 20000``.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from . import files, messages


def main() -> None:
    """Fuzz one thing, or all, and print what was seen."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzzing")
    parser.add_argument("what", choices=["wire", *files.LOADERS, "all"])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="keep messages with a new outcome in the corpus")
    chosen = parser.parse_args()
    for what in ["wire", *files.LOADERS] if chosen.what == "all" else [chosen.what]:
        start = time.monotonic()
        with tempfile.TemporaryDirectory() as temporary:
            if what == "wire":
                watch = messages.fuzz(Path(temporary), chosen.count, chosen.seed, chosen.keep)
            else:
                watch = files.fuzz(Path(temporary), what, chosen.count, chosen.seed)
        print(f"{what}: {watch}; {time.monotonic() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
