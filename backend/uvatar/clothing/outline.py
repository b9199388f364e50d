"""Where a body's outline in the picture should be, read from a person's mask.

Every point of the body's outline looks along its own normal, outwards and inwards, for the place where the mask ends
the way the body does. Where the mask goes on to another part of the same body (a skirt between the legs, a sleeve
against the chest) both sides are asked to meet half way. Borders that the mask shares with somebody else or with the
edge of the photo only tell how far the body goes at least; those that lie too far off to be cloth say nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.data.camera import Camera
from uvatar.data.person import Person
from uvatar.geometry.raster import Fragments

# Lengths as fractions of the person's box side.
OUTWARD_REACH = 0.12  # a coat or hair stands off the body at most this far
HAND_REACH = 0.025  # ... and hands are drawn so far at most
INWARD_REACH = 0.035  # further inside, something in front hides the body rather than the body being too wide
# Pixels by which the body is to reach over the mask's border: a gap shows more than an overlap.
OVERLAP = 0.25
# Mask borders must face the same way as the body's outline, at least to this cosine.
FACING = 0.3
_STEP = 0.75  # pixels between the samples along a normal


@dataclass(frozen=True)
class MaskPicture:
    """A person's mask at working size.

    Attributes:
        camera: sees exactly this picture.
        inside: (H, W) float32, 1 on the person, 0 elsewhere, soft at the border.
        slope: (H, W, 2) gradient of a smoothed ``inside``: points into the person.
        unknown: (H, W) True where the person may go on unseen: outside the photo, or behind somebody else.
        side: pixels of the person's box side, the unit of the reaches.
    """

    camera: Camera
    inside: NDArray[np.float32]
    slope: NDArray[np.float32]
    unknown: NDArray[np.bool_]
    side: float


@dataclass(frozen=True)
class OutlineShifts:
    """The shifts of the body's outline that the mask requires; N points.

    Attributes:
        pixel: (N, 2) int column and row of the outline's points in the working picture.
        normal: (N, 2) unit, out of the body.
        shift: (N,) pixels along the normal, negative inwards.
    """

    pixel: NDArray[np.int64]
    normal: NDArray[np.float32]
    shift: NDArray[np.float32]


def mask_picture(person: Person, camera: Camera, side: int) -> MaskPicture:
    """The person's mask with room around it, scaled so that the box's longer side is ``side`` pixels."""
    x0, y0, x1, y1 = person.window
    box_side = max(person.side, 1.0)
    margin = int(np.ceil(1.2 * OUTWARD_REACH * box_side))
    scale = side / box_side
    view = camera.cropped((x0 - margin, y0 - margin, x1 + margin, y1 + margin), scale)
    size = view.width, view.height
    # Nobody has looked outside the window: who stands at its edge goes on.
    padded, others = np.pad(person.mask, margin), np.pad(person.others, margin, mode="edge")
    columns, rows = np.arange(x0 - margin, x1 + margin), np.arange(y0 - margin, y1 + margin)
    others[(rows < 0) | (rows >= camera.height)] = 255
    others[:, (columns < 0) | (columns >= camera.width)] = 255
    shrink = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    inside = cv2.GaussianBlur(cv2.resize(padded, size, interpolation=shrink) / np.float32(255), (0, 0), 0.8).astype(
        np.float32
    )
    return MaskPicture(
        view, inside, _gradient(inside), cv2.resize(others, size, interpolation=shrink) > 64, float(side)
    )


def outline_shifts(fragments: Fragments, mask: MaskPicture, hands: NDArray[np.float32]) -> OutlineShifts:
    """How far the outline of the rendered body is from where the mask puts it, for the points where the mask can tell.

    ``hands`` (H, W) is 1 where the rendered body shows hands, on which nothing is worn, 0 elsewhere: a hand before a
    skirt does not reach for the skirt's hem.
    """
    body = fragments.mask.astype(np.uint8)
    rim = (body > 0) & (cv2.erode(body, np.ones((3, 3), np.uint8), borderValue=(1, 1, 1, 1)) == 0)
    rows, columns = np.nonzero(rim)
    uphill = _gradient(body.astype(np.float32))[rows, columns]
    steepness = np.linalg.norm(uphill, axis=-1)
    clear = steepness > 1e-3
    rows, columns = rows[clear], columns[clear]
    normal = -uphill[clear] / steepness[clear, None]
    if not len(rows):
        return OutlineShifts(np.zeros((0, 2), np.int64), normal, np.zeros(0, np.float32))

    inward = INWARD_REACH * mask.side
    outward = (OUTWARD_REACH + (HAND_REACH - OUTWARD_REACH) * hands[rows, columns]) * mask.side
    steps = (
        np.arange(-np.ceil(inward / _STEP), np.ceil(OUTWARD_REACH * mask.side / _STEP) + 2, dtype=np.float32) * _STEP
    )
    # The body ends half a pixel outside the centre of its last pixel.
    x = columns[:, None] + (steps + 0.5) * normal[:, :1]
    y = rows[:, None] + (steps + 0.5) * normal[:, 1:]
    inside = _sample(mask.inside, x, y)
    unknown = _sample(mask.unknown.astype(np.float32), x, y, outside=1) > 0.25
    end, end_found, end_known = _nearest_end(inside, steps, unknown, _facing_out(mask.slope, x, y, normal, inside))
    again, meets = _next_part(_sample(body.astype(np.float32), x, y), inside, steps, unknown)
    # Half a pixel more on both sides closes the crack between the two.
    shift = np.where(meets, again / 2 + 0.5, end + OVERLAP)
    start_known = ~mask.unknown[rows, columns]
    tells = start_known & (shift <= outward) & (meets | (end_found & end_known & (end < again)))
    return OutlineShifts(np.stack([columns, rows], -1)[tells], normal[tells], shift[tells].astype(np.float32))


def _facing_out(slope: NDArray[np.float32], x: Floats, y: Floats, normal: Floats, inside: Floats) -> NDArray[np.bool_]:
    """(N, S - 1) between which neighbouring samples along each normal the mask ends, facing as the body's
    outline does.
    """
    ends = (inside[:, :-1] >= 0.5) & (inside[:, 1:] < 0.5)
    point, at = np.nonzero(ends)
    if len(point):
        sides = np.stack([at, at + 1], 1)
        uphill = _sample(slope, x[point[:, None], sides], y[point[:, None], sides])
        along = -np.einsum("nsc,nc->ns", uphill, normal[point])
        ends[point, at] = (along > FACING * np.linalg.norm(uphill, axis=-1)).any(1)
    return ends


def _nearest_end(
    inside: Floats, steps: Floats, unknown: NDArray[np.bool_], ends: NDArray[np.bool_]
) -> tuple[Floats, NDArray[np.bool_], NDArray[np.bool_]]:
    """Where along each normal the mask ends nearest to the outline: place, whether there is one, whether it is a true
    end.
    """
    before, after = inside[:, :-1], inside[:, 1:]
    place = steps[:-1] + (before - 0.5) / np.maximum(before - after, 1e-6) * _STEP
    distance = np.where(ends, np.abs(place), np.inf)
    nearest = distance.argmin(1)
    row = np.arange(len(nearest))
    # An end whose far side is hidden is where the occluder begins, not where the person stops: who is seen beyond the
    # body goes that far at least, but who is seen less far may go on behind.
    hidden = (place[row, nearest] < 0) & (
        unknown[row, nearest + 1] | unknown[row, np.minimum(nearest + 3, unknown.shape[1] - 1)]
    )
    start, at = np.abs(steps).argmin(), np.arange(len(steps))
    between = (at >= np.minimum(start, nearest)[:, None]) & (at <= np.maximum(start, nearest)[:, None])
    return place[row, nearest], np.isfinite(distance[row, nearest]), ~hidden & ~(between & unknown).any(1)


def _next_part(
    body: Floats, inside: Floats, steps: Floats, unknown: NDArray[np.bool_]
) -> tuple[Floats, NDArray[np.bool_]]:
    """Where the body begins again along each normal, inf where it does not, and whether all between is the person's
    mask.
    """
    ahead = steps > 0.5
    left = np.maximum.accumulate((body < 0.5) & ahead, axis=1)
    again = left & (body > 0.5)
    first = again.argmax(1)
    between = ahead & (steps <= steps[first][:, None])
    open_way = ~(between & ((inside < 0.5) | unknown)).any(1)
    begins = again.any(1)
    return np.where(begins, steps[first], np.inf), begins & open_way


def _gradient(values: NDArray[np.float32]) -> NDArray[np.float32]:
    smooth = cv2.GaussianBlur(values, (0, 0), 1.6)
    return np.stack([cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)], -1)


def _sample(values: NDArray[np.float32], x: Floats, y: Floats, outside: float = 0) -> NDArray[np.float32]:
    x, y = x.astype(np.float32), y.astype(np.float32)
    border = (outside,) * 4
    return np.asarray(
        cv2.remap(values, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=border), np.float32
    )
