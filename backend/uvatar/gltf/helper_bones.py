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
from uvatar.protocol.rig import RIG_NAMES

EXTENSION = "VRMC_node_constraint"
_SIDES = ("left", "right")
_HALVED = ("shoulder", "elbow", "hip", "knee")
_FOREARM_AXIS = "X"  # at rest the arms are horizontal


@dataclass(frozen=True)
class Settings:
    """Tuned numbers.

    Attributes:
        twists: shares of the hand's twist that the bones of a forearm have, from the elbow to the hand.
        twist_begin: share of the forearm, from the elbow on, that does not twist.
    """

    twists: tuple[float, ...] = (1 / 3, 2 / 3)
    twist_begin: float = 0.15


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


def helper_bones(skeleton: Skeleton, settings: Settings | None = None) -> list[HelperBone]:
    """The helper bones of a body, in the order in which their joints follow the skeleton's."""
    settings, bones = settings or Settings(), []
    for side in _SIDES:
        elbow, wrist = (RIG_NAMES.index(f"{side}_{joint}") for joint in ("elbow", "wrist"))
        for number, share in enumerate(settings.twists):
            head = (1 - share) * skeleton.heads[elbow] + share * skeleton.heads[wrist]
            bones.append(HelperBone(f"{side}_forearm_twist_{number + 1}", elbow, head, wrist, share, True))
        for name in _HALVED:
            joint = RIG_NAMES.index(f"{side}_{name}")
            parent, head = skeleton.parents[joint], skeleton.heads[joint]
            bones.append(HelperBone(f"{side}_{name}_half", parent, head, joint, 0.5, False))
    return bones


def with_weights(
    surface: Surface, skeleton: Skeleton, bones: Sequence[HelperBone], settings: Settings | None = None
) -> Surface:
    """A surface that helper bones move as well.

    Args:
        surface: with the weights of the skeleton's joints.
        skeleton: without helper bones.
        bones: of `helper_bones`.
        settings: those of the bones.
    """
    count, settings = len(skeleton.parents), settings or Settings()
    shares = shares_of(surface, count + len(bones))
    for elbow in {bone.parent for bone in bones if bone.twist}:
        own = [number for number, bone in enumerate(bones) if bone.twist and bone.parent == elbow]
        _share_twist(shares, surface.positions, skeleton, [bones[number] for number in own], count + own[0], settings)
    for number, bone in enumerate(bones):
        if not bone.twist:
            _halve(shares, bone.source, _ancestors(bone.source, skeleton), count + number)
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


def _share_twist(
    shares: NDArray[np.float64],
    positions: Floats,
    skeleton: Skeleton,
    bones: Sequence[HelperBone],
    first: int,
    settings: Settings,
) -> None:
    """Divide a forearm's weights among it and its twist bones, whose columns begin at ``first``."""
    elbow, wrist = bones[0].parent, bones[0].source
    along = skeleton.heads[wrist] - skeleton.heads[elbow]
    place = (positions - skeleton.heads[elbow]) @ along / (along @ along)
    wanted = np.clip((place - settings.twist_begin) / (1 - settings.twist_begin), 0, 1)  # share of the hand's twist
    levels = [0.0, *(bone.share for bone in bones)]
    whole = shares[:, elbow].copy()
    for number, column in enumerate((elbow, *range(first, first + len(bones)))):
        hat = np.zeros(len(levels))
        hat[number] = 1.0
        shares[:, column] = whole * np.interp(wanted, levels, hat)


def _halve(shares: NDArray[np.float64], joint: int, ancestors: Sequence[int], column: int) -> None:
    """Give what moves as far with a joint as with those above it to the bone between them."""
    above, own = shares[:, ancestors].sum(1), shares[:, joint].copy()
    common = np.minimum(above, own)
    shares[:, joint] = own - common
    shares[:, ancestors] *= (1 - common / np.where(above > 0, above, 1.0))[:, None]
    shares[:, column] = 2 * common


def _ancestors(joint: int, skeleton: Skeleton) -> list[int]:
    above = []
    while (joint := skeleton.parents[joint]) >= 0:
        above.append(joint)
    return above
