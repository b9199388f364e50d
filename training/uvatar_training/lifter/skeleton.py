"""Joints and landmarks of many bodies at once, from rotations relative to the camera instead of to the parents."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor, nn

from uvatar.body import BodyModel
from uvatar.body.torch_body import TorchBody
from uvatar.data.arrays import Floats
from uvatar.data.joints import PARENTS
from uvatar.fitting.lifter import POSED

_TENSORS = ("joint_template", "joint_shapedirs", "landmark_template", "landmark_shapedirs", "landmark_weights")


class RotatedSkeleton(nn.Module):
    """Joints and landmarks of bodies from their joints' rotations relative to the camera.

    Since these rotations are not chained, a single matrix product is enough. Buffers move with ``.to(device)``.
    """

    above: Tensor
    joint_template: Tensor
    joint_shapedirs: Tensor
    landmark_template: Tensor
    landmark_shapedirs: Tensor
    landmark_weights: Tensor

    def __init__(self, body: BodyModel) -> None:
        super().__init__()
        parents = [int(parent) for parent in body.data.parents]
        above = torch.zeros(24, 24)
        for k in range(1, 24):
            above[k] = above[parents[k]]
            above[k, k] = 1
        self._parents = [max(parent, 0) for parent in parents]
        self._rotating = [k if k < POSED else parents[k] for k in range(24)]
        self.register_buffer("above", above, persistent=False)
        tensors = TorchBody(body.data)
        for name in _TENSORS:
            self.register_buffer(name, getattr(tensors, name).clone(), persistent=False)

    def pelvis(self, betas: Floats) -> NDArray[np.float64]:
        """Rest position (3,) of the pelvis, metres, of a body with ``betas`` (10,)."""
        rest, directions = self.joint_template[0].cpu().numpy(), self.joint_shapedirs[0].cpu().numpy()
        place: NDArray[np.float64] = (rest + directions @ betas).astype(np.float64)
        return place

    def forward(self, betas: Tensor, rotations: Tensor) -> tuple[Tensor, Tensor]:
        """Joints (B, 24, 3) and landmarks (B, 33, 3) relative to the pelvis, metres.

        Args:
            betas: (B, 10).
            rotations: (B, 22, 3, 3) rotations of the joints in the axes of the result.
        """
        rest = self.joint_template + torch.einsum("jck,bk->bjc", self.joint_shapedirs, betas)
        rotations = rotations[:, self._rotating]
        bones = (rotations[:, self._parents] @ (rest - rest[:, self._parents]).unsqueeze(-1)).squeeze(-1)
        joints = torch.einsum("kj,bjc->bkc", self.above, bones)
        shift = joints - (rotations @ rest.unsqueeze(-1)).squeeze(-1)
        points = self.landmark_template + torch.einsum("pck,bk->bpc", self.landmark_shapedirs, betas)
        mixed = torch.einsum("pk,bkx->bpx", self.landmark_weights, torch.cat([rotations.flatten(2), shift], -1))
        landmarks = (mixed[..., :9].unflatten(-1, (3, 3)) @ points.unsqueeze(-1)).squeeze(-1) + mixed[..., 9:]
        return joints, landmarks


def global_rotations(orient: Floats, pose: Floats) -> NDArray[np.float64]:
    """Rotations (22, 3, 3) of joints 0..21 relative to the axes in which ``orient`` is given.

    Args:
        orient: (3,) axis-angle of the root, radians.
        pose: (21 or 23, 3) axis-angles of the other joints relative to their parents, radians.
    """
    local = Rotation.from_rotvec(np.concatenate([orient[None], pose[: POSED - 1]])).as_matrix()
    rotations = np.empty((POSED, 3, 3))
    for k in range(POSED):
        rotations[k] = local[k] if PARENTS[k] < 0 else rotations[PARENTS[k]] @ local[k]
    return rotations
