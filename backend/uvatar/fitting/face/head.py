"""Where a head is in a photo, and the body's neck and head brought there."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from uvatar.body.model import BodyModel
from uvatar.data.arrays import Floats
from uvatar.data.fit import BodyParameters
from uvatar.data.joints import Joint
from uvatar.geometry import rotations


@dataclass(frozen=True)
class HeadPlace:
    """Where a head is: a point of the rest pose lies at scale * rotation @ point + shift in the camera frame.

    Attributes:
        scale: size beside the fitted body's head.
        rotation: (3, 3).
        shift: (3,) metres.
    """

    scale: float
    rotation: NDArray[np.float64]
    shift: NDArray[np.float64]

    @classmethod
    def between(cls, source: Floats, target: Floats, weights: Floats) -> HeadPlace:
        """The similarity that brings points (K, 3) nearest to others, weighted (K,) (Umeyama 1991)."""
        share = weights / weights.sum()
        middle, goal = share @ source, share @ target
        a, b = source - middle, target - goal
        left, stretch, right = np.linalg.svd((share[:, None] * b).T @ a)
        sign = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
        rotation = (left * sign) @ right
        scale = float((stretch * sign).sum() / (share @ (a**2).sum(1)))
        return cls(scale, rotation, goal - scale * rotation @ middle)

    def refined(self, source: Floats, target: Floats, information: Floats) -> HeadPlace:
        """The place nearest to this one at which points (K, 3) agree better with others, each with its information.

        One step of Gauss and Newton; ``information`` (K, 3, 3), camera frame.
        """
        turned = self.scale * source @ self.rotation.T
        middle = turned.mean(0)
        about = turned - middle
        directions = np.concatenate(
            [-rotations.skew(about), about[:, :, None], np.broadcast_to(np.eye(3), (len(about), 3, 3))], 2
        )
        weighted = np.einsum("kij,kia->kja", information, directions)
        missing = target - turned - self.shift
        step = np.linalg.solve(
            np.einsum("kja,kjb->ab", directions, weighted), np.einsum("kja,kj->a", weighted, missing)
        )
        scale, rotation = self.scale * float(np.exp(step[3])), rotations.exp(step[:3]) @ self.rotation
        shift = self.shift + middle + step[4:] - scale * rotation @ source.mean(0)
        return HeadPlace(scale, rotation, shift)

    def placed(self, points: Floats) -> NDArray[np.float64]:
        """Points (K, 3) of the rest pose in the camera frame."""
        places: NDArray[np.float64] = self.scale * points @ self.rotation.T + self.shift
        return places

    def in_rest_pose(self, places: Floats) -> NDArray[np.float64]:
        """The reverse of `placed`."""
        points: NDArray[np.float64] = (places - self.shift) @ self.rotation / self.scale
        return points


def with_head_at(parameters: BodyParameters, place: HeadPlace, body: BodyModel, largest_lean: float) -> BodyParameters:
    """The body with its head turned as the place says, and its neck bent so that it lies there in the picture.

    The head may come nearer to the camera or go farther away, along the line of sight: the neck keeps its length, and
    is bent by at most ``largest_lean`` radians.
    """
    pose = np.concatenate([parameters.global_orient[None], parameters.body_pose]).astype(np.float64)
    _, joints = body.posed(parameters)
    rest = body.data.joint_template + body.data.joint_shapedirs @ parameters.betas
    chest = _rotation(pose, Joint(body.data.parents[Joint.NECK]), body)
    neck = chest @ rotations.exp(pose[Joint.NECK])
    base, now = joints[Joint.NECK].astype(np.float64), joints[Joint.HEAD].astype(np.float64)
    goal = _on_sphere(place.placed(rest[Joint.HEAD]), base, float(np.linalg.norm(now - base)), now)
    lean = rotations.log(rotations.between(now - base, goal - base))
    angle = float(np.linalg.norm(lean))
    neck = rotations.exp(lean * min(1.0, largest_lean / max(angle, 1e-9))) @ neck
    pose[Joint.NECK] = rotations.log(chest.T @ neck)
    pose[Joint.HEAD] = rotations.log(neck.T @ place.rotation)
    return replace(parameters, body_pose=pose[1:].astype(np.float32))


def _on_sphere(goal: Floats, center: Floats, radius: float, near: Floats) -> Floats:
    """The point on a sphere that the camera sees where it sees ``goal``, or nearest to there.

    Of two such points, the one that is nearer to ``near``. All are (3,), camera frame, metres.
    """
    ray = goal / np.linalg.norm(goal)
    middle = float(ray @ center)
    half = radius**2 - float(((center - middle * ray) ** 2).sum())
    if half < 0:
        away = middle * ray - center
        nearest: Floats = center + away * (radius / np.linalg.norm(away))
        return nearest
    ends = [(middle + side * np.sqrt(half)) * ray for side in (-1, 1)]
    return min(ends, key=lambda end: float(np.linalg.norm(end - near)))


def _rotation(pose: Floats, joint: Joint, body: BodyModel) -> NDArray[np.float64]:
    """(3, 3) rotation of a joint in the camera frame; ``pose`` (24, 3) axis-angle."""
    rotation: NDArray[np.float64] = np.eye(3)
    number = int(joint)
    while number >= 0:
        rotation = rotations.exp(pose[number]) @ rotation
        number = int(body.data.parents[number])
    return rotation
