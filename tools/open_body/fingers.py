"""Fingers, jaw and eyes of the open body: skinning weights, joints, finger axes and fingertips."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tools.open_body.rig import regressor, source_joints, straighten
from tools.open_body.source import Array, Shapes, Source
from uvatar.body.data import BODY, LEFT_EYE, RIGHT_EYE, BodyData, regress_joints
from uvatar.body.rig import Rig
from uvatar.data.joints import JOINT_NAMES
from uvatar.protocol.rig import BODY_JOINTS, FINGERS, JAW, LEFT_HAND, RIG_NAMES, RIGHT_HAND, THUMB

# MakeHuman's number of each finger, in the order of FINGERS.
_NUMBERS = {"thumb": 1, "index": 2, "middle": 3, "ring": 4, "pinky": 5}
_NEW = slice(JAW, len(RIG_NAMES))  # the joints that SMPL's 24 do not have
_LEAST_SHARE = 0.01  # smaller shares of a joint are dropped
_MOST = 4  # joints per vertex, as game engines allow
# MakeHuman's finger heads are at the web between the fingers, a knuckle's real centre of rotation some 12 mm closer to
# the wrist, and its thumb's first head is in the middle of the metacarpal. Shares of the way to the wrist.
_TOWARDS_WRIST = {"index": 0.111, "middle": 0.115, "ring": 0.121, "pinky": 0.125, "thumb": 0.315}
# The thumb's hinge, from the direction of its nail on the template: its three joints are nearly in line, and do not
# give a plane.
_THUMB_FLEXION = np.array([0.537, 0.842, 0.052])
_KNUCKLE_PASSES, _FINGER_PASSES, _JAW_PASSES = 6, 2, 3  # of Laplacian smoothing; chosen by renderings of a fist
_LIP_BONES = ("oris01", "oris02", "oris06", "oris07")  # of the lower lip, which the jaw carries


def build_rig(source: Source, shapes: Shapes, bodies: Array, data: BodyData) -> Rig:
    """The skeleton of 55 joints of a body whose 24 joints are known; prints the residual errors.

    Args:
        source: MakeHuman's body.
        shapes: N sampled bodies.
        bodies: (N, V, 3) the same in the T-pose.
        data: the open body with 24 joints.
    """
    weights = rig_weights(source, data)
    points = _new_joints(source, shapes)
    rows = _rows(bodies, points, data)
    off = np.linalg.norm(np.einsum("jv,nvc->njc", rows.toarray(), bodies[1::2]) - points[1::2], axis=-1).mean(0)
    print(
        "fingers, jaw and eyes, mm off MakeHuman's bones:",
        ", ".join(f"{name} {1000 * gap:.1f}" for name, gap in zip(RIG_NAMES[_NEW], off, strict=True)),
    )
    joints = sparse.vstack([data.J_regressor[:BODY_JOINTS], rows]).tocsr()
    template, shapedirs = regress_joints(joints, data.v_template, data.shapedirs)
    return Rig(
        weights=weights.astype(np.float32),
        J_regressor=joints,
        joint_template=template,
        joint_shapedirs=shapedirs,
        finger_axes=finger_axes(template.astype(np.float64)).astype(np.float32),
        fingertips=_fingertips(template, weights, data),
    )


def rig_weights(source: Source, data: BodyData) -> Array:
    """Skinning weights (V, 55), at most four joints per vertex.

    The hand's weight in the 24 joints is divided among wrist and fingers, the head's among head, jaw and eyes; summed
    again, they are those of the 24 joints.
    """
    body = data.weights.astype(np.float64)
    weights = np.zeros((len(body), len(RIG_NAMES)))
    weights[:, :BODY_JOINTS] = body[:, :BODY_JOINTS]
    average = _average(source.quads, len(body))
    left = _hand_weights(source, body, average)
    wrist = JOINT_NAMES.index("left_wrist")
    weights[:, wrist], weights[:, LEFT_HAND] = left[:, 0], left[:, 1:]
    weights[:, wrist + 1], weights[:, RIGHT_HAND] = left[data.mirror, 0], left[data.mirror, 1:]
    head, jaw = JOINT_NAMES.index("head"), _jaw_share(source, average)
    jaw = (jaw + jaw[data.mirror]) / 2
    # A vertex that four joints move already cannot take the jaw as well.
    jaw[(jaw < _LEAST_SHARE) | ((weights > 0).sum(1) >= _MOST)] = 0
    weights[:, JAW], weights[:, head] = body[:, head] * jaw, body[:, head] * (1 - jaw)
    for part, joint in ((LEFT_EYE, JAW + 1), (RIGHT_EYE, JAW + 2)):
        weights[data.part == part] = np.eye(len(RIG_NAMES))[joint]
    return weights


def _average(quads: NDArray[np.int32], count: int) -> sparse.csr_matrix:
    """(V, V) the mean of a vertex's neighbours."""
    edges = np.concatenate([quads[:, [i, (i + 1) % 4]] for i in range(4)])
    graph = sparse.coo_matrix((np.ones(len(edges)), edges.T), (count, count)).tocsr()
    graph = ((graph + graph.T) > 0).astype(float)
    return sparse.diags(1 / np.asarray(graph.sum(1)).ravel()) @ graph


def _smooth(shares: Array, average: sparse.csr_matrix, passes: int) -> Array:
    for _ in range(passes):
        shares = 0.5 * shares + 0.5 * (average @ shares)
    return shares


def _hand_weights(source: Source, body: Array, average: sparse.csr_matrix) -> Array:
    """(V, 16): how much the left wrist and each of the left fingers' joints move a vertex."""
    bones = list(source.model.bone_labels)

    def own(*names: str) -> Array:
        total: Array = source.bone_weights[:, [bones.index(f"{name}.L") for name in names]].sum(1)
        return total

    columns = [own("wrist", *(f"metacarpal{k}" for k in (1, 2, 3, 4)))]
    columns += [own(f"finger{_NUMBERS[finger]}-{k}") for finger in FINGERS for k in (1, 2, 3)]
    sharp = np.stack(columns, 1)
    # Knuckles need a wide transition, or a fist dents them; the joints within a finger a narrow one.
    fine, wide = _smooth(sharp, average, _FINGER_PASSES), _smooth(sharp, average, _KNUCKLE_PASSES)
    zone = np.clip(2 * np.minimum(wide[:, 0], wide[:, 1::3].sum(1)), 0, 1)[:, None]
    shares = (1 - zone) * fine + zone * wide
    pair = body[:, JOINT_NAMES.index("left_wrist")] + body[:, JOINT_NAMES.index("left_hand")]
    others = (body > 0).sum(1) - sum(body[:, JOINT_NAMES.index(name)] > 0 for name in ("left_wrist", "left_hand"))
    rank = np.argsort(np.argsort(-shares, axis=1), axis=1)
    shares[(rank >= _MOST - others[:, None]) | (shares < _LEAST_SHARE)] = 0
    total = shares.sum(1, keepdims=True)
    shares = np.where(total > 0, shares / np.maximum(total, 1e-9), np.eye(16)[0])
    weights: Array = shares * pair[:, None]
    return weights


def _jaw_share(source: Source, average: sparse.csr_matrix) -> Array:
    """(V,): how much of the head's weight is the jaw's."""
    bones, parents = list(source.model.bone_labels), list(source.model.bone_parents)
    jaw = bones.index("jaw")
    carried = {jaw}
    for bone, parent in enumerate(parents):  # parents come first
        if parent in carried:
            carried.add(bone)
    carried |= {bone for bone, name in enumerate(bones) if name.split(".")[0] in _LIP_BONES}
    return np.clip(_smooth(source.bone_weights[:, sorted(carried)].sum(1), average, _JAW_PASSES), 0, 1)


def _new_joints(source: Source, shapes: Shapes) -> Array:
    """Jaw, eyes and finger joints (N, 33, 3) of the sampled bodies in the T-pose."""
    joints = source_joints(source, shapes.bones)
    rotation, straight = straighten(joints)
    bones = list(source.model.bone_labels)

    def in_t_pose(points: Array, name: str) -> Array:
        parent = JOINT_NAMES.index(name)
        moved: Array = straight[:, parent] + np.einsum("nij,nj->ni", rotation[:, parent], points - joints[:, parent])
        return moved

    points = [in_t_pose(shapes.bones[:, bones.index(bone)], "head") for bone in ("jaw", "eye.L", "eye.R")]
    for side in ("left", "right"):
        wrist = straight[:, JOINT_NAMES.index(f"{side}_wrist")]
        for finger in FINGERS:
            for k in (1, 2, 3):
                bone = bones.index(f"finger{_NUMBERS[finger]}-{k}.{side[0].upper()}")
                point = in_t_pose(shapes.bones[:, bone], f"{side}_wrist")
                points.append(wrist + (point - wrist) * (1 - _TOWARDS_WRIST[finger]) if k == 1 else point)
    return np.stack(points, 1)


def _rows(bodies: Array, points: Array, data: BodyData) -> sparse.csr_matrix:
    """(33, V) the regressor of the joints that the 24 do not have."""
    swap = {"left": "right", "right": "left"}
    names = RIG_NAMES[_NEW]
    mirrored = np.array([names.index("_".join(swap.get(word, word) for word in name.split("_"))) for name in names])
    rows = regressor(bodies[::2], points[::2], data.mirror, mirrored, data.part == BODY).tolil()
    for part, joint in ((LEFT_EYE, 1), (RIGHT_EYE, 2)):  # the centre of each eyeball
        own = data.part == part
        rows[joint] = own / own.sum()
    return rows.tocsr()


def finger_axes(joints: Array) -> Array:
    """(5, 2, 3) flexion and abduction axes of the left hand's fingers, unit length.

    The fingers bend about horizontal axes across the first phalanx: in the T-pose the palms face down.

    Args:
        joints: (55, 3) of the template.
    """
    hand = joints[LEFT_HAND].reshape(len(FINGERS), 3, 3)
    along = hand[:, 1] - hand[:, 0]
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    flexion = np.cross(along, [0.0, -1, 0])
    flexion[THUMB] = _THUMB_FLEXION - along[THUMB] * (_THUMB_FLEXION @ along[THUMB])
    flexion /= np.linalg.norm(flexion, axis=1, keepdims=True)
    return np.stack([flexion, np.cross(flexion, along)], 1)


def _fingertips(joints: NDArray[np.float32], weights: Array, data: BodyData) -> NDArray[np.int32]:
    """(10,) the vertices at the fingers' ends, left hand first, in the order of `FINGERS`."""
    tips = []
    for finger in range(len(FINGERS)):
        last = LEFT_HAND.start + 3 * finger + 2
        along = joints[last] - joints[last - 1]
        reach = np.where(weights[:, last] > 0.5, (data.v_template - joints[last]) @ along, -np.inf)
        tips.append(int(np.argmax(reach)))
    return np.array([*tips, *data.mirror[tips]], np.int32)
