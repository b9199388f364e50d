"""`uvatar-train lifter-data`: renders people and records perception's results for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import torch

from uvatar.body import load_open_body
from uvatar.runtime.weights import weights_folder
from uvatar_training.lifter.poses import PoseSampler
from uvatar_training.lifter.scenes import SceneMaker, Watcher
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
    """Make ``count`` people on one CPU thread (about 0.3 s each); what is there already stays, so a stopped run goes
    on.

    Args:
        out: folder of the shards.
        bank: pose bank (see `PoseSampler.load`).
        seed: runs with other seeds may go on at the same time, into the same folder.
        textures: folder of clothed UV textures of the open body (`tools/bake_outfits.py`), or None.
        validation: of the bank, take the poses held out from training.

    Returns how many rendered people perception did not find, or that were hardly seen.
    """
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    pictures = (
        sorted(path for path in textures.iterdir() if path.suffix.lower() in (".png", ".jpg")) if textures else []
    )
    maker = SceneMaker(load_open_body(), PoseSampler.load(bank, validation), pictures)
    return write_shards(out, count, seed, maker, Watcher(weights_folder() / "perception"), progress)
