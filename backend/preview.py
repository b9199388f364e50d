"""Pictures of the result for people to look at: the mesh over the photo, the textured body, a sheet of views around it.

Everything is ray cast on the CPU, in strips, so that a 24-megapixel photo needs no more memory than a small one.
Colours are blended and lit in linear RGB; pictures go in and come out as 8-bit sRGB.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from backend.body import BodyData
from backend.camera import Camera
from backend.raster import Fragments, RayScene
from backend.texturing.texture import COMPLETED, EMPTY, MIRRORED, PREDICTED, SEEN

BACKDROP = (214, 216, 219)
FLOOR_SHADOW = 0.55

# One soft tint per person, told apart by hue.
TINTS = (
    (126, 178, 235),
    (243, 168, 110),
    (134, 205, 146),
    (204, 158, 232),
    (240, 208, 110),
    (235, 138, 152),
    (120, 204, 204),
)

LABEL_COLOURS = {
    EMPTY: (40, 42, 46),
    SEEN: (110, 190, 120),
    MIRRORED: (100, 150, 225),
    COMPLETED: (240, 190, 95),
    PREDICTED: (200, 120, 210),
}

# Supersampled pixels rendered at once: bounds memory at about 100 MB.
STRIP_SAMPLES = 1_000_000

# Light directions of the turntable, towards the light, camera axes (y down).
KEY_LIGHT = np.array([-0.45, -0.65, -0.61], np.float32)


@dataclass(frozen=True)
class Picture:
    """A rendered picture.

    Attributes:
        image: (H, W, 3) uint8 sRGB, over its background.
        coverage: (H, W) float32, the share of each pixel that the mesh covers, 0..1.
    """

    image: NDArray[np.uint8]
    coverage: NDArray[np.float32]

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(H, W) True where the mesh covers at least half of the pixel."""
        return self.coverage >= 0.5


def render_textured(
    vertices: NDArray,
    body: BodyData,
    texture: NDArray[np.uint8],
    camera: Camera,
    background: NDArray[np.uint8] | None = None,
    supersample: int = 2,
) -> Picture:
    """The body with its texture, unlit, as the camera sees it.

    ``vertices`` (V, 3) in the camera frame; ``texture`` (N, N, 3) sRGB with v up; ``background`` (H, W, 3) of the
    camera's size or None for a neutral backdrop; ``supersample`` squared rays per pixel.
    """
    scene = RayScene(vertices, body.faces)
    paint = _texture_paint(vertices, body, texture, camera, supersample)
    colour, coverage = _cast(scene, camera, supersample, paint)
    return Picture(_over(colour, coverage, background, camera), coverage)


def overlay(
    pixels: NDArray[np.uint8], camera: Camera, bodies: Sequence[NDArray], faces: NDArray, opacity: float = 0.75, max_side: int = 2048
) -> NDArray[np.uint8]:
    """The photo with every person's mesh over it as tinted, half transparent clay.

    ``pixels`` (H, W, 3) of the photo, ``bodies`` the posed vertices (V, 3) of each person, all with the same ``faces``.
    People hide each other as their distances tell. Returns the picture, its longer side at most ``max_side``.
    """
    scale = min(1.0, max_side / max(camera.width, camera.height))
    small = camera.cropped((0, 0, camera.width, camera.height), scale)
    photo = cv2.resize(pixels, (small.width, small.height), interpolation=cv2.INTER_AREA)
    if not bodies:
        return photo
    vertices = np.concatenate([np.asarray(body, np.float32) for body in bodies])
    all_faces = np.concatenate([faces + index * len(bodies[0]) for index in range(len(bodies))])
    normals = np.concatenate([vertex_normals(body, faces) for body in bodies])
    tints = _to_linear(np.array([TINTS[index % len(TINTS)] for index in range(len(bodies))], np.uint8))

    def clay(fragments: Fragments) -> NDArray:
        normal = _unit(fragments.interpolate(normals, all_faces))
        facing = np.abs(normal[..., 2])
        light = np.clip(normal @ KEY_LIGHT, 0, 1)
        # A dark rim draws the outline and the folds without lines.
        shade = (0.18 + 0.62 * light + 0.25 * facing) * (0.35 + 0.65 * np.clip(facing * 2.2, 0, 1))
        return shade[..., None] * tints[np.maximum(fragments.face, 0) // len(faces)]

    colour, coverage = _cast(RayScene(vertices, all_faces), small, 2, clay)
    return _over(colour * opacity, coverage * opacity, photo, small)


def turntable(
    vertices: NDArray, body: BodyData, texture: NDArray[np.uint8], views: int = 8, columns: int = 4, height: int = 480, supersample: int = 2
) -> NDArray[np.uint8]:
    """A sheet of ``views`` pictures all around the body, posed as in the photo, softly lit, on a neutral floor.

    ``vertices`` (V, 3) in the photo's camera frame, whose y axis is taken for the vertical. The first view is the
    photo's; every next one is turned by the same angle, so that the person's own left comes round first.
    Returns the sheet, its panels ``height`` pixels high.
    """
    lowest, highest = float(vertices[:, 1].max()), float(vertices[:, 1].min())
    middle = np.array([_centre(vertices[:, 0]), (lowest + highest) / 2, _centre(vertices[:, 2])], np.float32)
    # The first view looks along the photo's line of sight to the person, which need not be its axis.
    sight = np.arctan2(middle[0], middle[2])
    centred = np.asarray(vertices, np.float32) - middle
    reach = float(np.linalg.norm(centred[:, [0, 2]], axis=1).max())
    tall = lowest - highest
    camera, distance = _studio_camera(tall, reach, height)
    panels = []
    for index in range(views):
        turned = centred @ _about_vertical(2 * np.pi * index / views - sight).T
        panels.append(_studio_view(turned, tall / 2, distance, body, texture, camera, supersample))
    blank = np.broadcast_to(np.array(BACKDROP, np.uint8), panels[0].shape)
    panels += [blank] * (-len(panels) % columns)
    return np.concatenate([np.concatenate(panels[row : row + columns], 1) for row in range(0, len(panels), columns)])


def label_colours(source: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A texture's label map (N, N) as a picture (N, N, 3): green seen, blue mirrored, orange completed, purple predicted."""
    table = np.zeros((256, 3), np.uint8)
    for label, colour in LABEL_COLOURS.items():
        table[label] = colour
    return table[source]


def sample_texture(texture: NDArray, uv: NDArray) -> NDArray[np.float32]:
    """Bilinear samples (H, W, C) of a texture (N, N, C), float32 or uint8, at ``uv`` (H, W, 2): origin bottom-left, v up."""
    rows, columns = texture.shape[:2]
    x = (uv[..., 0] * columns - 0.5).astype(np.float32)
    y = ((1 - uv[..., 1]) * rows - 0.5).astype(np.float32)
    return cv2.remap(texture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)


def vertex_normals(vertices: NDArray, faces: NDArray) -> NDArray[np.float32]:
    """Unit normals (V, 3) of a mesh, faces weighted by their area."""
    corners = vertices[faces]
    face_normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    flat = faces.ravel()
    summed = [np.bincount(flat, np.repeat(face_normals[:, axis], 3), len(vertices)) for axis in range(3)]
    return _unit(np.stack(summed, -1)).astype(np.float32)


def _cast(scene: RayScene, camera: Camera, supersample: int, paint: Callable[[Fragments], NDArray]) -> tuple[NDArray, NDArray]:
    """Premultiplied linear colour (H, W, 3) and coverage (H, W) of the scene, painted by what the rays hit."""
    colour = np.zeros((camera.height, camera.width, 3), np.float32)
    coverage = np.zeros((camera.height, camera.width), np.float32)
    left, top, right, bottom = _bounds(scene.vertices, camera)
    if right <= left or bottom <= top:
        return colour, coverage
    rows = max(1, STRIP_SAMPLES // ((right - left) * supersample**2))
    for start in range(top, bottom, rows):
        window = (left, start, right, min(start + rows, bottom))
        fragments = scene.render(camera.cropped(window, supersample))
        painted = np.where(fragments.mask[..., None], paint(fragments), 0)
        place = slice(start, window[3]), slice(left, right)
        colour[place] = _shrink(painted, supersample)
        coverage[place] = _shrink(fragments.mask[..., None].astype(np.float32), supersample)[..., 0]
    return colour, coverage


def _bounds(vertices: NDArray, camera: Camera) -> tuple[int, int, int, int]:
    """The pixel window of the camera's picture that the mesh can touch."""
    if vertices[:, 2].min() < 1e-3:
        return 0, 0, camera.width, camera.height
    pixels = camera.project(vertices)
    low = np.clip(np.floor(pixels.min(0)), 0, (camera.width, camera.height)).astype(int)
    high = np.clip(np.ceil(pixels.max(0)), 0, (camera.width, camera.height)).astype(int)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _shrink(values: NDArray, factor: int) -> NDArray:
    height, width, channels = values.shape
    return values.reshape(height // factor, factor, width // factor, factor, channels).mean((1, 3))


def _texture_paint(
    vertices: NDArray, body: BodyData, texture: NDArray[np.uint8], camera: Camera, supersample: int
) -> Callable[[Fragments], NDArray]:
    linear = _to_linear(_shrunk_to_samples(vertices, body, texture, camera, supersample))
    return lambda fragments: sample_texture(linear, fragments.interpolate(body.uv, body.face_uv))


def _shrunk_to_samples(vertices: NDArray, body: BodyData, texture: NDArray, camera: Camera, supersample: int) -> NDArray:
    """The texture halved until its texels are about as large as the samples: bilinear sampling of more would flicker."""
    texels = np.abs(_triangle_areas(body.uv[body.face_uv])).sum() * texture.shape[0] * texture.shape[1]
    samples = np.abs(_triangle_areas(camera.project(vertices)[body.faces])).sum() * supersample**2
    halvings = int(np.clip(np.floor(np.log2(max(texels / max(samples, 1e-9), 1)) / 2), 0, 5))
    if not halvings:
        return texture
    size = max(1, texture.shape[1] >> halvings), max(1, texture.shape[0] >> halvings)
    return cv2.resize(texture, size, interpolation=cv2.INTER_AREA)


def _triangle_areas(corners: NDArray) -> NDArray:
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / 2


def _over(colour: NDArray, alpha: NDArray, background: NDArray[np.uint8] | None, camera: Camera) -> NDArray[np.uint8]:
    """Premultiplied linear colour over an sRGB background."""
    if background is None:
        background = np.broadcast_to(np.array(BACKDROP, np.uint8), (camera.height, camera.width, 3))
    result = background.copy()
    touched = alpha > 0
    below = _to_linear(background[touched])
    result[touched] = _to_srgb(colour[touched] + below * (1 - alpha[touched, None]))
    return result


def _to_linear(srgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """IEC 61966-2-1."""
    value = np.arange(256, dtype=np.float32) / 255
    table = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4).astype(np.float32)
    return table[srgb]


def _to_srgb(linear: NDArray) -> NDArray[np.uint8]:
    value = np.clip(linear, 0, 1)
    srgb = np.where(value <= 0.0031308, value * 12.92, 1.055 * value ** (1 / 2.4) - 0.055)
    return np.round(srgb * 255).astype(np.uint8)


def _unit(vectors: NDArray) -> NDArray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def _centre(values: NDArray) -> float:
    return float(values.max() + values.min()) / 2


def _about_vertical(angle: float) -> NDArray[np.float32]:
    """Turns about the camera's y axis; a positive angle brings the side that was on the picture's right to the front."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]], np.float32)


def _studio_camera(tall: float, reach: float, height: int) -> tuple[Camera, float]:
    """A long lens, level with the middle of the body and looking down a little, that holds it from every side."""
    distance = 5 * max(tall, 2 * reach)
    nearest = distance - reach
    half_height = 0.5 * tall + 0.2 * reach
    focal = 0.46 * height * nearest / half_height
    width = int(np.ceil(2 * 1.06 * focal * reach / nearest / 8)) * 8
    return Camera(focal, (width / 2, height / 2), width, height), distance


def _studio_view(
    centred: NDArray, floor: float, distance: float, body: BodyData, texture: NDArray[np.uint8], camera: Camera, supersample: int
) -> NDArray[np.uint8]:
    """One panel. ``centred`` (V, 3): the body about the origin, y down, its lowest point at y = ``floor``."""
    pitch = np.deg2rad(7)
    tilt = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]], np.float32)
    ahead = np.array([0, 0, distance], np.float32)
    seen = centred @ tilt.T + ahead
    normals = vertex_normals(seen, body.faces)
    textured = _texture_paint(seen, body, texture, camera, supersample)

    def lit(fragments: Fragments) -> NDArray:
        normal = _unit(fragments.interpolate(normals, body.faces))
        # Mostly sky light: a photo's texture carries its own shading, so the studio only rounds the form.
        light = 0.80 + 0.12 * -normal[..., 1] + 0.26 * np.clip(normal @ KEY_LIGHT, 0, 1)
        return textured(fragments) * light[..., None]

    colour, coverage = _cast(RayScene(seen, body.faces), camera, supersample, lit)
    return _over(colour, coverage, _floor_picture(centred, floor, tilt, ahead, camera), camera)


def _floor_picture(centred: NDArray, floor: float, tilt: NDArray, ahead: NDArray, camera: Camera) -> NDArray[np.uint8]:
    """The backdrop with a contact shadow: surface close to the floor darkens the floor under it."""
    cell = 0.02
    reach = float(np.abs(centred[:, [0, 2]]).max()) + 0.3
    cells = int(np.ceil(2 * reach / cell))
    height = floor - centred[:, 1]
    place = np.clip(((centred[:, [0, 2]] + reach) / cell).astype(int), 0, cells - 1)
    occluder = np.zeros((cells, cells), np.float32)
    np.maximum.at(occluder, (place[:, 1], place[:, 0]), np.exp(-height / 0.12).astype(np.float32))
    occluder = cv2.morphologyEx(occluder, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    shadow = 0.6 * cv2.GaussianBlur(occluder, (0, 0), 2) + 0.6 * cv2.GaussianBlur(occluder, (0, 0), 7)
    x = (np.arange(camera.width, dtype=np.float32) + 0.5 - camera.center[0]) / camera.focal
    y = (np.arange(camera.height, dtype=np.float32) + 0.5 - camera.center[1]) / camera.focal
    rays = np.stack([*np.meshgrid(x, y), np.ones((camera.height, camera.width), np.float32)], -1) @ tilt
    eye = -ahead @ tilt
    down = np.where(rays[..., 1] > 1e-6, rays[..., 1], np.inf)
    hit = eye + rays * ((floor - eye[1]) / down)[..., None]
    dark = cv2.remap(
        shadow,
        ((hit[..., 0] + reach) / cell - 0.5).astype(np.float32),
        ((hit[..., 2] + reach) / cell - 0.5).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
    )
    light = 1 - FLOOR_SHADOW * np.clip(dark, 0, 1)
    return _to_srgb(_to_linear(np.array(BACKDROP, np.uint8)) * light[..., None])
