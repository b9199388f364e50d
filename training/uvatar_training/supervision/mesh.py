"""Computes the terms of the 3D Mesh Loss from the network's maps and the labels (ROMP sections 3.2 and 3.3)."""

from __future__ import annotations

from torch import Tensor

from uvatar.body.torch_body import TorchBody
from uvatar.data.joints import HIP_JOINTS, POSED_JOINTS
from uvatar.geometry.torch_rotations import axis_angle_from_matrices
from uvatar.mesh_predictor.maps import Maps
from uvatar_training.data.mesh_labels import MeshLabels
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
from uvatar_training.losses.targets import match
from uvatar_training.networks.decoding import sample
from uvatar_training.networks.weak_perspective import fit_weak_camera, project_weakly


def mesh_terms(
    maps: Maps[Tensor], labels: MeshLabels, body: TorchBody, prior: MixturePrior | None = None
) -> dict[str, Tensor]:
    """The terms of the loss by the names of `uvatar_training.losses.mesh.ROMP_WEIGHTS`.

    The parameters are supervised at the cells where `match` finds each person; only these cells of the maps get
    gradients.

    Args:
        maps: the network's output.
        labels: the true people.
        body: the body model.
        prior: of poses; without it, the term "prior" is left out.
    """
    centers, _ = labels.centers()
    matches = match(maps.center.detach(), centers, labels.picture)
    bodies = sample(maps, matches.centers)
    truth = _rows(labels, matches.person)
    joints = body.joints(bodies.betas, bodies.pose)
    true_camera = fit_weak_camera(truth.joints, truth.joints_2d, truth.visible & truth.joints_known)
    camera_known = (truth.visible & truth.joints_known).sum(1) >= 4
    part = slice(POSED_JOINTS)
    terms = {
        "center": center_focal(maps.center, labels.heatmaps(), labels.labelled),
        "camera": camera_distance(bodies.camera, true_camera, camera_known),
        "pose": pose_distance(bodies.pose[:, part], truth.pose[:, part], truth.pose_known[:, part]),
        "global_orient": pose_distance(bodies.pose[:, :1], truth.pose[:, :1], truth.pose_known[:, :1]),
        "shape": shape_distance(bodies.betas, truth.betas, truth.betas_known),
        "joints_2d": joints_2d_distance(project_weakly(joints, bodies.camera), truth.joints_2d, truth.visible),
        "joints_3d": joints_3d_distance(joints, truth.joints, truth.joints_known, HIP_JOINTS),
        "joints_aligned": joints_aligned_distance(joints, truth.joints, truth.joints_known),
    }
    if prior is not None:
        terms["prior"] = pose_prior(axis_angle_from_matrices(bodies.pose[:, 1:POSED_JOINTS]).flatten(1), prior)
    return terms


def _rows(labels: MeshLabels, index: Tensor) -> MeshLabels:
    """The labels of people ``index``; those of pictures are unchanged."""
    return MeshLabels(**{name: value if name == "labelled" else value[index] for name, value in vars(labels).items()})
