"""People prepared for the Texture Predictor in advance, a megabyte each; training then needs no rendering.

Beside every shard ``NAME.tar`` is a file ``NAME.people-TEXELS-PIXELS.npy``: a NumPy array of records, read by memory
mapping.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from uvatar.body import load_open_body
from uvatar.data.labels import Label
from uvatar.data.texture import Texture
from uvatar.texture_predictor.config import Config
from uvatar.texturing.layout.atlas import Atlas
from uvatar.texturing.painted import complete_painted
from uvatar_training.data.problems import DataError, Skipped
from uvatar_training.data.shards import shard_paths, shard_set
from uvatar_training.data.texture_batch import SMALLEST, TextureBatch, TextureStage, prepare_person, usable_pixels

SIZE = 256
SHOWN = 2  # K of `UvPerson`
_ARRAYS = ("photo", "colours", "shown", "completed", "truth", "pose", "betas", "camera")
# Limits of what is removed from the visible part: at its borders, relative to the texture's side, and in holes, as a
# share of it.
_NARROWER, _HOLES = 0.02, 0.5
FEWEST_TEXELS = 0.06  # least share of the texture that must be visible


@dataclass(frozen=True)
class UvPerson:
    """One person of a picture, R texels and S pixels on a side.

    Attributes:
        name: of the sample and the person.
        split: "train" or "held_out".
        photo: (S, S, 3) uint8 sRGB on mid-grey.
        colours: (R, R, 3) uint8 sRGB of the visible part of the texture.
        shown: (K, R, R) uint8 how well each texel is visible: first all that is, then less, as for another fit and
            mask.
        completed: (K, R, R, 3) uint8 each of these completed by the product without a network (`uvatar.texturing`).
        truth: (R, R, 3) uint8, the whole texture in the picture's light.
        pose: (24, 3, 3), betas: (10,), camera: (3,), see `uvatar.texture_predictor.structure.Structure`.
    """

    name: str
    split: str
    photo: NDArray[np.uint8]
    colours: NDArray[np.uint8]
    shown: NDArray[np.uint8]
    completed: NDArray[np.uint8]
    truth: NDArray[np.uint8]
    pose: NDArray[np.float32]
    betas: NDArray[np.float32]
    camera: NDArray[np.float32]


@dataclass(frozen=True)
class UvPeople:
    """All people of a folder's shards, by number: samples for `uvatar_training.data.stream`."""

    files: tuple[Path, ...]
    ends: NDArray[np.int64]
    split: str

    def __len__(self) -> int:
        return int(self.ends[-1])

    def read(self, number: int) -> UvPerson:
        """Read person ``number``."""
        shard = int(np.searchsorted(self.ends, number, side="right"))
        record = _mapped(self.files[shard])[number - (int(self.ends[shard - 1]) if shard else 0)]
        return UvPerson(str(record["name"]), self.split, **{name: np.array(record[name]) for name in _ARRAYS})


def open_uv_people(
    folder: Path,
    split: str,
    photo_side: int,
    size: int = SIZE,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[UvPeople, Skipped]:
    """Open the people of a folder's shards, and first prepare those of shards without an up-to-date file.

    Args:
        folder: of the shards.
        split: "train" or "held_out".
        photo_side: side of the photos, pixels.
        size: side of the textures, texels; smaller networks reduce them.
        workers: number of processes that prepare people.
        progress: called with the number of finished shards and the number of all shards.

    Returns:
        The people, and what could not be used.

    Raises:
        DataError: there are no people.
    """
    shards = shard_paths(folder, split)
    files = [path.with_suffix(f".people-{size}-{photo_side}.npy") for path in shards]
    due = [number for number, file in enumerate(files) if not _is_current(file, shards[number])]
    skipped = Skipped()
    if due:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            jobs = [pool.submit(_make, shards[number], files[number], size, photo_side) for number in due]
            for done, job in enumerate(as_completed(jobs)):
                for problem in job.result():
                    skipped.add(problem)
                if progress:
                    progress(len(files) - len(due) + done + 1, len(files))
    ends = np.cumsum([len(_mapped(file)) for file in files])
    if not ends[-1]:
        raise DataError(
            folder, f"holds nobody with a texture who is large enough: {skipped.report() or 'no people at all'}"
        )
    return UvPeople(tuple(files), ends, split), skipped


def _is_current(file: Path, shard: Path) -> bool:
    return file.exists() and file.stat().st_mtime_ns >= shard.stat().st_mtime_ns


def _mapped(file: Path) -> NDArray[np.void]:
    # Opened by name in every process: sending the array to a loading process would copy it into its memory.
    return _opened(file, file.stat().st_mtime_ns)


@cache
def _opened(file: Path, changed: int) -> NDArray[np.void]:
    """The people of a file; ``changed``, its modification time, is part of the cache's key."""
    try:
        mapped: NDArray[np.void] = np.load(file, mmap_mode="r", allow_pickle=False)
        return mapped
    except (ValueError, OSError) as error:
        raise DataError(file, f"cannot be read: {error}. Delete it to have it rebuilt from its shard") from error


def _make(shard: Path, file: Path, size: int, side: int) -> list[DataError]:
    """Write the people of one shard; the file appears only when it is complete."""
    torch.set_num_threads(1)
    stage = _stage(size, side)
    kind = np.dtype([
        ("name", "U64"), ("photo", "u1", (side, side, 3)), ("colours", "u1", (size, size, 3)),
        ("shown", "u1", (SHOWN, size, size)),
        ("completed", "u1", (SHOWN, size, size, 3)), ("truth", "u1", (size, size, 3)),
        ("pose", "f4", (24, 3, 3)), ("betas", "f4", 10), ("camera", "f4", 3),
    ])  # fmt: skip
    rows, problems = [], []
    samples = shard_set([shard])
    for number in range(len(samples)):
        try:
            sample = samples.read(number)
            pixels = usable_pixels(sample, stage.body)
        except DataError as error:
            problems.append(error)
            continue
        for person in np.flatnonzero(pixels >= SMALLEST**2).tolist():  # smaller people show too little of their clothes
            try:
                ready = prepare_person(sample, person, stage)
            except DataError as error:
                problems.append(error)
                continue
            if ready.truth.isfinite().all() and float(ready.partial[:, 3].mean()) >= FEWEST_TEXELS:
                rows.append(
                    (f"{sample.name}/{person}", *_record(ready, _atlas(size), np.random.default_rng([number, person])))
                )
    part = file.with_suffix(f".{os.getpid()}.part")  # several processes of a run may write the same file
    try:
        with part.open("wb") as out:
            np.save(out, np.array(rows, kind))
        os.replace(part, file)
    except OSError as error:
        raise DataError(file, f"cannot be written: {error.strerror or error}") from error
    return problems


@cache
def _stage(size: int, side: int) -> TextureStage:
    return TextureStage.of(load_open_body().in_network_layout(), Config(resolution=size, photo_side=side), size)


@cache
def _atlas(size: int) -> Atlas:
    return Atlas.of(load_open_body().in_network_layout(), size)


def _record(ready: TextureBatch, atlas: Atlas, rng: np.random.Generator) -> tuple[NDArray[Any], ...]:
    photo, partial, truth = (
        (255 * part[0].permute(1, 2, 0)).round().clamp(0, 255).byte().numpy()
        for part in (ready.photo, ready.partial, ready.truth)
    )
    colours, alpha = np.ascontiguousarray(partial[..., :3]), partial[..., 3]
    shown = [alpha, *(_less(alpha, rng) for _ in range(SHOWN - 1))]
    completed = [
        complete_painted(Texture(colours, np.where(part > 127, Label.SEEN, Label.EMPTY).astype(np.uint8)), atlas).image
        for part in shown
    ]
    fit = ready.pose[0].numpy(), ready.betas[0].numpy(), ready.camera[0].numpy()
    return photo, colours, np.stack(shown), np.stack(completed), truth, *fit


def _less(alpha: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Remove a part (R, R) of it at the borders, and in half of the cases in holes, unless nothing would remain."""
    size = len(alpha)
    width = 1 + 2 * int(rng.integers(0, 1 + round(_NARROWER * size)))
    shown = cv2.erode(alpha, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width)))
    if (share := rng.uniform(-_HOLES, _HOLES)) > 0:
        cells = rng.random((16, 16), np.float32)
        field = cv2.resize(cells, (size, size), interpolation=cv2.INTER_CUBIC)
        shown = np.where(field >= np.quantile(cells, share), shown, 0)
    return np.asarray(shown if (shown > 127).any() else alpha, np.uint8)
