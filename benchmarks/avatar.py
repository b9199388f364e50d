"""From a photo to the finished avatar: seconds by stage, with the models loaded.

    python -m benchmarks.avatar                                     # the first sample
    python -m benchmarks.avatar me.jpg group.jpg --repeats 9        # your photos
    python -m benchmarks.avatar --device cuda                       # the networks on a GPU

Each photo is reconstructed with the default options and with --fast, from the file's bytes to the result that leaves
the backend (no files are written). The seconds are medians. A fixed NumPy kernel (`benchmarks/kernel.py`) is timed
between the photos; the column "s a person / kernel" is what to compare between machines.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.csv_results import write_csv
from benchmarks.kernel import Kernel, best, measure
from uvatar.data.progress import ignore_progress
from uvatar.engine.engine import Engine
from uvatar.engine.jobs import photo_result
from uvatar.engine.placement import in_words
from uvatar.protocol.options import Options

SAMPLE = Path(__file__).resolve().parents[1] / "samples" / "man.jpg"
WAYS = {"default": Options(), "--fast": Options(fast=True)}


def reconstructed(path: Path, options: Options, engine: Engine) -> tuple[float, dict[str, Any]]:
    """Seconds that a photo takes, and its result. Exits if nobody in the photo becomes an avatar."""
    data = path.read_bytes()
    start = time.perf_counter()
    result = photo_result((path.name, data), options, engine, ignore_progress)
    seconds = time.perf_counter() - start
    if not result["people"]:
        raise SystemExit(f"{path.name}: {result['errors'][0]['message']}")
    return seconds, result


def turns(photos: list[Path], repeats: int, engine: Engine, kernel: Callable[[], Kernel]) -> tuple[list[Any], Kernel]:
    """All measurements as (photo, way, seconds, result), after a warm-up of each, and the best times of the kernel."""
    taken, kernels = [], []
    for turn in range(1 + repeats):
        for path in photos:
            for way, options in WAYS.items():
                seconds, result = reconstructed(path, options, engine)
                if turn > 0:
                    taken.append((path, way, seconds, result))
            kernels.append(kernel())
    return taken, best(kernels)


def row_of(path: Path, way: str, taken: list[tuple[float, dict[str, Any]]], kernel: Kernel) -> dict[str, object]:
    """A row of results: medians of the turns of one photo with one set of options."""
    result = taken[0][1]
    people = len(result["people"])
    seconds = [one for one, _ in taken]
    middle = statistics.median(seconds)
    stages = {
        f"{stage}, s": statistics.median(result["timings"].get(stage, 0.0) for _, result in taken)
        for stage in result["timings"]
    }
    return {
        "photo": path.name,
        "pixels": f"{result['photo']['width']}x{result['photo']['height']}",
        "people": people,
        "options": way,
        "s": middle,
        "least s": min(seconds),
        "greatest s": max(seconds),
        "s a person": middle / people,
        "s a person / kernel": 1e3 * middle / people / kernel.both,
        **stages,
    }


def main() -> None:
    """Measure, print the figures and write them as CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "photos", type=Path, nargs="*", default=[SAMPLE], metavar="PHOTO", help="by default samples/man.jpg"
    )
    parser.add_argument("--repeats", type=int, default=5, help="measurements of each photo (default: %(default)s)")
    parser.add_argument("--threads", type=int, help="CPU threads; by default one for each core")
    parser.add_argument("--device", help="auto, cpu, cuda, directml, coreml or mps")
    arguments = parser.parse_args()
    engine = Engine.load(threads=arguments.threads, device=arguments.device)
    taken, kernel = turns(arguments.photos, arguments.repeats, engine, measure)
    rows = []
    for path in arguments.photos:
        for way in WAYS:
            own = [(seconds, result) for photo, how, seconds, result in taken if (photo, how) == (path, way)]
            rows.append(row_of(path, way, own, kernel))
            print(
                f"{path.name:24} {way:8} {rows[-1]['people']} people, {rows[-1]['s a person']:.2f} s each, "
                f"{rows[-1]['s a person / kernel']:.0f} kernels",
                flush=True,
            )
    notes = [
        f"{engine.threads} threads; networks on: {in_words(engine)}; medians of {arguments.repeats} turns",
        f"kernel: {kernel.both:.1f} ms (product {kernel.product:.1f} ms, sums {kernel.sums:.1f} ms); "
        "yours: python benchmarks/kernel.py",
    ]
    print(notes[-1])
    write_csv("avatar", rows, notes)


if __name__ == "__main__":
    main()
