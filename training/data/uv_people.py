"""People as the Texture Predictor sees them, made ready once: at half a megabyte each, and a step then costs no rendering.

Beside every shard ``NAME.tar`` lies ``NAME.uv-TEXELS-PIXELS.npy``: a NumPy array of records, read by memory mapping.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from backend.body import load_open_body
from backend.texture_predictor.config import Config
from training.data.problems import DataError, Skipped
from training.data.shards import shard_paths, shard_set
from training.data.texture_batch import SMALLEST, TextureBatch, TextureStage, prepare_person, usable_pixels

SIZE = 256
FEWEST_TEXELS = 0.06  # share of the texture that must be seen


@dataclass(frozen=True)
class UvPerson:
    """One person of a picture, R texels and S pixels on a side.

    Attributes:
        name: of the sample and the person; split: "train" or "held_out".
        photo: (S, S, 3) uint8 sRGB before mid-grey; partial: (R, R, 4) uint8, what the picture shows of the texture and how far.
        truth: (R, R, 3) uint8, the whole texture in the picture's light.
        pose: (24, 3, 3); betas: (10,); camera: (3,), see `backend.texture_predictor.encoders.Structure`.
    """

    name: str
    split: str
    photo: NDArray[np.uint8]
    partial: NDArray[np.uint8]
    truth: NDArray[np.uint8]
    pose: NDArray[np.float32]
    betas: NDArray[np.float32]
    camera: NDArray[np.float32]


@dataclass(frozen=True)
class UvPeople:
    """All people of a folder's shards, by number: samples for `training.data.stream`."""

    records: Sequence[NDArray]
    ends: NDArray[np.int64]
    split: str

    def __len__(self) -> int:
        return int(self.ends[-1])

    def read(self, number: int) -> UvPerson:
        """One person."""
        shard = int(np.searchsorted(self.ends, number, side="right"))
        record = self.records[shard][number - (int(self.ends[shard - 1]) if shard else 0)]
        arrays = {name: np.array(record[name]) for name in ("photo", "partial", "truth", "pose", "betas", "camera")}
        return UvPerson(str(record["name"]), self.split, **arrays)


def open_uv_people(
    folder: Path, split: str, photo_side: int, size: int = SIZE, workers: int = 1, progress: Callable[[int, int], None] | None = None
) -> tuple[UvPeople, Skipped]:
    """The people of a folder's shards; shards without their file get one first.

    Args:
        photo_side: pixels on a side of the photo; size: texels on a side of the textures, which smaller networks reduce.
        workers: processes that make them. progress: called with the shards that are done, and all.

    Returns them, and what could not be used. Raises DataError where there is nobody.
    """
    shards = shard_paths(folder, split)
    files = [path.with_suffix(f".uv-{size}-{photo_side}.npy") for path in shards]
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
    records = [_opened(file) for file in files]
    ends = np.cumsum([len(part) for part in records])
    if not ends[-1]:
        raise DataError(folder, f"holds nobody with a texture who is large enough: {skipped.report() or 'no people at all'}")
    return UvPeople(records, ends, split), skipped


def _is_current(file: Path, shard: Path) -> bool:
    return file.exists() and file.stat().st_mtime_ns >= shard.stat().st_mtime_ns


def _opened(file: Path) -> NDArray:
    try:
        return np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError) as error:
        raise DataError(file, f"cannot be read: {error}. Delete it: it is made anew from its shard") from error


def _make(shard: Path, file: Path, size: int, side: int) -> list[DataError]:
    """Write the people of one shard; the file appears whole or not at all."""
    torch.set_num_threads(1)
    stage = _stage(size, side)
    kind = np.dtype([
        ("name", "U64"), ("photo", "u1", (side, side, 3)), ("partial", "u1", (size, size, 4)), ("truth", "u1", (size, size, 3)),
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
        for person in np.flatnonzero(pixels >= SMALLEST**2).tolist():  # smaller ones say too little of their clothes
            try:
                ready = prepare_person(sample, person, stage)
            except DataError as error:
                problems.append(error)
                continue
            if ready.truth.isfinite().all() and float(ready.partial[:, 3].mean()) >= FEWEST_TEXELS:
                rows.append((f"{sample.name}/{person}", *_record(ready)))
    part = file.with_suffix(f".{os.getpid()}.part")  # several processes of one run may all make it
    try:
        with part.open("wb") as out:
            np.save(out, np.array(rows, kind))
        os.replace(part, file)
    except OSError as error:
        raise DataError(file, f"cannot be written: {error.strerror or error}") from error
    return problems


@cache
def _stage(size: int, side: int) -> TextureStage:
    return TextureStage.of(load_open_body(), Config(resolution=size, photo_side=side), size)


def _record(ready: TextureBatch) -> tuple[NDArray, ...]:
    pictures = [(255 * part[0].permute(1, 2, 0)).round().clamp(0, 255).byte().numpy() for part in (ready.photo, ready.partial, ready.truth)]
    return *pictures, ready.pose[0].numpy(), ready.betas[0].numpy(), ready.camera[0].numpy()
