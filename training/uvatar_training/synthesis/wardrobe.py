"""Layers baked from modelled clothes, shoes, hair and skins (`tools/bake_wardrobe.py`), recoloured and combined.

A wardrobe is a folder of pictures in the open body's UV layout, named KIND_GROUP_NAME: ``outfit_female_casual.png``,
``shoes_any_01.png``, ``hair_any_bob.png`` (RGB, with the layer's coverage as alpha) and ``skin_male_young.jpg``.
Of each kind and group, every fifth layer in the order of a hash of the names is reserved for held-out people.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.data.parsing import ParseClass
from uvatar.photos.colour import linear_from_srgb
from uvatar_training.data.problems import DataError
from uvatar_training.synthesis.attachments import HairMesh

KINDS = ("outfit", "shoes", "hair", "skin")
HELD_OUT_EVERY = 5
CLASSES = {"shoes": ParseClass.SHOES, "hair": ParseClass.HAIR}


@dataclass(frozen=True)
class WardrobeLayer:
    """One picture of the wardrobe.

    Attributes:
        kind, group, name: from the file name; ``group`` is "male", "female" or "any".
        picture: (N, N, 4) uint8 sRGB and coverage; skins cover everything.
        labels: (N, N) uint8 class of each texel.
        mesh: of a hair style, its geometry, if the wardrobe has it.
    """

    kind: str
    group: str
    name: str
    picture: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    mesh: HairMesh | None = None

    def recoloured(self, rng: np.random.Generator, hue: bool = True) -> NDArray[np.float32]:
        """Linear RGB (N, N, 3) with random lightness and saturation, and a random hue if ``hue`` is set."""
        hsv = np.asarray(cv2.cvtColor(self.picture[..., :3].astype(np.float32) / 255, cv2.COLOR_RGB2HSV), np.float32)
        if hue:
            hsv[..., 0] = (hsv[..., 0] + rng.uniform(0, 360)) % 360
        hsv[..., 1] = np.clip(hsv[..., 1] * rng.uniform(0.3, 1.2), 0, 1)
        hsv[..., 2] = np.clip(hsv[..., 2] * rng.uniform(0.7, 1.4) + rng.uniform(0, 0.12), 0, 1)
        rgb = np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.float32)
        return linear_from_srgb(np.round(rgb * 255).clip(0, 255).astype(np.uint8))

    def cover(self) -> NDArray[np.float32]:
        """Coverage (N, N) 0..1."""
        return self.picture[..., 3].astype(np.float32) / 255


@dataclass(frozen=True)
class Wardrobe:
    """Layers by kind; if it is empty, all clothes are procedural."""

    layers: Mapping[str, Sequence[WardrobeLayer]]

    def choose(self, kind: str, group: str, rng: np.random.Generator) -> WardrobeLayer | None:
        """A random layer of a kind that suits a group ("child" wears the layers of both others), or None."""
        fitting = [layer for layer in self.layers.get(kind, ()) if group == "child" or layer.group in (group, "any")]
        return fitting[rng.integers(len(fitting))] if fitting else None


def open_wardrobe(folder: Path | None, size: int, held_out: bool) -> Wardrobe:
    """Read a wardrobe.

    Args:
        folder: the wardrobe's folder; None gives an empty wardrobe.
        size: side that layers are resized to, texels.
        held_out: read the fifth that is reserved for held-out people instead of the rest.

    Raises:
        DataError: a file, which the error names, is missing or cannot be used.
    """
    if folder is None:
        return Wardrobe({})
    if not folder.is_dir():
        raise DataError(folder, "there is no such wardrobe: bake one with tools/bake_wardrobe.py")
    groups: dict[tuple[str, str], list[Path]] = {}
    for path in sorted(folder.iterdir()):
        kind, _, rest = path.stem.partition("_")
        if kind in KINDS and path.suffix in (".png", ".jpg"):
            groups.setdefault((kind, rest.partition("_")[0]), []).append(path)
    if not groups:
        raise DataError(folder, "holds no layers: it should hold files like outfit_female_casual.png")
    layers: dict[str, list[WardrobeLayer]] = {}
    for (kind, group), paths in groups.items():
        paths.sort(key=lambda path: hashlib.sha256(path.stem.encode()).digest())
        chosen = [path for number, path in enumerate(paths) if (number % HELD_OUT_EVERY == 0) == held_out]
        layers.setdefault(kind, []).extend(_read(path, kind, group, size) for path in chosen)
    return Wardrobe(layers)


def _read(path: Path, kind: str, group: str, size: int) -> WardrobeLayer:
    image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None or image.ndim != 3:
        raise DataError(path, "is not a colour picture")
    alpha = image[..., 3:] if image.shape[2] == 4 else np.full_like(image[..., :1], 255)
    rgba = np.concatenate([image[..., 2::-1], alpha], 2)
    own = path.parent / "labels" / path.name
    labels = np.full((size, size), CLASSES.get(kind, ParseClass.SKIN), np.uint8)
    if kind == "outfit":
        if (stored := cv2.imdecode(np.frombuffer(own.read_bytes(), np.uint8), 0) if own.is_file() else None) is None:
            raise DataError(own, "is missing or damaged: bake the wardrobe again with tools/bake_wardrobe.py")
        labels = np.asarray(cv2.resize(stored, (size, size), interpolation=cv2.INTER_NEAREST), np.uint8)
    picture = np.asarray(cv2.resize(rgba, (size, size), interpolation=cv2.INTER_AREA), np.uint8)
    return WardrobeLayer(kind, group, path.stem, picture, labels, _hair_mesh(path) if kind == "hair" else None)


def _hair_mesh(path: Path) -> HairMesh | None:
    stored = path.parent / "meshes" / f"{path.stem}.npz"
    if not stored.is_file():
        return None
    with np.load(stored) as arrays:
        return HairMesh(arrays["vertices"], arrays["faces"], linear_from_srgb(arrays["colours"]))
