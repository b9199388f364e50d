"""`uvatar-train lifter-data`: renders people and stores perception's results for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import torch

from uvatar.body import load_open_body
from uvatar.runtime.weights import weights_folder
from uvatar_training.lifter.poses import PoseSampler
from uvatar_training.lifter.scenes import KnownBoxPerception, SceneMaker
from uvatar_training.lifter.shards import write_shards


def make_lifter_data(
    out: Path,
    bank: Path,
    count: int = 12_000,
    seed: int = 1,
    textures: Path | None = None,
    validation: bool = False,
    progress: Callable[[int], None] = lambda done: None,
) -> int:
    """Make ``count`` people on one CPU thread, about 0.3 s each.

    Existing shards are kept, so a stopped run continues where it was.

    Args:
        out: folder of the shards.
        bank: pose bank (see `PoseSampler.load`).
        count: number of people.
        seed: runs with different seeds may write into the same folder at the same time.
        textures: folder of clothed UV textures of the open body (`tools/bake_outfits.py`), or None.
        validation: use the poses of the bank that are held out from training.
        progress: called with the number of people made so far.

    Returns:
        The number of rendered people who were discarded because perception did not find them or too little of them was
        visible.

    Raises:
        DataError: the bank cannot be used.
    """
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    pictures = (
        sorted(path for path in textures.iterdir() if path.suffix.lower() in (".png", ".jpg")) if textures else []
    )
    maker = SceneMaker(load_open_body(), PoseSampler.load(bank, validation), pictures)
    return write_shards(out, count, seed, maker, KnownBoxPerception(weights_folder() / "perception"), progress)
