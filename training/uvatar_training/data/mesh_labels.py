"""Labels of the people in a batch of pictures, in the form that the Mesh Predictor's losses need."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from uvatar.data.joints import JOINT_NAMES
from uvatar_training.data.batch import Batch
from uvatar_training.losses.targets import body_centers, center_heatmap, joint_heatmaps, kernel_radii, repel

TORSO = ("pelvis", "left_hip", "right_hip", "neck", "left_shoulder", "right_shoulder")


@dataclass(frozen=True)
class MeshLabels(Batch):
    """Labels of the N people in a batch of B pictures.

    Attributes:
        picture: (N,) index of each person's picture.
        pose: (N, 24, 3, 3) rotations.
        pose_known: (N, 24) bool.
        betas: (N, 10).
        betas_known: (N,) bool.
        joints: (N, 24, 3) metres, posed but not translated, camera axes.
        joints_known: (N, 24) bool.
        joints_2d: (N, 24, 2) in -1..1 across the padded square.
        visible: (N, 24) bool.
        labelled: (B,) bool, whether every person of the picture is among the N.
    """

    picture: Tensor
    pose: Tensor
    pose_known: Tensor
    betas: Tensor
    betas_known: Tensor
    joints: Tensor
    joints_known: Tensor
    joints_2d: Tensor
    visible: Tensor
    labelled: Tensor

    def centers(self) -> tuple[Tensor, Tensor]:
        """Target centres (N, 2) in -1..1, pushed apart for people who hide each other, and kernel radii (N,)."""
        torso = torch.tensor([name in TORSO for name in JOINT_NAMES], device=self.picture.device)
        centers, radii = body_centers(self.joints_2d, self.visible, torso), kernel_radii(self.joints_2d, self.visible)
        for picture in self.picture.unique().tolist():
            rows = self.picture == picture
            centers[rows] = repel(centers[rows], radii[rows], self.visible[rows].sum(1))
        return centers, radii

    def heatmaps(self) -> Tensor:
        """Target (B, 1, 64, 64) of the centre map."""
        centers, radii = self.centers()
        rows = [self.picture == picture for picture in range(len(self.labelled))]
        return torch.stack([center_heatmap(centers[row], radii[row]) for row in rows])

    def joint_heatmaps(self) -> Tensor:
        """Target (B, 24, 64, 64) of the joint maps, see `uvatar_training.losses.targets.joint_heatmaps`."""
        return joint_heatmaps(self.joints_2d, self.visible, self.picture, len(self.labelled))
