"""Banks of captured poses, as synthetic photos and the pose lifter's pictures use them.

A bank is an .npz file with ``aa`` (N, 24, 3): axis-angles of the SMPL joints, radians, in body axes (x left, y up, z
forward). Poses are ordered by clip, so neighbours are similar. Joint 0 rotates the body in the world.
`uvatar.evaluation.poses.held_out` defines the blocks that are excluded from training.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from uvatar.data.arrays import Floats
from uvatar.data.joints import (
    COLLAR_JOINTS,
    ELBOW_JOINTS,
    HIP_JOINTS,
    OTHER_SIDE_JOINTS,
    SHOULDER_JOINTS,
    SPINE_JOINTS,
    WRIST_JOINTS,
    Joint,
)
from uvatar.evaluation.poses import evaluation_indices, held_out
from uvatar_training.data.problems import DataError

ARM_JOINTS = [*COLLAR_JOINTS, *SHOULDER_JOINTS, *ELBOW_JOINTS, *WRIST_JOINTS]
HEAD_JOINTS = [Joint.NECK, Joint.HEAD]
# The bank was made for a body whose rest pose leans: on the open body, its people stand with the pelvis tipped forward
# and the chest leaning back. These corrections, in radians, are medians over poses with straight legs; the first is
# taken out of the hips, the second is added to each of three spine joints.
PELVIS_TILT, SPINE_LEAN = 0.17, 0.12


def load_bank(path: Path, held_out_only: bool = False) -> NDArray[np.float64]:
    """Read the poses of a bank and correct them with `upright`.

    Args:
        path: the bank's .npz file.
        held_out_only: return the held-out blocks, without poses close to training poses, instead of the training poses.

    Returns:
        (N, 24, 3) axis-angles, radians.

    Raises:
        DataError: the file is missing or contains no poses, or too few.
    """
    poses = read_bank(path)
    chosen = evaluation_indices(len(poses)) if held_out_only else np.flatnonzero(~held_out(len(poses)))
    if not len(chosen):
        raise DataError(path, f"has {len(poses)} poses, too few to hold some out of (1,000 are a block)")
    return upright(poses[chosen])


def read_bank(path: Path) -> NDArray[np.float64]:
    """Read the poses (N, 24, 3) of a bank as stored.

    Raises:
        DataError: the file is not a bank of poses.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            poses: NDArray[np.float64] = file["aa"].astype(np.float64)
    except FileNotFoundError:
        raise DataError(path, "there is no such pose bank") from None
    except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(path, f"is not a pose bank, an .npz with 'aa' (N, 24, 3): {error}") from None
    if poses.ndim != 3 or poses.shape[1:] != (24, 3) or not np.isfinite(poses).all():
        raise DataError(path, f"holds 'aa' of shape {poses.shape}, expected (N, 24, 3) finite numbers")
    return poses


def mirrored(poses: Floats) -> Floats:
    """Poses (N, 24, 3) mirrored left to right."""
    flipped: Floats = poses[:, OTHER_SIDE_JOINTS] * np.array([1.0, -1.0, -1.0])
    return flipped


def upright(poses: Floats) -> Floats:
    """Poses (N, 24, 3) of the bank, corrected for the lean of its rest pose."""
    poses = poses.copy()
    untilt = Rotation.from_rotvec([PELVIS_TILT, 0, 0])
    # The pelvis is tipped back and the hips are bent by the same angle, so the legs stay where they are.
    poses[:, 0] = (Rotation.from_rotvec(poses[:, 0]) * untilt.inv()).as_rotvec()
    for hip in HIP_JOINTS:
        poses[:, hip] = (untilt * Rotation.from_rotvec(poses[:, hip])).as_rotvec()
    poses[:, SPINE_JOINTS, 0] += SPINE_LEAN
    return poses
