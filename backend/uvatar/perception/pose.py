"""BlazePose: 33 image landmarks, 33 world landmarks and a segmentation of one person in a region.

Models: Bazarevsky et al., "BlazePose: On-device Real-time Body Pose tracking", 2020, and Grishchenko et al., "BlazePose
GHUM Holistic", 2022 (heavy variant).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.data.landmarks import OTHER_SIDE_LANDMARKS, Landmark
from uvatar.perception.geometry import Pyramid, Roi
from uvatar.perception.models import Model, sigmoid

LANDMARK_SIDE = 256
DETECTOR_SIDE = 224
ROI_MARGIN = 1.25
GREY = 128
DISAGREEMENT = 0.08  # share of the landmarks' extent
HEATMAP_RADIUS = 3
HEATMAP_PEAK = 0.5
HEATMAP_SHARE = 0.7  # share of the way from the regressed point to the heatmap's
# The model's landmarks: those of the body, then two that define its next region, and four that are not used.
ALL_LANDMARKS = 39
NEXT_CENTER, NEXT_TOP = 33, 34

_BODY = len(Landmark)


@dataclass(frozen=True)
class Pose:
    """The result of one pass of the landmark model over a region, or of several averaged passes.

    Attributes:
        landmarks: (33, 3) x, y in pixels of the photo, visibility 0..1.
        world: (33, 3) metres, origin between the hips, camera axes (x right, y down, z away).
        presence: probability that the region holds a person, 0..1.
        certainty: mean peak of the landmarks' heatmaps, 0..1; it is low for a pose that was guessed.
        support: (33,) peak of each landmark's heatmap near the landmark, 0..1; 0 outside the region. While visibility
            predicts whether a landmark should be in view, support measures whether the picture there looks like it.
        logits: (256, 256) log odds of "this person" over ``roi``.
        roi: the region.
        next_roi: the model's next region: centred on the person, upright along the trunk.
    """

    landmarks: NDArray[np.float32]
    world: NDArray[np.float32]
    presence: float
    certainty: float
    support: NDArray[np.float32]
    logits: NDArray[np.float32]
    roi: Roi
    next_roi: Roi

    def outline_box(self) -> NDArray[np.float64]:
        """(4,) box x0, y0, x1, y1 of the segmentation in the photo, without stray pixels; zeros if it is empty."""
        rows, columns = np.nonzero(self.logits > 0)
        if len(rows) == 0:
            return np.zeros(4)
        points = self.roi.to_photo(np.column_stack([columns, rows]) + 0.5, LANDMARK_SIDE)
        box: NDArray[np.float64] = np.percentile(points, [0.5, 99.5], axis=0).reshape(4)
        return box

    def size(self) -> float:
        """Longer side of the landmarks' box in pixels."""
        return float(np.max(np.ptp(self.landmarks[:, :2], axis=0)))


def averaged(first: Pose, second: Pose) -> Pose:
    """The mean of two passes over the same region, mirrored or not; region and presence are the first one's.

    Where the passes disagree, mostly about which leg is the left one, the mean would lie between the limbs, so the more
    certain pass is used there.
    """
    surer = first if first.certainty >= second.certainty else second
    apart = np.linalg.norm(first.landmarks[:, :2] - second.landmarks[:, :2], axis=1) > DISAGREEMENT * surer.size()
    logits = second.logits[:, ::-1] if second.roi.mirrored != first.roi.mirrored else second.logits
    return replace(
        first,
        landmarks=np.where(apart[:, None], surer.landmarks, (first.landmarks + second.landmarks) / 2),
        world=np.where(apart[:, None], surer.world, (first.world + second.world) / 2),
        support=np.where(apart, surer.support, (first.support + second.support) / 2),
        logits=(first.logits + logits) / 2,
    )


def anchors() -> NDArray[np.float32]:
    """(2254, 2) centres x, y of the pose detector's anchors, as shares of the side.

    The strides are 8, 16, 32, 32, 32, with two anchors each.
    """
    rows = []
    for stride, count in ((8, 2), (16, 2), (32, 6)):
        cells = (np.arange(DETECTOR_SIDE // stride) + 0.5) * stride / DETECTOR_SIDE
        y, x = np.meshgrid(cells, cells, indexing="ij")
        rows.append(np.repeat(np.stack([x, y], -1).reshape(-1, 2), count, 0))
    centres: NDArray[np.float32] = np.concatenate(rows).astype(np.float32)
    return centres


class PoseEstimator:
    """Runs the pose detector and the landmark model on regions of a photo."""

    def __init__(self, detector: Model, landmarks: Model) -> None:
        self._detector = detector
        self._landmarks = landmarks
        self._anchors = anchors()

    def find(self, photo: Pyramid, region: Roi, keep: Floats | None = None) -> tuple[Roi, float]:
        """The landmark region of the most certain person in ``region``, and the certainty, 0..1.

        Args:
            photo: the photo.
            region: where to look.
            keep: (4,) box of the photo outside which the picture is greyed out, or None.
        """
        crop = grey_outside(photo.crop(region, DETECTOR_SIDE), region, keep)
        outputs = self._detector(crop[None].astype(np.float32) / 127.5 - 1.0)
        boxes, scores = sorted((output[0] for output in outputs), key=lambda output: -output.shape[-1])
        best = int(np.argmax(scores[:, 0]))
        # a box, then four points: the first is between the hips, the second on the circle around the whole body
        points = boxes[best, 4:].reshape(4, 2) / DETECTOR_SIDE + self._anchors[best]
        hips, top = region.to_photo(points[:2] * DETECTOR_SIDE, DETECTOR_SIDE)
        return _roi_from_points(hips, top), float(sigmoid(scores[best, 0]))

    def look(self, photo: Pyramid, roi: Roi, keep: Floats | None = None) -> Pose:
        """Run one pass of the landmark model over ``roi``; the other arguments are as for `find`."""
        crop = grey_outside(photo.crop(roi, LANDMARK_SIDE), roi, keep)
        points, presence, logits, heat, world = self._landmarks(crop[None].astype(np.float32) / 255.0)
        points = points.reshape(ALL_LANDMARKS, 5)
        heat = sigmoid(heat[0, :, :, :_BODY])
        person = cv2.resize(logits[0, :, :, 0], heat.shape[:2], interpolation=cv2.INTER_AREA) > 0
        points[:_BODY, :2] = heatmap_points(points[:_BODY, :2], heat, person)
        xy = roi.to_photo(points[:, :2], LANDMARK_SIDE)
        visibility = sigmoid(points[:_BODY, 3]) * sigmoid(points[:_BODY, 4])
        rotated = world.reshape(ALL_LANDMARKS, 3)[:_BODY].copy()
        rotated[:, :2] = rotated[:, :2] @ roi.rotation.T
        landmarks = np.column_stack([xy[:_BODY], visibility])
        support = heatmap_support(points[:_BODY, :2], heat)
        if roi.mirrored:
            landmarks, rotated, support = (values[OTHER_SIDE_LANDMARKS] for values in (landmarks, rotated, support))
        return Pose(
            landmarks.astype(np.float32),
            rotated.astype(np.float32),
            float(presence.reshape(-1)[0]),
            float(np.mean(np.max(heat, axis=(0, 1)))),
            support,
            logits[0, :, :, 0],
            roi,
            _roi_from_points(xy[NEXT_CENTER], xy[NEXT_TOP]),
        )


def heatmap_points(points: Floats, heat: Floats, person: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Move landmarks towards the centre of mass of their heatmaps nearby, if those have a clear peak.

    For people in unusual poses the heatmaps are nearer to the truth than the regressed points. A point outside the
    person moves to its heatmap's peak on the person, however far away.

    Args:
        points: (K, 2) pixels of the landmark model's crop.
        heat: (S, S, K) probabilities over the same crop.
        person: (S, S) where the segmentation sees the person.
    """
    side = heat.shape[0]
    scale = LANDMARK_SIDE / side
    moved = points.astype(np.float64)
    beside = cv2.dilate(person.astype(np.uint8), np.ones((3, 3), np.uint8)) == 0
    for index, (column, row) in enumerate(np.floor(points / scale).astype(int)):
        share = HEATMAP_SHARE
        if 0 <= row < side and 0 <= column < side and beside[row, column]:
            on_person = np.where(person, heat[..., index], 0)
            if on_person.max() >= HEATMAP_PEAK:
                row, column = np.unravel_index(int(on_person.argmax()), on_person.shape)
                share = 1.0
        x0, y0 = max(column - HEATMAP_RADIUS, 0), max(row - HEATMAP_RADIUS, 0)
        near = heat[y0 : max(row + HEATMAP_RADIUS + 1, 0), x0 : max(column + HEATMAP_RADIUS + 1, 0), index]
        if near.size and near.max() >= HEATMAP_PEAK:
            rows, columns = np.indices(near.shape)
            center = np.array([np.sum(near * (columns + x0 + 0.5)), np.sum(near * (rows + y0 + 0.5))]) / np.sum(near)
            moved[index] += share * (center * scale - moved[index])
    return moved


def heatmap_support(points: Floats, heat: Floats) -> NDArray[np.float32]:
    """(K,) peaks of heatmaps (S, S, K) within `HEATMAP_RADIUS` of points (K, 2) of the crop; 0 for points outside."""
    side = heat.shape[0]
    support = np.zeros(len(points), np.float32)
    for index, (column, row) in enumerate(np.floor(points * side / LANDMARK_SIDE).astype(int)):
        if 0 <= row < side and 0 <= column < side:
            rows, columns = (slice(max(at - HEATMAP_RADIUS, 0), at + HEATMAP_RADIUS + 1) for at in (row, column))
            support[index] = heat[rows, columns, index].max()
    return support


def _roi_from_points(center: Floats, top: Floats) -> Roi:
    """The region around a person, from the point between the hips and that of the enclosing circle above the head."""
    dx, dy = top - center
    return Roi(float(center[0]), float(center[1]), float(2 * ROI_MARGIN * np.hypot(dx, dy)), float(np.arctan2(dx, -dy)))


def grey_outside(crop: NDArray[np.uint8], roi: Roi, box: Floats | None) -> NDArray[np.uint8]:
    """Grey out the part of a crop outside a box of the photo, so that the model does not jump to a neighbour."""
    if box is None:
        return crop
    side = crop.shape[0]
    corners = roi.to_crop(box[[0, 1, 2, 1, 2, 3, 0, 3]].reshape(4, 2), side)
    inside = cv2.fillConvexPoly(np.zeros((side, side), np.uint8), np.round(corners).astype(np.int32), [1.0])
    return np.where(inside[..., None] > 0, crop, np.uint8(GREY))
