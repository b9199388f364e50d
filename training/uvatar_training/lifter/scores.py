"""Scores of the pose lifter alone on people in held-out poses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from uvatar.data.arrays import Floats
from uvatar.evaluation.pose_metrics import BODY_JOINTS, LIMB_JOINTS, pa_mpjpe, torso_direction_error
from uvatar.fitting.lifter import FLIP, MIRRORED_JOINTS, mirrored_features
from uvatar_training.lifter.people import People
from uvatar_training.lifter.skeleton import RotatedSkeleton


@torch.no_grad()
def lifter_scores(network: nn.Module, skeleton: RotatedSkeleton, people: People) -> dict[str, float]:
    """Errors of the lifter alone, defined as in `uvatar evaluate synthetic`: means over people, cm and degrees.

    Args:
        network: the pose lifter.
        skeleton: the body's skeleton.
        people: people in held-out poses.
    """
    device = next(network.parameters()).device
    network.eval()
    everybody = np.arange(len(people.betas))
    batch = people.batch(everybody, np.zeros_like(everybody), np.zeros(len(everybody), bool))
    mirrored = torch.from_numpy(mirrored_features(batch.features.numpy()).astype(np.float32)).to(device)
    batch = batch.to(device)
    rotations, betas, _ = network(batch.features)
    other, other_betas, _ = network(mirrored)
    flip = torch.from_numpy(FLIP).float().to(device)
    u, _, vt = torch.linalg.svd(rotations + flip @ other[:, MIRRORED_JOINTS] @ flip)
    signs = torch.ones(*rotations.shape[:2], 3, device=device)
    signs[..., 2] = torch.linalg.det(u @ vt)
    joints, _ = skeleton((betas + other_betas) / 2, (u * signs[..., None, :]) @ vt)
    truth, _ = skeleton(batch.betas, batch.rotations)
    ours, theirs = joints.cpu().numpy(), truth.cpu().numpy()
    torso = [torso_direction_error(a, b) for a, b in zip(ours, theirs, strict=True)]
    return {
        "mpjpe_20": _rounded(100 * np.linalg.norm(ours - theirs, axis=-1)[:, BODY_JOINTS].mean(1)),
        "mpjpe_20_median": _rounded(np.median(100 * np.linalg.norm(ours - theirs, axis=-1)[:, BODY_JOINTS].mean(1))),
        "pa_mpjpe_limbs": _rounded(
            [100 * pa_mpjpe(a[LIMB_JOINTS], b[LIMB_JOINTS]) for a, b in zip(ours, theirs, strict=True)]
        ),
        "torso_direction": _rounded(torso),
        "torso_direction_median": _rounded(np.median(torso)),
    }


def _rounded(values: Floats | Sequence[float] | np.floating[Any]) -> float:
    return round(float(np.mean(values)), 3)
