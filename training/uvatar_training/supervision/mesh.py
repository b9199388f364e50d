"""From the network's maps and what is known of the people to the terms of the 3D Mesh Loss (ROMP sections 3.2
and 3.3).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from uvatar.body import JOINT_NAMES, BodyModel
from uvatar.mesh_predictor.decoding import sample
from uvatar.mesh_predictor.network import Maps
from uvatar.mesh_predictor.rotation import axis_angle_from_matrices
from uvatar.mesh_predictor.weak_perspective import fit_weak_camera, project_weakly
from uvatar_training.data.batch import Batch
from uvatar_training.losses.mesh import (
    MixturePrior,
    camera_distance,
    center_focal,
    joints_2d_distance,
    joints_3d_distance,
    joints_aligned_distance,
    pose_distance,
    pose_prior,
    shape_distance,
)
from uvatar_training.supervision.targets import body_centers, center_heatmap, joint_heatmaps, kernel_radii, match, repel

TORSO = ("pelvis", "left_hip", "right_hip", "neck", "left_shoulder", "right_shoulder")
HIPS = (JOINT_NAMES.index("left_hip"), JOINT_NAMES.index("right_hip"))
PREDICTED_JOINTS = 22  # the hands stay at rest


@dataclass(frozen=True)
class MeshLabels(Batch):
    """What is known of the N people of a batch of B pictures.

    Attributes:
        picture: (N,) index of each person's picture.
        pose: (N, 24, 3, 3) rotations; ``pose_known`` (N, 24) bool says which.
        betas: (N, 10); ``betas_known`` (N,) bool.
        joints: (N, 24, 3) metres, posed and not translated, camera axes; ``joints_known`` (N, 24) bool.
        joints_2d: (N, 24, 2) in -1..1 across the padded square; ``visible`` (N, 24) bool.
        labelled: (B,) bool: every person of the picture is among the N.
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
        """Where each person's centre should be, (N, 2) in -1..1, people who hide each other pushed apart; kernel radii
        (N,).
        """
        torso = torch.tensor([name in TORSO for name in JOINT_NAMES], device=self.picture.device)
        centers, radii = body_centers(self.joints_2d, self.visible, torso), kernel_radii(self.joints_2d, self.visible)
        for picture in self.picture.unique().tolist():
            rows = self.picture == picture
            centers[rows] = repel(centers[rows], radii[rows], self.visible[rows].sum(1))
        return centers, radii

    def heatmaps(self) -> Tensor:
        """(B, 1, 64, 64) what the centre map should be."""
        centers, radii = self.centers()
        rows = [self.picture == picture for picture in range(len(self.labelled))]
        return torch.stack([center_heatmap(centers[row], radii[row]) for row in rows])

    def joint_heatmaps(self) -> Tensor:
        """(B, 24, 64, 64) where joints are, see `uvatar_training.supervision.targets.joint_heatmaps`."""
        return joint_heatmaps(self.joints_2d, self.visible, self.picture, len(self.labelled))


def mesh_terms(maps: Maps, labels: MeshLabels, body: BodyModel, prior: MixturePrior | None = None) -> dict[str, Tensor]:
    """The terms of the loss by the names of `uvatar_training.losses.mesh.ROMP_WEIGHTS`.

    "prior" only where a prior is given.

    The parameters are supervised where `match` finds each person, so their gradients reach the maps at those cells
    alone.
    """
    centers, _ = labels.centers()
    matches = match(maps.center.detach(), centers, labels.picture)
    bodies = sample(maps, matches.centers)
    truth = _rows(labels, matches.person)
    joints = body.joints(bodies.betas, bodies.pose)
    true_camera = fit_weak_camera(truth.joints, truth.joints_2d, truth.visible & truth.joints_known)
    camera_known = (truth.visible & truth.joints_known).sum(1) >= 4
    part = slice(PREDICTED_JOINTS)
    terms = {
        "center": center_focal(maps.center, labels.heatmaps(), labels.labelled),
        "camera": camera_distance(bodies.camera, true_camera, camera_known),
        "pose": pose_distance(bodies.pose[:, part], truth.pose[:, part], truth.pose_known[:, part]),
        "global_orient": pose_distance(bodies.pose[:, :1], truth.pose[:, :1], truth.pose_known[:, :1]),
        "shape": shape_distance(bodies.betas, truth.betas, truth.betas_known),
        "joints_2d": joints_2d_distance(project_weakly(joints, bodies.camera), truth.joints_2d, truth.visible),
        "joints_3d": joints_3d_distance(joints, truth.joints, truth.joints_known, HIPS),
        "joints_aligned": joints_aligned_distance(joints, truth.joints, truth.joints_known),
    }
    if prior is not None:
        terms["prior"] = pose_prior(axis_angle_from_matrices(bodies.pose[:, 1:PREDICTED_JOINTS]).flatten(1), prior)
    return terms


def _rows(labels: MeshLabels, index: Tensor) -> MeshLabels:
    """The people ``index``; the pictures stay."""
    return MeshLabels(**{name: value if name == "labelled" else value[index] for name, value in vars(labels).items()})
