"""Bones that follow others by a share, so that limbs keep their girth under linear skinning.

A bone at each large joint turns half as far as the joint, so that the skin goes round it in two steps; two bones in
each forearm share the twist of the hand. VRM files say how they follow, in the extension VRMC_node_constraint (VRM
Consortium, 2022); other files cannot, and where nothing drives these bones they would do harm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.gltf.document import Document
from uvatar.gltf.surface import Bone, Skeleton, Surface, shares_of, strongest
from uvatar.protocol.linear_skinning import twist_shares
from uvatar.protocol.rig import RIG_NAMES

EXTENSION = "VRMC_node_constraint"
_SIDES = ("left", "right")
_HALVED = ("shoulder", "elbow", "hip", "knee")
_FOREARM_AXIS = "X"  # at rest the arms are horizontal


_ARMPIT = 0.08  # metres below the shoulder's joint
_TWISTS = (1 / 3, 2 / 3)  # shares of the hand's twist that the bones of a forearm have, from the elbow to the hand


@dataclass(frozen=True)
class HelperBone(Bone):
    """A bone that follows a joint, whose parent is its own.

    Attributes:
        source: the joint that it follows.
        share: of the source's rotation, 0 to 1.
        twist: whether it follows only the rotation about the forearm.
    """

    source: int
    share: float
    twist: bool


def helper_bones(skeleton: Skeleton) -> list[HelperBone]:
    """The helper bones of a body, in the order in which their joints follow the skeleton's."""
    bones = []
    for side in _SIDES:
        elbow, wrist = (RIG_NAMES.index(f"{side}_{joint}") for joint in ("elbow", "wrist"))
        for number, share in enumerate(_TWISTS):
            head = (1 - share) * skeleton.heads[elbow] + share * skeleton.heads[wrist]
            bones.append(HelperBone(f"{side}_forearm_twist_{number + 1}", elbow, head, wrist, share, True))
        for name in _HALVED:
            joint = RIG_NAMES.index(f"{side}_{name}")
            parent, head = skeleton.parents[joint], skeleton.heads[joint]
            bones.append(HelperBone(f"{side}_{name}_half", parent, head, joint, 0.5, False))
    return bones


def with_weights(surface: Surface, skeleton: Skeleton, bones: Sequence[HelperBone]) -> Surface:
    """A surface that helper bones move as well.

    Args:
        surface: with the weights of the skeleton's joints.
        skeleton: without helper bones.
        bones: of `helper_bones`.
    """
    count = len(skeleton.parents)
    shares = shares_of(surface, count + len(bones))
    for elbow in {bone.parent for bone in bones if bone.twist}:
        own = [number for number, bone in enumerate(bones) if bone.twist and bone.parent == elbow]
        begin, end = skeleton.heads[elbow], skeleton.heads[bones[own[0]].source]
        divided = twist_shares(surface.positions, begin, end, [bones[number].share for number in own])
        shares[:, [elbow, *(count + number for number in own)]] = shares[:, [elbow]] * divided
    for number, bone in enumerate(bones):
        if not bone.twist:
            whole = _above_armpit(surface.positions, bone.head) if "shoulder" in bone.name else 1.0
            _halve(shares, bone.source, _ancestors(bone.source, skeleton), count + number, whole)
    joints, weights = strongest(shares)
    return replace(surface, joints=joints, weights=weights)


def add_constraints(document: Document, bones: Sequence[HelperBone], nodes: Sequence[int], first: int) -> None:
    """Say in a document how its helper bones follow; ``nodes`` of all bones, ``first``: the number of the first."""
    document.use_extension(EXTENSION)
    for bone, node in zip(bones, nodes[first : first + len(bones)], strict=True):
        constraint: dict[str, Any] = {"source": nodes[bone.source], "weight": bone.share}
        if bone.twist:
            constraint["rollAxis"] = _FOREARM_AXIS
        kind = "roll" if bone.twist else "rotation"
        document.content.nodes[node].extensions = {EXTENSION: {"specVersion": "1.0", "constraint": {kind: constraint}}}


def _above_armpit(positions: Floats, shoulder: Floats) -> NDArray[np.float64]:
    """(N,) 1 from the height of a shoulder on, 0 at the armpit, which would swell below a raised arm."""
    whole: NDArray[np.float64] = np.clip((positions[:, 1] - shoulder[1]) / _ARMPIT + 1, 0, 1)
    return whole


def _halve(
    shares: NDArray[np.float64], joint: int, ancestors: Sequence[int], column: int, whole: Floats | float
) -> None:
    """Give what moves as far with a joint as with those above it to the bone between them, or a share of it."""
    above, own = shares[:, ancestors].sum(1), shares[:, joint].copy()
    common = whole * np.minimum(above, own)
    shares[:, joint] = own - common
    shares[:, ancestors] *= (1 - common / np.where(above > 0, above, 1.0))[:, None]
    shares[:, column] = 2 * common


def _ancestors(joint: int, skeleton: Skeleton) -> list[int]:
    above = []
    while (joint := skeleton.parents[joint]) >= 0:
        above.append(joint)
    return above
