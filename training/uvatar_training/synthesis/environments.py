"""Environments: panoramas that form the background and light the people, either procedural or from HDRI files.

World axes have y up; light is linear. Panoramas are equirectangular: row 0 looks up, column 0 looks along -z.
"""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.photos.sampling import bilinear
from uvatar_training.data.problems import DataError

PANORAMA = (256, 512)
MEAN_LIGHT = 0.32  # mean linear light that every panorama is scaled to
_KEY_ABOVE = 4.0  # multiple of the mean above which light is taken for a lamp or the sun, which cast shadows
HELD_OUT_EVERY = 4
PICTURES = (".exr", ".hdr", ".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class Environment:
    """An environment in world axes.

    Attributes:
        name: "procedural" or the file's name.
        panorama: (H, W, 3) float32 linear, the visible background.
        harmonics: (9, 3) spherical harmonics of the diffuse light without the key light (Ramamoorthi and Hanrahan
            2001).
        key: (3,) unit vector towards the strongest light.
        key_colour: (3,) irradiance of the key light, divided by pi.
        key_size: angular radius of the key light, radians.
    """

    name: str
    panorama: NDArray[np.float32]
    harmonics: NDArray[np.float64]
    key: NDArray[np.float64]
    key_colour: NDArray[np.float64]
    key_size: float

    def seen(self, directions: Floats) -> NDArray[np.float32]:
        """Linear RGB (K, 3) of the panorama along unit directions (K, 3)."""
        height, width = self.panorama.shape[:2]
        u = np.arctan2(directions[:, 0], -directions[:, 2]) / (2 * np.pi) % 1
        v = np.arccos(np.clip(directions[:, 1], -1, 1)) / np.pi
        return bilinear(self.panorama, np.stack([u * width, v * height], 1))

    def irradiance(self, normals: Floats) -> NDArray[np.float32]:
        """Diffuse irradiance (K, 3), divided by pi, without the key light, on surfaces with unit normals (K, 3)."""
        light: NDArray[np.float32] = np.clip(_basis(normals) @ (self.harmonics * _COSINE[:, None]), 0.02, None).astype(
            np.float32
        )
        return light


# Convolution of each band with the clamped cosine, divided by pi.
_COSINE = np.array([1.0, *[2 / 3] * 3, *[1 / 4] * 5])


def _basis(directions: Floats) -> NDArray[np.float64]:
    """(K, 9) real spherical harmonics of bands 0 to 2."""
    x, y, z = np.asarray(directions, np.float64).T
    one = np.ones_like(x)
    return np.stack(
        [0.282095 * one, 0.488603 * y, 0.488603 * z, 0.488603 * x, 1.092548 * x * y, 1.092548 * y * z,
         0.315392 * (3 * z * z - 1), 1.092548 * x * z, 0.546274 * (x * x - y * y)], 1)  # fmt: skip


def _directions(height: int, width: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(H, W, 3) directions of a panorama's pixels and (H, W) their solid angles."""
    v, u = np.meshgrid(
        (np.arange(height) + 0.5) / height * np.pi, (np.arange(width) + 0.5) / width * 2 * np.pi, indexing="ij"
    )
    directions = np.stack([np.sin(v) * np.sin(u), np.cos(v), -np.sin(v) * np.cos(u)], -1)
    return directions, np.sin(v) * (np.pi / height) * (2 * np.pi / width)


def environment_from(panorama: Floats, name: str, rng: np.random.Generator) -> Environment:
    """An environment from a panorama (H, W, 3), linear light.

    The panorama is rotated about the vertical at random and scaled to a common mean. Its strongest light becomes the
    key light, which casts shadows.
    """
    panorama = np.asarray(cv2.resize(panorama, PANORAMA[::-1], interpolation=cv2.INTER_AREA), np.float32)
    panorama = np.roll(panorama, int(rng.integers(PANORAMA[1])), 1)
    directions, angle = _directions(*PANORAMA)
    mean = max(float((np.minimum(panorama, 50).mean(-1) * angle).sum() / angle.sum()), 1e-4)
    panorama = panorama * np.float32(MEAN_LIGHT / mean)
    soft = np.minimum(panorama, _KEY_ABOVE * MEAN_LIGHT)
    excess = np.minimum(panorama - soft, 400.0) * angle[..., None]
    strength = excess.mean(-1)
    if strength.sum() > 1e-3:
        towards = (directions * strength[..., None]).sum((0, 1))
        colour = excess.sum((0, 1))
    else:
        towards, colour = np.array([rng.normal(0, 0.7), 1.0, rng.normal(0, 0.7)]), np.full(3, 0.25)
    towards[1] = max(towards[1], 0.15 * np.linalg.norm(towards))
    # The sun of a clear sky would burn out; a lamp that is too weak would cast no shadow at all.
    colour = colour / max(float(colour.mean()), 1e-6) * np.clip(colour.mean(), 0.35, 1.1)
    harmonics = np.einsum("hwk,hwc,hw->kc", _basis(directions.reshape(-1, 3)).reshape(*PANORAMA, 9), soft, angle)
    return Environment(
        name,
        np.minimum(panorama, 3.0),
        harmonics,
        towards / np.linalg.norm(towards),
        colour,
        float(rng.uniform(0.02, 0.25)),
    )


def procedural_environment(rng: np.random.Generator) -> Environment:
    """A random room or street: sky or ceiling, ground, walls and objects, windows and lamps."""
    height, width = PANORAMA
    v = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    indoor = rng.random() < 0.5
    tint = 1 + rng.normal(0, 0.08, 3)
    above = rng.uniform(0.3, 0.8) * tint if indoor else rng.uniform(0.5, 1.3) * np.array([0.35, 0.5, 0.8])
    horizon = rng.uniform(0.3, 0.9) * tint
    ground = rng.uniform(0.08, 0.4) * (1 + rng.normal(0, 0.12, 3))
    upper = above + (horizon - above) * np.clip(v / 0.5, 0, 1)
    panorama = np.where(v < 0.5, upper, ground * (0.8 + 0.4 * (v - 0.5)))
    panorama = np.broadcast_to(panorama, (height, width, 3)).astype(np.float32).copy()
    for _ in range(rng.integers(6, 26)):
        size = np.array([rng.uniform(0.01, 0.16) * width, rng.uniform(0.04, 0.3) * height])
        base = height * (0.5 + rng.uniform(-0.02, 0.12))
        left = rng.uniform(0, width)
        colour = rng.uniform(0.03, 0.7) * (1 + rng.normal(0, 0.2, 3))
        corners = [int(left), int(base - size[1])], [int(left + size[0]), int(base)]
        cv2.rectangle(panorama, *corners, np.clip(colour, 0.01, 1).tolist(), -1)
        if rng.random() < 0.4:  # windows or shelves
            for step in range(1, int(rng.integers(2, 6))):
                y = int(base - size[1] * step / 6)
                cv2.line(
                    panorama,
                    (int(left), y),
                    (int(left + size[0]), y),
                    np.clip(colour * rng.uniform(0.3, 2), 0.01, 1).tolist(),
                    2,
                )
    lamps = rng.integers(1, 4) if indoor else 1
    for _ in range(lamps):
        centre = (int(rng.uniform(0, width)), int(height * rng.uniform(0.08, 0.42)))
        light = rng.uniform(6, 40) if indoor else rng.uniform(30, 120)
        colour = light * (1 + rng.normal(0, 0.1, 3))
        if indoor:
            reach = (int(rng.integers(4, 40)), int(rng.integers(4, 24)))
            cv2.ellipse(panorama, centre, reach, 0, 0, 360, np.clip(colour, 0.1, None).tolist(), -1)
        else:
            cv2.circle(panorama, centre, int(rng.integers(3, 9)), np.clip(colour, 0.1, None).tolist(), -1)
    for scale in (4, 16, 64):
        grain = rng.normal(1, 0.06, (height // scale + 2, width // scale + 2, 1)).astype(np.float32)
        panorama *= np.clip(cv2.resize(grain, (width, height), interpolation=cv2.INTER_CUBIC), 0.6, 1.4)[..., None]
    return environment_from(panorama, "procedural", rng)


def hdri_files(folder: Path | None, held_out: bool) -> list[Path]:
    """The panoramas of a folder, or Blender's eight (CC0, Poly Haven) where bpy is installed.

    Args:
        folder: folder of panoramas; None uses those of Blender.
        held_out: return every fourth panorama, which is reserved for held-out people, instead of the others.

    Raises:
        DataError: ``folder`` is given and contains no panorama.
    """
    found = folder or _blender_worlds()
    if found is None:
        return []
    paths = sorted(path for path in found.iterdir() if path.suffix.lower() in PICTURES) if found.is_dir() else []
    if folder is not None and not paths:
        raise DataError(folder, "holds no panoramas (.exr, .hdr, .jpg, .png)")
    return [path for number, path in enumerate(paths) if (number % HELD_OUT_EVERY == 0) == held_out]


def read_panorama(path: Path) -> NDArray[np.float32]:
    """Read a panorama (H, W, 3), linear light.

    Raises:
        DataError: the file cannot be read as a picture.
    """
    # OpenCV reads EXR files only if this variable is set, because the decoder is hardly hardened against malicious
    # files. These files are the user's own.
    os.environ.setdefault("OPENCV_IO_ENABLE_OPENEXR", "1")
    image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None or image.ndim != 3:
        raise DataError(path, "is not a colour picture")
    rgb = image[..., 2::-1].astype(np.float32)
    return rgb if image.dtype == np.float32 else (rgb / 255) ** np.float32(2.2)


def _blender_worlds() -> Path | None:
    found = importlib.util.find_spec("bpy")
    if found is None or not found.submodule_search_locations:
        return None
    worlds = sorted(Path(next(iter(found.submodule_search_locations))).glob("*/datafiles/studiolights/world"))
    return worlds[0] if worlds else None
