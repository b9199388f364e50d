"""Shards with perception's results for rendered people, and the true bodies."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uvatar_training.data.problems import DataError
from uvatar_training.lifter.scenes import KnownBoxPerception, LandmarkDetection, LifterScene, SceneMaker

SHARD = 50  # people


def write_shards(
    folder: Path,
    count: int,
    seed: int,
    maker: SceneMaker,
    perception: KnownBoxPerception,
    progress: Callable[[int], None],
) -> int:
    """Render ``count`` people and store perception's results; existing shards are kept.

    Each person depends only on ``seed`` and its number, so any part can be made again, in any order.

    Args:
        folder: where the shards are written.
        count: number of people.
        seed: of everything that is drawn.
        maker: draws and renders people.
        perception: perception.
        progress: called with the number of people made so far.

    Returns:
        The number of people who were discarded.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lost = 0
    for number in range(-(-count // SHARD)):
        path = folder / f"people_{seed}_{number:05d}.npz"
        if not path.exists():
            rows = []
            for index in range(number * SHARD, min((number + 1) * SHARD, count)):
                row, failures = one_person(np.random.default_rng([seed, index]), maker, perception)
                rows.append(row)
                lost += failures
            _write(path, rows)
        progress(min((number + 1) * SHARD, count))
    return lost


def one_person(
    rng: np.random.Generator, maker: SceneMaker, perception: KnownBoxPerception
) -> tuple[dict[str, NDArray[Any]], int]:
    """Render people until perception finds one.

    Returns:
        The person as a shard's row, and the number of people discarded before.

    Raises:
        RuntimeError: perception found none of 100 people.
    """
    for failures in range(100):
        scene = maker.draw(rng)
        detection = perception.landmarks_of(scene, rng) if scene else None
        if scene and detection:
            return _row(scene, detection), failures
    raise RuntimeError("Perception found none of 100 rendered people: its models or the body do not work.")


def read_shards(paths: Sequence[Path]) -> dict[str, NDArray[Any]]:
    """Read all rows of the shards as arrays by name.

    Raises:
        DataError: there are no shards, or one cannot be read.
    """
    if not paths:
        raise DataError("the lifter's data", "there are no shards: make them first (uvatar-train lifter-data)")
    parts = []
    for path in sorted(paths):
        try:
            with np.load(path, allow_pickle=False) as file:
                parts.append({name: file[name] for name in file.files})
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(path, f"cannot be read; delete it and make the data again ({error})") from None
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _row(scene: LifterScene, detection: LandmarkDetection) -> dict[str, NDArray[Any]]:
    body, camera = scene.body, scene.camera
    return {
        "betas": body.betas,
        "global_orient": body.global_orient,
        "body_pose": body.body_pose,
        "transl": body.transl,
        "camera": np.array([camera.focal, camera.width, camera.height], np.float32),
        "box": detection.box,
        "landmarks": detection.landmarks,
        "world": detection.world,
        "passes": detection.passes,
    }


def _write(path: Path, rows: list[dict[str, NDArray[Any]]]) -> None:
    part = path.with_suffix(f".{os.getpid()}.tmp")
    with part.open("wb") as file:
        np.savez_compressed(file, **{name: np.stack([row[name] for row in rows]) for name in rows[0]})
    os.replace(part, path)
