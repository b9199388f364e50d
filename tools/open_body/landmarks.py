"""Places BlazePose's landmarks on the open body."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tools.open_body.shape_space import ShapeSpace
from tools.open_body.source import Array, Source
from uvatar.body.data import BODY, LEFT_EYE
from uvatar.data.joints import JOINT_NAMES
from uvatar.data.landmarks import LANDMARK_NAMES

# BlazePose's point minus the body's, rest frame, left side, millimetres, fitted symmetrically to 37 photos of people.
# Hip and ear are adapted to the positions of these points on the open body. Ear, mouth and eye corners give the face
# BlazePose's median proportions over 20 frontal faces (distance of the mouth below the eyes .73, and of the ears 1.40,
# of the outer eye corners' distance).
BLAZEPOSE_OFFSETS = {
    "hip": (0, -6, 8), "shoulder": (-3, -12, -2), "elbow": (3, -10, 1), "wrist": (9, -22, -9), "knee": (-3, -4, 7),
    "ankle": (5, 13, 24),
    "heel": (-5, 4, 14), "foot_index": (-15, 12, 4), "ear": (-8, 2, 20), "mouth": (-9, 9, 8),
}  # fmt: skip


def landmarks(
    source: Source,
    space: ShapeSpace,
    joints: sparse.csr_matrix,
    weights: Array,
    mirror: NDArray[np.int32],
    part: NDArray[np.uint8],
) -> tuple[NDArray[np.float32], ...]:
    """BlazePose's landmarks on the open body.

    Args:
        source: MakeHuman's body.
        space: the shape space.
        joints: the joint regressor.
        weights: (V, 24) skinning weights.
        mirror: (V,) each vertex's mirror image.
        part: (V,) the body or one of the eyes.

    Returns:
        Template (33, 3) in metres, shapedirs (33, 3, 10) and skinning weights (33, 24).
    """
    template = space.template
    rows = _left_rows(source, template, joints.toarray(), weights, part)
    points = np.zeros((33, 3))
    directions = np.zeros((33, 3, 10))
    skin = np.zeros((33, 24))
    relative = space.stature_unit / np.ptp(template[:, 1])
    for p, name in enumerate(LANDMARK_NAMES):
        right = "right" in name
        row, joint, millimetres = rows[name.replace("right", "left")]
        if name == "nose":
            row = (row + row[mirror]) / 2
        if right:
            row, joint = row[mirror], joint.replace("left", "right")
        offset = np.array(millimetres) / 1000 * (-1 if right else 1, 1, 1)
        points[p] = row @ template + offset
        directions[p] = np.einsum("v,vck->ck", row, space.directions)
        directions[p, :, 0] += relative * offset  # offsets scale with the body
        skin[p, JOINT_NAMES.index(joint)] = 1
    return points.astype(np.float32), directions.astype(np.float32), skin.astype(np.float32)


def _left_rows(
    source: Source, template: Array, joint_rows: Array, weights: Array, part: NDArray[np.uint8]
) -> dict[str, tuple[Array, str, tuple[float, ...]]]:
    """Landmarks of the nose and the left side: vertex weights (V,), the joint that moves it, and its offset in mm."""

    def ball(center: Array, radius: float) -> Array:
        inside = (np.linalg.norm(template - center, axis=1) < radius) & (part == BODY)
        inside[np.argmin(np.where(part == BODY, np.linalg.norm(template - center, axis=1), np.inf))] = True
        shares: Array = inside / inside.sum()
        return shares

    hand = weights[:, JOINT_NAMES.index("left_hand")]
    index_of = source.model.bone_labels.index
    wrist = joint_rows[JOINT_NAMES.index("left_wrist")]

    def tip(finger: int) -> Array:
        own = source.bone_weights[:, index_of(f"finger{finger}-3.L")] > 0.5
        far = np.where(own & (hand > 0), np.linalg.norm(template - wrist @ template, axis=1), -1)
        return ball(template[np.argmax(far)], 0.006)

    def at(keypoint: str, radius: float) -> Array:
        return ball(source.coco[keypoint] @ template, radius)

    eye = (part == LEFT_EYE) / (part == LEFT_EYE).sum()
    off = BLAZEPOSE_OFFSETS
    rows: dict[str, tuple[Array, str, tuple[float, ...]]] = {
        "nose": (at("nose", 0.008), "head", (0, 0, 0)),
        "left_eye_inner": (eye, "head", (-10, 0, 10)),
        "left_eye": (eye, "head", (0, 0, 10)),
        "left_eye_outer": (eye, "head", (16, 0, 6)),
        "left_ear": (at("left_ear", 0.012), "head", off["ear"]),
        "mouth_left": (ball(mouth_corner(source, template), 0.006), "head", off["mouth"]),
        "left_pinky": (0.4 * wrist + 0.6 * tip(5), "left_wrist", (0, 0, 0)),
        "left_index": (0.4 * wrist + 0.6 * tip(2), "left_wrist", (0, 0, 0)),
        "left_thumb": (0.25 * wrist + 0.75 * tip(1), "left_wrist", (0, 0, 0)),
        "left_heel": (at("left_heel", 0.015), "left_ankle", off["heel"]),
        "left_foot_index": (at("left_big_toe", 0.015), "left_foot", off["foot_index"]),
    }
    for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle"):
        rows[f"left_{joint}"] = (joint_rows[JOINT_NAMES.index(f"left_{joint}")], f"left_{joint}", off[joint])
    return rows


def mouth_corner(source: Source, template: Array) -> Array:
    """The left corner of the mouth: the outermost vertices shared by MakeHuman's upper and lower lip bones.

    Returns:
        (V,) weights of the vertices.
    """
    label = source.model.bone_labels.index
    upper = source.bone_weights[:, [label("oris05"), label("oris03.L")]].sum(1)
    lower = source.bone_weights[:, [label("oris01"), label("oris07.L")]].sum(1)
    lips = (upper + lower > 0.3) & (template[:, 0] > 0)
    corner: Array = template[np.argmax(np.where(lips, template[:, 0], -1))]
    return corner
