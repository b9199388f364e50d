"""Carrying people over to the SMPL body: seconds. `python tests/benchmarks/bench_transfer.py`

With the user's own files where UVATAR_MODELS or the models folder has them, else with a body in SMPL's format that the
tests make. Times are of one thread's processor, medians of people in several poses.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.transfer.smpl_like import other_body, write_files  # noqa: E402
from tests.transfer.test_transfer import fit_of  # noqa: E402
from uvatar.body import load_open_body  # noqa: E402
from uvatar.runtime.weights import models_folder, smpl_path  # noqa: E402
from uvatar.texturing import Texture  # noqa: E402
from uvatar.texturing.atlas import atlas_of  # noqa: E402
from uvatar.transfer import UserSmpl, carried_texture, carry_over  # noqa: E402

PEOPLE = 7
Result = TypeVar("Result")


def main() -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    body = load_open_body()
    with tempfile.TemporaryDirectory() as temporary:
        own = smpl_path(models_folder()) is not None
        models = models_folder() if own else write_files(other_body(body), Path(temporary)).parent
        print("the user's own SMPL files" if own else "a body in SMPL's format, made for the tests")
        seconds, registration = timed(UserSmpl(body, models).registration)
        print(f"reading and registering, once per process: {seconds:.2f} s")
    carried = [
        timed(lambda seed=seed: carry_over(fit_of(body, seed, dressed=True), registration)) for seed in range(PEOPLE)
    ]  # type: ignore[misc]
    distance = np.mean([one.distance_mean for _, one in carried])
    seconds = float(np.median([taken for taken, _ in carried]))
    print(f"pose, shape, clothes: {seconds:.3f} s a person, {1000 * distance:.1f} mm from the open body's surface")
    if not registration.target.data.has_uv:
        return
    for size in (1024, 2048, 4096):
        table = atlas_of(body, size).table
        texture = Texture(np.full((size, size, 3), 128, np.uint8), table.scatter(np.ones(len(table), np.uint8)))
        times = [
            timed(lambda texture=texture: carried_texture(texture, registration, len(texture.image)))[0]
            for _ in range(4)
        ]  # type: ignore[misc]
        print(
            f"texture, {size} pixels: {times[0]:.2f} s for the first person, {np.median(times[1:]):.3f} s for the "
            "others"
        )


def timed(call: Callable[[], Result]) -> tuple[float, Result]:
    start = time.process_time()
    result = call()
    return time.process_time() - start, result


if __name__ == "__main__":
    main()
