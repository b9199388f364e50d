"""The pose lifter's loss: errors of rotations, joints and landmarks, and the likelihood of its predicted spreads."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from uvatar.data.joints import PARENTS
from uvatar.fitting.lifter import BETAS, BONE_COUNT, POSED
from uvatar.fitting.terms.bones import BONES
from uvatar_training.lifter.people import LifterBatch
from uvatar_training.lifter.skeleton import RotatedSkeleton

JOINT_WEIGHT, LANDMARK_WEIGHT, BETAS_WEIGHT, SPREAD_WEIGHT = 5.0, 5.0, 0.02, 0.02
LEAST_SPREAD = np.log(0.02)


def lifter_terms(network: nn.Module, skeleton: RotatedSkeleton, batch: LifterBatch) -> dict[str, Tensor]:
    """Weighted terms of the loss by name, to be summed.

    These are the distances of rotations, joints and landmarks from the truth, and the negative log likelihood of the
    errors of rotations, bones and betas under the predicted spreads.
    """
    rotations, betas, spreads = network(batch.features)
    with torch.no_grad():
        true_joints, true_landmarks = skeleton(batch.betas, batch.rotations)
    joints, landmarks = skeleton(betas, rotations)
    rotation = (rotations - batch.rotations).square().sum((-2, -1)).add(1e-4).sqrt().mean()
    place = (joints - true_joints).square().sum(-1).add(1e-5).sqrt().mean()
    surface = (landmarks - true_landmarks).square().sum(-1).add(1e-5).sqrt().mean()
    shape = (betas - batch.betas).abs().mean()
    # The spreads learn to predict the errors; the likelihood must not change the predictions themselves.
    with torch.no_grad():
        errors = torch.cat(
            [
                _local_errors(rotations, batch.rotations),
                _bone_errors(landmarks, true_landmarks),
                (betas - batch.betas).abs(),
            ],
            1,
        )
    degrees = torch.tensor([3.0] * POSED + [2.0] * BONE_COUNT + [1.0] * BETAS, device=errors.device)
    logs = spreads.clamp(LEAST_SPREAD, 2.0)
    # Student's t distribution with five degrees of freedom: one swapped leg has little influence on the spread.
    likelihood = (3.0 * torch.log1p((errors / logs.exp()).square() / (5.0 * degrees)) * degrees + degrees * logs).mean()
    return {
        "rotation": rotation,
        "joints": JOINT_WEIGHT * place,
        "landmarks": LANDMARK_WEIGHT * surface,
        "betas": BETAS_WEIGHT * shape,
        "spreads": SPREAD_WEIGHT * likelihood,
    }


def _local_errors(rotations: Tensor, truth: Tensor) -> Tensor:
    """Angles (B, 22), radians, between the joints' rotations relative to their parents (pelvis: to the camera)."""
    parents = [max(int(parent), 0) for parent in PARENTS[:POSED]]
    ours, theirs = (
        rotations[:, parents].transpose(-1, -2) @ rotations,
        truth[:, parents].transpose(-1, -2) @ truth,
    )
    ours, theirs = torch.cat([rotations[:, :1], ours[:, 1:]], 1), torch.cat([truth[:, :1], theirs[:, 1:]], 1)
    return _angle((ours - theirs).square().sum((-2, -1)).sqrt() / np.sqrt(8))


def _bone_errors(landmarks: Tensor, truth: Tensor) -> Tensor:
    """Angles (B, 19) between the directions of `BONES`, radians."""
    start, end = torch.from_numpy(BONES.T).to(landmarks.device)
    ours, theirs = (
        torch.nn.functional.normalize(points[:, end] - points[:, start], dim=-1) for points in (landmarks, truth)
    )
    return _angle((ours - theirs).norm(dim=-1) / 2)


def _angle(half_sine: Tensor) -> Tensor:
    return 2 * torch.asin(half_sine.clamp(max=1.0))
