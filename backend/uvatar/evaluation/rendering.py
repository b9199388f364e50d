"""Renders bodies whose truth is known: with painted clothes, soft light and a synthetic background."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.body import LEFT_EYE, RIGHT_EYE, BodyData
from uvatar.data.arrays import Floats, Integers
from uvatar.data.camera import Camera
from uvatar.data.landmarks import LANDMARK_NAMES
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
    rng: np.random.Generator,
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Render a posed body (V, 3) over a ``background`` of the camera's size: picture (H, W, 3) and mask (H, W).

    Shading is Lambertian on smooth normals, with light from the sky; then the blur and noise of a small sensor are
    added.
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


def random_outfit(body: BodyData, rng: np.random.Generator) -> Paint:
    """Random skin, hair, face, shirt, trousers and shoes, painted by position on the rest body.

    Fabrics are striped, checked or plain.
    """
    landmark = dict(zip(LANDMARK_NAMES, body.landmark_template.astype(np.float64), strict=True))
    joint = dict(zip(body.joint_names, body.joint_template.astype(np.float64), strict=True))
    tone = rng.uniform(0, 1)
    skin = (1 - tone) * np.array([0.62, 0.36, 0.26]) + tone * np.array([0.10, 0.05, 0.03])
    hair = np.array([0.02, 0.013, 0.01]) + rng.choice([0, 0.3, 1.0]) * np.array([0.25, 0.13, 0.05])
    shirt, trousers = _random_fabric(rng), _random_fabric(rng)
    shoes = rng.uniform(0.01, 0.25) * np.ones(3) + rng.uniform(0, 0.05, 3)
    sleeve = rng.choice([joint["left_shoulder"][0] + 0.13, joint["left_wrist"][0] - 0.01])
    leg_end = rng.choice([joint["left_ankle"][1] + 0.02, joint["left_knee"][1] + 0.05], p=[0.75, 0.25])
    waist = joint["pelvis"][1] + rng.uniform(-0.02, 0.06)
    neckline = joint["neck"][1] - rng.uniform(0.01, 0.05)
    hair_length = rng.uniform(0.0, 0.14)
    eyes = {part: body.v_template[body.part == part].astype(np.float64) for part in (LEFT_EYE, RIGHT_EYE)}
    iris = rng.uniform(0.02, 0.1, 3)

    def paint(rest: Floats, uv: Floats, part: Integers) -> Floats:
        x, y, z = rest.T
        colour = np.tile(skin, (len(rest), 1)) * (1 + 0.06 * np.sin(37 * x) * np.sin(41 * y + 2))[:, None]
        _face(colour, rest, landmark, skin, hair)
        brow = landmark["left_eye"][1]
        behind = landmark["left_ear"][2]
        # The hairline runs from high on the forehead to behind the ears; long hair falls to the nape.
        crown = (
            (y > brow + 0.055 - np.clip((behind - z) * 4, -0.02, 0.05 + hair_length))
            & (y > neckline)
            & (z < behind + 0.075)
        )
        top = y > brow + 0.07
        haired = (crown | top) & (np.abs(x) < 0.12) & (y > joint["neck"][1] + 0.02)
        colour[haired] = hair * (1 + 0.35 * np.sin(600 * x + 140 * z))[:, None][haired]
        dressed = (y < neckline - 0.35 * np.clip(z - 0.06, 0, 0.2)) & (np.abs(x) < sleeve) & (y > waist - 0.03)
        arms = (np.abs(x) > joint["left_shoulder"][0] - 0.03) & (np.abs(x) < sleeve) & (y > waist)
        colour[dressed | arms] = shirt(rest[dressed | arms])
        legs = (y < waist) & (y > leg_end) & (np.abs(x) < 0.35)
        colour[legs] = trousers(rest[legs])
        feet = y < joint["left_ankle"][1] + 0.015
        colour[feet] = shoes
        soles = y < body.v_template[:, 1].min() + 0.018
        colour[soles] = 0.03
        for side, points in eyes.items():
            here = part == side
            outward = rest[here] - points.mean(0)
            radius = np.linalg.norm(outward[:, :2], axis=1) / np.ptp(points[:, 0]) * 2
            front = outward[:, 2] > 0
            white = np.array([0.65, 0.62, 0.6])
            rings = np.where((radius < 0.22)[:, None], 0.005, np.where((radius < 0.52)[:, None], iris, white))
            colour[here] = np.where(front[:, None], rings, white)
        clipped: Floats = np.clip(colour, 0, 1)
        return clipped

    return paint


def _face(colour: Floats, rest: Floats, landmark: dict[str, Floats], skin: Floats, hair: Floats) -> None:
    """Paint brows, lashes, lips, nostril shade and cheeks into ``colour`` (K, 3) of points ``rest`` (K, 3)."""
    x, y, z = rest.T
    front = z > landmark["left_ear"][2] + 0.02
    for side in ("left", "right"):
        eye = landmark[f"{side}_eye"]
        across = (x - eye[0]) * np.sign(eye[0])
        arch = eye[1] + 0.0215 + 0.05 * across - 8 * (across - 0.005) ** 2
        brow = front & (np.abs(across) < 0.024) & (np.abs(y - arch) < 0.0042)
        colour[brow] = 0.75 * hair + 0.25 * colour[brow]
        lid = front & (np.abs(across) < 0.017) & (np.abs(y - eye[1] - 0.0075 + 12 * across**2) < 0.0022)
        colour[lid] = 0.35 * skin
        socket = front * np.exp(-(across**2 + (y - eye[1]) ** 2) / 0.0006)
        colour *= 1 - 0.22 * socket[:, None]
        cheek = front * np.exp(-((across - 0.015) ** 2 + (y - eye[1] + 0.04) ** 2) / 0.0005)
        colour *= 1 + cheek[:, None] * np.array([0.1, -0.05, -0.05])
    mouth = (landmark["mouth_left"] + landmark["mouth_right"]) / 2
    half = abs(landmark["mouth_left"][0]) * 1.05
    lips = front & (np.abs(x) < half) & (np.abs(y - mouth[1]) < 0.009 * np.sqrt(np.clip(1 - (x / half) ** 2, 0, 1)))
    colour[lips] = skin * np.array([0.85, 0.42, 0.45])
    parting = lips & (np.abs(y - mouth[1]) < 0.0012)
    colour[parting] = 0.25 * skin
    nose = landmark["nose"]
    nostrils = front * np.exp(-((np.abs(x) - 0.008) ** 2 + (y - nose[1] + 0.012) ** 2) / 0.00003)
    colour *= 1 - 0.5 * nostrils[:, None]


def _random_fabric(rng: np.random.Generator) -> Callable[[Floats], Floats]:
    """Linear RGB of a fabric at rest positions (K, 3)."""
    base, second = (np.clip(rng.uniform(0.02, 0.6) + rng.normal(0, 0.12, 3), 0.01, 0.85) for _ in range(2))
    pattern = rng.choice(["plain", "plain", "across", "down", "checks"])
    pitch = rng.uniform(0.02, 0.07)

    def fabric(rest: Floats) -> Floats:
        across = np.sin(2 * np.pi * rest[:, 1] / pitch) > 0.3
        down = np.sin(2 * np.pi * rest[:, 0] / pitch) > 0.3
        amount = {"plain": 0.0 * across, "across": across, "down": down, "checks": 0.5 * across + 0.5 * down}[pattern]
        creases = 1 + 0.10 * np.sin(60 * rest[:, 1] + 25 * rest[:, 0]) * np.sin(45 * rest[:, 0] + 31 * rest[:, 2])
        light: Floats = (base + np.asarray(amount, np.float64)[:, None] * (second - base)) * creases[:, None]
        return light

    return fabric


def picture_window(vertices: Floats, camera: Camera) -> tuple[int, int, int, int]:
    """The window (x0, y0, x1, y1) of the picture, pixels, that contains vertices (V, 3), camera frame."""
    pixels = camera.project(vertices)
    low = np.clip(np.floor(pixels.min(0)) - 2, 0, (camera.width - 1, camera.height - 1)).astype(int)
    high = np.clip(np.ceil(pixels.max(0)) + 2, low + 1, (camera.width, camera.height)).astype(int)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])
