"""Full-body textures: SURREAL's (Varol et al. 2017), and folders of pictures.

SURREAL's licence allows non-commercial research only, and no redistribution. Its textures use SMPL's UV layout, with
unfilled gutters that cost 6 to 8 dB at the seams when textures are shrunk. Gutters are therefore filled first.
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
from uvatar.texturing.layout.texels import TexelTable, build_texel_table
from uvatar_training.data.problems import DataError
from uvatar_training.data.sample import PersonLabel, Sample

GENDERS = ("male", "female")
SPLITS = {"train": "train", "held_out": "test"}  # split -> name of SURREAL's list
HELD_OUT_EVERY = 10
PICTURES = (".png", ".jpg", ".jpeg")


class Textures(Protocol):
    """Numbered textures."""

    def __len__(self) -> int: ...

    def read(self, number: int) -> NDArray[np.uint8]:
        """Read a texture (N, N, 3), sRGB, with gutters filled.

        Raises:
            DataError: the texture cannot be used; the message names the file.
        """
        ...


@dataclass(frozen=True)
class TextureFiles:
    """Textures in files with a common UV layout, filled and resized when they are read."""

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
    """Textures as samples for pre-training the generator: the texture is the picture, and the label is a mean body at
    rest, which is not visible in it.
    """

    textures: Textures
    split: str
    body: str

    def __len__(self) -> int:
        return len(self.textures)

    def read(self, number: int) -> Sample:
        """Read a sample.

        Raises:
            DataError: the texture cannot be used; the message names the file.
        """
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
    """SURREAL's textures, as listed in ``smpl_data/textures/GENDER/GENDER_train.txt``.

    Args:
        smpl_data: SURREAL's folder, to which the paths in the lists are relative.
        body: SMPL with its UV layout (`uvatar.body.load_smpl` with ``uv_obj``).
        size: side that textures are resized to, texels.
        split: "train" or "held_out".
        grey: use the scans in grey underwear ("grey_" names) in addition to the clothed ones ("nongrey_").

    Raises:
        DataError: a list or texture is missing, the split is unknown, or the body has no UV layout.
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
            # "nongrey" contains "grey", so the beginning of the file's name is compared.
            if grey or not Path(line).name.startswith("grey_"):
                paths.append(smpl_data / line)
    if missing := [path for path in paths if not path.is_file()]:
        raise DataError(missing[0], f"is missing, and {len(missing) - 1} more of the lists' textures")
    if not paths:
        raise DataError(smpl_data, "lists no textures")
    return TextureFiles(paths, size, _table(body, paths[0]))


def texture_folder(folder: Path, body: BodyData, size: int, split: str = "train") -> TextureFiles:
    """All pictures of a folder, in the body's UV layout.

    One in `HELD_OUT_EVERY` textures, chosen by a hash of its name, is held out.

    Raises:
        DataError: there are no textures of the split.
    """
    every = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES) if folder.is_dir() else []
    paths = [path for path in every if _held_out(path.stem) == (split == "held_out")]
    if not paths:
        raise DataError(folder, f"holds no textures of the split {split!r} (.png, .jpg)")
    return TextureFiles(paths, size, _table(body, paths[0]))


def filled(texture: NDArray[np.uint8], table: TexelTable, size: int) -> NDArray[np.uint8]:
    """Fill the gutters of a texture (N, N, 3) from the nearest texel of its layout, then resize it to ``size``."""
    if len(texture) != table.size:
        texture = np.asarray(cv2.resize(texture, (table.size, table.size), interpolation=cv2.INTER_AREA), np.uint8)
    # JPEG mixes the colours at the islands' borders with those outside, so the borders are filled from inside too.
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
