"""Full-body textures: SURREAL's (Varol et al. 2017), and folders of pictures.

SURREAL's are for non-commercial research and not to be passed on. They lie in SMPL's UV with unfilled gutters, which
cost 6 to 8 dB at the seams when they are shrunk: so they are filled first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.body import BodyData
from uvatar.data.camera import Camera
from uvatar.texturing.texels import TexelTable, build_texel_table
from uvatar_training.data.problems import DataError
from uvatar_training.data.sample import PersonLabel, Sample

GENDERS = ("male", "female")
SPLITS = {"train": "train", "held_out": "test"}  # ours -> SURREAL's lists
HELD_OUT_EVERY = 10
PICTURES = (".png", ".jpg", ".jpeg")


class Textures(Protocol):
    """Numbered textures."""

    def __len__(self) -> int: ...

    def read(self, number: int) -> NDArray[np.uint8]:
        """(N, N, 3) sRGB, gutters filled. Raises DataError naming the file."""
        ...


@dataclass(frozen=True)
class TextureFiles:
    """Textures in files of one UV layout, filled and resized as they are read."""

    paths: Sequence[Path]
    size: int
    table: TexelTable

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, number: int) -> NDArray[np.uint8]:
        """See `Textures`."""
        path = self.paths[number]
        try:
            image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
        except OSError as error:
            raise DataError(path, f"cannot be read: {error.strerror or error}") from error
        if image is None or image.shape[0] != image.shape[1]:
            raise DataError(path, "cannot be read as a square picture")
        return filled(np.ascontiguousarray(image[..., ::-1]), self.table, self.size)


@dataclass(frozen=True)
class TextureSamples:
    """Textures as samples, for pre-training the generator: the picture is the texture, worn by a mean person at rest
    who is not in it.
    """

    textures: Textures
    split: str
    body: str

    def __len__(self) -> int:
        return len(self.textures)

    def read(self, number: int) -> Sample:
        """Raises DataError naming the file."""
        texture = self.textures.read(number)
        size, unknown = len(texture), np.full((24, 3), np.nan, np.float32)
        wearer = PersonLabel(
            self.body, np.zeros(10, np.float32), np.zeros(3, np.float32), np.zeros((23, 3), np.float32),
            np.zeros(3, np.float32), unknown,
            unknown[:, :2], np.zeros(24, bool), texture,
        )  # fmt: skip
        camera = Camera(float(size), (size / 2, size / 2), size, size)
        return Sample(f"texture {number}", "textures", self.split, texture, camera, (wearer,), None, labelled=False)


def surreal_textures(
    smpl_data: Path, body: BodyData, size: int, split: str = "train", grey: bool = False
) -> TextureFiles:
    """SURREAL's textures by its own lists, ``smpl_data/textures/GENDER/GENDER_train.txt``, whose lines are relative to
    ``smpl_data``.

    Args:
        body: SMPL with its UV layout (`uvatar.body.load_smpl` with ``uv_obj``).
        grey: also the scans in grey underwear ("grey_" names); the others are "nongrey_".

    Raises DataError naming the list or texture that is missing.
    """
    if not body.has_uv:
        raise DataError(body.name, "has no UV layout: give SMPL's OBJ with texture coordinates too")
    if split not in SPLITS:
        raise DataError(smpl_data, f"has no split {split!r}: choose 'train' or 'held_out'")
    paths = []
    for gender in GENDERS:
        listed = smpl_data / "textures" / gender / f"{gender}_{SPLITS[split]}.txt"
        if not listed.is_file():
            raise DataError(listed, "is missing: it belongs to SURREAL's smpl_data")
        for line in listed.read_text(encoding="utf-8").split():
            # "nongrey" contains "grey": the file's name must begin with it.
            if grey or not Path(line).name.startswith("grey_"):
                paths.append(smpl_data / line)
    if missing := [path for path in paths if not path.is_file()]:
        raise DataError(missing[0], f"is missing, and {len(missing) - 1} more of the lists' textures")
    if not paths:
        raise DataError(smpl_data, "lists no textures")
    return TextureFiles(paths, size, _table(body, paths[0]))


def texture_folder(folder: Path, body: BodyData, size: int, split: str = "train") -> TextureFiles:
    """All pictures of a folder, in the body's UV; one in `HELD_OUT_EVERY` by a hash of its name is held out.

    Raises DataError if there are none.
    """
    every = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES) if folder.is_dir() else []
    paths = [path for path in every if _held_out(path.stem) == (split == "held_out")]
    if not paths:
        raise DataError(folder, f"holds no textures of the split {split!r} (.png, .jpg)")
    return TextureFiles(paths, size, _table(body, paths[0]))


def filled(texture: NDArray[np.uint8], table: TexelTable, size: int) -> NDArray[np.uint8]:
    """A texture (N, N, 3) with gutters filled from the nearest texel of its layout, then shrunk or enlarged to
    ``size``.
    """
    if len(texture) != table.size:
        texture = np.asarray(cv2.resize(texture, (table.size, table.size), interpolation=cv2.INTER_AREA), np.uint8)
    # A JPEG mixes the colours of the islands' rims with what is beyond them: rims are filled from inside too.
    inside = table.scatter(np.ones(len(table), np.uint8))
    clean = cv2.erode(inside, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=(1,))
    _, nearest = cv2.distanceTransformWithLabels(1 - clean, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    source = np.zeros(int(nearest.max()) + 1, np.int64)
    source[nearest[clean > 0]] = np.flatnonzero(clean)
    whole = texture.reshape(-1, 3)[source[nearest]]
    how = cv2.INTER_AREA if size < table.size else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(whole, (size, size), interpolation=how), np.uint8)


def _table(body: BodyData, sample: Path) -> TexelTable:
    image = cv2.imdecode(np.frombuffer(sample.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise DataError(sample, "cannot be read as a picture")
    return build_texel_table(body.uv, body.face_uv, body.faces, len(body.v_template), len(image))


def _held_out(name: str) -> bool:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") % HELD_OUT_EVERY == 0
