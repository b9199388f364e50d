"""What the lifter learns from: sightings of rendered people, and other people given the sightings' errors.

A rendered person costs a third of a second, so there are thousands, not millions. The others are drawn from the same
poses and shapes, and err as the rendered person in the most similar pose erred: the same limbs lost, swapped or
leaning.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor

from uvatar.body import BodyModel
from uvatar.data.camera import Camera
from uvatar.data.joints import PARENTS
from uvatar.data.landmarks import OTHER_SIDE_LANDMARKS
from uvatar.fitting.lifter import FLIP, MIRRORED_JOINTS, POSED, assembled, features, mirrored_features, view
from uvatar.geometry import rotations
from uvatar_training.lifter.poses import PoseSampler
from uvatar_training.lifter.scenes import GROUP_SHARES, GROUPS, random_view

NEIGHBOURS = 8
ASSUMED_SHARE = 0.7  # of the sightings, seen with the lens that is assumed where a photo tells none
LOST = 0.6  # median error of the visible landmarks, of the person's size: more is a sighting of somebody else
POINT_JITTER, SPACE_JITTER, SIZE_JITTER = 0.03, 0.02, 0.15  # of a neighbour's errors: size, metres, log
# Landmarks that err together: head, arms, legs. Half of the imagined people have each of these from another neighbour.
LIMBS = [
    list(range(11)),
    [11, 13, 15, 17, 19, 21],
    [12, 14, 16, 18, 20, 22],
    [23, 25, 27, 29, 31],
    [24, 26, 28, 30, 32],
]
PATCHED_SHARE = 0.5
# Joints that move together, and the share of imagined people who have each of these from somebody else.
PARTS = [[13, 16, 18, 20], [14, 17, 19, 21], [1, 4, 7, 10], [2, 5, 8, 11], [12, 15], [3, 6, 9]]
SWAPPED_SHARE = 0.25


@dataclass(frozen=True)
class Batch:
    """Features (B, 201) and truth in the axes of the camera that looks at the person: turns (B, 22, 3, 3), betas (B,
    10).
    """

    features: Tensor
    turns: Tensor
    betas: Tensor


@dataclass(frozen=True)
class People:
    """Rendered people as the network sees them.

    Attributes:
        features: (N, V, 201) in V ways: the mean of two passes and each pass, with the assumed lens and with the true
            one.
        turns: (N, V, 22, 3, 3) of the joints, in the axes of the camera that looks at the person.
        betas: (N, 10).
    """

    features: NDArray[np.float32]
    turns: NDArray[np.float32]
    betas: NDArray[np.float32]

    @classmethod
    def of(cls, rows: dict[str, NDArray]) -> People:
        """From the rows of shards."""
        seen, turned = [], []
        for i in range(len(rows["betas"])):
            turns = global_turns(rows["global_orient"][i], rows["body_pose"][i])
            focal, width, height = (float(value) for value in rows["camera"][i])
            cameras = [Camera.for_photo(int(width), int(height), f) for f in (None, focal)]
            sights = [
                (rows["landmarks"][i], rows["world"][i]),
                *((one[:, :3], one[:, 3:]) for one in rows["passes"][i]),
            ]
            box = rows["box"][i]
            seen.append([features(flat, space, box, camera) for camera in cameras for flat, space in sights])
            turned.append([view(box, camera).T @ turns for camera in cameras for _ in sights])
        return cls(np.array(seen, np.float32), np.array(turned, np.float32), rows["betas"].astype(np.float32))

    def batch(self, index: NDArray, way: NDArray, mirror: NDArray) -> Batch:
        """People ``index`` (B,) seen in ways (B,), mirrored where ``mirror`` (B,)."""
        return _batch(self.features[index, way], self.turns[index, way], self.betas[index], mirror)

    def draw(self, count: int, rng: np.random.Generator) -> Batch:
        """A random batch."""
        ways = self.features.shape[1] // 2
        way = rng.integers(ways, size=count) + ways * (rng.random(count) > ASSUMED_SHARE)
        return self.batch(rng.integers(len(self.betas), size=count), way, rng.random(count) < 0.5)


def found(rows: dict[str, NDArray], skeleton: Skeleton) -> dict[str, NDArray]:
    """The rows of people whom perception found where they are: not those whose visible landmarks lie on
    somebody else.
    """
    errors = _Errors.of(rows, skeleton)
    distance = np.where(errors.visibility > 0.5, np.linalg.norm(errors.flat, axis=-1), np.nan)[::2]
    blank = np.isnan(distance).all(1)
    distance[blank] = np.inf
    good = np.nanmedian(distance, axis=1) < LOST
    return {name: array[good] for name, array in rows.items()}


class Skeleton:
    """Joints and landmarks of bodies whose joints' turns against the camera are given: no chain to follow, one
    product.
    """

    def __init__(self, body: BodyModel) -> None:
        self._body = body
        parents = [int(parent) for parent in body.data.parents]
        above = torch.zeros(24, 24)
        for k in range(1, 24):
            above[k] = above[parents[k]]
            above[k, k] = 1
        self._above, self._parents = above, [max(parent, 0) for parent in parents]
        self._turning = [k if k < POSED else parents[k] for k in range(24)]

    def pelvis(self, betas: NDArray) -> NDArray[np.float64]:
        """(3,) the pelvis at rest of a body with ``betas`` (10,)."""
        body = self._body
        return (body.joint_template[0].numpy() + body.joint_shapedirs[0].numpy() @ betas).astype(np.float64)

    def __call__(self, betas: Tensor, turns: Tensor) -> tuple[Tensor, Tensor]:
        """betas (B, 10), turns (B, 22, 3, 3) -> joints (B, 24, 3) and landmarks (B, 33, 3), metres from the pelvis."""
        body = self._body
        rest = body.joint_template + torch.einsum("jck,bk->bjc", body.joint_shapedirs, betas)
        turns = turns[:, self._turning]
        bones = (turns[:, self._parents] @ (rest - rest[:, self._parents]).unsqueeze(-1)).squeeze(-1)
        joints = torch.einsum("kj,bjc->bkc", self._above, bones)
        shift = joints - (turns @ rest.unsqueeze(-1)).squeeze(-1)
        points = body.landmark_template + torch.einsum("pck,bk->bpc", body.landmark_shapedirs, betas)
        mixed = torch.einsum("pk,bkx->bpx", body.landmark_weights, torch.cat([turns.flatten(2), shift], -1))
        landmarks = (mixed[..., :9].unflatten(-1, (3, 3)) @ points.unsqueeze(-1)).squeeze(-1) + mixed[..., 9:]
        return joints, landmarks


class Imagined:
    """People nobody rendered, with the errors of rendered ones in similar poses.

    Args:
        rows: of shards; body, poses: whom they show and what they do.
        count: how many to draw; each is seen with the errors of any of its 8 neighbours, plain or mirrored.
    """

    def __init__(
        self, rows: dict[str, NDArray], skeleton: Skeleton, body: BodyModel, poses: PoseSampler, count: int, seed: int
    ) -> None:
        rng = np.random.default_rng(seed)
        errors = _Errors.of(rows, skeleton)
        self.errors, self._skeleton = errors, skeleton
        turns = np.empty((count, POSED, 3, 3), np.float32)
        betas = np.empty((count, 10), np.float32)
        self._rays = errors.rays[rng.integers(len(errors.rays), size=count)]
        for i in range(count):
            pose = poses.draw(rng)
            prior = body.data.shape_prior[str(rng.choice(GROUPS, p=GROUP_SHARES))]
            betas[i] = rng.multivariate_normal(prior.mean, prior.covariance)
            orient = (random_view(rng) * Rotation.from_rotvec(pose[0])).as_rotvec()
            turns[i] = _looking_along(self._rays[i]).T @ global_turns(orient, pose[1:])
        self._turns, self._betas = turns, betas
        self._nearest = np.concatenate(
            [errors.nearest(_keys(skeleton, betas[i : i + 500], turns[i : i + 500])) for i in range(0, count, 500)]
        )

    def draw(self, count: int, rng: np.random.Generator) -> Batch:
        """A random batch."""
        index = rng.integers(len(self._betas), size=count)
        turns, betas = self._recombined(index, rng), self._betas[rng.permutation(index)]
        neighbour = self._nearest[index[:, None], rng.integers(NEIGHBOURS, size=(count, len(LIMBS)))]
        neighbour = np.where(rng.random((count, 1)) < PATCHED_SHARE, neighbour, neighbour[:, :1])
        with torch.no_grad():
            _, points = self._skeleton(torch.from_numpy(betas), torch.from_numpy(turns))
        values = self.errors.applied(points.numpy().astype(np.float64), neighbour, self._rays[index], rng)
        return _batch(values.astype(np.float32), turns, betas, rng.random(count) < 0.5)

    def _recombined(self, index: NDArray, rng: np.random.Generator) -> NDArray[np.float32]:
        """Turns (B, 22, 3, 3) of people some of whose limbs are bent as another's."""
        turns = self._turns[index]
        parents = [max(int(parent), 0) for parent in PARENTS[:POSED]]
        local = turns[:, parents].swapaxes(-1, -2) @ turns
        others = self._turns[rng.integers(len(self._turns), size=len(index))]
        other = others[:, parents].swapaxes(-1, -2) @ others
        for part in PARTS:
            swapped = rng.random(len(index)) < SWAPPED_SHARE
            local[:, part] = np.where(swapped[:, None, None, None], other[:, part], local[:, part])
        turns = turns.copy()
        for k in range(1, POSED):
            turns[:, k] = turns[:, parents[k]] @ local[:, k]
        return turns


@dataclass(frozen=True)
class _Errors:
    """How perception erred on rendered people and on their mirror images (2N rows).

    Attributes:
        keys: (2N, 99) the true landmarks in space, which say how similar two poses are.
        flat: (2N, 33, 2) error in the picture, of the person's size; space: (2N, 33, 3) in space, metres.
        visibility: (2N, 33); scale: (2N,) of perception's space against the truth; size: (2N,) logarithm, radians;
            rays: (2N, 2).
    """

    keys: NDArray[np.float32]
    flat: NDArray[np.float64]
    space: NDArray[np.float64]
    visibility: NDArray[np.float64]
    scale: NDArray[np.float64]
    size: NDArray[np.float64]
    rays: NDArray[np.float64]

    @classmethod
    def of(cls, rows: dict[str, NDArray], skeleton: Skeleton) -> _Errors:
        parts = []
        for i in range(len(rows["betas"])):
            focal, width, height = (float(value) for value in rows["camera"][i])
            camera = Camera.for_photo(int(width), int(height), focal)
            looking = view(rows["box"][i], camera)
            turns = (looking.T @ global_turns(rows["global_orient"][i], rows["body_pose"][i])).astype(np.float32)
            with torch.no_grad():
                joints, points = skeleton(torch.from_numpy(rows["betas"][i : i + 1]), torch.from_numpy(turns[None]))
            # The skeleton's landmarks start at the pelvis; the truth's translation moves the rest pelvis.
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

    def nearest(self, keys: NDArray) -> NDArray[np.int64]:
        """(K, 99) -> (K, 8) rows in the most similar poses."""
        apart = (self.keys**2).sum(1) - 2 * keys @ self.keys.T
        return np.argpartition(apart, NEIGHBOURS - 1, axis=1)[:, :NEIGHBOURS]

    def applied(self, points: NDArray, rows: NDArray, rays: NDArray, rng: np.random.Generator) -> NDArray[np.float64]:
        """Features (B, 201) of people with true landmarks (B, 33, 3) from the pelvis, each of whose `LIMBS` is seen
        with the errors of a row (B, 5)."""
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
        hips = points[:, [23, 24]].mean(1, keepdims=True)
        space = (
            self.scale[row][:, None, None] * (points - hips) + space_error + rng.normal(0, SPACE_JITTER, points.shape)
        )
        return assembled(flat, space, visibility, rays)


def _error(values: NDArray, place: NDArray) -> tuple[NDArray, ...]:
    """One row of `_Errors` from features (201,) and true landmarks (33, 3) before the camera that looks at the
    person.
    """
    seen, space, visibility = values[:66].reshape(33, 2), values[66:165].reshape(33, 3), values[165:198]
    size = np.exp(values[-1])
    flat = place[:, :2] / np.maximum(place[:, 2:], 0.1)
    weight = (visibility + 0.02)[:, None]
    weight = weight / weight.sum()
    # Both about the same point: what perception takes for the mean of the landmarks lies where the truth's is, but for
    # its errors.
    offset = (weight * flat).sum(0)
    error = seen - (flat - offset) / size
    centred = place - place[[23, 24]].mean(0)
    scale = np.sqrt((weight * space**2).sum() / (weight * centred**2).sum())
    return _key(place), error, space - scale * centred, visibility, scale, values[-1], values[198:200]


def _key(points: NDArray) -> NDArray[np.float32]:
    centred = points - points[..., [23, 24], :].mean(-2, keepdims=True)
    size = np.sqrt((centred**2).mean((-2, -1), keepdims=True))
    return (centred / size).reshape(*points.shape[:-2], -1).astype(np.float32)


@torch.no_grad()
def _keys(skeleton: Skeleton, betas: NDArray, turns: NDArray) -> NDArray[np.float32]:
    return _key(skeleton(torch.from_numpy(betas), torch.from_numpy(turns))[1].numpy())


def _mirrored_points(points: NDArray) -> NDArray:
    return points[OTHER_SIDE_LANDMARKS] * [-1.0, 1.0, 1.0]


def _batch(values: NDArray, turns: NDArray, betas: NDArray, mirror: NDArray) -> Batch:
    flip = FLIP.astype(np.float32)
    values = np.where(mirror[:, None], mirrored_features(values), values)
    turns = np.where(mirror[:, None, None, None], flip @ turns[:, MIRRORED_JOINTS] @ flip, turns)
    return Batch(*(torch.from_numpy(np.ascontiguousarray(array, np.float32)) for array in (values, turns, betas)))


def _looking_along(ray: NDArray) -> NDArray[np.float64]:
    """(3, 3) as `view`, from x and y (2,) of the ray."""
    forward = np.array([0.0, 0.0, 1.0])
    return rotations.between(forward, np.array([*ray, np.sqrt(max(1 - ray @ ray, 1e-6))]))


def global_turns(orient: NDArray, pose: NDArray) -> NDArray[np.float64]:
    """(22, 3, 3) turns of joints 0..21 against the axes of ``orient`` (3,), from it and ``pose`` (21 or 23, 3),
    axis-angle.
    """
    local = Rotation.from_rotvec(np.concatenate([orient[None], pose[: POSED - 1]])).as_matrix()
    turns = np.empty((POSED, 3, 3))
    for k in range(POSED):
        turns[k] = local[k] if PARENTS[k] < 0 else turns[PARENTS[k]] @ local[k]
    return turns
