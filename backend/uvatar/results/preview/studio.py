"""The body from all sides, softly lit, on a neutral floor with its contact shadow."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.data.camera import Camera
from uvatar.geometry import rotations
from uvatar.geometry.mesh import unit, vertex_normals
from uvatar.geometry.raster import Fragments
from uvatar.photos.colour import linear_from_srgb, srgb_from_linear
from uvatar.protocol.parts import Part
from uvatar.results.preview.casting import cast
from uvatar.results.preview.drawing import BACKDROP, KEY_LIGHT, composed, texture_paint, textured_scene
from uvatar.results.preview.joined import TexturedFaces, joined

FLOOR_SHADOW = 0.55


def turntable(
    vertices: Floats,
    body: TexturedFaces,
    texture: NDArray[np.uint8],
    views: int = 8,
    columns: int = 4,
    height: int = 480,
    supersample: int = 2,
    parts: Sequence[tuple[Part, Floats]] = (),
) -> NDArray[np.uint8]:
    """A sheet of ``views`` pictures all around the body, posed as in the photo, softly lit, on a neutral floor.

    ``vertices`` (V, 3) in the photo's camera frame, levelled, so that y is down, and ``parts`` with theirs. The first
    view is the photo's; every next one is turned by the same angle, so that the person's own left comes round first.
    Returns the sheet, its panels ``height`` pixels high.
    """
    vertices, body, texture = joined(vertices, body, texture, parts)
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
        turned = centred @ rotations.about_y(2 * np.pi * index / views - sight).astype(np.float32).T
        panels.append(_studio_view(turned, tall / 2, distance, body, texture, camera, supersample))
    blank = np.broadcast_to(np.array(BACKDROP, np.uint8), panels[0].shape)
    panels += [blank] * (-len(panels) % columns)
    return np.concatenate([np.concatenate(panels[row : row + columns], 1) for row in range(0, len(panels), columns)])


def _centre(values: Floats) -> float:
    return float(values.max() + values.min()) / 2


def _studio_camera(tall: float, reach: float, height: int) -> tuple[Camera, float]:
    """A long lens, level with the middle of the body and looking down a little, that holds it from every side."""
    distance = 5 * max(tall, 2 * reach)
    nearest = distance - reach
    half_height = 0.5 * tall + 0.2 * reach
    focal = 0.46 * height * nearest / half_height
    width = int(np.ceil(2 * 1.06 * focal * reach / nearest / 8)) * 8
    return Camera(focal, (width / 2, height / 2), width, height), distance


def _studio_view(
    centred: Floats,
    floor: float,
    distance: float,
    body: TexturedFaces,
    texture: NDArray[np.uint8],
    camera: Camera,
    supersample: int,
) -> NDArray[np.uint8]:
    """One panel. ``centred`` (V, 3): the body about the origin, y down, its lowest point at y = ``floor``."""
    pitch = np.deg2rad(7)
    tilt = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]], np.float32)
    ahead = np.array([0, 0, distance], np.float32)
    seen = centred @ tilt.T + ahead
    normals = vertex_normals(seen, body.faces)
    textured = texture_paint(seen, body, texture, camera, supersample)

    def lit(fragments: Fragments) -> Floats:
        normal = unit(fragments.interpolate(normals, body.faces))
        # Mostly sky light: a photo's texture carries its own shading, so the studio only rounds the form.
        light = 0.80 + 0.12 * -normal[..., 1] + 0.26 * np.clip(normal @ KEY_LIGHT, 0, 1)
        colour: Floats = textured(fragments) * light[..., None]
        return colour

    colour, coverage = cast(textured_scene(seen, body, texture), camera, supersample, lit)
    return composed(colour, coverage, _floor_picture(centred, floor, tilt, ahead, camera), camera)


def _floor_picture(centred: Floats, floor: float, tilt: Floats, ahead: Floats, camera: Camera) -> NDArray[np.uint8]:
    """The backdrop with a contact shadow: surface close to the floor darkens the floor under it."""
    cell = 0.02
    reach = float(np.abs(centred[:, [0, 2]]).max()) + 0.3
    cells = int(np.ceil(2 * reach / cell))
    height = floor - centred[:, 1]
    place = np.clip(((centred[:, [0, 2]] + reach) / cell).astype(int), 0, cells - 1)
    occluder = np.zeros((cells, cells), np.float32)
    np.maximum.at(occluder, (place[:, 1], place[:, 0]), np.exp(-height / 0.12).astype(np.float32))
    closed = cv2.morphologyEx(occluder, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    shadow = 0.6 * cv2.GaussianBlur(closed, (0, 0), 2) + 0.6 * cv2.GaussianBlur(closed, (0, 0), 7)
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
    return srgb_from_linear(linear_from_srgb(np.array(BACKDROP, np.uint8)) * light[..., None])
