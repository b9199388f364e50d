"""Shape and pose -> vertices: linear blend skinning in PyTorch, batched and differentiable.

For training and for those who optimise through a body; needs the extra ``uvatar[torch]``. `uvatar.body.BodyModel` is
the same body in NumPy, and the one that avatars are made with.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from uvatar.body.data import BodyData
from uvatar.body.tree import JointTree
from uvatar.data.arrays import Floats
from uvatar.geometry.torch_rotations import matrices_from_axis_angle


class TorchBodyOutput(NamedTuple):
    """Posed bodies: vertices (B, V, 3) and joints (B, 24, 3), metres."""

    vertices: torch.Tensor
    joints: torch.Tensor


class TorchBody(nn.Module):
    """A body that can be shaped and posed. Its buffers follow ``.to(device)``; it has no trainable parameters."""

    v_template: Tensor
    shapedirs: Tensor
    joint_template: Tensor
    joint_shapedirs: Tensor
    weights: Tensor
    landmark_template: Tensor
    landmark_shapedirs: Tensor
    landmark_weights: Tensor
    posedirs: Tensor | None

    def __init__(self, data: BodyData) -> None:
        super().__init__()
        self.data = data
        count = len(data.v_template)
        self._tree = JointTree.of(data.parents)
        self._constant("v_template", data.v_template.reshape(-1))
        self._constant("shapedirs", data.shapedirs.reshape(count * 3, -1).T)
        self._constant("joint_template", data.joint_template)
        self._constant("joint_shapedirs", data.joint_shapedirs)
        self._constant("weights", data.weights)
        self._constant("landmark_template", data.landmark_template)
        self._constant("landmark_shapedirs", data.landmark_shapedirs)
        self._constant("landmark_weights", data.landmark_weights)
        self._constant("posedirs", None if data.posedirs is None else data.posedirs.reshape(count * 3, -1).T)

    def _constant(self, name: str, value: Floats | None) -> None:
        tensor = None if value is None else torch.from_numpy(np.array(value, np.float32, order="C"))
        self.register_buffer(name, tensor, persistent=False)

    def forward(
        self, betas: Tensor, pose: Tensor, transl: Tensor | None = None, offsets: Tensor | None = None
    ) -> TorchBodyOutput:
        """Shape, pose and place bodies.

        Args:
            betas: (B, 10).
            pose: (B, 24, 3) axis-angle, radians, or (B, 24, 3, 3) rotations, each joint relative to its parent; joint 0
                is global_orient and rotates the body about its rest pelvis.
            transl: (B, 3) metres added at the end, or None.
            offsets: (B, V, 3) or (V, 3) metres added to the rest shape before posing (clothing), or None. They do not
                move joints.
        """
        rotations = pose if pose.ndim == 4 else matrices_from_axis_angle(pose)
        rest = torch.addmm(self.v_template, betas, self.shapedirs)
        if self.posedirs is not None:
            identity = torch.eye(3, dtype=rotations.dtype, device=rotations.device)
            rest = torch.addmm(rest, (rotations[:, 1:] - identity).flatten(1), self.posedirs)
        rest = rest.unflatten(1, (-1, 3))
        if offsets is not None:
            rest = rest + offsets
        transforms, joints = self._joint_transforms(betas, rotations, transl)
        return TorchBodyOutput(_skin(rest, self.weights, transforms), joints)

    def joints(self, betas: Tensor, pose: Tensor, transl: Tensor | None = None) -> Tensor:
        """The joints alone, (B, 24, 3); arguments as in `forward`, which costs a hundred times as much."""
        return self._joint_transforms(betas, pose if pose.ndim == 4 else matrices_from_axis_angle(pose), transl)[1]

    def landmarks(self, betas: Tensor, pose: Tensor, transl: Tensor | None = None) -> Tensor:
        """BlazePose's 33 points on the bodies (B, 33, 3), in the order of `Landmark`; arguments as in `forward`.

        Only these points are skinned, at about a hundredth of the whole body's cost. Pose blend shapes do not move
        them.
        """
        rotations = pose if pose.ndim == 4 else matrices_from_axis_angle(pose)
        rest = self.landmark_template + torch.einsum("pck,bk->bpc", self.landmark_shapedirs, betas)
        transforms, _ = self._joint_transforms(betas, rotations, transl)
        return _skin(rest, self.landmark_weights, transforms)

    def _joint_transforms(self, betas: Tensor, rotations: Tensor, transl: Tensor | None) -> tuple[Tensor, Tensor]:
        """(B, 24, 3, 4) transforms from the rest pose to the posed body, and the posed joints (B, 24, 3)."""
        rest = self.joint_template + torch.einsum("jck,bk->bjc", self.joint_shapedirs, betas)
        world_rotation, world_position = [rotations[:, :1]], [rest[:, :1]]
        for level in self._tree.below:
            above_rotation = world_rotation[-1][:, level.slots]
            bone = rest[:, level.joints] - rest[:, level.parents]
            world_position.append(
                world_position[-1][:, level.slots] + (above_rotation @ bone.unsqueeze(-1)).squeeze(-1)
            )
            world_rotation.append(above_rotation @ rotations[:, level.joints])
        rotation = torch.cat(world_rotation, 1)[:, self._tree.order]
        position = torch.cat(world_position, 1)[:, self._tree.order]
        if transl is not None:
            position = position + transl[:, None]
        shift = position - (rotation @ rest.unsqueeze(-1)).squeeze(-1)
        return torch.cat([rotation, shift.unsqueeze(-1)], -1), position


def _skin(points: Tensor, weights: Tensor, transforms: Tensor) -> Tensor:
    """Rest points (B, P, 3) moved by their (P, 24) mix of the joints' (B, 24, 3, 4) transforms."""
    mixed = torch.matmul(weights, transforms.flatten(2)).unflatten(2, (3, 4))
    moved: Tensor = (mixed[..., :3] @ points.unsqueeze(-1)).squeeze(-1) + mixed[..., 3]
    return moved
