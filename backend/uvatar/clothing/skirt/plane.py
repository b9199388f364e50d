"""The plane of the legs, and what the photo and the body look like on it.

Rows run down along the legs from above the waist, columns across them, so that a skirt becomes a stack of rows with a
left and a right end, however the person stands in the photo.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.body.data import BodyData
from uvatar.clothing.limbs import limbs
from uvatar.clothing.plane import BodyPlane, sampled
from uvatar.data.arrays import Floats
from uvatar.data.camera import Camera
from uvatar.data.joints import ANKLE_JOINTS, KNEE_JOINTS, Joint
from uvatar.data.person import Person
from uvatar.geometry.mesh import unit
from uvatar.geometry.raster import rasterize


@dataclass(frozen=True)
class PlaneSettings:
    """Size of the plane's picture; lengths in metres on a person of 1.7 m.

    Attributes:
        step: between rows and between columns.
        top, bottom: rows above and below the pelvis.
        side: columns to either side.
        slab: half the height of the slices in which the body's sections are taken.
        body_side: pixels of the longer side of the picture in which the body's own outline is drawn.
    """

    step: float = 0.005
    top: float = -0.62
    bottom: float = 1.15
    side: float = 0.85
    slab: float = 0.0125
    body_side: int = 480


DEFAULT_SETTINGS = PlaneSettings()


@dataclass(frozen=True)
class RowPicture:
    """The photo on the plane; H rows and W columns.

    Attributes:
        plane: the frame.
        s: (H,) metres of the rows.
        u: (W,) metres of the columns.
        depth: (H,) w of the plane's picture: the middle of trunk and legs.
        section: (H, 2) least and greatest w of trunk and legs.
        legs: (H, 2) u of the left and the right leg's middle; NaN where there is none.
        mask: (H, W) where the person is.
        known: (H, W) where the photo shows whether the person is there.
        body: (H, W) where the bare body without its arms is.
        arms: (H, W) where the bare arms are.
    """

    plane: BodyPlane
    s: Floats
    u: Floats
    depth: Floats
    section: Floats
    legs: Floats
    mask: NDArray[np.bool_]
    known: NDArray[np.bool_]
    body: NDArray[np.bool_]
    arms: NDArray[np.bool_]

    @property
    def step(self) -> float:
        """Metres between columns."""
        return float(self.u[1] - self.u[0])

    def row(self, s: float) -> int:
        """The row at ``s``, inside the picture."""
        return int(np.clip(np.searchsorted(self.s, s), 0, len(self.s) - 1))


def leg_plane(joints: Floats, stature: float) -> BodyPlane:
    """The plane along both legs, with its origin at the pelvis; ``joints`` (24, 3) posed, ``stature`` metres."""
    pelvis = np.asarray(joints[Joint.PELVIS], np.float64)
    down = unit(joints[ANKLE_JOINTS].mean(0) - pelvis) + unit(joints[KNEE_JOINTS].mean(0) - pelvis)
    return BodyPlane.facing(pelvis, down, stature)


def row_picture(
    plane: BodyPlane,
    vertices: Floats,
    data: BodyData,
    person: Person,
    camera: Camera,
    settings: PlaneSettings = DEFAULT_SETTINGS,
) -> RowPicture:
    """Lay the person's mask and the body's outline on the plane. ``vertices`` (V, 3) posed, camera frame."""
    arms, *legs = limbs(data)
    size, step = plane.size, settings.step * plane.size
    s = np.arange(settings.top * size, settings.bottom * size, step)
    u = np.arange(-settings.side * size, settings.side * size, step)
    at = plane.coordinates(vertices)
    trunk = at[~arms]
    section = np.stack([_extreme(trunk, s, settings.slab * size, sign) for sign in (-1, 1)], 1)
    depth = section.mean(1)
    middles = np.stack([_middle(at[leg], s, settings.slab * size) for leg in legs], 1)
    grid = np.stack(np.broadcast_arrays(u[None], depth[:, None], s[:, None]), -1)
    pixels = camera.project(plane.points(grid).astype(np.float32))
    x0, y0, x1, y1 = person.window
    mask, others = (sampled(image, pixels - np.array([x0, y0], np.float32)) for image in (person.mask, person.others))
    outside = (pixels < 0).any(-1) | (pixels >= (camera.width, camera.height)).any(-1)
    scale = min(1.0, settings.body_side / max(x1 - x0, y1 - y0))
    own = camera.cropped(person.window, scale)
    moved = (pixels - np.array([x0, y0], np.float32)) * np.float32(scale)
    of_arms = arms[data.faces].any(1)
    body, bare_arms = (
        sampled(rasterize(vertices, data.faces[chosen], own).mask.astype(np.uint8) * np.uint8(255), moved) > 127
        for chosen in (~of_arms, of_arms)
    )
    known = (others < 64) & ~outside
    return RowPicture(plane, s, u, depth, section, middles, mask > 127, known, body, bare_arms)


def dilated(mask: NDArray[np.bool_], metres: float, picture: RowPicture) -> NDArray[np.bool_]:
    """The mask (H, W), grown by a length of a person of 1.7 m."""
    side = 2 * max(1, round(metres * picture.plane.size / picture.step)) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return np.asarray(cv2.dilate(mask.astype(np.uint8), disc)) > 0


def _extreme(points: Floats, s: Floats, slab: float, sign: int) -> Floats:
    """(H,) the least (sign -1) or greatest w of points (N, 3) near each row, from the nearest rows where there are
    none.
    """
    row = np.clip(np.round((points[:, 2] - s[0]) / (s[1] - s[0])).astype(int), 0, len(s) - 1)
    inside = (points[:, 2] > s[0]) & (points[:, 2] < s[-1])
    most = np.full(len(s), -np.inf)
    np.maximum.at(most, row[inside], sign * points[inside, 1])
    width = 2 * max(1, round(slab / (s[1] - s[0]))) + 1
    padded = np.pad(most, width // 2, constant_values=-np.inf)
    most = np.lib.stride_tricks.sliding_window_view(padded, width).max(1)
    found = np.isfinite(most)
    extreme: Floats = np.interp(s, s[found], most[found]) * float(sign)
    return extreme


def _middle(points: Floats, s: Floats, slab: float) -> Floats:
    """(H,) the middle in u of points (N, 3) near each row; NaN where there are none."""
    low, high = (_extreme(points[:, [0, 1, 2]][:, [1, 0, 2]], s, slab, sign) for sign in (-1, 1))
    middle: Floats = (low + high) / 2
    middle[(s < points[:, 2].min()) | (s > points[:, 2].max())] = np.nan
    return middle
