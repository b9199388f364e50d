"""Build weights/evaluation_poses.npz: the poses of the people in `uvatar evaluate synthetic`.

You need it only to change these poses. No prior may be fitted to them, or the evaluation would measure memory.

    python tools/build_evaluation_poses.py --bvh ../shared/assets/makehuman/poses

Half of them are MakeHuman's CC0 poses, retargeted to the open body; the others were designed for this file.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from uvatar.data.arrays import Floats
from uvatar.data.joints import JOINT_NAMES, PARENTS

LICENCE = (
    "CC0-1.0: MakeHuman's poses (makehumancommunity/makehuman-assets, base/poses) retargeted, and poses of our own"
)
# The MakeHuman bone whose rotation each SMPL joint takes, and the bone towards which its limb points.
BONES = {
    "pelvis": ("root", None),
    "spine1": ("spine03", None),
    "spine2": ("spine02", None),
    "spine3": ("spine01", None),
    "neck": ("neck02", None),
    "head": ("head", None),
    "hip": ("upperleg01", "lowerleg01"),
    "knee": ("lowerleg01", "foot"),
    "ankle": ("foot", None),
    "foot": ("foot", None),
    "collar": ("clavicle", None),
    "shoulder": ("upperarm01", "lowerarm01"),
    "elbow": ("lowerarm01", "wrist"),
    "wrist": ("wrist", "finger3-1"),
    "hand": ("wrist", "finger3-1"),
}
FROM_Z_UP = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
REST_LIMBS = {
    "hip": (0, -1, 0),
    "knee": (0, -1, 0),
    "shoulder": (1, 0, 0),
    "elbow": (1, 0, 0),
    "wrist": (1, 0, 0),
    "hand": (1, 0, 0),
}


def read_bvh(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
    """Rest positions and world rotations (3, 3) of every bone in the file's single frame, x left, y up, z forward."""
    words = path.read_text(encoding="utf-8").split()
    numbers = [float(word) for word in words[words.index("Time:") + 2 :]]
    rest: dict[str, NDArray[Any]] = {}
    world: dict[str, NDArray[Any]] = {}
    chain: list[str] = []
    used, i = 0, 0
    while words[i] != "MOTION":
        if words[i] in ("ROOT", "JOINT"):
            chain.append(words[i + 1])
        elif words[i] == "End":
            chain.append("end")
        elif words[i] == "OFFSET":
            parent = chain[-2] if len(chain) > 1 else None
            rest[chain[-1]] = (rest[parent] if parent else 0) + FROM_Z_UP @ np.array(words[i + 1 : i + 4], float)
        elif words[i] == "CHANNELS":
            names = words[i + 2 : i + 2 + int(words[i + 1])]
            values = numbers[used : used + len(names)]
            used += len(names)
            turns = [(name[0], value) for name, value in zip(names, values, strict=True) if name.endswith("rotation")]
            local = Rotation.from_euler(
                "".join(axis for axis, _ in turns), [value for _, value in turns], degrees=True
            ).as_matrix()
            above = world[chain[-2]] if len(chain) > 1 else np.eye(3)
            world[chain[-1]] = above @ (FROM_Z_UP @ local @ FROM_Z_UP.T)
        elif words[i] == "}":
            chain.pop()
        i += 1
    return rest, world


def shortest_turn(start: Floats, end: Floats) -> Floats:
    """The smallest rotation (3, 3) that takes one direction to another."""
    start, end = start / np.linalg.norm(start), end / np.linalg.norm(end)
    axis = np.cross(start, end)
    sine = float(np.linalg.norm(axis))
    turn: Floats = Rotation.from_rotvec(axis / max(sine, 1e-9) * np.arctan2(sine, start @ end)).as_matrix()
    return turn


def local_pose(world: Floats) -> Floats:
    """World rotations (24, 3, 3) -> axis-angle relative to the parents (24, 3)."""
    return np.stack(
        [
            Rotation.from_matrix(turn if p < 0 else world[p].T @ turn).as_rotvec()
            for turn, p in zip(world, PARENTS, strict=True)
        ]
    )


def retargeted(path: Path) -> Floats:
    """The pose (24, 3) of a MakeHuman BVH file on our body: same limb directions, same twist."""
    rest, world = read_bvh(path)
    result = []
    for name in JOINT_NAMES:
        side, _, kind = name.rpartition("_")
        bone, end = BONES[kind]
        suffix = {"left": ".L", "right": ".R", "": ""}[side]
        turn = world[bone + suffix]
        if end:
            limb = np.array(REST_LIMBS[kind], float) * np.array(
                [-1.0, 1.0, 1.0] if side == "right" else [1.0, 1.0, 1.0]
            )
            turn = turn @ shortest_turn(limb, rest[end + suffix] - rest[bone + suffix])
        result.append(turn)
    return local_pose(np.array(result))


Direction = tuple[float, float, float]


@dataclass(frozen=True)
class Design:
    """A pose by the directions of its limbs in the trunk's axes (x left, y up, z forward): (upper, lower) of each.

    ``trunk``: rotation vector of the whole body; ``bend``: of the spine, shared by its three joints; ``head``: of neck
        and head.
    """

    left_arm: tuple[Direction, Direction] = ((0.2, -1, -0.05), (0.1, -1, 0.15))
    right_arm: tuple[Direction, Direction] = ((-0.2, -1, -0.05), (-0.1, -1, 0.15))
    left_leg: tuple[Direction, Direction] = ((0.05, -1, 0.03), (0.03, -1, -0.05))
    right_leg: tuple[Direction, Direction] = ((-0.05, -1, 0.03), (-0.03, -1, -0.05))
    trunk: Direction = (0, 0, 0)
    bend: Direction = (0, 0, 0)
    head: Direction = (0, 0, 0)
    flat_feet: bool = field(default=True)


DESIGNS = {
    "relaxed": Design(head=(0, 0.2, 0)),
    "hands on hips": Design(((0.8, -0.7, -0.35), (-0.75, -0.6, 0.45)), ((-0.8, -0.7, -0.35), (0.75, -0.6, 0.45))),
    "arms crossed": Design(
        ((0.3, -1, 0.2), (-0.8, 0.15, 0.6)), ((-0.3, -1, 0.2), (0.8, 0.2, 0.65)), bend=(-0.05, 0, 0)
    ),
    "waving": Design(right_arm=((-0.9, -0.1, 0.2), (-0.2, 1, 0.2)), head=(0, -0.2, 0.05)),
    "pointing": Design(left_arm=((0.5, 0.0, 0.9), (0.45, 0.05, 0.9)), head=(0, 0.4, 0)),
    "walking": Design(
        ((0.15, -1, -0.4), (0.1, -1, -0.1)),
        ((-0.15, -1, 0.35), (-0.05, -0.8, 0.6)),
        ((0.05, -1, 0.45), (0.03, -1, 0.25)),
        ((-0.05, -1, -0.25), (-0.03, -0.9, -0.55)),
        bend=(0, -0.15, 0),
    ),
    "striding": Design(
        ((0.2, -0.9, 0.5), (0.0, -0.3, 1.0)),
        ((-0.25, -0.8, -0.7), (-0.15, -0.9, 0.3)),
        ((0.05, -0.9, -0.55), (0.0, -0.5, -0.9)),
        ((-0.05, -0.75, 0.7), (-0.03, -1, -0.1)),
        trunk=(0.15, 0.1, 0),
        bend=(0.1, 0.25, 0),
        flat_feet=False,
    ),
    "sitting, hands on knees": Design(
        ((0.25, -0.9, 0.35), (0.0, -0.3, 1)),
        ((-0.25, -0.9, 0.35), (0.0, -0.3, 1)),
        ((0.2, -0.1, 1), (0.05, -1, 0.05)),
        ((-0.2, -0.1, 1), (-0.05, -1, 0.05)),
        bend=(0.15, 0, 0),
    ),
    "sitting, a leg stretched": Design(
        ((0.35, -0.9, -0.45), (0.2, -1, -0.1)),
        ((-0.3, -0.8, 0.4), (0.3, 0.2, 0.9)),
        ((0.15, -0.15, 1), (0.1, -0.7, 0.7)),
        ((-0.25, -0.1, 1), (-0.1, -1, -0.1)),
        trunk=(-0.2, 0, 0),
        head=(0.15, -0.3, 0),
    ),
    "arms up": Design(
        ((0.5, 1, 0.1), (0.2, 1, 0.15)), ((-0.5, 1, 0.1), (-0.2, 1, 0.15)), bend=(-0.15, 0, 0), head=(-0.2, 0, 0)
    ),
    "reaching down": Design(
        ((0.15, -0.7, 0.8), (0.05, -0.8, 0.7)),
        ((-0.2, -0.75, 0.7), (-0.1, -0.8, 0.7)),
        ((0.1, -1, -0.15), (0.05, -1, -0.35)),
        ((-0.1, -1, 0.05), (-0.05, -1, -0.3)),
        trunk=(0.55, 0, 0),
        bend=(0.5, 0.1, 0),
    ),
    "squatting": Design(
        ((0.4, -0.6, 0.8), (-0.3, 0.1, 0.9)),
        ((-0.4, -0.6, 0.8), (0.3, 0.1, 0.9)),
        ((0.5, -0.1, 0.9), (0.0, -0.9, -0.4)),
        ((-0.5, -0.1, 0.9), (0.0, -0.9, -0.4)),
        trunk=(0.3, 0, 0),
        bend=(0.1, 0, 0),
    ),
    "kneeling on one knee": Design(
        ((0.25, -0.9, 0.4), (-0.1, -0.2, 1)),
        right_leg=((-0.08, -1, 0.05), (-0.03, -0.25, -1)),
        left_leg=((0.15, -0.15, 1), (0.03, -1, 0.0)),
        head=(0.2, 0, 0),
        flat_feet=False,
    ),
    "side lunge": Design(
        ((0.9, 0.1, 0.2), (0.9, 0.4, 0.1)),
        ((-0.6, -0.7, 0.1), (0.2, -0.5, 0.8)),
        ((0.7, -0.65, 0.4), (0.1, -1, -0.1)),
        ((-0.7, -0.8, 0.0), (-0.6, -0.9, 0.0)),
        trunk=(0.1, 0, -0.25),
    ),
    "kicking": Design(
        ((0.8, 0.1, 0.4), (0.7, 0.3, 0.5)),
        ((-0.7, -0.2, -0.5), (-0.6, 0.1, 0.3)),
        right_leg=((-0.1, 0.0, 1), (-0.1, -0.2, 1)),
        left_leg=((0.05, -1, -0.1), (0.03, -1, -0.2)),
        trunk=(-0.25, 0, 0),
    ),
    "dancing": Design(
        ((0.7, 0.7, 0.2), (-0.3, 0.9, 0.3)),
        ((-0.8, -0.3, 0.3), (-0.9, 0.2, -0.1)),
        ((0.4, -0.7, 0.5), (-0.5, -0.8, -0.2)),
        ((-0.1, -1, 0.0), (-0.05, -1, -0.1)),
        trunk=(0, 0, 0.12),
        bend=(0, 0.3, -0.15),
        head=(0, -0.3, 0.1),
        flat_feet=False,
    ),
    "leaning on a wall": Design(
        right_arm=((-0.9, 0.3, 0.1), (-0.7, 0.8, 0.3)),
        right_leg=((-0.15, -1, 0.1), (0.25, -1, -0.05)),
        trunk=(0, 0, 0.1),
        head=(0, 0.3, 0),
    ),
    "carrying": Design(((0.15, -1, 0.25), (-0.2, -0.1, 1)), ((-0.15, -1, 0.25), (0.2, -0.1, 1)), bend=(-0.1, 0, 0)),
    "on the phone": Design(right_arm=((-0.45, -0.85, 0.3), (0.3, 0.95, 0.15)), head=(0.1, 0, -0.15)),
    "looking at the ground": Design(
        ((0.15, -1, 0.2), (-0.5, -0.6, 0.5)), ((-0.15, -1, 0.2), (0.5, -0.6, 0.5)), bend=(0.15, 0, 0), head=(0.6, 0, 0)
    ),
}


def limb_turns(limb: tuple[Direction, Direction], rest: Direction, hinge: Direction) -> tuple[Floats, Floats]:
    """Rotations of a limb's two segments that point them along two directions and bend it about its ``hinge`` only."""
    u, f = (np.array(d, float) / np.linalg.norm(d) for d in limb)
    axis = np.cross(u, f)
    if np.linalg.norm(axis) < 0.05:
        first = shortest_turn(np.array(rest, float), u)
        return first, shortest_turn(u, f) @ first
    axis /= np.linalg.norm(axis)
    local = np.stack([rest, hinge, np.cross(rest, hinge)], 1).astype(float)
    first = np.stack([u, axis, np.cross(u, axis)], 1) @ local.T
    return first, shortest_turn(u, f) @ first


def designed(design: Design) -> Floats:
    """The pose (24, 3) of a design."""
    index = {name: i for i, name in enumerate(JOINT_NAMES)}
    trunk = Rotation.from_rotvec(design.trunk).as_matrix()
    world = np.tile(trunk, (24, 1, 1))
    for step, name in enumerate(("spine1", "spine2", "spine3"), 1):
        world[index[name]] = trunk @ Rotation.from_rotvec(np.array(design.bend) * step / 3).as_matrix()
    chest = world[index["spine3"]]
    for name, share in (("neck", 0.5), ("head", 1.0)):
        world[index[name]] = chest @ Rotation.from_rotvec(np.array(design.head) * share).as_matrix()
    for side, sign in (("left", 1), ("right", -1)):
        upper, lower = limb_turns(getattr(design, f"{side}_arm"), (sign, 0, 0), (0, -sign, 0))
        thigh, shin = limb_turns(getattr(design, f"{side}_leg"), (0, -1, 0), (1, 0, 0))
        world[index[f"{side}_collar"]] = chest
        world[index[f"{side}_shoulder"]] = chest @ upper
        for name in ("elbow", "wrist", "hand"):
            world[index[f"{side}_{name}"]] = chest @ lower
        # Legs are told in upright axes, whatever the trunk does, so that the soles meet the ground.
        world[index[f"{side}_hip"]], world[index[f"{side}_knee"]] = thigh, shin
        world[index[f"{side}_ankle"]] = world[index[f"{side}_foot"]] = np.eye(3) if design.flat_feet else shin
    return local_pose(world)


def mirrored(poses: Floats) -> Floats:
    """The poses (N, 24, 3) of the mirror images."""
    order = [
        JOINT_NAMES.index(n.replace("left", "?").replace("right", "left").replace("?", "right")) for n in JOINT_NAMES
    ]
    flipped: Floats = poses[:, order] * np.array([1.0, -1.0, -1.0])
    return flipped


def main() -> None:
    """Write the file that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bvh", type=Path, required=True, help="folder of MakeHuman's BVH poses")
    parser.add_argument("--out", type=Path, default=Path("weights/evaluation_poses.npz"), help="(default: %(default)s)")
    arguments = parser.parse_args()
    files = sorted(arguments.bvh.glob("*.bvh"))
    poses = np.stack([*(designed(design) for design in DESIGNS.values()), *(retargeted(path) for path in files)])
    names = [*DESIGNS, *(path.stem for path in files)]
    both = np.stack([poses, mirrored(poses)], 1).reshape(-1, 24, 3)
    both_names = [label for name in names for label in (name, f"{name}, mirrored")]
    np.savez_compressed(
        arguments.out, aa=both.astype(np.float16), names=np.array(both_names), licence=np.array(LICENCE)
    )
    print(f"{len(both)} poses -> {arguments.out}")


if __name__ == "__main__":
    main()
