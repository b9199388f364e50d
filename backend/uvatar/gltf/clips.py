"""The sample clips as rotations of an avatar's bones, in the body's axes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from uvatar.data.arrays import Floats
from uvatar.gltf.surface import Skeleton, Surface, body_at_rest
from uvatar.protocol.clips import Clip, clip_expressions, clip_movement
from uvatar.protocol.gait import RATE
from uvatar.protocol.rig import BODY_JOINTS, LEFT_HAND, RIG_NAMES, RIGHT_HAND, posed_hands

# From the body's axes (y up, z forward) to those of `uvatar.protocol.gait` (y backward, z up).
_UPRIGHT = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
_FEET = tuple(RIG_NAMES.index(f"{side}_foot") for side in ("left", "right"))


@dataclass(frozen=True)
class Figure:
    """What clips are made for.

    Attributes:
        heads: (J, 3) metres, joints at rest in the body's axes, the feet at y = 0.
        toes: (2, 3) tips of the feet, left and right.
        finger_axes: (5, 2, 3) of the rig; None for a body without fingers.
    """

    heads: NDArray[np.float64]
    toes: NDArray[np.float64]
    finger_axes: Floats | None

    @staticmethod
    def of(surface: Surface, skeleton: Skeleton, finger_axes: Floats | None) -> Figure:
        """The figure of a body at rest."""
        strongest = surface.joints[np.arange(len(surface.joints)), surface.weights.argmax(1)]
        toes = []
        for foot in _FEET:
            own = surface.positions[strongest == foot]
            toes.append(own[own[:, 2].argmax()] if len(own) else skeleton.heads[foot])
        return Figure(skeleton.heads, np.array(toes, np.float64), finger_axes)


def figure_of(person: Mapping[str, Any]) -> Figure:
    """The figure of a person of a result, with the arrays of its body."""
    rig = person.get("rig")
    return Figure.of(*body_at_rest(person, False), None if rig is None else rig["finger_axes"])


@dataclass(frozen=True)
class Played:
    """A clip.

    Attributes:
        poses: (F, 55, 3) axis-angle, radians, relative to the parents, about the body's rest axes.
        pelvis: (F, 3) metres, translation of the pelvis from its rest position.
        weights: (F,) of each expression key that moves.
    """

    poses: NDArray[np.float64]
    pelvis: NDArray[np.float64]
    weights: Mapping[str, NDArray[np.float64]]

    @property
    def seconds(self) -> NDArray[np.float64]:
        """(F,) times of the frames."""
        return np.arange(len(self.poses)) / RATE


def played(clip: Clip, figure: Figure) -> Played:
    """A clip for a figure, which stays in its place; the last frame is the first one again."""
    movement = clip_movement(clip, figure.heads[:BODY_JOINTS] @ _UPRIGHT.T, figure.toes @ _UPRIGHT.T, in_place=True)
    turns = _UPRIGHT.T @ movement.rotations[:, :BODY_JOINTS] @ _UPRIGHT
    poses = np.zeros((len(turns), len(RIG_NAMES), 3))
    poses[:, :BODY_JOINTS] = Rotation.from_matrix(turns.reshape(-1, 3, 3)).as_rotvec().reshape(len(turns), -1, 3)
    if figure.finger_axes is not None:
        poses[:, LEFT_HAND.start : RIGHT_HAND.stop] = posed_hands("relaxed", figure.finger_axes)
    return Played(poses, movement.pelvis @ _UPRIGHT, clip_expressions(clip, len(poses)))
