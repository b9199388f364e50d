"""Meshes drawn on the CPU: textured and unlit as the photo sees them, or as tinted clay over the photo.

Colours are blended and lit in linear RGB; pictures go in and come out as 8-bit sRGB.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats, Integers
from uvatar.data.camera import Camera
from uvatar.geometry.mesh import unit, vertex_normals
from uvatar.geometry.raster import Fragments, PiercedScene, RayScene
from uvatar.photos.colour import linear_from_srgb, srgb_from_linear
from uvatar.photos.sampling import bilinear
from uvatar.results.preview.casting import Paint, cast
from uvatar.results.preview.joined import TexturedFaces

BACKDROP = (214, 216, 219)

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

_COARSEST = 5  # halvings of a texture at most

# Towards the main light, camera axes (y down).
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
    vertices: Floats,
    body: TexturedFaces,
    texture: NDArray[np.uint8],
    camera: Camera,
    background: NDArray[np.uint8] | None = None,
    supersample: int = 2,
) -> Picture:
    """The body with its texture, unlit, as the camera sees it.

    ``vertices`` (V, 3) in the camera frame; ``texture`` (N, N, 3) sRGB with v up, or (N, N, 4) with alpha;
    ``background`` (H, W, 3) of the camera's size or None for a neutral one; ``supersample`` squared rays per pixel.
    """
    scene = textured_scene(vertices, body, texture)
    paint = texture_paint(vertices, body, texture, camera, supersample)
    colour, coverage = cast(scene, camera, supersample, paint)
    return Picture(composed(colour, coverage, background, camera), coverage)


def overlay(
    pixels: NDArray[np.uint8],
    camera: Camera,
    bodies: Sequence[Floats],
    faces: Integers,
    opacity: float = 0.75,
    max_side: int = 2048,
) -> NDArray[np.uint8]:
    """The photo with every person's mesh over it as tinted, half transparent clay.

    ``pixels`` (H, W, 3) of the photo, ``bodies`` the posed vertices (V, 3) of each person, all with the same ``faces``.
    People hide each other as their distances tell. Returns the picture, its longer side at most ``max_side``.
    """
    scale = min(1.0, max_side / max(camera.width, camera.height))
    small = camera.cropped((0, 0, camera.width, camera.height), scale)
    photo = cv2.resize(pixels, (small.width, small.height), interpolation=cv2.INTER_AREA).astype(np.uint8)
    if not bodies:
        return photo
    vertices = np.concatenate([np.asarray(body, np.float32) for body in bodies])
    all_faces = np.concatenate([faces + index * len(bodies[0]) for index in range(len(bodies))])
    normals = np.concatenate([vertex_normals(body, faces) for body in bodies])
    tints = linear_from_srgb(np.array([TINTS[index % len(TINTS)] for index in range(len(bodies))], np.uint8))

    def clay(fragments: Fragments) -> Floats:
        normal = unit(fragments.interpolate(normals, all_faces))
        facing = np.abs(normal[..., 2])
        light = np.clip(normal @ KEY_LIGHT, 0, 1)
        # A dark rim draws the outline and the folds without lines.
        shade = (0.18 + 0.62 * light + 0.25 * facing) * (0.35 + 0.65 * np.clip(facing * 2.2, 0, 1))
        colour: Floats = shade[..., None] * tints[fragments.face // len(faces)]
        return colour

    colour, coverage = cast(RayScene(vertices, all_faces), small, 2, clay, smooth=True)
    return composed(colour * opacity, coverage * opacity, photo, small)


def sample_texture(texture: NDArray[np.float32], uv: Floats) -> NDArray[np.float32]:
    """Bilinear samples (..., C) of a texture (T, T, C) at ``uv`` (..., 2): origin bottom-left, v up."""
    rows, columns = texture.shape[:2]
    points = np.stack([uv[..., 0] * columns, (1 - uv[..., 1]) * rows], -1)
    return bilinear(texture, points.reshape(-1, 2)).reshape(*uv.shape[:-1], texture.shape[2])


def textured_scene(vertices: Floats, body: TexturedFaces, texture: NDArray[np.uint8]) -> RayScene:
    """The mesh, whose surface is not where the texture's alpha channel, if it has one, is below a half."""
    if texture.shape[2] == 3:
        return RayScene(vertices, body.faces)
    rows, columns = texture.shape[:2]
    solid = texture[..., 3] > 127

    def is_solid(face: NDArray[np.int32], barycentric: NDArray[np.float32]) -> NDArray[np.bool_]:
        uv = np.einsum("nk,nkc->nc", barycentric, body.uv[body.face_uv[face]])
        row = np.clip((1 - uv[:, 1]) * rows, 0, rows - 1).astype(int)
        there: NDArray[np.bool_] = solid[row, np.clip(uv[:, 0] * columns, 0, columns - 1).astype(int)]
        return there

    return PiercedScene(vertices, body.faces, is_solid)


def texture_paint(
    vertices: Floats, body: TexturedFaces, texture: NDArray[np.uint8], camera: Camera, supersample: int
) -> Paint:
    """What colours N fragments by the texture (H, W, 3) or (H, W, 4) sRGB: linear light (N, 3).

    Every triangle is sampled from the texture halved until its texels are about as large as the samples there: bilinear
    sampling of smaller ones would flicker, and layouts give some parts more texels than others.
    """
    levels = _levels(vertices, body, texture, camera, supersample)
    pictures: dict[int, NDArray[np.float32]] = {}
    texture = texture[..., :3]

    def picture(level: int) -> NDArray[np.float32]:
        if level not in pictures:
            size = max(1, texture.shape[1] >> level), max(1, texture.shape[0] >> level)
            small = cv2.resize(texture, size, interpolation=cv2.INTER_AREA) if level else texture
            pictures[level] = linear_from_srgb(np.asarray(small, np.uint8))
        return pictures[level]

    def paint(fragments: Fragments) -> Floats:
        uv, level = fragments.interpolate(body.uv, body.face_uv), levels[fragments.face]
        colours = np.zeros((*uv.shape[:-1], 3), np.float32)
        for each in np.unique(level).tolist():
            colours[level == each] = sample_texture(picture(each), uv[level == each])
        return colours

    return paint


def _levels(
    vertices: Floats, body: TexturedFaces, texture: NDArray[np.uint8], camera: Camera, supersample: int
) -> NDArray[np.int32]:
    """How often (F,) the texture is halved for every triangle."""
    texels = np.abs(_triangle_areas(body.uv[body.face_uv])) * texture.shape[0] * texture.shape[1]
    samples = np.abs(_triangle_areas(camera.project(vertices)[body.faces])) * supersample**2
    levels = np.log2(np.maximum(texels, 1e-9) / np.maximum(samples, 1e-9)) / 2
    return np.asarray(np.clip(np.floor(levels), 0, _COARSEST), np.int32)


def _triangle_areas(corners: Floats) -> Floats:
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    areas: Floats = (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / 2
    return areas


def composed(colour: Floats, alpha: Floats, background: NDArray[np.uint8] | None, camera: Camera) -> NDArray[np.uint8]:
    """Premultiplied linear colour over an sRGB background."""
    if background is None:
        background = np.broadcast_to(np.array(BACKDROP, np.uint8), (camera.height, camera.width, 3))
    result = background.copy()
    touched = alpha > 0
    below = linear_from_srgb(background[touched])
    result[touched] = srgb_from_linear(colour[touched] + below * (1 - alpha[touched, None]))
    return result
