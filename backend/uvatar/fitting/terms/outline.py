"""The outline term: moves body points so that the body's outline matches the mask's.

Two sides: body points that project outside the mask are drawn to its nearest pixel, and mask pixels that no body point
covers draw the nearest body point. Where another person or the photo's edge ends the mask, nothing is known and nothing
is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from uvatar.data.arrays import Floats, Integers
from uvatar.data.person import Person
from uvatar.fitting.chain import BodyPoints
from uvatar.fitting.observations import Observations
from uvatar.fitting.terms.base import PosedBodies, Residuals, Stage, Term, project, robust


@dataclass(frozen=True)
class OutlineSettings:
    """Tuned numbers of the outline's term. Lengths are fractions of the person's box side unless said otherwise.

    Where nothing is said of how a number was chosen, that is not recorded.

    Attributes:
        error: expected error of the outline.
        width: of the robust function.
        weight: landmarks that the whole outline counts for, each of its two sides. High: in the prototype of the fit,
            the body's overlap (IoU) with the mask rose with the weight, by 0.07 to 0.08 against none.
        working_side: pixels of the person's longer side while matching.
        margin: around the mask's window.
        covered: distance from a body point within which a mask pixel is covered: half the spacing of the points.
        samples: mask pixels that must be covered, half of them on the outline.
        most_outside: body points outside the mask that count, the worst first.
        least_pixels: of a mask, at working size, that says anything.
    """

    error: float = 0.005
    width: float = 0.03
    weight: float = 40.0
    working_side: int = 200
    margin: float = 0.25
    covered: float = 0.012
    samples: int = 300
    most_outside: int = 200
    least_pixels: int = 20


DEFAULT_SETTINGS = OutlineSettings()


@dataclass(frozen=True)
class OutlinePairs:
    """M body points of each of B bodies, matched to the mask's outline.

    Attributes:
        points: the body points, (B, M).
        targets: (B, M, 2) pixels where they should project, measured along ``normals`` (B, M, 2) only.
        weights: (B, M), 0 for padding.
    """

    points: BodyPoints
    targets: NDArray[np.float64]
    normals: NDArray[np.float64]
    weights: NDArray[np.float64]


@dataclass(frozen=True)
class OutlineTerm(Term):
    """Distances of body points from where the mask puts them, along the line between the two.

    Attributes:
        side: (B,) longer side of each person's box, pixels.
        fields: the mask of each, None if it is empty.
        points: vertices spread evenly over the body.
        pairs: what `paired` has found; None before that.
    """

    side: NDArray[np.float64]
    fields: tuple[MaskField | None, ...]
    points: BodyPoints
    settings: OutlineSettings
    pairs: OutlinePairs | None = None

    @classmethod
    def of(cls, observed: Observations, settings: OutlineSettings = DEFAULT_SETTINGS) -> OutlineTerm | None:
        """A row for each person; None if the outline is not to be fitted."""
        if not observed.silhouette:
            return None
        width, height = observed.camera.width, observed.camera.height
        fields = tuple(MaskField.of(person, width, height, settings) for person in observed.people)
        return cls(observed.side, fields, observed.model.outline, settings)

    def rows(self, index: NDArray[np.int64]) -> OutlineTerm:
        """The bodies ``index``, not paired yet."""
        return replace(self, side=self.side[index], fields=tuple(self.fields[i] for i in index), pairs=None)

    def at(self, stage: Stage) -> OutlineTerm | None:
        """The same in the last two stages; in those before it has no part."""
        return self if stage in (Stage.OUTLINE, Stage.CLOSE) else None

    def paired(self, bodies: PosedBodies) -> OutlineTerm:
        """Body points and mask pixels paired anew for where the bodies are."""
        pixels, _ = project(bodies.posed.place(self.points).positions, bodies.camera)
        matches = [field.match(points) if field else None for field, points in zip(self.fields, pixels, strict=True)]
        index, targets, normals, weights = _stacked(matches)
        pairs = OutlinePairs(self.points.chosen(index), targets, normals, weights * self.settings.weight)
        return replace(self, pairs=pairs)

    def residuals(self, bodies: PosedBodies) -> Residuals:
        """One residual of every pair."""
        pairs, side = self.pairs, self.side[:, None]
        assert pairs is not None, "the outline's points have not been paired"
        placed = bodies.posed.place(pairs.points)
        pixels, by_point = project(placed.positions, bodies.camera)
        values = ((pixels - pairs.targets) * pairs.normals).sum(-1) / side
        jacobian = None
        if bodies.with_derivatives:
            direction = np.einsum("bmi,bmij->bmj", pairs.normals / side[..., None], by_point)
            jacobian = placed.derivative(direction)[:, :, None]
        return robust(values[..., None], jacobian, pairs.weights / self.settings.error**2, self.settings.width)


Match = tuple[Integers, Floats, Floats, Floats]


def _stacked(matches: Sequence[Match | None]) -> Match:
    """One row of equal length for each body: index (B, M), targets and normals (B, M, 2), weights (B, M)."""
    size = max((len(match[0]) for match in matches if match), default=1)
    empty = (np.zeros(size, int), np.zeros((size, 2)), np.zeros((size, 2)), np.zeros(size))
    padded = [tuple(_padded(array, size) for array in match) if match else empty for match in matches]
    index, targets, normals, weights = (np.stack(arrays) for arrays in zip(*padded, strict=True))
    return index, targets, normals, weights


def _padded(array: NDArray[Any], size: int) -> NDArray[Any]:
    return np.concatenate([array, np.zeros((size - len(array), *array.shape[1:]), array.dtype)])


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
        settings: how it is matched.
    """

    origin: NDArray[np.float64]
    scale: float
    nearest: NDArray[np.float32]
    samples: NDArray[np.float64]
    side: float
    settings: OutlineSettings

    @classmethod
    def of(cls, person: Person, width: int, height: int, settings: OutlineSettings) -> MaskField | None:
        """The field of a person in a photo of this size, or None if the mask is empty."""
        side = person.side
        scale = min(1.0, settings.working_side / side)
        margin = int(np.ceil(settings.margin * side))
        x0, y0, x1, y1 = person.window
        window = np.array([x0 - margin, y0 - margin, x1 + margin, y1 + margin])
        size = np.maximum(np.round((window[2:] - window[:2]) * scale).astype(int), 2)
        mine, others = (_pasted(mask, margin, size) for mask in (person.mask, person.others))
        inside = mine > 127
        if inside.sum() < settings.least_pixels:
            return None
        x = window[0] + (np.arange(size[0]) + 0.5) / scale
        y = window[1] + (np.arange(size[1]) + 0.5) / scale
        outside_photo = (x < 0)[None] | (x > width)[None] | (y < 0)[:, None] | (y > height)[:, None]
        unknown = (others > 127) | outside_photo
        nearest, samples = _nearest(inside | unknown, x, y), _samples(inside, unknown, x, y, settings.samples)
        return cls(window[:2].astype(float), scale, nearest, samples, side, settings)

    def match(self, pixels: Floats) -> Match:
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

    def _outside(self, pixels: Floats) -> tuple[Integers, Floats, Floats]:
        height, width = self.nearest.shape[:2]
        cell = np.floor((pixels - self.origin) * self.scale).astype(int)
        cell = np.clip(cell, 0, (width - 1, height - 1))
        target = self.nearest[cell[:, 1], cell[:, 0]].astype(float)
        centre = self.origin + (cell + 0.5) / self.scale
        inside = np.linalg.norm(centre - target, axis=1) * self.scale < 1  # within a field pixel of the mask
        distance = np.where(inside, 0, np.linalg.norm(pixels - target, axis=1))
        count = min(self.settings.most_outside, len(pixels))
        worst = np.argpartition(-distance, count - 1)[:count]
        return worst, target[worst], (distance[worst] > 0) / len(pixels)

    def _uncovered(self, pixels: Floats) -> tuple[Integers, Floats, Floats]:
        if not len(self.samples):
            return np.zeros(0, int), np.zeros((0, 2)), np.zeros(0)
        distance, index = cKDTree(pixels).query(self.samples)
        slack = self.settings.covered * self.side
        excess = np.maximum(distance - slack, 0)
        # What is left to go: the point need only come within the slack.
        target = pixels[index] + (self.samples - pixels[index]) * (excess / np.maximum(distance, 1e-9))[:, None]
        return index, target, (excess > 0) / len(self.samples)


def _pasted(mask: NDArray[np.uint8], margin: int, size: Integers) -> NDArray[np.uint8]:
    padded: NDArray[np.uint8] = np.pad(mask, margin)
    return np.asarray(cv2.resize(padded, (int(size[0]), int(size[1])), interpolation=cv2.INTER_AREA), np.uint8)


def _nearest(allowed: NDArray[np.bool_], x: Floats, y: Floats) -> NDArray[np.float32]:
    _, labels = cv2.distanceTransformWithLabels(
        (~allowed).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    rows, columns = np.nonzero(allowed)
    place = np.zeros((labels.max() + 1, 2), np.float32)
    place[labels[rows, columns]] = np.stack([x[columns], y[rows]], -1)
    nearest: NDArray[np.float32] = place[labels]
    return nearest


def _samples(
    inside: NDArray[np.bool_], unknown: NDArray[np.bool_], x: Floats, y: Floats, count: int
) -> NDArray[np.float64]:
    """(count, 2) pixels of the mask, half of them on its outline; ``x`` (W,), ``y`` (H,): where its pixels lie."""
    core = cv2.erode(inside.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    near_unknown = cv2.dilate(unknown.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    chosen = []
    for region in (inside & ~core & ~near_unknown, core):
        rows, columns = np.nonzero(region)
        pick = np.linspace(0, len(rows) - 1, min(count // 2, len(rows))).astype(int)
        chosen.append(np.stack([x[columns[pick]], y[rows[pick]]], -1))
    samples = np.concatenate(chosen)
    # Always so many, so that people can be stacked: a small mask repeats some.
    chosen_samples: NDArray[np.float64] = samples[np.arange(count) % len(samples)] if len(samples) else samples
    return chosen_samples
