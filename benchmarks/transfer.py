"""How long it takes to transfer people to the SMPL body.

    python -m benchmarks.transfer
    UVATAR_MODELS=~/.romp python -m benchmarks.transfer      # with your SMPL files there

Run it after a change of `uvatar.transfer`. Without SMPL files in your models folder, it uses a body in SMPL's format
that the tests make. Times are of one thread's processor, medians of people in several poses.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import torch

from benchmarks.csv_results import write_csv
from tests.transfer.smpl_like import other_body, write_files
from tests.transfer.test_transfer import fit_of
from uvatar.body import load_open_body
from uvatar.runtime.weights import models_folder, smpl_path
from uvatar.texturing import Texture
from uvatar.texturing.layout.atlas import Atlas
from uvatar.transfer import UserSmpl, transfer_fit, transfer_texture

Result = TypeVar("Result")


def main() -> None:
    """Measure, print the figures and write them as CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=7, help="number of people (default: %(default)s)")
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[1024, 2048, 4096], help="of the texture (default: 1024 2048 4096)"
    )
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    body = load_open_body()
    with tempfile.TemporaryDirectory() as temporary:
        own = smpl_path(models_folder()) is not None
        models = models_folder() if own else write_files(other_body(body), Path(temporary)).parent
        target = "the user's own SMPL files" if own else "a body in SMPL's format, made for the tests"
        print(target)
        seconds, registration = timed(UserSmpl(body, models).registration)
        print(f"reading and registering, once per process: {seconds:.2f} s")
        rows: list[dict[str, object]] = [{"what": "reading and registering, once per process", "CPU s": seconds}]
    fits = [fit_of(body, seed, dressed=True) for seed in range(arguments.people)]
    transferred = [timed(lambda fit=fit: transfer_fit(fit, registration)) for fit in fits]  # type: ignore[misc]
    distance = np.mean([one.distance_mean for _, one in transferred])
    seconds = float(np.median([taken for taken, _ in transferred]))
    print(f"pose, shape, clothes: {seconds:.3f} s a person, {1000 * distance:.1f} mm from the open body's surface")
    rows.append({"what": "pose, shape, clothes of a person", "CPU s": seconds})
    for size in arguments.sizes if registration.target.data.has_uv else ():
        table = Atlas.of(body, size).table
        texture = Texture(np.full((size, size, 3), 128, np.uint8), table.scatter(np.ones(len(table), np.uint8)))
        times = [timed(partial(transfer_texture, texture, registration, size, table))[0] for _ in range(4)]
        print(
            f"texture, {size} pixels: {times[0]:.2f} s for the first person, {np.median(times[1:]):.3f} s for the "
            "others"
        )
        rows.append({"what": f"texture of {size} pixels, first person", "CPU s": times[0]})
        rows.append({"what": f"texture of {size} pixels, others", "CPU s": float(np.median(times[1:]))})
    distance_note = f"mean distance from the open body's surface: {1000 * distance:.1f} mm"
    write_csv("transfer", rows, [f"one thread's processor time; {target}", distance_note])


def timed(call: Callable[[], Result]) -> tuple[float, Result]:
    """The CPU seconds that a call takes, and its result."""
    start = time.process_time()
    result = call()
    return time.process_time() - start, result


if __name__ == "__main__":
    main()
