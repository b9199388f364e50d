"""The pose lifter: a small network from perception's landmarks to a pose, a shape, and how sure it is of them.

Landmark models know where joints are in the picture, and guess their depth; the network was taught, on rendered people
whose truth is known, what that guess is worth and how it errs (`training/uvatar_training/lifter`). It sees one person
as a camera would that looks straight at it: landmarks in the picture about their own mean, landmarks in space, and how
much each can be seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.data.camera import Camera
from uvatar.data.joints import OTHER_SIDE_JOINTS, PARENTS, POSED_JOINTS
from uvatar.data.landmarks import OTHER_SIDE_LANDMARKS
from uvatar.data.person import Person
from uvatar.geometry import rotations
from uvatar.protocol.devices import CPU
from uvatar.runtime.devices import Placement
from uvatar.runtime.networks import Network, open_placed, wants_torch
from uvatar.runtime.torch_networks import require_torch
from uvatar.runtime.weights import weights_folder

FILE, ONNX_FILE = "pose_lifter.safetensors", "pose_lifter.onnx"
POSED, BONE_COUNT, BETAS = POSED_JOINTS, 19, 10
# 33 landmarks in the picture (2) and in space (3) with visibility, the ray to the person (2), its logarithmic size.
FEATURES = 33 * 6 + 3
LEAST_SIZE = 1e-3  # of a person, radians
MIRRORED_JOINTS = np.array(OTHER_SIDE_JOINTS[:POSED])
SPREADS = POSED + BONE_COUNT + BETAS

ON_CPU = Placement(CPU)


@dataclass(frozen=True)
class Lifted:
    """The lifter's prediction for one person.

    Attributes:
        orient: (3, 3) rotation of the pelvis, camera frame.
        pose: (21, 3) axis-angle of joints 1..21, radians.
        betas: (10,).
        joint_spread: (22,) expected error of each joint's rotation relative to its parent, radians; of the pelvis
            relative to the camera.
        bone_spread: (19,) expected error of the directions of `uvatar.fitting.terms.bones.BONES`, radians.
        betas_spread: (10,).
    """

    orient: NDArray[np.float64]
    pose: NDArray[np.float64]
    betas: NDArray[np.float64]
    joint_spread: NDArray[np.float64]
    bone_spread: NDArray[np.float64]
    betas_spread: NDArray[np.float64]


class Lifter:
    """The lifter network with its weights, for the people that perception found."""

    def __init__(self, network: Network) -> None:
        """``network``: (B, 201) "features" to "turns", "betas" and "spreads"."""
        self.network = network

    @classmethod
    def load(cls, folder: Path | None = None, placement: Placement = ON_CPU) -> Lifter | None:
        """The lifter in a folder of weights, by default the one that ships with the program.

        None if there is none. It is so small that other devices would take longer to be asked.

        Raises CheckpointError where only PyTorch can run it, which is not installed.
        """
        folder = folder or weights_folder()
        if (folder / ONNX_FILE).is_file() and not wants_torch(placement):
            return cls(open_placed(folder / ONNX_FILE, placement))
        if not (folder / FILE).is_file():
            return None
        require_torch(FILE)
        from uvatar.fitting.lifter_network import load_lifter_network, on_torch

        return cls(on_torch(load_lifter_network(folder / FILE), placement))

    def lift(self, person: Person, camera: Camera) -> Lifted:
        """The pose of a person in the camera's frame: the mean of what the network says of the person and of its mirror
        image.
        """
        return self.lift_landmarks(person.landmarks, person.world_landmarks, person.box, camera)

    def lift_landmarks(self, landmarks: Floats, world: Floats, box: Floats, camera: Camera) -> Lifted:
        """The same from image landmarks (33, 3), world landmarks (33, 3) and the box (4,) alone."""
        plain = features(landmarks, world, box, camera)
        both = np.stack([plain, mirrored_features(plain)]).astype(np.float32)
        outputs = self.network({"features": both})
        joint_rotations, betas, spreads = (outputs[name].astype(np.float64) for name in ("turns", "betas", "spreads"))
        joint_rotations = rotations.nearest(joint_rotations[0] + FLIP @ joint_rotations[1][MIRRORED_JOINTS] @ FLIP)
        looking = view(box, camera)
        local = np.stack(
            [
                joint_rotations[0] if PARENTS[k] < 0 else joint_rotations[PARENTS[k]].T @ joint_rotations[k]
                for k in range(POSED)
            ]
        )
        spread = np.exp(np.stack([spreads[0], spreads[1][MIRRORED_SPREADS]]).mean(0))
        joints, bones, shape = np.split(spread, [POSED, POSED + BONE_COUNT])
        return Lifted(looking @ joint_rotations[0], rotations.log(local[1:]), betas.mean(0), joints, bones, shape)


FLIP = np.diag([-1.0, 1.0, 1.0])
# `BONES` come in pairs, left and right, but for those across the body.
_MIRRORED_BONES = np.array([1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 12, 13, 14, 16, 15, 18, 17])
MIRRORED_SPREADS = np.concatenate([MIRRORED_JOINTS, POSED + _MIRRORED_BONES, np.arange(POSED + BONE_COUNT, SPREADS)])


def view(box: Floats, camera: Camera) -> NDArray[np.float64]:
    """(3, 3) from the axes of a camera that looks at the middle of a box (4,) to those of the photo's camera."""
    return rotations.between(np.array([0.0, 0.0, 1.0]), camera.rays((box[:2] + box[2:]).astype(float) / 2))


def features(landmarks: Floats, world: Floats, box: Floats, camera: Camera) -> NDArray[np.float64]:
    """(201,) the network's input for a person: image landmarks (33, 3), world landmarks (33, 3), box (4,)."""
    inside = (landmarks[:, :2] >= 0).all(1) & (landmarks[:, 0] < camera.width) & (landmarks[:, 1] < camera.height)
    looking = view(box, camera)
    rays = camera.rays(landmarks[:, :2].astype(float)) @ looking
    return assembled(rays[:, :2] / np.maximum(rays[:, 2:], 0.1), world, landmarks[:, 2] * inside, looking[:2, 2])


def assembled(points: Floats, world: Floats, visibility: Floats, ray: Floats) -> NDArray[np.float64]:
    """(..., 201) features of landmarks (..., 33, 2) in the plane at distance 1 before a camera that looks at the
    person, landmarks in space (..., 33, 3), visibility (..., 33) and x and y of the ray to the person (..., 2).
    """
    weight = (visibility + 0.02)[..., None]
    weight = weight / weight.sum(-2, keepdims=True)
    centred = points - (weight * points).sum(-2, keepdims=True)
    size = np.sqrt((weight * centred**2).sum((-2, -1), keepdims=True))
    size = np.maximum(size, LEAST_SIZE)
    flat = [centred / size, world, visibility[..., None]]
    numbers = np.concatenate([part.reshape(*part.shape[:-2], -1) for part in flat], -1)
    return np.concatenate([numbers, ray, np.log(size[..., 0])], -1)


def mirrored_features(values: Floats) -> NDArray[np.float64]:
    """The features (..., 201) of the mirror image."""
    points = values[..., :66].reshape(*values.shape[:-1], 33, 2)[..., OTHER_SIDE_LANDMARKS, :] * [-1.0, 1.0]
    world = values[..., 66:165].reshape(*values.shape[:-1], 33, 3)[..., OTHER_SIDE_LANDMARKS, :] * [-1.0, 1.0, 1.0]
    flat = [
        points.reshape(*values.shape[:-1], 66),
        world.reshape(*values.shape[:-1], 99),
        values[..., 165:198][..., OTHER_SIDE_LANDMARKS],
    ]
    return np.concatenate([*flat, values[..., 198:199] * -1, values[..., 199:]], -1)
