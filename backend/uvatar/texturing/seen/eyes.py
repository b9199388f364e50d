"""Eyeballs: the photo's eye where it is seen between the lids, a painted white, iris and pupil everywhere else.

The mesh's lids never open exactly as far as the photo's, so an eyeball that is left to the ordinary projection shows
eyelid, and one that is completed like skin is blind.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.body.data import LEFT_EYE, RIGHT_EYE
from uvatar.data.arrays import Floats, Integers
from uvatar.data.face import FACE_SCORE, LEFT_IRIS, LEFT_LIDS, RIGHT_IRIS, RIGHT_LIDS
from uvatar.data.labels import Label
from uvatar.photos.colour import LUMA, smoothstep
from uvatar.texturing.layout.atlas import Atlas
from uvatar.texturing.seen.projection import ProjectedView

# Points of the face mesh.
_LIDS = {LEFT_EYE: LEFT_LIDS, RIGHT_EYE: RIGHT_LIDS}
_IRIS_POINTS = {LEFT_EYE: LEFT_IRIS, RIGHT_EYE: RIGHT_IRIS}


@dataclass(frozen=True)
class EyeSettings:
    """Tuned numbers of eyes. Where nothing is said of how a number was chosen, that is not recorded.

    Attributes:
        iris, pupil: half angles as seen from the eyeball's centre, radians.
        blend: half the angle over which pupil, iris and white blend into each other, radians.
        farthest_gaze: from straight ahead, radians.
        least_eye, least_iris: widths, pixels of the photo, below which the photo's eye or iris is a smudge.
        brown: linear light of an iris of which nothing is seen.
        white: (a, b, least, most): the white's linear light is a + b times the skin's luminance, within these limits,
            where no face is seen.
        shaded_white: the same in a face that is seen, where the white itself is not: lids and brows shade it. On 26
            faces of 70 pixels and more in real photos, ``white`` is three times as bright, in the median, as what the
            photo shows between the lids; small eyes bias this upwards.
        white_hue: how much of the hue of the skin, which the light on both gives it, that has: an exponent.
        beside_iris: radians beside the iris from which the photo's eye is white.
        least_white: share of the eyeball's texels that must show the photo's white for all of it to have that colour.
        facing: cosine between the eyeball's normal and the line of sight from which the photo is used.
        depth_bias: metres that surface may lie in front of the eyeball without hiding it.
        lid_shadow: of the upper lid, as a share of the light.
        shadow: heights of the direction from the eyeball's centre from which the lid's shadow begins, and is full.
        iris_light: factor on the iris's colour in its middle.
        iris_rim: what that falls by towards the iris's rim.
        pupil_light: share of the light that the pupil returns.
        iris_sample: radius of the ring on which the iris's colour is taken, as a share of its width.
        iris_footprint: width over which that is averaged, as a share of the iris's width.
        inside_lids: shares of the eye's width inside the lids from which the photo counts, and counts fully.
        grey: relative range of the skin's channels below which the photo is grey.
    """

    iris: float = 0.44
    pupil: float = 0.17
    blend: float = 0.07
    farthest_gaze: float = 0.6
    least_eye: float = 18.0
    least_iris: float = 6.0
    brown: tuple[float, float, float] = (0.10, 0.055, 0.03)
    white: tuple[float, float, float, float] = (0.15, 1.2, 0.2, 0.75)
    shaded_white: tuple[float, float, float, float] = (0.07, 0.6, 0.08, 0.75)
    white_hue: float = 0.6
    beside_iris: float = 0.12
    least_white: float = 0.0015
    facing: float = 0.1
    depth_bias: float = 0.004
    lid_shadow: float = 0.35
    shadow: tuple[float, float] = (0.1, 0.6)
    iris_light: float = 1.15
    iris_rim: float = 0.6
    pupil_light: float = 0.03
    iris_sample: float = 0.32
    iris_footprint: float = 0.1
    inside_lids: tuple[float, float] = (0.01, 0.06)
    grey: float = 0.06


DEFAULT_SETTINGS = EyeSettings()


def paint_eyes(
    colours: NDArray[np.float32],
    source: NDArray[np.uint8],
    view: ProjectedView,
    skin: NDArray[np.float32],
    atlas: Atlas,
    settings: EyeSettings = DEFAULT_SETTINGS,
) -> None:
    """Write the eyeballs' texels into ``colours`` and ``source``.

    Args:
        colours: (T, 3) linear light.
        source: (T,) labels.
        view: the photo that shows the eyes, if one does.
        skin: (3,) linear light, whose luminance the white of the eye follows.
        atlas: of the body.
        settings: tuned numbers.
    """
    face = view.source.person.face if view.source.person.face_score > FACE_SCORE else None
    eye_of_texel = atlas.of_first_vertex(atlas.surface.eye)
    for eye in (LEFT_EYE, RIGHT_EYE):
        texels = np.flatnonzero(eye_of_texel == eye)
        if not len(texels):
            continue
        directions = eye_directions(atlas, eye, texels)
        gaze, iris = np.array([0, 0, 1], np.float32), greyed(np.array(settings.brown, np.float32), skin, settings.grey)
        if face is None:
            white = np.full(3, _lightness(skin, settings.white), np.float32)
            colours[texels], source[texels] = eye_colours(directions, gaze, iris, white, settings), Label.COMPLETED
            continue
        values = atlas.interpolate(
            np.column_stack([view.visibility.vertices, view.shift, view.visibility.cosine]), texels
        )
        pixels = view.pixels(values[:, :3], values[:, 3:5]).astype(np.float32)
        facing = values[:, 5] > settings.facing
        points = face[_IRIS_POINTS[eye]]
        if facing.any():
            nearest = np.linalg.norm(pixels[facing] - points[0], axis=1).argmin()
            gaze = _limited(directions[facing][nearest], settings)
        width = float(np.linalg.norm(points[1:] - points[0], axis=1).mean()) * 2
        if width > settings.least_iris:
            iris = _iris_colour(view, points, width, settings)
        shown = _between_lids(face[_LIDS[eye]], pixels, settings) * facing * (view.foreground.depth_inside(pixels) > 0)
        shown[shown > 0] *= view.visibility.scene.visible_from(values[shown > 0, :3], bias=settings.depth_bias)
        seen = view.foreground.sample(pixels, view.footprint[atlas.table.face[texels]])
        beside = directions @ gaze < np.cos(settings.iris + settings.beside_iris)
        white = _white(seen[beside & (shown > 0.9)], settings.least_white * len(texels), skin, settings)
        painted = eye_colours(directions, gaze, iris, white, settings)
        colours[texels] = painted + (seen - painted) * shown[:, None]
        source[texels] = np.where(shown >= 0.5, Label.SEEN, Label.COMPLETED)


def eye_directions(atlas: Atlas, eye: int, texels: Integers) -> NDArray[np.float32]:
    """Unit directions (K, 3) of an eyeball's texels from its centre, rest frame (z forward).

    ``eye``: LEFT_EYE or RIGHT_EYE of `uvatar.body.data`; ``texels`` (K,): which of the atlas's.
    """
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


def eye_colours(
    directions: Floats, gaze: Floats, iris: Floats, white: Floats, settings: EyeSettings = DEFAULT_SETTINGS
) -> NDArray[np.float32]:
    """Linear light (K, 3) of a painted eyeball.

    Args:
        directions: (K, 3) unit vectors from its centre, rest frame.
        gaze: (3,) unit vector in which it looks.
        iris: (3,) linear light.
        white: (3,) linear light.
        settings: tuned numbers.
    """
    angle = np.arccos(np.clip(directions @ gaze, -1, 1))[:, None]
    # the upper lid's shadow, and the rim of the iris darker than its middle
    shade = 1 - settings.lid_shadow * smoothstep(directions[:, 1:2], *settings.shadow)
    rim, pupil, blend = settings.iris, settings.pupil, settings.blend
    coloured = iris * (settings.iris_light - settings.iris_rim * smoothstep(angle, 0.6 * rim, rim))
    ball = white + (coloured - white) * (1 - smoothstep(angle, rim - blend, rim + blend))
    dark = settings.pupil_light
    lit = ball * (dark + (1 - dark) * smoothstep(angle, pupil - blend, pupil + blend)) * shade
    light: NDArray[np.float32] = lit.astype(np.float32)
    return light


def _white(seen: Floats, least: float, skin: NDArray[np.float32], settings: EyeSettings) -> NDArray[np.float32]:
    """Linear light (3,) of the white of an eye.

    The median of what is seen of it (K, 3), or, where that is less than ``least``, as the light on the skin makes it.
    """
    if len(seen) >= least:
        median: NDArray[np.float32] = np.median(seen, axis=0).astype(np.float32)
        return median
    hue = np.maximum(skin, 1e-3) ** settings.white_hue
    tinted: NDArray[np.float32] = (hue * _lightness(skin, settings.shaded_white) / (hue @ LUMA)).astype(np.float32)
    return tinted


def _lightness(skin: NDArray[np.float32], white: tuple[float, float, float, float]) -> float:
    """Of the white of the eye, linear; ``white`` as in `EyeSettings`."""
    added, factor, least, most = white
    return float(np.clip(added + factor * float(skin @ LUMA), least, most))


def _limited(gaze: NDArray[np.float32], settings: EyeSettings) -> NDArray[np.float32]:
    """The nearest direction (3,) that an eye can look in."""
    sideways = float(np.linalg.norm(gaze[:2]))
    angle = min(float(np.arctan2(sideways, gaze[2])), settings.farthest_gaze)
    return np.array([*(gaze[:2] / max(sideways, 1e-9) * np.sin(angle)), np.cos(angle)], np.float32)


def _iris_colour(view: ProjectedView, points: Floats, width: float, settings: EyeSettings) -> NDArray[np.float32]:
    """Median (3,), linear light, between pupil and rim on the iris's lower half: the upper lid and its shadow hide the
    other. ``points`` (5, 2): the iris's centre and rim, ``width``: its width, pixels of the photo.
    """
    angles = np.radians(np.arange(15, 166, 15))
    ring = points[0] + settings.iris_sample * width * np.column_stack([np.cos(angles), np.sin(angles)])
    samples = view.foreground.sample(ring.astype(np.float32), max(1.0, settings.iris_footprint * width))
    median: NDArray[np.float32] = np.median(samples, axis=0)
    return median


def _between_lids(lids: Floats, pixels: NDArray[np.float32], settings: EyeSettings) -> NDArray[np.float32]:
    """How surely (K,), 0..1, points (K, 2) of the photo lie between the lids (L, 2), pixels."""
    width = float(np.ptp(lids[:, 0]))
    if width < settings.least_eye:
        return np.zeros(len(pixels), np.float32)
    contour = lids.astype(np.float32).reshape(-1, 1, 2)
    inside = np.array([cv2.pointPolygonTest(contour, (float(x), float(y)), True) for x, y in pixels], np.float32)
    return smoothstep(inside, *(share * width for share in settings.inside_lids))


def greyed(colour: NDArray[np.float32], skin: NDArray[np.float32], least: float) -> NDArray[np.float32]:
    """The colour (3,), without its hue where the photo has none: the skin's channels differ by less than ``least``."""
    grey = np.ptp(skin) < least * float(skin.max())
    return np.full(3, colour @ LUMA, np.float32) if grey else colour
