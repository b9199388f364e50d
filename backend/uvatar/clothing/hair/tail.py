"""The form of ponytails and buns: tubes from the back of the head. A ponytail goes down to where the photo shows its
end beside the neck, or as far as somebody says.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from uvatar.body import BodyModel
from uvatar.clothing.hair.pixels import HairPixels
from uvatar.clothing.hair.rings import hair_plane
from uvatar.clothing.plane import BodyPlane
from uvatar.data.arrays import Floats
from uvatar.data.fit import Fit
from uvatar.data.joints import Joint
from uvatar.geometry.mesh import unit
from uvatar.photos.colour import smoothstep


@dataclass(frozen=True)
class TailSettings:
    """Tuned numbers of ponytails and buns; lengths in metres on a person of 1.7 m, set while looking at one in a photo.

    Attributes:
        rows, columns: of the tube.
        root: height of the band that holds it, above the middle between the ears.
        sunk: how far inside the head it begins.
        away: how far behind the head it bends downwards.
        radius: least and greatest, of its thickest part.
        band: radius where it is tied, as a share of that.
        tip: share of its length over which it tapers.
        unseen: that it goes on below what is seen, behind the shoulders.
        beyond: that it reaches farther to the side than is seen, as the neck that hides it comes out wider than it is.
        gap: between it and the body.
        slab: half the height of the slices in which the body's back is found.
        bun, bun_wide: half the length of a bun away from the head, and half its width as a share of that.
        bun_root, bun_rise: its height above the middle between the ears, and the angle by which it points upwards.
    """

    rows: int = 24
    columns: int = 16
    root: float = 0.035
    sunk: float = 0.015
    away: float = 0.02
    radius: tuple[float, float] = (0.02, 0.035)
    band: float = 0.7
    tip: float = 0.35
    unseen: float = 0.07
    beyond: float = 0.008
    gap: float = 0.006
    slab: float = 0.015
    bun: float = 0.046
    bun_wide: float = 1.1
    bun_root: float = 0.06
    bun_rise: float = 0.35


DEFAULT_SETTINGS = TailSettings()


@dataclass(frozen=True)
class Tail:
    """A ponytail or a bun; R rings of C columns.

    Attributes:
        points: (R, C, 3) camera frame; within a ring, columns at a quarter of a turn are behind.
        down: (R,) metres below the root, on a person of 1.7 m.
    """

    points: Floats
    down: Floats


def tail(
    found: HairPixels, fit: Fit, body: BodyModel, vertices: Floats, settings: TailSettings = DEFAULT_SETTINGS
) -> Tail | None:
    """Build the tube; None where the pixels are not beside a neck. ``vertices`` (V, 3) of the dressed body, posed."""
    plane = hair_plane(fit, body)
    size, data = plane.size, body.data
    at = plane.coordinates(vertices)
    of_head = data.weights[:, Joint.HEAD] > 0.5
    head, others = at[of_head], at[~of_head]
    depth = float(head[:, 1].mean())
    rows, columns = np.nonzero(found.hair)
    pixels = np.stack([columns, rows], -1) + 0.5
    # Where the lines of sight pass the neck.
    rays = np.concatenate([(pixels - found.camera.center) / found.camera.focal, np.ones((len(pixels), 1))], 1)
    normal = plane.axes[1]
    seen = plane.coordinates(rays * (((plane.origin + depth * normal) @ normal) / (rays @ normal))[:, None])
    middle = float(head[:, 0].mean())
    side = 1.0 if np.median(seen[:, 0]) > middle else -1.0
    outer = side * float((side * seen[:, 0]).max())
    wide = float(np.quantile(seen[:, 0], 0.95) - np.quantile(seen[:, 0], 0.05))
    thinnest, thickest = (bound * size for bound in settings.radius)
    radius = float(np.clip(0.75 * wide, thinnest, thickest))
    end = float(seen[:, 2].max()) + settings.unseen * size
    root = -settings.root * size
    beside = outer + side * (settings.beyond * size - radius)
    return _hanging(middle, beside, root, end, radius, head, others, plane, settings)


def hanging_tail(
    length: float, fit: Fit, body: BodyModel, vertices: Floats, settings: TailSettings = DEFAULT_SETTINGS
) -> Tail | None:
    """A ponytail that hangs straight down, ``length`` below its root, metres on a person of 1.7 m."""
    plane = hair_plane(fit, body)
    at = plane.coordinates(vertices)
    of_head = body.data.weights[:, Joint.HEAD] > 0.5
    root, middle = -settings.root * plane.size, float(at[of_head, 0].mean())
    end, radius = root + length * plane.size, float(np.mean(settings.radius)) * plane.size
    return _hanging(middle, middle, root, end, radius, at[of_head], at[~of_head], plane, settings)


def bun(fit: Fit, body: BodyModel, vertices: Floats, settings: TailSettings = DEFAULT_SETTINGS) -> Tail | None:
    """A bun high on the back of the head: a tube that is closed at both ends."""
    plane = hair_plane(fit, body)
    size = plane.size
    head = plane.coordinates(vertices[body.data.weights[:, Joint.HEAD] > 0.5])
    root = -settings.bun_root * size
    near = head[np.abs(head[:, 2] - root) < settings.slab * size]
    if not len(near):
        return None
    radius = settings.bun * size
    outwards = np.array([0, np.cos(settings.bun_rise), -np.sin(settings.bun_rise)])
    centre = np.array([head[:, 0].mean(), near[:, 1].max(), root]) + 0.5 * radius * outwards
    angle = np.linspace(0, np.pi, settings.rows)
    middles = centre - radius * np.cos(angle)[:, None] * outwards
    thick = np.maximum(settings.bun_wide * radius * np.sin(angle), 0.001)
    return Tail(_tube(middles, thick, plane, settings), np.zeros(settings.rows))


def _hanging(
    middle: float,
    beside: float,
    root: float,
    end: float,
    radius: float,
    head: Floats,
    others: Floats,
    plane: BodyPlane,
    settings: TailSettings,
) -> Tail | None:
    """A tube from the back of the head's ``middle`` at the height ``root`` down to ``end`` at ``beside``; None where it
    would be too short. ``head`` (N, 3) and ``others`` (M, 3): vertices, all in coordinates of the plane.
    """
    size = plane.size
    near = head[np.abs(head[:, 2] - root) < settings.slab * size]
    if end - root < 4 * radius or not len(near):
        return None
    # Control points of its middle: u, w and s.
    back = float(near[:, 1].max())
    line = np.array(
        [
            (middle, back - settings.sunk * size, root),
            (middle, back + settings.away * size, root),
            (middle + 0.3 * (beside - middle), back + settings.away * size, root + 2 * settings.away * size),
            (beside, back - settings.away * size, (root + end) / 2),
            (beside, back - settings.away * size, end),
        ]
    )
    share = np.linspace(0, 1, settings.rows)
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    middles = np.stack([np.interp(share * length[-1], length, axis) for axis in line.T], 1)
    thick = radius * (settings.band + (1 - settings.band) * smoothstep(share, 0, 0.3))
    thick = thick * np.sqrt(np.maximum(1 - smoothstep(share, 1 - settings.tip, 1), 0.01))
    middles[2:, 1] = np.maximum(middles[2:, 1], _back(middles[2:], others, radius, settings, size) + thick[2:])
    middles[1:-1] = gaussian_filter1d(middles, 1.5, axis=0, mode="nearest")[1:-1]
    return Tail(_tube(middles, thick, plane, settings), (middles[:, 2] - root) / size)


def _back(middles: Floats, body: Floats, radius: float, settings: TailSettings, size: float) -> Floats:
    """(N,) w of the body's back (V, 3) at the middles (N, 3) of rings, with a gap."""
    back = np.full(len(middles), -np.inf)
    for number, (u, _, s) in enumerate(middles):
        near = (np.abs(body[:, 2] - s) < settings.slab * size) & (np.abs(body[:, 0] - u) < radius)
        if near.any():
            back[number] = body[near, 1].max() + settings.gap * size
    return back


def _tube(middles: Floats, radius: Floats, plane: BodyPlane, settings: TailSettings) -> NDArray[np.float64]:
    """(R, C, 3) camera frame: rings across the line of middles (R, 3), plane's coordinates."""
    along = unit(np.gradient(middles, axis=0))
    across = unit(np.array([1.0, 0, 0]) - along[:, :1] * along)
    away = np.cross(across, along)
    away *= np.sign(away[-1, 1])  # the plane's axes are left-handed
    turn = np.arange(settings.columns) * (2 * np.pi / settings.columns)
    ring = across[:, None] * np.cos(turn)[:, None] + away[:, None] * np.sin(turn)[:, None]
    return np.asarray(plane.points(middles[:, None] + radius[:, None, None] * ring), np.float64)
