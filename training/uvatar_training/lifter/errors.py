"""Perception's errors on rendered people, measured against the truth, to apply them to simulated people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from uvatar.data.arrays import Floats, Integers
from uvatar.data.camera import Camera
from uvatar.data.landmarks import (
    ANKLES,
    ELBOWS,
    FACE,
    HEELS,
    HIPS,
    INDICES,
    KNEES,
    OTHER_SIDE_LANDMARKS,
    PINKIES,
    SHOULDERS,
    THUMBS,
    TOES,
    WRISTS,
)
from uvatar.fitting.lifter import assembled, features, mirrored_features, view
from uvatar_training.lifter.skeleton import RotatedSkeleton, global_rotations

NEIGHBOURS = 8
# Limit of the median error of the visible landmarks, relative to the person's size; above it, perception has found
# somebody else.
LOST = 0.6
# Deviations of the noise added to a neighbour's errors: in the picture (relative to the person's size), in space
# (metres), of the size (logarithm).
POINT_JITTER, SPACE_JITTER, SIZE_JITTER = 0.03, 0.02, 0.15
# Groups of landmarks with correlated errors: head, arms, legs.
LIMBS = [
    FACE,
    *(list(side) for side in zip(SHOULDERS, ELBOWS, WRISTS, PINKIES, INDICES, THUMBS, strict=True)),
    *(list(side) for side in zip(HIPS, KNEES, ANKLES, HEELS, TOES, strict=True)),
]


def found(rows: dict[str, NDArray[Any]], skeleton: RotatedSkeleton) -> dict[str, NDArray[Any]]:
    """The rows of people whom perception found, without those whose visible landmarks lie on somebody else."""
    errors = DetectionErrors.of(rows, skeleton)
    distance = np.where(errors.visibility > 0.5, np.linalg.norm(errors.flat, axis=-1), np.nan)[::2]
    blank = np.isnan(distance).all(1)
    distance[blank] = np.inf
    good = np.nanmedian(distance, axis=1) < LOST
    return {name: array[good] for name, array in rows.items()}


@dataclass(frozen=True)
class DetectionErrors:
    """Perception's errors on rendered people and on their mirror images (2N rows).

    Attributes:
        keys: (2N, 99) the true landmarks in space, compared to find similar poses.
        flat: (2N, 33, 2) errors in the picture, relative to the person's size.
        space: (2N, 33, 3) errors in space, metres.
        visibility: (2N, 33) as perception gave it.
        scale: (2N,) perception's size in space relative to the true one.
        size: (2N,) logarithm of the size in the picture, radians.
        rays: (2N, 2) viewing rays.
    """

    keys: NDArray[np.float32]
    flat: NDArray[np.float64]
    space: NDArray[np.float64]
    visibility: NDArray[np.float64]
    scale: NDArray[np.float64]
    size: NDArray[np.float64]
    rays: NDArray[np.float64]

    @classmethod
    def of(cls, rows: dict[str, NDArray[Any]], skeleton: RotatedSkeleton) -> DetectionErrors:
        """The errors of the rows of shards, each once as seen and once mirrored.

        Args:
            rows: of shards, see `read_shards`.
            skeleton: the body's skeleton.
        """
        parts = []
        for i in range(len(rows["betas"])):
            focal, width, height = (float(value) for value in rows["camera"][i])
            camera = Camera.for_photo(int(width), int(height), focal)
            looking = view(rows["box"][i], camera)
            rotations = (looking.T @ global_rotations(rows["global_orient"][i], rows["body_pose"][i])).astype(
                np.float32
            )
            with torch.no_grad():
                _, points = skeleton(torch.from_numpy(rows["betas"][i : i + 1]), torch.from_numpy(rotations[None]))
            # The skeleton's landmarks are relative to the pelvis; the true translation is relative to the origin.
            rest = skeleton.pelvis(rows["betas"][i])
            place = points[0].numpy() + looking.T @ (rows["transl"][i] + rest)
            values = features(rows["landmarks"][i], rows["world"][i], rows["box"][i], camera)
            for mirror in (False, True):
                parts.append(
                    _error(
                        mirrored_features(values) if mirror else values, _mirrored_points(place) if mirror else place
                    )
                )
        return cls(*(np.stack(arrays) for arrays in zip(*parts, strict=True)))

    def nearest(self, keys: Floats) -> NDArray[np.int64]:
        """The 8 rows (K, 8) with the poses most similar to ``keys`` (K, 99)."""
        apart = (self.keys**2).sum(1) - 2 * keys @ self.keys.T
        return np.argpartition(apart, NEIGHBOURS - 1, axis=1)[:, :NEIGHBOURS]

    def applied(self, points: Floats, rows: Integers, rays: Floats, rng: np.random.Generator) -> NDArray[np.float64]:
        """The features (B, 201) of people as perception would see them.

        Args:
            points: (B, 33, 3) true landmarks, metres, relative to the pelvis.
            rows: (B, 5) for each of `LIMBS`, the row of this table whose errors are applied.
            rays: the viewing rays, as in `features`.
            rng: source of the noise.
        """
        row = rows[:, 0]
        visibility, flat_error, space_error = (
            np.empty((len(row), *array.shape[1:])) for array in (self.visibility, self.flat, self.space)
        )
        for limb, source in zip(LIMBS, rows.T, strict=True):
            for mixed, array in ((visibility, self.visibility), (flat_error, self.flat), (space_error, self.space)):
                mixed[:, limb] = array[source][:, limb]
        weight = (visibility + 0.02)[..., None]
        weight = weight / weight.sum(1, keepdims=True)
        size = np.exp(self.size[row] + rng.normal(0, SIZE_JITTER, len(row)))[:, None, None]
        spread = np.sqrt(
            (weight * (points[..., :2] - (weight * points[..., :2]).sum(1, keepdims=True)) ** 2).sum(
                (1, 2), keepdims=True
            )
        )
        depth = np.maximum(points[..., 2:] + spread / size, 0.1)
        flat = points[..., :2] / depth
        extent = np.sqrt((weight * (flat - (weight * flat).sum(1, keepdims=True)) ** 2).sum((1, 2), keepdims=True))
        flat = flat + extent * (flat_error + rng.normal(0, POINT_JITTER, flat.shape))
        hips = points[:, HIPS].mean(1, keepdims=True)
        space = (
            self.scale[row][:, None, None] * (points - hips) + space_error + rng.normal(0, SPACE_JITTER, points.shape)
        )
        return assembled(flat, space, visibility, rays)


def _error(values: Floats, place: Floats) -> tuple[Floats, ...]:
    """One row of `DetectionErrors` from features (201,) and true landmarks (33, 3).

    Landmarks are in the axes of a camera that looks straight at the person.
    """
    seen, space, visibility = values[:66].reshape(33, 2), values[66:165].reshape(33, 3), values[165:198]
    size = np.exp(values[-1])
    flat = place[:, :2] / np.maximum(place[:, 2:], 0.1)
    weight = (visibility + 0.02)[:, None]
    weight = weight / weight.sum()
    # Both are centred on the same point: perception's mean of the landmarks is the true mean except for its errors.
    offset = (weight * flat).sum(0)
    error = seen - (flat - offset) / size
    centred = place - place[HIPS].mean(0)
    scale = np.sqrt((weight * space**2).sum() / (weight * centred**2).sum())
    return _key(place), error, space - scale * centred, visibility, scale, values[-1], values[198:200]


def _key(points: Floats) -> NDArray[np.float32]:
    centred = points - points[..., HIPS, :].mean(-2, keepdims=True)
    size = np.sqrt((centred**2).mean((-2, -1), keepdims=True))
    key: NDArray[np.float32] = (centred / size).reshape(*points.shape[:-2], -1).astype(np.float32)
    return key


@torch.no_grad()
def pose_keys(skeleton: RotatedSkeleton, betas: Floats, rotations: Floats) -> NDArray[np.float32]:
    """The keys (K, 99) for `DetectionErrors.nearest`.

    Args:
        skeleton: the body's skeleton.
        betas: (K, 10).
        rotations: (K, 22, 3, 3) rotations of the joints in the axes of the camera that looks at the person.
    """
    return _key(skeleton(torch.from_numpy(betas), torch.from_numpy(rotations))[1].numpy())


def _mirrored_points(points: Floats) -> Floats:
    return points[OTHER_SIDE_LANDMARKS] * [-1.0, 1.0, 1.0]
