"""The names of the joints in other programs.

Backend and extension share this table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum

from .rig import BODY_JOINTS, RIG_NAMES

SMPL_NAMES = (*RIG_NAMES[:BODY_JOINTS], "left_hand", "right_hand")
_UNSIDED = tuple(dict.fromkeys(name.removeprefix("left_").removeprefix("right_") for name in SMPL_NAMES))


class Naming(Enum):
    """Naming conventions of bones."""

    SMPL = "SMPL"
    MIXAMO = "MIXAMO"
    UNREAL = "UNREAL"
    UNITY = "UNITY"
    VRM = "VRM"
    RIGIFY = "RIGIFY"


# Names of the joints without their side, in the order of _UNSIDED:
# pelvis hip spine1 knee spine2 ankle spine3 foot neck collar head shoulder elbow wrist hand.
_PRESETS: Mapping[Naming, tuple[str, ...]] = {
    Naming.MIXAMO: (
        "Hips", "UpLeg", "Spine", "Leg", "Spine1", "Foot", "Spine2", "ToeBase", "Neck", "Shoulder", "Head", "Arm",
        "ForeArm", "Hand",
        "HandMiddle1",
    ),
    Naming.UNREAL: (
        "pelvis", "thigh", "spine_01", "calf", "spine_02", "foot", "spine_03", "ball", "neck_01", "clavicle", "head",
        "upperarm",
        "lowerarm", "hand", "middle_01",
    ),
    # The names of Unity's humanoid avatars (HumanBodyBones).
    Naming.UNITY: (
        "Hips", "UpperLeg", "Spine", "LowerLeg", "Chest", "Foot", "UpperChest", "Toes", "Neck", "Shoulder", "Head",
        "UpperArm", "LowerArm", "Hand", "MiddleProximal",
    ),
    # The names of VRM 1.0's humanoid bones; they begin with the side.
    Naming.VRM: (
        "hips", "UpperLeg", "spine", "LowerLeg", "chest", "Foot", "upperChest", "Toes", "neck", "Shoulder", "head",
        "UpperArm", "LowerArm", "Hand", "MiddleProximal",
    ),
    # The deform bones of a rig that Rigify generates from the metarig that the extension makes.
    Naming.RIGIFY: (
        "DEF-spine", "DEF-thigh", "DEF-spine.001", "DEF-shin", "DEF-spine.002", "DEF-foot", "DEF-spine.003", "DEF-toe",
        "DEF-spine.004",
        "DEF-shoulder", "DEF-spine.006", "DEF-upper_arm", "DEF-forearm", "DEF-hand", "DEF-palm",
    ),
}  # fmt: skip
_PHALANGES, _THUMB_PHALANGES = ("Proximal", "Intermediate", "Distal"), ("Metacarpal", "Proximal", "Distal")
# Names of jaw, eye and finger joints without their side; fingers by name (little finger: "pinky") and number.
_JAW_AND_EYE: Mapping[Naming, tuple[str, str]] = {
    Naming.MIXAMO: ("Jaw", "Eye"),
    Naming.UNREAL: ("jaw", "eye"),
    Naming.UNITY: ("Jaw", "Eye"),
    Naming.VRM: ("jaw", "Eye"),
    Naming.RIGIFY: ("DEF-jaw", "DEF-eye"),
}
_FINGER: Mapping[Naming, Callable[[str, int], str]] = {
    Naming.MIXAMO: lambda finger, number: f"Hand{finger.capitalize()}{number}",
    Naming.UNREAL: lambda finger, number: f"{finger}_0{number}",
    Naming.UNITY: lambda finger, number: _little(finger) + _PHALANGES[number - 1],
    Naming.VRM: lambda finger, number: (
        _little(finger) + (_THUMB_PHALANGES if finger == "thumb" else _PHALANGES)[number - 1]
    ),
    Naming.RIGIFY: lambda finger, number: f"DEF-{'' if finger == 'thumb' else 'f_'}{finger}.0{number}",
}


def _little(finger: str) -> str:
    return "Little" if finger == "pinky" else finger.capitalize()


_SIDED: dict[Naming, Callable[[str, str], str]] = {
    Naming.MIXAMO: lambda side, name: f"mixamorig:{side.capitalize()}{name}",
    Naming.UNITY: lambda side, name: side.capitalize() + name,
    Naming.VRM: lambda side, name: side + name,
    Naming.UNREAL: lambda side, name: f"{name}_{side[0]}" if side else name,
    Naming.RIGIFY: lambda side, name: f"{name}.{side[0].upper()}" if side else name,
}


def joint_names(naming: Naming, joints: int = len(SMPL_NAMES)) -> tuple[str, ...]:
    """Return the names of SMPL's 24 joints, or of the 55 with fingers, jaw and eyes, in order."""
    own = SMPL_NAMES if joints == len(SMPL_NAMES) else RIG_NAMES
    if naming is Naming.SMPL:
        return own
    names = []
    for joint in own:
        side = next((side for side in ("left", "right") if joint.startswith(side)), "")
        names.append(_SIDED[naming](side, _unsided(naming, joint.removeprefix(f"{side}_"))))
    return tuple(names)


def _unsided(naming: Naming, joint: str) -> str:
    """Return the name of a joint without its side."""
    if joint in _UNSIDED:
        return _PRESETS[naming][_UNSIDED.index(joint)]
    if joint == "jaw" or joint.startswith("eye"):
        return _JAW_AND_EYE[naming][joint != "jaw"]
    return _FINGER[naming](joint[:-1], int(joint[-1]))


def naming_of(names: Sequence[str]) -> Naming | None:
    """Return the convention with these names; None if the user has custom names."""
    return next((naming for naming in Naming if joint_names(naming, len(names)) == tuple(names)), None)
