"""Shape and pose -> vertices: linear blend skinning in NumPy, batched.

Written from the equations of SMPL (Loper et al., "SMPL: A Skinned Multi-Person Linear Model", 2015, eq. 2-10).
`uvatar.body.torch_body` has the same in PyTorch, with gradients.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from uvatar.body.data import BodyData, load_body
from uvatar.body.tree import JointTree
from uvatar.data.arrays import Floats
from uvatar.data.fit import BodyParameters
from uvatar.geometry.rotations import exp
from uvatar.runtime.weights import weights_folder


class BodyOutput(NamedTuple):
    """Posed bodies: vertices (B, V, 3) and joints (B, 24, 3), metres."""

    vertices: NDArray[np.float32]
    joints: NDArray[np.float32]


class BodyModel:
    """A body that can be shaped and posed."""

    def __init__(self, data: BodyData) -> None:
        self.data = data
        # One row per axis instead of one per vertex: products and sums then run over long rows.
        self._template = _rows(data.v_template)
        self._shapedirs = _rows(data.shapedirs)
        self._weights = _rows(data.weights)
        self._landmark_template = _rows(data.landmark_template)
        self._landmark_shapedirs = _rows(data.landmark_shapedirs)
        self._landmark_weights = _rows(data.landmark_weights)
        self._tree = JointTree.of(data.parents)

    def __call__(
        self, betas: Floats, pose: Floats, transl: Floats | None = None, offsets: Floats | None = None
    ) -> BodyOutput:
        """Shape, pose and place bodies.

        Args:
            betas: (B, 10).
            pose: (B, 24, 3) axis-angle, radians, or (B, 24, 3, 3) rotations, each joint relative to its parent; joint 0
                is global_orient and rotates the body about its rest pelvis.
            transl: (B, 3) metres added at the end, or None.
            offsets: (B, V, 3) or (V, 3) metres added to the rest shape before posing (clothing), or None. They do not
                move joints.
        """
        rotations = _matrices(pose)
        rest = _shaped(self._template, self._shapedirs, betas)
        if self.data.posedirs is not None:
            posedirs = self.data.posedirs
            features = (rotations[:, 1:] - np.eye(3)).reshape(len(rotations), posedirs.shape[2]).astype(np.float32)
            moved = features @ posedirs.reshape(-1, posedirs.shape[2]).T
            rest += moved.reshape(len(rest), len(posedirs), 3).swapaxes(1, 2)
        if offsets is not None:
            rest += np.asarray(offsets, np.float32).swapaxes(-1, -2)
        transforms, joints = self._joint_transforms(betas, rotations, transl)
        return BodyOutput(_skin(rest, self._weights, transforms), joints.astype(np.float32))

    def joints(self, betas: Floats, pose: Floats, transl: Floats | None = None) -> NDArray[np.float32]:
        """The joints alone, (B, 24, 3); arguments as of a call, which costs some ten times as much."""
        return self._joint_transforms(betas, _matrices(pose), transl)[1].astype(np.float32)

    def landmarks(self, betas: Floats, pose: Floats, transl: Floats | None = None) -> NDArray[np.float32]:
        """BlazePose's 33 points on the bodies (B, 33, 3), in the order of `Landmark`; arguments as of a call.

        Only these points are skinned, so that it costs about what `joints` does. Pose blend shapes do not move them.
        """
        rest = _shaped(self._landmark_template, self._landmark_shapedirs, betas)
        transforms, _ = self._joint_transforms(betas, _matrices(pose), transl)
        return _skin(rest, self._landmark_weights, transforms)

    def posed(
        self, parameters: BodyParameters, offsets: NDArray[np.float32] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """One person's vertices (V, 3) and joints (24, 3), camera frame; ``offsets`` (V, 3)."""
        output = self(*_of_one(parameters), offsets)
        return output.vertices[0], output.joints[0]

    def landmarks_of(self, parameters: BodyParameters) -> NDArray[np.float32]:
        """One person's landmarks (33, 3), camera frame; see `landmarks`."""
        landmarks: NDArray[np.float32] = self.landmarks(*_of_one(parameters))[0]
        return landmarks

    def _joint_transforms(
        self, betas: Floats, rotations: NDArray[np.float64], transl: Floats | None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(B, 24, 3, 4) transforms from the rest pose to the posed body, and the posed joints (B, 24, 3)."""
        rest = self.data.joint_template + np.einsum("jck,bk->bjc", self.data.joint_shapedirs, betas, dtype=np.float64)
        world_rotation, world_position = [rotations[:, :1]], [rest[:, :1]]
        for level in self._tree.below:
            above_rotation = world_rotation[-1][:, level.slots]
            bone = rest[:, level.joints] - rest[:, level.parents]
            world_position.append(world_position[-1][:, level.slots] + (above_rotation @ bone[..., None])[..., 0])
            world_rotation.append(above_rotation @ rotations[:, level.joints])
        rotation = np.concatenate(world_rotation, 1)[:, self._tree.order]
        position = np.concatenate(world_position, 1)[:, self._tree.order]
        if transl is not None:
            position = position + np.asarray(transl)[:, None]
        shift = position - (rotation @ rest[..., None])[..., 0]
        return np.concatenate([rotation, shift[..., None]], -1), position


def load_open_body(path: Path | str | None = None) -> BodyModel:
    """The open body that ships with the program, or the one at ``path``.

    Raises:
        WeightsError: the program's weights are not installed.
        BodyError: the file is missing or broken.
    """
    path = Path(path) if path is not None else weights_folder() / "open_body.npz"
    return BodyModel(load_body(path))


def _matrices(pose: Floats) -> NDArray[np.float64]:
    """(B, 24, 3, 3) rotations of a pose that is given as rotations or as axis-angle."""
    pose = np.asarray(pose, np.float64)
    return pose if pose.ndim == 4 else exp(pose)


def _shaped(template: NDArray[np.float32], directions: NDArray[np.float32], betas: Floats) -> NDArray[np.float32]:
    """(B, 3, P) rest points: template (3, P) and directions (3, 10, P) weighted by betas (B, 10)."""
    weights = np.asarray(betas, np.float32)
    rest = weights @ directions  # (3, B, P)
    rest += template[:, None]
    return rest.swapaxes(0, 1)


def _skin(points: NDArray[np.float32], weights: NDArray[np.float32], transforms: Floats) -> NDArray[np.float32]:
    """Rest points (B, 3, P) moved by their (24, P) mix of the joints' (B, 24, 3, 4) transforms -> (B, P, 3)."""
    flat = transforms.reshape(len(transforms), len(weights), 12).astype(np.float32)
    mixed = (flat.swapaxes(1, 2) @ weights).reshape(len(flat), 3, 4, weights.shape[1])
    moved = np.einsum("biap,bap->bpi", mixed[:, :, :3], points)
    moved += mixed[:, :, 3].swapaxes(1, 2)
    return np.ascontiguousarray(moved)


def _of_one(parameters: BodyParameters) -> tuple[Floats, Floats, Floats]:
    """Betas (1, 10), pose (1, 24, 3) and transl (1, 3)."""
    pose = np.concatenate([np.reshape(parameters.global_orient, (1, 3)), np.reshape(parameters.body_pose, (-1, 3))])
    return np.reshape(parameters.betas, (1, -1)), pose[None], np.reshape(parameters.transl, (1, 3))


def _rows(values: Floats) -> NDArray[np.float32]:
    """(P, ...) -> (..., P), contiguous."""
    return np.ascontiguousarray(np.moveaxis(values, 0, -1), np.float32)
