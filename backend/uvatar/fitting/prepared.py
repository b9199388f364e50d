"""Precomputed data of a body for fitting, prepared once and passed to every fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvatar.body import BODY, BodyData, BodyModel
from uvatar.body.face_points import FaceCorrespondence
from uvatar.data.arrays import Floats
from uvatar.data.joints import ANKLE_JOINTS, FOOT_JOINTS, JOINT_NAMES, WRIST_JOINTS
from uvatar.fitting.chain import BodyPoints, BodySkeleton
from uvatar.fitting.hand_correction import HandCorrection
from uvatar.fitting.hand_skeleton import HandSkeleton, hand_skeleton
from uvatar.fitting.lifter import Lifter
from uvatar.fitting.models import PoseModels
from uvatar.fitting.prior import PosePrior
from uvatar.fitting.shape import DEFAULT_SETTINGS as DEFAULT_SHAPES
from uvatar.fitting.shape import ShapeGroup, ShapeSettings, shape_groups
from uvatar.protocol.rig import RIG_NAMES

_SOLE = 0.012  # metres above the lowest point of a foot at rest up to which its vertices belong to the sole
_POINTS_OF_SOLE = 6
OUTLINE_POINTS = 1000  # vertices that are compared with the mask: half as far apart as `OutlineSettings.covered` says


@dataclass(frozen=True)
class Stature:
    """How tall a body is: linear in its shape.

    Attributes:
        mean: metres, of the mean body.
        by_beta: (10,) metres per beta.
    """

    mean: float
    by_beta: NDArray[np.float64]

    def of(self, betas: Floats) -> NDArray[np.float64]:
        """(B,) metres, of bodies with these betas (B, 10)."""
        stature: NDArray[np.float64] = self.mean + betas @ self.by_beta
        return stature

    def changed(self, betas: Floats, stature: Floats) -> NDArray[np.float64]:
        """The betas (B, 10) with the first, which changes nothing but size, such that bodies are so tall (B,)."""
        changed = np.array(betas, float)
        changed[:, 0] += (stature - self.of(betas)) / self.by_beta[0]
        return changed


@dataclass(frozen=True)
class FaceShape:
    """The points of the face mesh on the body at rest.

    Attributes:
        index: (K,) which of the 478 they are.
        template: (K, 3) metres, of the mean body.
        shapedirs: (K, 3, 10) metres per beta.
    """

    index: NDArray[np.int32]
    template: NDArray[np.float64]
    shapedirs: NDArray[np.float64]

    @classmethod
    def of(cls, points: FaceCorrespondence, data: BodyData) -> FaceShape:
        """Where the points lie on a body; the places are about their middle."""
        directions = data.shapedirs.reshape(len(data.v_template), 30)
        template, moved = points.at(data.v_template).astype(float), points.at(directions).astype(float)
        return cls(points.index, template - template.mean(0), (moved - moved.mean(0)).reshape(-1, 3, 10))

    def size(self, betas: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Root mean square distance of the points from their middle, metres (B,), and its derivative (B, 10)."""
        places = self.template + np.einsum("kcj,bj->bkc", self.shapedirs, betas)
        size = np.sqrt((places**2).sum(2).mean(1))
        return size, np.einsum("bkc,kcj->bj", places, self.shapedirs) / (len(self.index) * size[:, None])


@dataclass(frozen=True)
class FittingModel:
    """A body ready to be fitted.

    Attributes:
        skeleton: the joints.
        landmarks: the 33 landmarks.
        outline: vertices spread evenly over the surface, to be compared with the mask.
        vertices: how many the body has.
        groups: of people, whose shapes bodies are drawn towards.
        prior: which poses people take.
        hand_correction: what the hand model gets wrong.
        lifter: a first pose from the landmarks; None where its weights are not installed.
        hand: a left hand; None where the body has no fingers.
        stature: how tall it is.
        soles: six points under the left foot, then six under the right one.
        palms: wrist and knuckles of index and little finger, left then right; None where the body has no fingers.
        face: the points of the face mesh; None where they are not known.
    """

    skeleton: BodySkeleton
    landmarks: BodyPoints
    outline: BodyPoints
    vertices: int
    groups: tuple[ShapeGroup, ...]
    prior: PosePrior
    hand_correction: HandCorrection
    stature: Stature
    soles: BodyPoints
    lifter: Lifter | None = None
    hand: HandSkeleton | None = None
    palms: BodyPoints | None = None
    face: FaceShape | None = None


def prepare_fitting(
    body: BodyModel,
    models: PoseModels,
    face: FaceCorrespondence | None = None,
    shapes: ShapeSettings = DEFAULT_SHAPES,
) -> FittingModel:
    """Prepare a body for fitting.

    Args:
        body: that is fitted.
        models: the learned parts.
        face: where the points of the face mesh lie on the body, if that is known.
        shapes: tuned numbers of the groups of people.
    """
    data = body.data
    skeleton = BodySkeleton(
        data.joint_template.astype(float), data.joint_shapedirs.astype(float), tuple(int(p) for p in data.parents)
    )
    landmarks = BodyPoints(
        *(a.astype(float) for a in (data.landmark_template, data.landmark_shapedirs, data.landmark_weights))
    )
    groups = tuple(shape_groups(data, shapes))
    outline = _outline_points(data)
    return FittingModel(
        skeleton,
        landmarks,
        outline,
        len(data.v_template),
        groups,
        models.prior,
        models.hands,
        _stature(data),
        _sole_points(data),
        models.lifter,
        hand_skeleton(data),
        _palms(data),
        FaceShape.of(face, data) if face is not None else None,
    )


def _palms(data: BodyData) -> BodyPoints | None:
    """Wrist and knuckles of index and little finger, left then right, which move with the wrists."""
    rig = data.rig
    if rig is None:
        return None
    joints = [RIG_NAMES.index(f"{side}_{name}") for side in ("left", "right") for name in ("wrist", "index1", "pinky1")]
    weights = np.zeros((len(joints), len(JOINT_NAMES)))
    weights[np.arange(len(joints)), np.repeat(WRIST_JOINTS, len(joints) // 2)] = 1
    return BodyPoints(rig.joint_template[joints].astype(float), rig.joint_shapedirs[joints].astype(float), weights)


def _stature(data: BodyData) -> Stature:
    """From the lowest to the highest vertex of the mean body, which are so of all bodies to a few millimetres."""
    body = np.flatnonzero(data.part == BODY)
    bottom, top = (int(body[pick(data.v_template[body, 1])]) for pick in (np.argmin, np.argmax))
    height = data.v_template[top, 1] - data.v_template[bottom, 1]
    return Stature(float(height), (data.shapedirs[top, 1] - data.shapedirs[bottom, 1]).astype(float))


def _sole_points(data: BodyData) -> BodyPoints:
    """Points spread over the soles, which are flat at rest: six of the left foot, then six of the right one."""
    height = data.v_template[:, 1]
    index: list[int] = []
    for ankle, foot in zip(ANKLE_JOINTS, FOOT_JOINTS, strict=True):
        own = np.flatnonzero((data.weights[:, [ankle, foot]].sum(1) > 0.9) & (data.part == BODY))
        own = own[height[own] < height[own].min() + _SOLE]
        index += [int(own[i]) for i in _spread(data.v_template[own].astype(float), _POINTS_OF_SOLE)]
    return BodyPoints(*(a[index].astype(float) for a in (data.v_template, data.shapedirs, data.weights)))


def _spread(points: Floats, count: int) -> list[int]:
    """The numbers of ``count`` of these points (N, 3), each as far as possible from those before; the first is at one
    end.
    """
    chosen = [int(points[:, 2].argmin())]
    while len(chosen) < count:
        distance = np.linalg.norm(points[:, None] - points[chosen], axis=-1).min(1)
        chosen.append(int(distance.argmax()))
    return chosen


def _outline_points(data: BodyData) -> BodyPoints:
    """Vertices drawn at random, each as often as the area around it says."""
    corners = data.v_template[data.faces].astype(float)
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=-1)
    share = np.bincount(data.faces.reshape(-1), np.repeat(area, 3), len(data.v_template)) * (data.part == BODY)
    rng = np.random.default_rng(0)
    index = rng.choice(len(share), min(OUTLINE_POINTS, int((share > 0).sum())), replace=False, p=share / share.sum())
    return BodyPoints(*(a[index].astype(float) for a in (data.v_template, data.shapedirs, data.weights)))
