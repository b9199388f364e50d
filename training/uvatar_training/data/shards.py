"""Stores samples in tar shards with WebDataset's layout, which its tools can open, and reads them by random access.

Sample ``000123`` consists of the members ``000123.jpg`` (picture), ``000123.people.png`` (mask), ``000123.labels.png``
(classes of pixels), ``000123.json`` (camera, people) and, for each person with a texture, ``000123.texture0.jpg`` and
``000123.standoff0.png`` (one row with a byte per vertex, in fifths of a millimetre). WebDataset itself reads
sequentially and cannot continue an epoch at an exact sample, which bit-exact resuming requires; an index of the
samples' positions (two numbers per sample) can.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.data.camera import Camera
from uvatar_training.data.problems import DataError
from uvatar_training.data.sample import PersonLabel, Sample

_ARRAYS = {
    "betas": "f4",
    "global_orient": "f4",
    "body_pose": "f4",
    "transl": "f4",
    "joints": "f4",
    "joints_2d": "f4",
    "visible": "?",
}
JPEG_QUALITY, TEXTURE_QUALITY = 93, 92
STAND_OFF_STEP = 0.0002  # metres per step of the stored byte
_BLOCK = 512


class ShardWriter:
    """Writes one shard, which gets its final name only when it is complete."""

    def __init__(self, path: Path) -> None:
        """Create a temporary file.

        Raises:
            DataError: the file cannot be created.
        """
        self.path, self._part = path, path.with_suffix(".part")
        self._count = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._tar = tarfile.open(self._part, "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115 (closed by close)
        except OSError as error:
            raise DataError(path, f"cannot be written: {error.strerror or error}") from error

    def add(self, sample: Sample, quality: int = JPEG_QUALITY) -> None:
        """Append a sample, with pictures in JPEG quality ``quality``.

        Raises:
            DataError: the disk is full.
        """
        key = f"{self._count:06d}"
        self._count += 1
        # The JSON is written last: a sample without it is incomplete.
        try:
            self._member(f"{key}.jpg", encoded(sample.image, ".jpg", quality))
            if sample.mask is not None:
                self._member(f"{key}.people.png", encoded(sample.mask, ".png"))
            if sample.labels is not None:
                self._member(f"{key}.labels.png", encoded(sample.labels, ".png"))
            for number, person in enumerate(sample.people):
                if person.texture is not None:
                    self._member(f"{key}.texture{number}.jpg", encoded(person.texture, ".jpg", TEXTURE_QUALITY))
                if person.stand_off is not None:
                    steps = np.round(person.stand_off / STAND_OFF_STEP).clip(0, 255).astype(np.uint8)
                    self._member(f"{key}.standoff{number}.png", encoded(steps[None], ".png"))
            self._member(f"{key}.json", json.dumps(_as_json(sample)).encode())
        except OSError as error:
            raise DataError(
                self.path,
                f"cannot be written: {error.strerror or error}. Free some space and start again: whole shards are kept",
            ) from error

    def close(self) -> None:
        """Finish the shard and give it its final name.

        Raises:
            DataError: the disk is full.
        """
        try:
            self._tar.close()
            os.replace(self._part, self.path)
        except OSError as error:
            raise DataError(self.path, f"cannot be written: {error.strerror or error}") from error

    def discard(self) -> None:
        """Delete the unfinished shard."""
        self._tar.close()
        self._part.unlink(missing_ok=True)

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()

    def _member(self, name: str, data: bytes) -> None:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        self._tar.addfile(info, io.BytesIO(data))


@dataclass(frozen=True)
class ShardSet:
    """All samples of a folder's shards, by number.

    Attributes:
        paths: of the shards, in order.
        shard: (N,) index of each sample's shard.
        start, size: (N,) position and length of each sample in its shard, bytes. These are arrays instead of lists,
            because every loading process has a copy.
        pictures_only: leave out masks, textures and stand-offs, which is twice as fast.
    """

    paths: Sequence[Path]
    shard: NDArray[np.int32]
    start: NDArray[np.int64]
    size: NDArray[np.int64]
    pictures_only: bool = False

    def __len__(self) -> int:
        return len(self.shard)

    def read(self, number: int) -> Sample:
        """Read sample ``number``.

        Raises:
            DataError: the sample is damaged; the message names it and its shard.
        """
        path = self.paths[int(self.shard[number])]
        try:
            with path.open("rb") as file:
                file.seek(int(self.start[number]))
                data = file.read(int(self.size[number]))
        except OSError as error:
            raise DataError(path, f"cannot be read: {error.strerror or error}") from error
        return _decode(
            data, f"{path.name}#{number - int(np.searchsorted(self.shard, self.shard[number]))}", self.pictures_only
        )


def open_shards(folder: Path, split: str | None = None, pictures_only: bool = False) -> ShardSet:
    """Open the samples of a folder's shards, see `shard_paths` and `ShardSet`.

    Raises:
        DataError: there are no shards, or one is damaged.
    """
    return replace(shard_set(shard_paths(folder, split)), pictures_only=pictures_only)


def shard_paths(folder: Path, split: str | None = None) -> list[Path]:
    """The shards ``*.tar`` of a folder; with a ``split``, only those with "train" or "held_out" in their names.

    Raises:
        DataError: there are no shards, or none of this split.
    """
    paths = sorted(folder.glob("*.tar")) if folder.is_dir() else []
    if not paths:
        raise DataError(folder, "holds no shards (*.tar): make some with uvatar-train synthesize")
    if split is not None:
        chosen = [path for path in paths if path.name.startswith(f"{split}-")]
        if not chosen:
            raise DataError(
                folder,
                f"holds no shards of the split {split!r}, only of "
                f"{sorted({path.name.split('-')[0] for path in paths})}",
            )
        paths = chosen
    return paths


def shard_set(paths: Sequence[Path]) -> ShardSet:
    """Open the samples of these shards.

    Raises:
        DataError: a shard is damaged.
    """
    shards, starts, sizes = [], [], []
    for number, path in enumerate(paths):
        begin, end = _index(path)
        shards.append(np.full(len(begin), number, np.int32))
        starts.append(begin)
        sizes.append(end - begin)
    return ShardSet(paths, np.concatenate(shards), np.concatenate(starts), np.concatenate(sizes))


def _index(path: Path) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Start and size of each complete sample, bytes; of a truncated shard, the samples before the cut."""
    begins: list[int] = []
    ends: list[int] = []
    key, begin = "", 0
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                name, _, extension = member.name.partition(".")
                if name != key:
                    key, begin = name, member.offset
                end = member.offset_data + -(-member.size // _BLOCK) * _BLOCK
                if extension == "json" and end <= path.stat().st_size:
                    begins.append(begin)
                    ends.append(end)
    except (tarfile.TarError, OSError) as error:
        if not begins:
            raise DataError(path, f"cannot be read as a shard: {error}") from error
    return np.array(begins, np.int64), np.array(ends, np.int64)


def _decode(data: bytes, name: str, picture_only: bool) -> Sample:
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
            members = {member.name.partition(".")[2]: _content(tar, member) for member in tar}
        if picture_only:
            members = {key: members[key] for key in ("jpg", "json")}
        record = json.loads(members["json"])
        people = tuple(
            PersonLabel(
                person["body"], **{key: np.array(person[key], kind) for key, kind in _ARRAYS.items()},
                texture=decoded(members[f"texture{number}.jpg"]) if f"texture{number}.jpg" in members else None,
                stand_off=_stand_off(members.get(f"standoff{number}.png")), facts=person["facts"],
            )
            for number, person in enumerate(record["people"])
        )  # fmt: skip
        mask = decoded(members["people.png"]) if "people.png" in members else None
        camera = Camera(record["focal"], tuple(record["center"]), record["width"], record["height"])
        return Sample(
            record["name"],
            record["source"],
            record["split"],
            decoded(members["jpg"]),
            camera,
            people,
            mask,
            record["labelled"],
            decoded(members["labels.png"]) if "labels.png" in members else None,
        )
    except DataError as error:
        raise DataError(f"{name} ({error.path})", error.reason) from error
    except (tarfile.TarError, KeyError, ValueError, TypeError, cv2.error) as error:
        raise DataError(name, f"is damaged: {type(error).__name__}: {error}") from error


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    return file.read() if file else b""


def _stand_off(data: bytes | None) -> NDArray[np.float32] | None:
    return None if data is None else decoded(data)[0].astype(np.float32) * np.float32(STAND_OFF_STEP)


def _as_json(sample: Sample) -> dict[str, Any]:
    people = [
        {"body": p.body, "facts": dict(p.facts), **{key: getattr(p, key).tolist() for key in _ARRAYS}}
        for p in sample.people
    ]
    camera = sample.camera
    return {
        "name": sample.name, "source": sample.source, "split": sample.split, "labelled": sample.labelled,
        "focal": float(camera.focal),
        "center": [float(c) for c in camera.center], "width": camera.width, "height": camera.height, "people": people,
    }  # fmt: skip


def encoded(image: NDArray[np.uint8], kind: str, quality: int = 0) -> bytes:
    """Encode a picture (H, W), or (H, W, 3) sRGB, as ``kind``, ".jpg" or ".png"."""
    bgr = image[..., ::-1] if image.ndim == 3 else image
    return cv2.imencode(kind, np.ascontiguousarray(bgr), [cv2.IMWRITE_JPEG_QUALITY, quality] if quality else [])[
        1
    ].tobytes()


def decoded(data: bytes) -> NDArray[np.uint8]:
    """Decode the picture in a file's content.

    Raises:
        ValueError: the bytes are not a picture.
    """
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise ValueError("its bytes are not a picture")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB) if image.ndim == 3 else image, np.uint8)
