# SPDX-License-Identifier: GPL-3.0-or-later
"""Arms and legs of a control rig: inverse kinematics whose poles bend elbows back and knees forward."""

from __future__ import annotations

from dataclasses import dataclass

import bpy
from mathutils import Matrix, Vector

from .rig import joint_names

# Rigify's name of a limb, that of its second half, and the joint at which it begins on the left; one more on the right.
_LIMBS = (("upper_arm", "forearm", 16), ("thigh", "shin", 1))
_COLLECTIONS = {"upper_arm": "Arm", "thigh": "Leg"}
_SIDES = ("L", "R")
# Metres of the middle joint from the line between the ends. Below, the plane of the limb is less and less certain, and
# the way it bends by nature takes its place; chosen so that no joint is moved by more than a centimetre.
_CERTAIN = 0.02
_OVERSTRETCHED = 0.01  # metres: from here a limb plainly bends against its nature, which IK cannot do
_AGAINST = -0.5  # cosine of the angle between how a limb bends and how it does by nature


@dataclass(frozen=True)
class Limb:
    """An arm or leg of a control rig, and how the avatar's pose bends it.

    Attributes:
        switch: name of the bone that has Rigify's switches.
        pole: name of the control to which the limb bends.
        place: where the pole belongs, in the armature's axes.
        backward: whether the limb bends against its nature, so that only FK can lead it.
    """

    switch: str
    pole: str
    place: Vector
    backward: bool


def bending(first: Vector, middle: Vector, last: Vector, natural: Vector) -> tuple[Vector, bool]:
    """Find the direction to which a limb bends.

    Args:
        first, middle, last: its joints, such as hip, knee and ankle.
        natural: direction to which a limb of this kind bends; it counts where the limb is nearly straight.

    Returns:
        The direction, a unit vector, and whether the limb bends against its nature.
    """
    along = (last - first).normalized()
    seen = (middle - first) - (middle - first).dot(along) * along
    usual = (natural - natural.dot(along) * along).normalized()
    if seen.dot(usual) < _AGAINST * seen.length:
        return usual, seen.length > _OVERSTRETCHED
    share = min(seen.length / _CERTAIN, 1.0)
    return (share * seen.normalized() + (1 - share) * usual).normalized(), False


def limbs(rig: bpy.types.Object, control: bpy.types.Object) -> list[Limb]:
    """Find how the avatar's present pose bends the limbs that the control rig has."""
    names, found = joint_names(rig), []
    for upper, lower, joint in _LIMBS:
        for step, side in enumerate(_SIDES):
            own = names[joint + step]
            pole, switch_bone = f"{upper}_ik_target.{side}", f"{upper}_parent.{side}"
            if pole not in control.pose.bones or switch_bone not in control.pose.bones:  # an edited metarig
                continue
            # The joints of the control rig's limb, which is plane, as the avatar's bones carry them.
            halves = [control.data.bones[f"ORG-{name}.{side}"] for name in (upper, lower)]
            start, middle, end = halves[0].head_local, halves[0].tail_local, halves[1].tail_local
            last = names[joint + step + (4 if upper == "upper_arm" else 6)]
            first_turn, last_turn = (
                rig.pose.bones[name].matrix @ rig.data.bones[name].matrix_local.inverted() for name in (own, last)
            )
            natural, _ = bending(start, middle, end, middle - start)
            posed = first_turn @ middle
            outward, backward = bending(first_turn @ start, posed, last_turn @ end, first_turn.to_3x3() @ natural)
            length = halves[0].length + halves[1].length
            found.append(Limb(switch_bone, pole, posed + length * outward, backward))
    return found


def switch(control: bpy.types.Object, fk: set[str]) -> None:
    """Let arms and legs follow their IK controls with poles, or their FK controls, and show those that they follow.

    Limbs are not stretched: the avatar's bones have fixed lengths.

    Args:
        control: the control rig.
        fk: names of the switches (`Limb.switch`) of the limbs that follow FK.
    """
    for upper, lower, _ in _LIMBS:
        for side in _SIDES:
            for name in (f"{upper}_ik.{side}", f"MCH-{lower}_ik.{side}"):
                if name in control.pose.bones:
                    control.pose.bones[name].ik_stretch = 0.0
            _limit_reach(control, upper, lower, side)
            name = f"{upper}_parent.{side}"
            bone = control.pose.bones.get(name)
            if bone is not None:
                bone["IK_FK"], bone["IK_Stretch"], bone["pole_vector"] = float(name in fk), 0.0, True
            shown = {"(IK)": name not in fk, "(FK)": name in fk, "(Tweak)": False}
            for kind, visible in shown.items():
                collection = control.data.collections_all.get(f"{_COLLECTIONS[upper]}.{side} {kind}")
                if collection is not None:
                    collection.is_visible = visible
    control.update_tag()  # drivers read the switches


def _limit_reach(control: bpy.types.Object, upper: str, lower: str, side: str) -> None:
    """Keep hand or foot on the limb where the control is out of reach; Rigify leaves 3.5 % for limbs that stretch."""
    target = control.pose.bones.get(f"MCH-{upper}_ik_target.{side}")
    for constraint in target.constraints if target is not None else ():
        if constraint.type == "LIMIT_DISTANCE":
            constraint.distance = sum(control.data.bones[f"ORG-{name}.{side}"].length for name in (upper, lower))


def pole_matrix(bone: bpy.types.PoseBone, place: Vector) -> Matrix:
    """Return the matrix of a pole, in the armature's axes, at a place; only the place of a pole matters."""
    matrix = bone.matrix.copy()
    matrix.translation = place
    return matrix
