"""Turns the pose model's coarse segmentations into masks at the photo's resolution that do not overlap."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.data.landmarks import (
    ANKLES,
    ELBOWS,
    HEELS,
    HIPS,
    INDICES,
    PINKIES,
    SHOULDERS,
    THUMBS,
    TOES,
    WRISTS,
)
from uvatar.perception.claims import background_odds, contested_odds
from uvatar.perception.gaps import gap_odds
from uvatar.perception.geometry import Pyramid
from uvatar.perception.models import sigmoid
from uvatar.perception.pose import LANDMARK_SIDE, Pose
from uvatar.photos.matting import sharpened

MAX_SIDE = 1500
GRID = 2 * LANDMARK_SIDE
OUTSIDE = -50.0
FILTER_RADIUS = 6
FILTER_EPSILON = 1e-4
HAZE = 0.2  # smaller values count as 0 (and larger than 1 - HAZE as 1), because the filter spreads across the outline
WINDOW_MARGIN = 0.05
MIN_HOLE = 0.002
MIN_PIECE = 0.02
STRAY = 0.03  # share of the landmarks' extent; a landmark farther than this from the person's mask is hidden or wrong
# The bones of both arms, to the index finger.
ARMS = [bone for arm in zip(SHOULDERS, ELBOWS, WRISTS, INDICES, strict=True) for bone in pairwise(arm)]
ARM_RADIUS = 0.09  # share of the trunk's length, with a sleeve
ARM_ODDS = 4.0  # log odds that a visible arm adds to those of its owner
# Hands with their wrists, feet with their ankles.
LIMB_ENDS = [
    list(end)
    for pairs in ((WRISTS, PINKIES, INDICES, THUMBS), (ANKLES, HEELS, TOES))
    for end in zip(*pairs, strict=True)
]
DOUBT = 0.4  # factor on the visibility of a doubtful landmark


Window = tuple[int, int, int, int]


def person_masks(photo: Pyramid, poses: list[Pose]) -> list[tuple[Window, NDArray[np.uint8], NDArray[np.uint8]]]:
    """Masks of all people in a photo, aligned with the photo's edges and without overlaps.

    Returns:
        for each pose: the window (x0, y0, x1, y1) in the photo, the person's mask (y1 - y0, x1 - x0), uint8, and the
        mask of all others in the window.
    """
    windows = [_window(pose, photo.width, photo.height) for pose in poses]
    masks = [_refined(photo, poses, index, window) for index, window in enumerate(windows)]
    _share(windows, masks)
    return [
        (window, mask, _others(windows, masks, index))
        for index, (window, mask) in enumerate(zip(windows, masks, strict=True))
    ]


def logits_in(pose: Pose, matrix: Floats, size: tuple[int, int]) -> NDArray[np.float32]:
    """A pose's log odds on a grid of ``size`` (width, height); ``matrix`` (2, 3) maps its points to the photo."""
    to_crop = cv2.invertAffineTransform(pose.roi.matrix(LANDMARK_SIDE))
    joined = np.column_stack([to_crop[:, :2] @ matrix[:, :2], to_crop[:, :2] @ matrix[:, 2] + to_crop[:, 2]])
    joined[:, 2] += joined[:, :2] @ [0.5, 0.5] - 0.5
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(
        pose.logits, joined, size, flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=[OUTSIDE]
    )
    return warped.astype(np.float32, copy=False)


def _window(pose: Pose, width: int, height: int) -> Window:
    """The part of the photo that contains the person's mask and the landmarks inside the photo, with a margin."""
    rows, columns = np.nonzero(pose.logits > -2.0)
    points = pose.roi.to_photo(np.column_stack([columns, rows]) + 0.5, LANDMARK_SIDE)
    points = np.concatenate([points, pose.landmarks[:, :2]])
    points = np.clip(points, 0, [width, height])
    low, high = points.min(0), points.max(0)
    margin = WINDOW_MARGIN * float(np.max(high - low)) + 2
    x0, y0 = np.maximum(np.floor(low - margin), 0).astype(int)
    x1, y1 = np.minimum(np.ceil(high + margin), [width, height]).astype(int)
    return int(x0), int(y0), int(x1), int(y1)


def _refined(photo: Pyramid, poses: list[Pose], index: int, window: Window) -> NDArray[np.uint8]:
    """One person's mask in its window: coarse odds against the others, refined by the photo's colours."""
    x0, y0, x1, y1 = window
    longer = max(x1 - x0, y1 - y0)
    work = _scaled(window, min(1.0, MAX_SIDE / longer))
    coarse = _scaled(window, min(1.0, GRID / longer))
    to_photo = np.array([[(x1 - x0) / coarse[0], 0.0, x0], [0.0, (y1 - y0) / coarse[1], y0]])
    guide = photo.window(window, coarse).astype(np.float32) / 255.0
    odds = _one_piece(_own_odds(guide, poses, index, to_photo), poses[index], to_photo)
    coefficients = guided_coefficients(guide, sigmoid(odds).astype(np.float32), FILTER_RADIUS, FILTER_EPSILON)
    fine_guide = guide if work == coarse else photo.window(window, work).astype(np.float32) / 255.0
    fine = cv2.resize(coefficients, work, interpolation=cv2.INTER_LINEAR)
    alpha = np.einsum("hwc,hwc->hw", fine[..., :3], fine_guide) + fine[..., 3]
    alpha = sharpened(fine_guide, np.clip((alpha - HAZE) / (1 - 2 * HAZE), 0, 1), work[1] / coarse[1])
    mask = np.clip(alpha * 255.0 + 0.5, 0, 255).astype(np.uint8)
    return cv2.resize(mask, (x1 - x0, y1 - y0), interpolation=cv2.INTER_CUBIC).astype(np.uint8, copy=False)


def _own_odds(guide: NDArray[np.float32], poses: list[Pose], index: int, to_photo: Floats) -> NDArray[np.float32]:
    """One person's log odds over ``guide``, lowered where others have a better claim, colours say background, or the
    limbs leave a gap.
    """
    size = guide.shape[1], guide.shape[0]
    claims = [logits_in(pose, to_photo, size) for pose in poses]
    arms = [_arm_odds(pose, to_photo, guide.shape[:2]) for pose in poses]
    own = claims[index] + arms[index]
    rivals = np.full_like(own, OUTSIDE)
    odds = np.full_like(own, -OUTSIDE)
    for other in range(len(poses)):
        rival = claims[other] + arms[other]
        if other == index or not (rival > 0).any():
            continue
        third = np.full_like(own, OUTSIDE)
        for further in set(range(len(poses))) - {index, other}:
            third = np.maximum(third, claims[further])
        contested = contested_odds(guide, claims[index], claims[other], third, arms[index], arms[other])
        odds = np.minimum(odds, np.where((rival > 0) & (own <= 0), own - rival, contested))
        rivals = np.maximum(rivals, rival)
    odds = np.minimum(odds, own + background_odds(guide, own, rivals))
    landmarks = (poses[index].landmarks[:, :2] - to_photo[:, 2]) / [to_photo[0, 0], to_photo[1, 1]]
    return np.minimum(odds, gap_odds(guide, own, rivals, landmarks))


def _arm_odds(pose: Pose, to_photo: Floats, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Log odds that a person's arms add, because the coarse segmentation gives thin arms to the neighbour."""
    points = (pose.landmarks[:, :2] - to_photo[:, 2]) / [to_photo[0, 0], to_photo[1, 1]]
    shoulders, hips = points[SHOULDERS], points[HIPS]
    trunk = max(
        float(np.linalg.norm(shoulders.mean(0) - hips.mean(0))),
        1.2 * float(np.linalg.norm(shoulders[0] - shoulders[1])),
    )
    arms = np.zeros(shape, np.float32)
    for start, end in ARMS:
        certain = float(min(pose.landmarks[start, 2], pose.landmarks[end, 2]))
        if certain > 0.5:
            (x0, y0), (x1, y1) = np.round(points[[start, end]]).astype(int).tolist()
            cv2.line(arms, (x0, y0), (x1, y1), (certain * ARM_ODDS,), max(1, round(2 * ARM_RADIUS * trunk)))
    return arms


def _scaled(window: Window, scale: float) -> tuple[int, int]:
    x0, y0, x1, y1 = window
    return max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale))


def _one_piece(odds: NDArray[np.float32], pose: Pose, to_photo: Floats) -> NDArray[np.float32]:
    """Remove islands (small pieces that contain no landmark) and fill pinholes."""
    size = odds.shape[1], odds.shape[0]
    count, labels, stats, _ = cv2.connectedComponentsWithStats((odds > 0).astype(np.uint8), connectivity=4)
    if count > 1:
        points = ((pose.landmarks[:, :2] - to_photo[:, 2]) / [to_photo[0, 0], to_photo[1, 1]]).astype(int)
        inside = np.all((points >= 0) & (points < size), 1) & (pose.landmarks[:, 2] > 0.5)
        held = set(labels[points[inside, 1], points[inside, 0]].tolist())
        area = stats[:, cv2.CC_STAT_AREA]
        largest = 1 + int(np.argmax(area[1:]))
        kept = [
            label
            for label in range(1, count)
            if label == largest or (label in held and area[label] > MIN_PIECE * area[largest])
        ]
        odds = np.where((odds > 0) & ~np.isin(labels, kept), np.float32(OUTSIDE), odds)
    holes, labels, stats, _ = cv2.connectedComponentsWithStats((odds <= 0).astype(np.uint8), connectivity=8)
    small = [
        label for label in range(1, holes) if stats[label, cv2.CC_STAT_AREA] < MIN_HOLE * max(int((odds > 0).sum()), 1)
    ]
    return np.where(np.isin(labels, small), np.float32(5.0), odds) if small else odds


def guided_coefficients(
    guide: NDArray[np.float32], values: NDArray[np.float32], radius: int, epsilon: float
) -> NDArray[np.float32]:
    """The colour guided filter's local linear model (He, Sun and Tang, "Guided Image Filtering", TPAMI 2013).

    Args:
        guide: (H, W, 3) colours in [0, 1].
        values: (H, W) to filter.
        radius: radius of the box window, pixels.
        epsilon: variance below which the guide counts as flat.

    Returns:
        (H, W, 4): filtered value = first three . colour + fourth; may be upsampled and applied to a finer guide.
    """

    def mean(x: Floats) -> NDArray[Any]:
        return cv2.blur(x, (2 * radius + 1, 2 * radius + 1), borderType=cv2.BORDER_REFLECT)

    mean_guide, mean_values = mean(guide), mean(values)
    covariance = mean(guide * values[..., None]) - mean_guide * mean_values[..., None]
    pairs = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
    moments = [mean(guide[..., i] * guide[..., j]) - mean_guide[..., i] * mean_guide[..., j] for i, j in pairs]
    rr, rg, rb, gg, gb, bb = (
        moment + (epsilon if i == j else 0.0) for moment, (i, j) in zip(moments, pairs, strict=True)
    )
    # inverse of the symmetric 3 x 3 matrix by cofactors
    a, b, c = gg * bb - gb * gb, gb * rb - rg * bb, rg * gb - gg * rb
    d, e, f = rr * bb - rb * rb, rb * rg - rr * gb, rr * gg - rg * rg
    x, y, z = np.moveaxis(covariance, -1, 0)
    slope = np.stack([a * x + b * y + c * z, b * x + d * y + e * z, c * x + e * y + f * z], -1)
    slope /= (rr * a + rg * b + rb * c)[..., None]
    offset = mean_values - np.sum(slope * mean_guide, -1)
    return mean(np.concatenate([slope, offset[..., None]], -1).astype(np.float32))


def _part(window: Window, mask: NDArray[np.uint8], common: Window) -> NDArray[np.uint8]:
    """A view of the part of a window's mask that lies in ``common``, which is inside the window."""
    return mask[common[1] - window[1] : common[3] - window[1], common[0] - window[0] : common[2] - window[0]]


def _common(a: Window, b: Window) -> Window | None:
    """The overlap of two windows, or None."""
    x0, y0, x1, y1 = max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def in_window(mask: NDArray[np.uint8], window: Window, other: Window) -> NDArray[np.uint8]:
    """A mask of ``window`` in another one, 0 where it says nothing."""
    moved = np.zeros((other[3] - other[1], other[2] - other[0]), np.uint8)
    if (common := _common(window, other)) is not None:
        _part(other, moved, common)[:] = _part(window, mask, common)
    return moved


def _share(windows: list[Window], masks: list[NDArray[np.uint8]]) -> None:
    """Change the masks in place so that no pixel is assigned more than once; stronger claims take precedence."""
    for (window_a, mask_a), (window_b, mask_b) in combinations(zip(windows, masks, strict=True), 2):
        if (common := _common(window_a, window_b)) is not None:
            a, b = _part(window_a, mask_a, common), _part(window_b, mask_b, common)
            first = a >= b
            a[:], b[:] = np.where(first, a, np.minimum(a, 255 - b)), np.where(first, np.minimum(b, 255 - a), b)


def _others(windows: list[Window], masks: list[NDArray[np.uint8]], index: int) -> NDArray[np.uint8]:
    """The mask of the other people in a person's window."""
    others = np.zeros_like(masks[index])
    for other, (window, mask) in enumerate(zip(windows, masks, strict=True)):
        if other != index and (common := _common(windows[index], window)) is not None:
            part = _part(windows[index], others, common)
            np.maximum(part, _part(window, mask, common), out=part)
    return others


def doubted(landmarks: NDArray[np.float32], window: Window, mask: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(33, 3) landmarks, with low visibility (below one half) for those clearly outside the person's mask."""
    result = landmarks.copy()
    result[stray_landmarks(landmarks, window, mask), 2] *= DOUBT
    return result


def stray_landmarks(landmarks: NDArray[np.float32], window: Window, mask: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(33,) which landmarks are clearly outside the person's mask."""
    inside = np.all((landmarks[:, :2] >= window[:2]) & (landmarks[:, :2] < window[2:]), axis=1)
    away = cv2.distanceTransform((mask <= 127).astype(np.uint8), cv2.DIST_L2, 3)
    columns, rows = (np.floor(landmarks[inside, :2]).astype(int) - window[:2]).T
    stray = np.zeros(len(landmarks), bool)
    stray[inside] = away[rows, columns] > STRAY * float(np.max(np.ptp(landmarks[:, :2], axis=0)))
    for limb in LIMB_ENDS:
        # a limb that is mostly outside the mask counts as outside: its other points may lie on another part of the
        # person
        if stray[limb].mean() > 0.5:
            stray[limb] = True
    return stray
