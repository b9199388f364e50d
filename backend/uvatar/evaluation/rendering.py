"""Renders bodies whose truth is known: with painted clothes, soft light and a synthetic background."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.body import BodyData
from uvatar.data.arrays import Floats, Integers
from uvatar.data.camera import Camera
from uvatar.geometry.mesh import vertex_normals
from uvatar.geometry.raster import RayScene
from uvatar.photos.colour import linear_from_srgb, srgb_from_linear
from uvatar.photos.sampling import bilinear

# Paint of a surface: rest positions (K, 3), texture coordinates (K, 2) in the networks' layout, which textures made for
# MakeHuman's body have as well, part (K,) -> linear RGB (K, 3).
Paint = Callable[[Floats, Floats, Integers], Floats]
SUPERSAMPLE = 2


@dataclass(frozen=True)
class Light:
    """One soft light, and light from the sky.

    Attributes:
        direction: (3,) unit vector towards the light, camera axes (y down).
        colour, ambient: linear RGB of the light and of the sky.
    """

    direction: NDArray[np.float64]
    colour: NDArray[np.float64]
    ambient: NDArray[np.float64]

    def on(self, albedo: Floats, facing: Floats, upward: Floats) -> NDArray[np.float64]:
        """(K, 3) linear RGB of a lit surface.

        Args:
            albedo: (K, 3) linear RGB.
            facing: (K,) cosines between the normals and the direction of the light.
            upward: (K,) cosines between the normals and the vertical.
        """
        # The light reaches slightly past the terminator, as on skin and cloth.
        direct = np.clip((facing + 0.25) / 1.25, 0, 1)
        light = direct[:, None] * self.colour + (0.65 + 0.35 * upward)[:, None] * self.ambient
        return np.asarray(albedo * light, np.float64)


def random_light(rng: np.random.Generator) -> Light:
    """A random warm or cool light from above on the camera's side, with enough sky light to keep shadows readable."""
    direction = np.array([rng.normal(0, 0.7), -rng.uniform(0.4, 1.2), -rng.uniform(0.3, 1.0)])
    warmth = rng.normal(0, 0.06)
    colour = rng.uniform(0.55, 0.85) * np.array([1 + warmth, 1, 1 - warmth])
    return Light(
        direction / np.linalg.norm(direction), colour, rng.uniform(0.3, 0.5) * np.array([1 - warmth, 1, 1 + warmth])
    )


def photograph(
    vertices: Floats,
    body: BodyData,
    paint: Paint,
    camera: Camera,
    light: Light,
    background: NDArray[np.uint8],
    rng: np.random.Generator | None,
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Render a posed body (V, 3) over a ``background`` of the camera's size: picture (H, W, 3) and mask (H, W).

    Shading is Lambertian on smooth normals, with light from the sky; then the blur and noise of a small sensor are
    added, unless ``rng`` is None.
    """
    window = picture_window(vertices, camera)
    small = camera.cropped(window, SUPERSAMPLE)
    fragments = RayScene(vertices, body.faces).render(small)
    seen = fragments.mask
    corners = body.faces[fragments.face[seen]]
    share = fragments.barycentric[seen]

    def at(values: Floats, index: Integers = corners) -> Floats:
        interpolated: Floats = np.einsum("kc,kcd->kd", share, values[index])
        return interpolated

    normals = at(vertex_normals(vertices, body.faces))
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-6)
    layout = body.in_network_layout().uv
    uv = at(layout, body.face_uv[fragments.face[seen]]) if body.has_uv else np.zeros((len(share), 2))
    albedo = paint(at(body.v_template), uv, body.part[corners[:, 0]])
    lit = light.on(albedo, normals @ light.direction, -normals[:, 1])

    height, width = seen.shape
    samples = np.zeros((height, width, 4), np.float32)
    samples[seen] = np.concatenate([lit, np.ones((len(lit), 1))], 1)
    layer = cv2.resize(samples, (window[2] - window[0], window[3] - window[1]), interpolation=cv2.INTER_AREA)
    picture = linear_from_srgb(background).copy()
    area = np.s_[window[1] : window[3], window[0] : window[2]]
    picture[area] = picture[area] * (1 - layer[..., 3:]) + layer[..., :3]
    mask = np.zeros(picture.shape[:2], bool)
    mask[area] = layer[..., 3] > 0.5
    if rng is None:
        return srgb_from_linear(picture), mask
    return sensed(picture, rng.uniform(0.4, 0.8), rng.uniform(1, 4), rng), mask


def sensed(picture: Floats, blur: float, noise: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A small sensor's picture of linear light (H, W, 3); ``blur`` in pixels, ``noise`` in 8-bit levels."""
    soft = np.asarray(cv2.GaussianBlur(picture, (0, 0), blur), picture.dtype)
    noisy = srgb_from_linear(soft).astype(np.float32) + rng.normal(0, noise, picture.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def random_background(width: int, height: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A random out-of-focus background (height, width, 3): a wall, a floor, and objects, but no people."""
    horizon = int(height * rng.uniform(0.45, 0.75))
    picture = np.empty((height, width, 3), np.float32)
    picture[:horizon] = rng.uniform(90, 230) + rng.normal(0, 14, 3)
    picture[horizon:] = rng.uniform(60, 180) + rng.normal(0, 14, 3)
    for _ in range(rng.integers(4, 12)):
        size = rng.uniform(0.05, 0.35, 2) * (width, height)
        corner = rng.uniform(-0.1, 0.9, 2) * (width, horizon)
        colour = rng.uniform(30, 230) + rng.normal(0, 30, 3)
        cv2.rectangle(
            picture,
            corner.astype(int).tolist(),
            (corner + size).astype(int).tolist(),
            np.clip(colour, 0, 255).tolist(),
            -1,
        )
    soft = np.asarray(cv2.GaussianBlur(picture, (0, 0), rng.uniform(4, 14)), np.float32)
    for scale in (3, 12, 48):
        grain = rng.normal(0, 1, (height // scale + 2, width // scale + 2)).astype(np.float32)
        soft += rng.uniform(1, 6) * cv2.resize(grain, (width, height), interpolation=cv2.INTER_CUBIC)[..., None]
    return np.clip(soft, 0, 255).astype(np.uint8)


def texture_paint(image: NDArray[np.uint8]) -> Paint:
    """Paint from a UV texture (N, N, 3) sRGB, v up."""
    linear = linear_from_srgb(image)
    size = np.array(linear.shape[1::-1])

    def paint(rest: Floats, uv: Floats, part: Integers) -> Floats:
        return bilinear(linear, np.stack([uv[:, 0], 1 - uv[:, 1]], 1) * size)

    return paint


def texture_files(folder: Path) -> list[Path]:
    """The UV textures (png, jpg) in a folder, by name."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in (".png", ".jpg", ".jpeg"))


def read_paint(path: Path) -> Paint:
    """Paint from a file of a UV texture.

    Raises:
        ValueError: the file cannot be read as a picture.
    """
    image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"{path} cannot be read as a picture.")
    return texture_paint(np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8))


def picture_window(vertices: Floats, camera: Camera) -> tuple[int, int, int, int]:
    """The window (x0, y0, x1, y1) of the picture, pixels, that contains vertices (V, 3), camera frame."""
    pixels = camera.project(vertices)
    low = np.clip(np.floor(pixels.min(0)) - 2, 0, (camera.width - 1, camera.height - 1)).astype(int)
    high = np.clip(np.ceil(pixels.max(0)) + 2, low + 1, (camera.width, camera.height)).astype(int)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])
