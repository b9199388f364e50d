"""Eyeballs: the photo's eye where it is seen between the lids, a plain white, iris and pupil everywhere else.

The mesh's lids never open exactly as far as the photo's, so an eyeball that is left to the ordinary projection shows
eyelid, and one that is completed like skin is blind.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.body.data import LEFT_EYE, RIGHT_EYE
from uvatar.data.arrays import Floats, Integers
from uvatar.data.face import LEFT_IRIS, LEFT_LIDS, RIGHT_IRIS, RIGHT_LIDS
from uvatar.data.labels import Label
from uvatar.photos.colour import LUMA, smoothstep
from uvatar.texturing.atlas import Atlas
from uvatar.texturing.projection import ProjectedView
from uvatar.texturing.skin import FACE_SCORE

# Half angles of iris and pupil as seen from the eyeball's centre, radians.
_IRIS, _PUPIL, _BLEND = 0.44, 0.17, 0.07
_FARTHEST_GAZE = 0.6
# Points of the face mesh.
_LIDS = {LEFT_EYE: LEFT_LIDS, RIGHT_EYE: RIGHT_LIDS}
_IRIS_POINTS = {LEFT_EYE: LEFT_IRIS, RIGHT_EYE: RIGHT_IRIS}
# Below these widths in pixels, the photo's eye or iris is a smudge.
_SMALLEST_EYE, _SMALLEST_IRIS = 18.0, 6.0
_BROWN = np.array([0.10, 0.055, 0.03], np.float32)


def paint_eyes(
    colours: NDArray[np.float32],
    source: NDArray[np.uint8],
    view: ProjectedView,
    skin: NDArray[np.float32],
    atlas: Atlas,
) -> None:
    """Write the eyeballs' texels into ``colours`` (T, 3) linear light and ``source`` (T,)."""
    face = view.source.person.face if view.source.person.face_score > FACE_SCORE else None
    white = np.full(3, np.clip(0.15 + 1.2 * float(skin @ LUMA), 0.2, 0.75), np.float32)
    eye_of_texel = atlas.of_first_vertex(atlas.surface.eye)
    for eye in (LEFT_EYE, RIGHT_EYE):
        texels = np.flatnonzero(eye_of_texel == eye)
        if not len(texels):
            continue
        directions = eye_directions(atlas, eye, texels)
        gaze, iris = np.array([0, 0, 1], np.float32), _greyed(_BROWN, skin)
        if face is None:
            colours[texels], source[texels] = eye_colours(directions, gaze, iris, white), Label.COMPLETED
            continue
        values = atlas.interpolate(
            np.column_stack([view.visibility.vertices, view.shift, view.visibility.cosine]), texels
        )
        pixels = view.pixels(values[:, :3], values[:, 3:5]).astype(np.float32)
        facing = values[:, 5] > 0.1
        points = face[_IRIS_POINTS[eye]]
        if facing.any():
            gaze = _limited(directions[facing][np.linalg.norm(pixels[facing] - points[0], axis=1).argmin()])
        width = float(np.linalg.norm(points[1:] - points[0], axis=1).mean()) * 2
        if width > _SMALLEST_IRIS:
            iris = _iris_colour(view, points, width)
        painted = eye_colours(directions, gaze, iris, white)
        shown = _between_lids(face[_LIDS[eye]], pixels) * facing * (view.foreground.depth_inside(pixels) > 0)
        shown[shown > 0] *= view.visibility.scene.visible_from(values[shown > 0, :3], bias=0.004)
        seen = view.foreground.sample(pixels, view.footprint[atlas.table.face[texels]])
        colours[texels] = painted + (seen - painted) * shown[:, None]
        source[texels] = np.where(shown >= 0.5, Label.SEEN, Label.COMPLETED)


def eye_directions(atlas: Atlas, eye: int, texels: Integers) -> NDArray[np.float32]:
    """(K, 3) unit directions of an eyeball's texels from its centre, rest frame (z forward)."""
    surface = atlas.surface
    ball = surface.template[surface.eye == eye]
    low, high = ball.min(0), ball.max(0)
    # the cornea bulges forward: the centre lies one radius before the back
    centre = np.array([*(low + high)[:2] / 2, low[2] + (high - low)[:2].mean() / 2], np.float32)
    rays = atlas.interpolate(surface.template, texels) - centre
    directions: NDArray[np.float32] = (rays / np.maximum(np.linalg.norm(rays, axis=1, keepdims=True), 1e-9)).astype(
        np.float32
    )
    return directions


def eye_colours(directions: Floats, gaze: Floats, iris: Floats, white: Floats) -> NDArray[np.float32]:
    """Linear light (K, 3) of a painted eyeball at unit ``directions`` (K, 3) from its centre."""
    angle = np.arccos(np.clip(directions @ gaze, -1, 1))[:, None]
    # the upper lid's shadow, and the rim of the iris darker than its middle
    shade = 1 - 0.35 * smoothstep(directions[:, 1:2], 0.1, 0.6)
    coloured = iris * (1.15 - 0.6 * smoothstep(angle, 0.6 * _IRIS, _IRIS))
    ball = white + (coloured - white) * (1 - smoothstep(angle, _IRIS - _BLEND, _IRIS + _BLEND))
    light: NDArray[np.float32] = (
        ball * (0.03 + 0.97 * smoothstep(angle, _PUPIL - _BLEND, _PUPIL + _BLEND)) * shade
    ).astype(np.float32)
    return light


def _limited(gaze: NDArray[np.float32]) -> NDArray[np.float32]:
    """The nearest direction that an eye can look in."""
    sideways = float(np.linalg.norm(gaze[:2]))
    angle = min(float(np.arctan2(sideways, gaze[2])), _FARTHEST_GAZE)
    return np.array([*(gaze[:2] / max(sideways, 1e-9) * np.sin(angle)), np.cos(angle)], np.float32)


def _iris_colour(view: ProjectedView, points: Floats, width: float) -> NDArray[np.float32]:
    """Median between pupil and rim on the iris' lower half: the upper lid and its shadow hide the other."""
    angles = np.radians(np.arange(15, 166, 15))
    ring = points[0] + 0.32 * width * np.column_stack([np.cos(angles), np.sin(angles)])
    median: NDArray[np.float32] = np.median(
        view.foreground.sample(ring.astype(np.float32), max(1.0, 0.1 * width)), axis=0
    )
    return median


def _between_lids(lids: Floats, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """(K,) 0..1, how surely points (K, 2) of the photo lie between the lids (L, 2)."""
    width = float(np.ptp(lids[:, 0]))
    if width < _SMALLEST_EYE:
        return np.zeros(len(pixels), np.float32)
    contour = lids.astype(np.float32).reshape(-1, 1, 2)
    inside = np.array([cv2.pointPolygonTest(contour, (float(x), float(y)), True) for x, y in pixels], np.float32)
    return smoothstep(inside, 0.01 * width, 0.06 * width)


def _greyed(colour: NDArray[np.float32], skin: NDArray[np.float32]) -> NDArray[np.float32]:
    """The colour, without its hue where the photo has none (grey skin)."""
    return np.full(3, colour @ LUMA, np.float32) if np.ptp(skin) < 0.06 * float(skin.max()) else colour
