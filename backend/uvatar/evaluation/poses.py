"""The poses of the synthetic evaluation, to which nothing else was fitted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.runtime.weights import weights_folder

# A pose bank is ordered by clip, so neighbouring poses are nearly the same. Therefore whole blocks are held out, spread
# over the clips.
_PERIOD, _HELD_OUT_FROM, _GUARD = 1000, 900, 20


def held_out(count: int) -> NDArray[np.bool_]:
    """(count,) True for the poses of an ordered bank that no prior and no network may be fitted to.

    These are the last 100 of every 1,000. Fit to ``bank[~held_out(len(bank))]``.
    """
    return np.arange(count) % _PERIOD >= _HELD_OUT_FROM


def evaluation_indices(count: int) -> NDArray[np.int64]:
    """Indices of the held-out poses at least 20 poses away from any that may be fitted to, in order."""
    place = np.arange(count) % _PERIOD
    return np.flatnonzero((place >= _HELD_OUT_FROM + _GUARD) & (place < _PERIOD - _GUARD))


def load_poses(path: Path | None = None) -> NDArray[np.float32]:
    """(N, 24, 3) axis-angle poses in body axes (x left, y up, z forward) to evaluate with.

    Args:
        path: an npz with ``aa`` (N, 24, 3): of a bank, the held-out blocks are taken; of fewer than 1,000 poses, all.
            By default the shipped poses (`tools/build_evaluation_poses.py`), which no prior was fitted to.
    """
    with np.load(path or weights_folder() / "evaluation_poses.npz", allow_pickle=False) as file:
        poses = file["aa"].astype(np.float32)
    chosen: NDArray[np.float32] = poses[evaluation_indices(len(poses))] if len(poses) >= _PERIOD else poses
    return chosen


def drawn_poses(bank: Floats, count: int, seed: int) -> Iterator[tuple[str, Floats, np.random.Generator]]:
    """Draw the poses of an evaluation's people, each as often as the others.

    Args:
        bank: (N, 24, 3) poses.
        count: number of people.
        seed: of everything random.

    Yields each person's name, pose (24, 3), and source of all further random numbers.
    """
    order = np.random.default_rng(seed).permutation(len(bank))
    for number in range(count):
        yield f"{number:03d}", bank[order[number % len(bank)]], np.random.default_rng([seed, number])
