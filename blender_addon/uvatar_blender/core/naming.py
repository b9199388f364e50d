# SPDX-License-Identifier: GPL-3.0-or-later
"""Recognising the joints of other skeletons by the names of their bones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from ..protocol.bone_names import SMPL_NAMES

# Names of each joint in common skeletons, without side and punctuation, the best first: Mixamo, Unreal, Rigify,
# MakeHuman, VRoid, Xsens, Kinect, Character Creator, Daz, CMU and others.
_ALIASES: Mapping[str, tuple[str, ...]] = {
    "pelvis": ("pelvis", "hips", "hip", "spinebase", "root", "spine"),
    "hip": ("hip", "upleg", "thigh", "upperleg", "upperleg01", "femur", "thighbend", "hipjoint"),
    "knee": ("knee", "leg", "calf", "shin", "lowerleg", "lowerleg01", "lowleg", "tibia"),
    "ankle": ("ankle", "foot"),
    "foot": ("toebase", "toe", "toes", "ball", "toe0", "toe11", "toe01", "foot"),
    "neck": ("neck", "neck01", "neck1", "neckbase", "necklower", "necktwist01", "spine004"),
    "head": ("head", "spine006"),
    "collar": ("collar", "clavicle", "scapula", "shoulder", "clav"),
    "shoulder": ("arm", "shldr", "upperarm", "upperarm01", "uparm", "uarm", "shldrbend", "humerus", "shoulder"),
    "elbow": ("elbow", "forearm", "lowerarm", "lowerarm01", "lowarm", "farm", "forearmbend", "radius"),
    "wrist": ("wrist", "hand"),
    "hand": ("handmiddle1", "middle01", "middleproximal", "finger31", "hand", "middle1", "palm"),
}
# Spines have different numbers of joints, which are spread over SMPL's three.
_SPINE = re.compile(
    r"^(lowerback|waist|torso|ab|(abdomen|chest|spine)(lower|mid|upper|\d*)|(upper|lower)chest|l5|l3|t12|t8)$"
)
_SHARED = 0.7  # a prefix or suffix shared by this fraction of the bones says nothing about the joint


def match_joints(names: Iterable[str], parents: Mapping[str, str | None]) -> dict[int, str]:
    """Recognise the bones of another skeleton that move SMPL's joints.

    Args:
        names: the bones, parents before children.
        parents: the parent of each bone, None for a root.

    Returns:
        SMPL joint -> name of its bone, for the joints that were recognised.
    """
    names = list(names)
    plain = dict(zip(names, plain_names(names), strict=True))
    found: dict[int, str] = {}
    order = sorted(range(len(SMPL_NAMES)), key=lambda joint: SMPL_NAMES[joint].endswith("shoulder"))
    for joint in order:
        side, _, unsided = SMPL_NAMES[joint].rpartition("_")
        for alias in _ALIASES.get(unsided, ()):
            bone = next((name for name in names if plain[name] == (side, alias) and name not in found.values()), None)
            if bone is not None:
                found[joint] = bone
                break
    _tell_shoulders_from_collars(found, plain)
    chest = found.get(12) or found.get(15)
    if chest is not None and 0 in found:
        chain = []
        bone = parents[chest]
        while bone is not None and bone != found[0]:
            chain.append(bone)
            bone = parents[bone]
        spine = [bone for bone in reversed(chain) if _SPINE.match(plain[bone][1])]
        for joint, bone in zip((3, 6, 9), _spread(spine), strict=True):
            if bone is not None:
                found[joint] = bone
    return found


def plain_names(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return side ("left", "right" or "") and name in small letters of each bone, without what most names share."""
    return [_plain(name) for name in _without_shared_parts(names)]


def _tell_shoulders_from_collars(found: dict[int, str], plain: Mapping[str, tuple[str, str]]) -> None:
    """Correct skeletons that call the upper arm "shoulder", whether they have a "collar" or none at all."""
    for collar, shoulder in ((13, 16), (14, 17)):
        if shoulder not in found and collar in found and plain[found[collar]][1] == "shoulder":
            found[shoulder] = found.pop(collar)


def _spread(chain: Sequence[str]) -> tuple[str | None, str | None, str | None]:
    """Choose three bones of a spine of any length; the last one is the chest."""
    if not chain:
        return None, None, None
    if len(chain) == 1:
        return None, chain[0], None
    if len(chain) == 2:
        return chain[0], None, chain[1]
    return chain[0], chain[len(chain) // 2], chain[-1]


def _without_shared_parts(names: Sequence[str]) -> list[str]:
    """Remove the prefix or suffix that most names share, such as the name of the program or the character."""
    short = list(names)
    for pattern in (r"^[^ _:|.\-]+[ _:|.\-]+(?=.)", r"(?<=.)[ _:|.\-]+[^ _:|.\-]+$"):
        for _ in range(3):
            parts = [match[0] if (match := re.search(pattern, name)) else "" for name in short]
            part = max(set(parts), key=parts.count) if parts else ""
            if not part or len(parts) < 5 or parts.count(part) < _SHARED * len(parts):
                break
            cut = slice(len(part), None) if pattern[0] == "^" else slice(None, -len(part))
            short = [name[cut] if own == part else name for name, own in zip(short, parts, strict=True)]
    return short


def _plain(name: str) -> tuple[str, str]:
    """Split a bone's name into side and rest: ("left", "upleg") for mixamorig:LeftUpLeg, lUpLeg, UpLeg.L, upleg_l."""
    short = re.split(r"[:|]", name)[-1]
    short = re.sub(r"^(DEF-|ORG-|Bip\d*[ _]|CC_Base_|rig_|b_|jnt_)", "", short)
    for pattern, group in ((r"(?i)^(left|right)[ _\-.]?(.+)$", 0), (r"(?i)^(.+?)[ _\-.]?(left|right)$", 1)):
        match = re.match(pattern, short)
        if match:
            return match[group + 1].lower(), _letters(match[2 - group])
    match = re.match(r"^([lLrR])[ _\-.](.+)$", short) or re.match(r"^([lr])([A-Z].*)$", short)
    match = match or re.match(r"^([LR])([A-Z][a-z].*|[UF]Arm)$", short)
    match = match or re.match(r"^([lr])(clavicle|humerus|radius|wrist|hand|femur|tibia|foot|toes)$", short)
    if match:
        return ("left" if match[1].lower() == "l" else "right"), _letters(match[2])
    match = re.match(r"^(.+?)[ _\-.]([lLrR])$", short)
    if match:
        return ("left" if match[2].lower() == "l" else "right"), _letters(match[1])
    return "", _letters(re.sub(r"^[cCmM][ _\-.](?=.)|(?<=.)[ _\-.][cCmM]$", "", short))  # bones in the middle


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def looked_for(joint: int) -> str:
    """Return some of the names by which a joint is recognised, for messages."""
    side, _, unsided = SMPL_NAMES[joint].rpartition("_")
    return ", ".join(side.capitalize() + alias.capitalize() for alias in _ALIASES[unsided][:3])
