"""People prepared for the Texture Predictor in advance, a megabyte and three seconds each; training then needs neither
the product nor a renderer.

Beside every shard ``NAME.tar`` is a file ``NAME.completed-TEXELS-PIXELS.npy``: a NumPy array of records, read by memory
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

import numpy as np
import torch
from numpy.typing import NDArray

from uvatar.body import load_open_body
from uvatar.data.labels import Label
from uvatar.data.texture import Texture
from uvatar.texture_predictor.inputs import Crop, pose_of
from uvatar.texture_predictor.predictor import material_maps
from uvatar.texturing.layout.atlas import Atlas
from uvatar_training.data.problems import DataError, Skipped
from uvatar_training.data.product import completed_texture, view_of
from uvatar_training.data.sample import Sample
from uvatar_training.data.shards import shard_paths, shard_set
from uvatar_training.data.texture_batch import SMALLEST, in_its_light, usable_pixels

SIZE = 256
SHOWN = 2  # K of `UvPerson`
_ARRAYS = ("photo", "shown", "completed", "materials", "truth", "pose", "betas", "camera")
FEWEST_TEXELS = 0.06  # least share of the texture that must be visible


@dataclass(frozen=True)
class UvPerson:
    """One person of a picture, R texels and S pixels on a side.

    Attributes:
        name: of the sample and the person.
        split: "train" or "held_out".
        photo: (S, S, 3) uint8 sRGB on mid-grey.
        shown: (K, R, R) bool, the texels that are the photo's: first for the true body and mask, then with errors.
        completed: (K, R, R, 3) uint8 sRGB, what the product makes of each without a network.
        materials: (K, R, R) uint8, 1 + the index into `uvatar.texture_predictor.structure.MATERIALS`, 0 where there are
            none.
        truth: (R, R, 3) uint8, the whole texture in the picture's light.
        pose: (24, 3, 3), betas: (10,), camera: (3,), see `uvatar.texture_predictor.structure.Structure`.
    """

    name: str
    split: str
    photo: NDArray[np.uint8]
    shown: NDArray[np.bool_]
    completed: NDArray[np.uint8]
    materials: NDArray[np.uint8]
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
    files = [path.with_suffix(f".completed-{size}-{photo_side}.npy") for path in shards]
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
    kind = np.dtype([
        ("name", "U64"), ("photo", "u1", (side, side, 3)), ("shown", "?", (SHOWN, size, size)),
        ("completed", "u1", (SHOWN, size, size, 3)), ("materials", "u1", (SHOWN, size, size)),
        ("truth", "u1", (size, size, 3)), ("pose", "f4", (24, 3, 3)), ("betas", "f4", 10), ("camera", "f4", 3),
    ])  # fmt: skip
    rows, problems = [], []
    samples, atlas = shard_set([shard]), _atlas(size)
    for number in range(len(samples)):
        try:
            sample = samples.read(number)
            pixels = usable_pixels(sample, atlas.body)
        except DataError as error:
            problems.append(error)
            continue
        for person in np.flatnonzero(pixels >= SMALLEST**2).tolist():  # smaller people show too little of their clothes
            try:
                row = _record(sample, person, atlas, side, np.random.default_rng([number, person]))
            except DataError as error:
                problems.append(error)
                continue
            if row is not None:
                rows.append((f"{sample.name}/{person}", *row))
    part = file.with_suffix(f".{os.getpid()}.part")  # several processes of a run may write the same file
    try:
        with part.open("wb") as out:
            np.save(out, np.array(rows, kind))
        os.replace(part, file)
    except OSError as error:
        raise DataError(file, f"cannot be written: {error.strerror or error}") from error
    return problems


@cache
def _atlas(size: int) -> Atlas:
    return Atlas.of(load_open_body().in_network_layout(), size)


def _record(
    sample: Sample, number: int, atlas: Atlas, side: int, rng: np.random.Generator
) -> tuple[NDArray[Any], ...] | None:
    """The arrays of the sample's person ``number``, in the order of `_ARRAYS`; None if too little is seen or known.

    Raises DataError.
    """
    label = sample.people[number]
    if label.texture is None:
        return None
    _, joints = atlas.body.posed(label.parameters)
    if joints[0, 2] <= 0:
        raise DataError(sample.name, f"has person {number} behind the camera")
    true = view_of(sample, number, atlas.body)
    views = [true, *(view_of(sample, number, atlas.body, rng) for _ in range(SHOWN - 1))]
    textures = [completed_texture(view, atlas) for view in views]
    shown = np.stack([texture.source == Label.SEEN for texture in textures])
    if min(part.mean() for part in shown) < FEWEST_TEXELS:
        return None
    partial = np.dstack([textures[0].image / np.float32(255), shown[0]]).transpose(2, 0, 1)
    truth = in_its_light(label, torch.from_numpy(partial.astype(np.float32)), atlas.size)[0].permute(1, 2, 0)
    crop = Crop.around(true.person.box)
    photo = crop.person(sample.image, true.person.mask, side)[0].transpose(1, 2, 0)
    return (
        np.rint(255 * photo).astype(np.uint8), shown, np.stack([texture.image for texture in textures]),
        np.stack([_kinds(texture) for texture in textures]), (255 * truth).round().clamp(0, 255).byte().numpy(),
        pose_of(label.parameters)[0], label.betas[:10], crop.camera(joints[0], sample.camera)[0],
    )  # fmt: skip


def _kinds(texture: Texture) -> NDArray[np.uint8]:
    """See `UvPerson.materials`."""
    maps = material_maps(texture, len(texture.source))
    kinds: NDArray[np.uint8] = np.where(maps.any(-1), 1 + maps.argmax(-1), 0).astype(np.uint8)
    return kinds
