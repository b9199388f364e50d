"""Which body points should move where so that the body's outline becomes the mask's.

Two sides: body points that project outside the mask are drawn to its nearest pixel, and mask pixels that no body point
covers draw the nearest body point. Where another person or the photo's edge ends the mask, nothing is known and nothing
is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from uvatar.data.person import Person

WORKING_SIDE = 200  # pixels of the person's longer side while matching
MARGIN = 0.25  # of the box side around the mask's window
COVERED = 0.012  # of the box side: a mask pixel this near a body point is covered (half the spacing of the points)
SAMPLES = 300  # mask pixels that ask to be covered, half of them on the outline
MOST_OUTSIDE = 200  # body points outside the mask that are heeded, the worst first


@dataclass(frozen=True)
class MaskField:
    """A person's mask, made ready for matching; coordinates are pixels of the photo.

    Attributes:
        origin: (2,) photo pixel of the field's corner.
        scale: field pixels per photo pixel.
        nearest: (H, W, 2) float32, the photo pixel nearest to each field pixel where the body may be (itself inside the
            mask).
        samples: (N, 2) mask pixels that the body should cover.
        side: longer side of the person's box, pixels.
    """

    origin: NDArray[np.float64]
    scale: float
    nearest: NDArray[np.float32]
    samples: NDArray[np.float64]
    side: float

    @classmethod
    def of(cls, person: Person, width: int, height: int) -> MaskField | None:
        """The field of a person in a photo of this size, or None where the mask is empty."""
        side = float(max(person.box[2] - person.box[0], person.box[3] - person.box[1]))
        scale = min(1.0, WORKING_SIDE / side)
        margin = int(np.ceil(MARGIN * side))
        x0, y0, x1, y1 = person.window
        window = np.array([x0 - margin, y0 - margin, x1 + margin, y1 + margin])
        size = np.maximum(np.round((window[2:] - window[:2]) * scale).astype(int), 2)
        mine, others = (_pasted(mask, margin, size) for mask in (person.mask, person.others))
        inside = mine > 127
        if inside.sum() < 20:
            return None
        x = window[0] + (np.arange(size[0]) + 0.5) / scale
        y = window[1] + (np.arange(size[1]) + 0.5) / scale
        outside_photo = (x < 0)[None] | (x > width)[None] | (y < 0)[:, None] | (y > height)[:, None]
        unknown = (others > 127) | outside_photo
        return cls(
            window[:2].astype(float), scale, _nearest(inside | unknown, x, y), _samples(inside, unknown, x, y), side
        )

    def match(self, pixels: NDArray) -> tuple[NDArray, NDArray, NDArray, NDArray]:
        """Pair projected body points (P, 2) with the mask.

        Returns a fixed number M of pairs: index of the body point (M,), target (M, 2), unit normal (M, 2) and weight
        (M,), the weights of all mask pixels summing to at most 1 and those of all body points too.
        """
        out_index, out_target, out_weight = self._outside(pixels)
        in_index, in_target, in_weight = self._uncovered(pixels)
        index = np.concatenate([out_index, in_index])
        target = np.concatenate([out_target, in_target])
        normal = pixels[index] - target
        length = np.linalg.norm(normal, axis=1, keepdims=True)
        weight = np.where(length[:, 0] > 1e-6, np.concatenate([out_weight, in_weight]), 0)
        return index, target, normal / np.maximum(length, 1e-6), weight

    def _outside(self, pixels: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        height, width = self.nearest.shape[:2]
        cell = np.floor((pixels - self.origin) * self.scale).astype(int)
        cell = np.clip(cell, 0, (width - 1, height - 1))
        target = self.nearest[cell[:, 1], cell[:, 0]].astype(float)
        centre = self.origin + (cell + 0.5) / self.scale
        inside = np.linalg.norm(centre - target, axis=1) * self.scale < 1  # within a field pixel of the mask
        distance = np.where(inside, 0, np.linalg.norm(pixels - target, axis=1))
        count = min(MOST_OUTSIDE, len(pixels))
        worst = np.argpartition(-distance, count - 1)[:count]
        return worst, target[worst], (distance[worst] > 0) / len(pixels)

    def _uncovered(self, pixels: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        if not len(self.samples):
            return np.zeros(0, int), np.zeros((0, 2)), np.zeros(0)
        distance, index = cKDTree(pixels).query(self.samples)
        slack = COVERED * self.side
        excess = np.maximum(distance - slack, 0)
        # What is left to go: the point need only come within the slack.
        target = pixels[index] + (self.samples - pixels[index]) * (excess / np.maximum(distance, 1e-9))[:, None]
        return index, target, (excess > 0) / len(self.samples)


def _pasted(mask: NDArray[np.uint8], margin: int, size: NDArray) -> NDArray[np.uint8]:
    padded: NDArray[np.uint8] = np.pad(mask, margin)
    return np.asarray(cv2.resize(padded, (int(size[0]), int(size[1])), interpolation=cv2.INTER_AREA), np.uint8)


def _nearest(allowed: NDArray[np.bool_], x: NDArray, y: NDArray) -> NDArray[np.float32]:
    _, labels = cv2.distanceTransformWithLabels(
        (~allowed).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    rows, columns = np.nonzero(allowed)
    place = np.zeros((labels.max() + 1, 2), np.float32)
    place[labels[rows, columns]] = np.stack([x[columns], y[rows]], -1)
    return place[labels]


def _samples(inside: NDArray[np.bool_], unknown: NDArray[np.bool_], x: NDArray, y: NDArray) -> NDArray[np.float64]:
    core = cv2.erode(inside.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    near_unknown = cv2.dilate(unknown.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    chosen = []
    for region in (inside & ~core & ~near_unknown, core):
        rows, columns = np.nonzero(region)
        pick = np.linspace(0, len(rows) - 1, min(SAMPLES // 2, len(rows))).astype(int)
        chosen.append(np.stack([x[columns[pick]], y[rows[pick]]], -1))
    samples = np.concatenate(chosen)
    # Always SAMPLES of them, so that people can be stacked: a small mask repeats some.
    return samples[np.arange(SAMPLES) % len(samples)] if len(samples) else samples
