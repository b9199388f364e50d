"""Shape and pose -> vertices: linear blend skinning in NumPy, batched.

Written from the equations of SMPL (Loper et al., "SMPL: A Skinned Multi-Person Linear Model", 2015, eq. 2-10).
`uvatar.body.torch_body` has the same in PyTorch, with gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from uvatar.body.data import BodyData, BodyError, load_body
from uvatar.body.face import load_face
from uvatar.body.mouth import FILE as MOUTH_FILE
from uvatar.body.mouth import load_mouth
from uvatar.body.neutral import neutral
from uvatar.body.rig import Rig, pose_of
from uvatar.body.tree import JointTree
from uvatar.data.arrays import Floats
from uvatar.data.fit import BodyParameters
from uvatar.data.joints import HAND_JOINTS, WRIST_JOINTS
from uvatar.geometry.rotations import exp
from uvatar.protocol.expressions import EXPRESSIONS
from uvatar.protocol.parts import Part
from uvatar.protocol.rig import BODY_JOINTS, LEFT_HAND, RIG_PARENTS, RIGHT_HAND, whole_pose
from uvatar.runtime.weights import weights_folder

FACE_FILE = "open_face.npz"  # beside the body's file
_Read = TypeVar("_Read")


class BodyOutput(NamedTuple):
    """Posed bodies: vertices (B, V, 3) and joints (B, J, 3), metres; J as in the pose."""

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
        self._rig_skin = _RigSkin.of(data.rig) if data.rig else None

    def __call__(
        self, betas: Floats, pose: Floats, transl: Floats | None = None, offsets: Floats | None = None
    ) -> BodyOutput:
        """Shape, pose and place bodies.

        Args:
            betas: (B, 10).
            pose: (B, J, 3) axis-angle, radians, or (B, J, 3, 3) rotations, each joint relative to its parent; joint 0
                is global_orient and rotates the body about its rest pelvis. J is 24 for SMPL's joints, or 55 for those
                of the body's rig.
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
        if rotations.shape[1] == len(self.data.joint_names):
            transforms, joints = self._joint_transforms(betas, rotations, transl)
            return BodyOutput(_skin(rest, self._weights, transforms), joints.astype(np.float32))
        if self._rig_skin is None:
            raise ValueError(f"The body '{self.data.name}' has no joints for fingers, jaw and eyes.")
        transforms, joints = self._rig_skin.transforms(betas, rotations, transl)
        return BodyOutput(self._rig_skin.skin(rest, transforms), joints.astype(np.float32))

    def in_network_layout(self) -> BodyModel:
        """The same body with textures in the networks' layout (`BodyData.network_uv`)."""
        return self if self.data.network_uv is None else BodyModel(self.data.in_network_layout())

    def joints(self, betas: Floats, pose: Floats, transl: Floats | None = None) -> NDArray[np.float32]:
        """SMPL's joints alone, (B, 24, 3); arguments as of a call, which costs some ten times as much."""
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
        """One person's vertices (V, 3) and joints (24, 3), camera frame; ``offsets`` (V, 3).

        Fingers, jaw, eyes and expression are posed if the body has them. The joints are SMPL's, whose hands then are
        where the fingers are at rest.
        """
        betas, pose, transl = _of_one(parameters)
        data = self.data
        if data.face is not None and parameters.expression is not None:
            moved = data.face.movement(parameters.expression, len(data.v_template))
            offsets = moved if offsets is None else offsets + moved
        whole = pose_of(parameters, pose) if self._rig_skin else None
        if whole is None:
            output = self(betas, pose, transl, offsets)
            return output.vertices[0], output.joints[0]
        rotations = _matrices(whole)
        output = self(betas, rotations, transl, offsets)
        hands = self._resting_hands(betas, rotations[0], output.joints[0])
        return output.vertices[0], np.concatenate([output.joints[0, :BODY_JOINTS], hands])

    def transforms_of(self, parameters: BodyParameters) -> NDArray[np.float64]:
        """(J, 3, 4) what takes a point at rest into one person's pose, camera frame, by the joint that it moves with.

        The joints are the 55 of the body's rig, or SMPL's 24 on a body without one.
        """
        betas, pose, transl = _of_one(parameters)
        if self._rig_skin is None:
            transforms = self._joint_transforms(betas, _matrices(pose), transl)[0]
        else:
            whole = pose_of(parameters, pose)
            whole = whole_pose(pose[0], {})[None] if whole is None else whole
            transforms = self._rig_skin.transforms(betas, _matrices(whole), transl)[0]
        of_one: NDArray[np.float64] = transforms[0]
        return of_one

    def _resting_hands(self, betas: Floats, rotations: Floats, joints: NDArray[np.float32]) -> NDArray[np.float32]:
        """The two hand joints of SMPL (2, 3), which move with the wrists.

        Args:
            betas: (1, 10).
            rotations: (55, 3, 3) each relative to its parent.
            joints: (55, 3) posed.
        """
        data = self.data
        rest = _rest_joints(data.joint_template, data.joint_shapedirs, betas)[0]
        hands = []
        for wrist, hand in zip(WRIST_JOINTS, HAND_JOINTS, strict=True):
            turned, joint = rest[hand] - rest[wrist], int(wrist)
            while joint >= 0:
                turned, joint = rotations[joint] @ turned, RIG_PARENTS[joint]
            hands.append(joints[wrist] + turned)
        return np.array(hands, np.float32)

    def parts(self, betas: Floats, offsets: NDArray[np.float32]) -> tuple[Part, ...]:
        """Teeth, tongue and lashes of a person at rest, of betas (10,) and ``offsets`` (V, 3); none on other bodies."""
        mouth = self.data.mouth
        return () if mouth is None else mouth.fitted(self.data, betas, offsets)

    def posed_part(self, parameters: BodyParameters, part: Part) -> NDArray[np.float32]:
        """A part's vertices (V, 3), camera frame, where `posed` has the person's."""
        transforms = self.transforms_of(parameters)
        rest = part.vertices
        if parameters.expression is not None:
            rest = rest + part.moved(dict(zip(EXPRESSIONS, map(float, parameters.expression), strict=True)))
        mixed = np.einsum("vk,vkia->via", part.skin_weights, transforms[part.skin_joints])
        placed: NDArray[np.float32] = np.einsum("via,va->vi", mixed[..., :3], rest) + mixed[..., 3]
        return placed.astype(np.float32)

    def with_closed_lips(self, betas: Floats, offsets: NDArray[np.float32]) -> NDArray[np.float32]:
        """The ``offsets`` (V, 3) with which no teeth are seen between the resting lips of a person of betas (10,)."""
        mouth = self.data.mouth
        return offsets if mouth is None else mouth.closed_lips(self.data, betas, offsets)

    def landmarks_of(self, parameters: BodyParameters) -> NDArray[np.float32]:
        """One person's landmarks (33, 3), camera frame; see `landmarks`."""
        landmarks: NDArray[np.float32] = self.landmarks(*_of_one(parameters))[0]
        return landmarks

    def _joint_transforms(
        self, betas: Floats, rotations: NDArray[np.float64], transl: Floats | None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(B, 24, 3, 4) transforms from the rest pose to the posed body, and the posed joints (B, 24, 3)."""
        rest = _rest_joints(self.data.joint_template, self.data.joint_shapedirs, betas)
        return joint_transforms(rest, rotations, transl, self._tree)


class _Region(NamedTuple):
    """Vertices that follow each other in `_RigSkin.order`, and what moves them.

    Attributes:
        vertices: (S,).
        joints: (K,) of the 55.
        weights: (K, S).
    """

    vertices: NDArray[np.intp]
    joints: NDArray[np.intp]
    weights: NDArray[np.float32]


@dataclass(frozen=True)
class _RigSkin:
    """Skinning with the 55 joints of a rig, of which few move any region: face, left hand, right hand and the rest.

    Attributes:
        rig: the joints.
        tree: their order.
        regions: each with the joints that move it.
        order: (V,) the vertices, region by region.
        place: (V,) where each vertex is in ``order``.
    """

    rig: Rig
    tree: JointTree
    regions: list[_Region]
    order: NDArray[np.intp]
    place: NDArray[np.intp]

    @classmethod
    def of(cls, rig: Rig) -> _RigSkin:
        parts = [slice(BODY_JOINTS, LEFT_HAND.start), LEFT_HAND, RIGHT_HAND]
        of_part = np.stack([(rig.weights[:, part] > 0).any(1) for part in parts])
        chosen = [np.flatnonzero(~of_part.any(0)), *map(np.flatnonzero, of_part)]
        regions = []
        for vertices in chosen:
            joints = np.flatnonzero((rig.weights[vertices] > 0).any(0))
            regions.append(_Region(vertices, joints, _rows(rig.weights[vertices][:, joints])))
        order = np.concatenate(chosen)
        return cls(rig, JointTree.of(np.array(RIG_PARENTS)), regions, order, np.argsort(order))

    def transforms(
        self, betas: Floats, rotations: NDArray[np.float64], transl: Floats | None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(B, 55, 3, 4) transforms from the rest pose to the posed body, and the posed joints (B, 55, 3)."""
        rest = _rest_joints(self.rig.joint_template, self.rig.joint_shapedirs, betas)
        return joint_transforms(rest, rotations, transl, self.tree)

    def skin(self, rest: NDArray[np.float32], transforms: Floats) -> NDArray[np.float32]:
        """Rest points (B, 3, V) moved by their mix of the 55 joints' (B, 55, 3, 4) transforms -> (B, V, 3)."""
        mixed = [_mixed(transforms[:, region.joints], region.weights) for region in self.regions]
        # `take` is several times as fast as indexing.
        return _moved(rest.take(self.order, axis=2), np.concatenate(mixed, -1)).take(self.place, axis=1)


def joint_transforms(
    rest: NDArray[np.float64], rotations: NDArray[np.float64], transl: Floats | None, tree: JointTree
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(B, J, 3, 4) transforms from the rest pose to the posed body, and the posed joints (B, J, 3).

    Args:
        rest: (B, J, 3) joints at rest.
        rotations: (B, J, 3, 3) each relative to its parent.
        transl: (B, 3) added at the end, or None.
        tree: the joints' order.
    """
    world_rotation, world_position = [rotations[:, :1]], [rest[:, :1]]
    for level in tree.below:
        above_rotation = world_rotation[-1][:, level.slots]
        bone = rest[:, level.joints] - rest[:, level.parents]
        world_position.append(world_position[-1][:, level.slots] + (above_rotation @ bone[..., None])[..., 0])
        world_rotation.append(above_rotation @ rotations[:, level.joints])
    rotation = np.concatenate(world_rotation, 1)[:, tree.order]
    position = np.concatenate(world_position, 1)[:, tree.order]
    if transl is not None:
        position = position + np.asarray(transl)[:, None]
    shift = position - (rotation @ rest[..., None])[..., 0]
    return np.concatenate([rotation, shift[..., None]], -1), position


def _rest_joints(template: NDArray[np.float32], directions: NDArray[np.float32], betas: Floats) -> NDArray[np.float64]:
    """(B, J, 3) joints at rest."""
    joints: NDArray[np.float64] = template + np.einsum("jck,bk->bjc", directions, betas, dtype=np.float64)
    return joints


def load_open_body(path: Path | str | None = None) -> BodyModel:
    """The open body that ships with the program, or the one at ``path``, with expression keys, teeth, tongue and lashes
    beside it. Its anatomy is neutral (`uvatar.body.neutral`).

    Raises:
        WeightsError: the program's weights are not installed.
        BodyError: the file is missing or broken.
    """
    path = Path(path) if path is not None else weights_folder() / "open_body.npz"
    face, mouth = _beside(path.with_name(FACE_FILE), load_face), _beside(path.with_name(MOUTH_FILE), load_mouth)
    return BodyModel(replace(neutral(load_body(path)), face=face, mouth=mouth))


def _beside(path: Path, load: Callable[[Path], _Read]) -> _Read | None:
    """What a file beside the body's holds; None if there is none. Raises BodyError."""
    try:
        return load(path) if path.is_file() else None
    except Exception as error:  # a damaged archive can raise almost anything
        raise BodyError(f"The file {path} is damaged ({error}). Install the program again.") from error


def _matrices(pose: Floats) -> NDArray[np.float64]:
    """(B, J, 3, 3) rotations of a pose that is given as rotations or as axis-angle."""
    pose = np.asarray(pose, np.float64)
    return pose if pose.ndim == 4 else exp(pose)


def _shaped(template: NDArray[np.float32], directions: NDArray[np.float32], betas: Floats) -> NDArray[np.float32]:
    """(B, 3, P) rest points: template (3, P) and directions (3, 10, P) weighted by betas (B, 10)."""
    weights = np.asarray(betas, np.float32)
    rest = weights @ directions  # (3, B, P)
    rest += template[:, None]
    return rest.swapaxes(0, 1)


def _skin(points: NDArray[np.float32], weights: NDArray[np.float32], transforms: Floats) -> NDArray[np.float32]:
    """Rest points (B, 3, P) moved by their (J, P) mix of the joints' (B, J, 3, 4) transforms -> (B, P, 3)."""
    return _moved(points, _mixed(transforms, weights))


def _mixed(transforms: Floats, weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """(B, 3, 4, P) each point's mix of transforms (B, J, 3, 4) by weights (J, P)."""
    flat = transforms.reshape(len(transforms), len(weights), 12).astype(np.float32)
    mixed: NDArray[np.float32] = flat.swapaxes(1, 2) @ weights
    return mixed.reshape(len(flat), 3, 4, weights.shape[1])


def _moved(points: NDArray[np.float32], mixed: NDArray[np.float32]) -> NDArray[np.float32]:
    """Points (B, 3, P) moved by transforms (B, 3, 4, P) -> (B, P, 3)."""
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
