"""BVH files: dialects, skeletons of many programs, rest poses that do not stand, axes, hips under roots; and hostile
ones.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from tests.blender_addon.test_motion import BODY, JOINTS, PARENTS, write_bvh
from tests.blender_addon.test_pose_file import a_walk, lying
from tests.conftest import SHARED
from uvatar_blender.core import naming
from uvatar_blender.core.bvh import load_bvh
from uvatar_blender.core.motion import Motion, MotionError
from uvatar_blender.core.pose_file import load_smpl_motion
from uvatar_blender.core.rest_pose import chained, swung_joints
from uvatar_blender.core.retarget import retarget
from uvatar_blender.core.skeleton import ARMATURE_FROM_BODY
from uvatar_blender.core.upright import UpAxis
from uvatar_blender.protocol.bone_names import Naming, joint_names

FRAMES = 30
REST = 100 * (JOINTS @ ARMATURE_FROM_BODY)  # y up, centimetres: BVH's usual axes
FAULTS = SHARED / "faults" / "motion"


def walking_places(frames: int = FRAMES) -> NDArray[Any]:
    """(F, 3) of the pelvis, y up, centimetres."""
    return REST[0] + np.stack([np.zeros(frames), np.zeros(frames), np.linspace(0, 150, frames)], -1)


def write_skeleton(
    path: Path,
    poses: NDArray[Any],
    where: NDArray[Any],
    axes: NDArray[Any],
    world: NDArray[Any],
    names: list[str] | None = None,
) -> None:
    """A file whose bones have local axes of their own, (24, 3, 3) against the world in the T pose, in a world with
    other axes.

    So offsets are in the parent's own axes, and the rest pose, in which all local axes agree, is not the T.
    """
    local = Rotation.from_rotvec(poses.reshape(-1, 3)).as_matrix().reshape(-1, 24, 3, 3)
    offsets = np.array([axes[p].T @ (REST[j] - REST[p]) if p >= 0 else np.zeros(3) for j, p in enumerate(PARENTS)])
    turned = np.array(
        [(axes[p].T if p >= 0 else world) @ local[:, j] @ axes[j] for j, p in enumerate(PARENTS)]
    ).swapaxes(0, 1)
    write_bvh(path, names or joint_names(Naming.MIXAMO), offsets, turned, where @ world.T)


def along(direction: tuple[float, float, float]) -> NDArray[Any]:
    """(24, 3, 3) local axes whose ``direction`` points along each bone, as motion builders and game engines
    have them.
    """
    child = {
        0: 3,
        1: 4,
        2: 5,
        3: 6,
        4: 7,
        5: 8,
        6: 9,
        7: 10,
        8: 11,
        9: 12,
        12: 15,
        13: 16,
        14: 17,
        16: 18,
        17: 19,
        18: 20,
        19: 21,
    }
    child |= {20: 22, 21: 23}
    axes = np.tile(np.eye(3), (24, 1, 1))
    for joint, parent in enumerate(PARENTS):
        if joint in child:
            points = REST[child[joint]] - REST[joint]
            axes[joint] = Rotation.align_vectors([points, (0.1, 0.2, 1)], [direction, (0.3, 1, 0.2)], weights=[1e6, 1])[
                0
            ].as_matrix()
        else:
            axes[joint] = axes[parent]
    return axes


def assert_stands_as(
    motion: Motion, poses: NDArray[Any], where: NDArray[Any], metres: float = 0.01, degrees: float = 1.0
) -> None:
    """That joints lie and bones turn as in the truth, in the armature's axes; toes and hands hang on their parents."""
    local = Rotation.from_rotvec(poses.reshape(-1, 3)).as_matrix().reshape(-1, 24, 3, 3)
    truth = chained(ARMATURE_FROM_BODY @ local @ ARMATURE_FROM_BODY.T, PARENTS)
    made = chained(motion.rotations, PARENTS)
    cosine = (np.einsum("fjab,fjab->fj", truth, made) - 1) / 2
    worst = np.degrees(np.arccos(np.clip(cosine, -1, 1))).max(0)
    assert worst.max() < degrees, worst.round(1)
    pelvis = (where - REST[0]) / 100 @ ARMATURE_FROM_BODY.T
    there = swung_joints(JOINTS, truth, PARENTS) + pelvis[:, None]
    assert np.abs(swung_joints(JOINTS, made, PARENTS) + motion.pelvis[:, None] - there).max() < metres


AXES = {"x": (1.0, 0, 0), "y": (0, 1.0, 0), "-z": (0, 0, -1.0)}


@pytest.mark.parametrize("world", ["y", "z"])
@pytest.mark.parametrize("axis", AXES)
def test_rest_poses_that_do_not_stand(tmp_path: Path, axis: str, world: str) -> None:
    poses = a_walk(FRAMES)
    poses[:, 7:9, 0] = 0  # feet as flat as the walk lets them be
    turn = np.eye(3) if world == "y" else ARMATURE_FROM_BODY
    write_skeleton(tmp_path / "a.bvh", poses, walking_places(), along(AXES[axis]), turn)
    assert_stands_as(retarget(load_bvh(tmp_path / "a.bvh"), JOINTS, PARENTS), poses, walking_places(), 0.01, 3.0)
    turned = poses.copy()
    turned[:, 0] = (0, 1.9, 0)  # whichever way they face
    write_skeleton(tmp_path / "b.bvh", turned, walking_places(), along(AXES[axis]), turn)
    assert_stands_as(retarget(load_bvh(tmp_path / "b.bvh"), JOINTS, PARENTS), turned, walking_places(), 0.01, 3.0)


def test_a_first_frame_in_the_t_makes_such_a_file_exact(tmp_path: Path) -> None:
    poses = a_walk(FRAMES)
    poses[0] = 0
    write_skeleton(tmp_path / "a.bvh", poses, walking_places(), along((1.0, 0, 0)), np.eye(3))
    made = retarget(load_bvh(tmp_path / "a.bvh"), JOINTS, PARENTS)
    assert_stands_as(made, poses, walking_places(), 0.005, 1.5)


def test_nobody_is_stood_up_who_never_stands(tmp_path: Path) -> None:
    """Bones along x, and somebody who sits with bent legs throughout: how the bones lie in the body cannot be told."""
    poses = np.zeros((5, 24, 3))
    poses[:, [1, 2], 0] = -1.4
    poses[:, [4, 5], 0] = 1.4
    write_skeleton(tmp_path / "a.bvh", poses, walking_places(5), along((1.0, 0, 0)), np.eye(3))
    with pytest.raises(MotionError, match="does not stand upright in its rest pose"):
        retarget(load_bvh(tmp_path / "a.bvh"), JOINTS, PARENTS)


@pytest.mark.parametrize("name", ["prone", "supine", "handstand", "stands, then lies"])
def test_who_lies_in_a_bvh_lies(tmp_path: Path, name: str) -> None:
    y_up, x, z = np.array([0, 1.0, 0]), np.array([1.0, 0, 0]), np.array([0, 0, 1.0])
    poses = a_walk(FRAMES)
    turns = {"prone": lying(y_up, z, -y_up), "supine": lying(y_up, x, y_up), "handstand": lying(y_up, -y_up, z)}
    poses[:, 0] = turns.get(name, (0, 0, 0))
    where = np.tile((0.0, 15, 0), (FRAMES, 1)) if name in ("prone", "supine") else np.tile((0.0, 95, 0), (FRAMES, 1))
    if name == "stands, then lies":
        poses[10:, 0], where[10:] = lying(y_up, z, y_up), (0, 15, 0)
    local = Rotation.from_rotvec(poses.reshape(-1, 3)).as_matrix().reshape(-1, 24, 3, 3)
    offsets = np.array([REST[j] - (REST[p] if p >= 0 else 0) for j, p in enumerate(PARENTS)])
    write_bvh(tmp_path / "a.bvh", BODY["joint_names"], offsets, local, where)
    assert_stands_as(retarget(load_bvh(tmp_path / "a.bvh"), JOINTS, PARENTS), poses, where, 1e-3, 0.1)


def test_a_rest_pose_with_another_up_axis_than_the_motion(tmp_path: Path) -> None:
    """The rest pose is y up, and the root turns everything into a z-up world."""
    poses = a_walk(FRAMES)
    write_skeleton(tmp_path / "a.bvh", poses, walking_places(), np.tile(np.eye(3), (24, 1, 1)), ARMATURE_FROM_BODY)
    assert_stands_as(retarget(load_bvh(tmp_path / "a.bvh"), JOINTS, PARENTS), poses, walking_places(), 1e-3, 0.1)
    assert_stands_as(
        retarget(load_bvh(tmp_path / "a.bvh"), JOINTS, PARENTS, UpAxis.Z), poses, walking_places(), 1e-3, 0.1
    )


# --- Dialects


def plain(tmp_path: Path) -> tuple[str, Motion]:
    path = tmp_path / "plain.bvh"
    local = Rotation.from_rotvec(a_walk(6).reshape(-1, 3)).as_matrix().reshape(-1, 24, 3, 3)
    offsets = np.array([REST[j] - (REST[p] if p >= 0 else 0) for j, p in enumerate(PARENTS)])
    write_bvh(path, joint_names(Naming.MIXAMO), offsets, local, walking_places(6))
    return path.read_text(), retarget(load_bvh(path), JOINTS, PARENTS)


def under_a_root(text: str, name: str = "Reference", offset: str = "0 0 0", channels: bool = True) -> str:
    """The hips under a root that never moves; their own channels carry them."""
    names = "6 Xposition Yposition Zposition Zrotation Xrotation Yrotation" if channels else "0"
    root = f"ROOT {name}\n{{\nOFFSET {offset}\nCHANNELS {names}\n"
    head, motion = text.split("MOTION")
    head = head.replace("ROOT ", root + "JOINT ", 1).rstrip() + "\n}\n"
    lines = motion.strip().splitlines()
    still = f"{offset} 0 0 0 " if channels else ""
    return head + "\n".join(["MOTION", *lines[:2], *(still + line for line in lines[2:])]) + "\n"


def under_a_root_that_goes(text: str) -> str:
    """Half of the way is the root's, who faces aside; the hips' own channels are against it."""
    head, motion = under_a_root(text).split("MOTION")
    rows = []
    lines = motion.strip().splitlines()
    for line in lines[2:]:
        row = [float(value) for value in line.split()]
        x, y, z = row[6:9]
        row[:6] = [x / 2, 0, z / 2, 0, 0, 90]  # the root's x is the world's -z, its z the world's x
        turned = Rotation.from_euler("Y", -90, degrees=True) * Rotation.from_euler("ZXY", row[9:12], degrees=True)
        row[6:12] = [-z / 2, y, x / 2, *turned.as_euler("ZXY", degrees=True)]
        rows.append(" ".join(f"{value:.6f}" for value in row))
    return head + "\n".join(["MOTION", *lines[:2], *rows]) + "\n"


DIALECTS: dict[str, Callable[[str], str | bytes]] = {
    "Windows": lambda text: text.replace("\n", "\r\n"),
    "old Mac": lambda text: text.replace("\n", "\r"),
    "blank lines": lambda text: "\n\n" + text.replace("\n", "\n\n"),
    "tabs": lambda text: text.replace(" ", "\t").replace("\tSite", " Site").replace("Frame\tTime", "Frame Time"),
    "END SITE": lambda text: text.replace("End Site", "END SITE"),
    "end site": lambda text: text.replace("End Site", "end site"),
    "named end sites": lambda text: text.replace("End Site", "End Site tip of it"),
    "no end sites": lambda text: re.sub(r"End Site\s*\{[^}]*\}", "", text),
    "brackets on the same line": lambda text: re.sub(r"\n\s*\{", " {", text),
    "all on one line": lambda text: " ".join(text.split("MOTION")[0].split()) + "\nMOTION" + text.split("MOTION")[1],
    "lower case": lambda text: re.sub(
        r"ROOT|JOINT|OFFSET|CHANNELS|HIERARCHY|MOTION|Frames|Frame Time", lambda m: m[0].lower(), text
    ),
    "decimal commas": lambda text: text.replace(".", ","),
    "commas between": lambda text: (
        text.split("MOTION")[0] + "MOTION" + re.sub(r"(\d) (-?\d)", r"\1, \2", text.split("MOTION")[1])
    ),
    "no colons": lambda text: text.replace("Frames:", "Frames").replace("Frame Time:", "Frame Time"),
    "frames and time on one line": lambda text: re.sub(r"(Frames: \d+)\n", r"\1 ", text),
    "byte order mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "UTF-16": lambda text: text.encode("utf-16"),
    "Latin names": lambda text: text.replace("HandMiddle1", "Hand Mittel äö").encode("latin-1"),
    "names with spaces": lambda text: re.sub(r"mixamorig:(Left|Right)", r"Bip01 \1 ", text).replace(
        "mixamorig:", "Bip01 "
    ),
    "translation": lambda text: text.replace("position", "translation"),
    "capital channels": lambda text: text.replace("rotation", "ROTATION").replace("Xposition", "XPosition"),
    "trailing spaces and lines": lambda text: text.replace("\n", "  \n") + "\n \n",
    "exponents": lambda text: text.replace("0.000000", "0.0e-05"),
    "hips under a root": under_a_root,
    "hips under a root without channels": lambda text: under_a_root(text, "Armature", channels=False),
    "hips under a root that goes and faces aside": under_a_root_that_goes,
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_dialects_are_read_alike(tmp_path: Path, dialect: str) -> None:
    text, expected = plain(tmp_path)
    changed = DIALECTS[dialect](text)
    (tmp_path / "a.bvh").write_bytes(changed if isinstance(changed, bytes) else changed.encode())
    motion = retarget(load_bvh(tmp_path / "a.bvh"), JOINTS, PARENTS)
    assert motion.rate == pytest.approx(expected.rate) and motion.notes == () and len(motion) == 6
    hands = slice(0, 20) if dialect in ("no end sites", "Latin names") else slice(None)
    assert np.abs(motion.rotations[:, hands] - expected.rotations[:, hands]).max() < 1e-5
    assert np.abs(motion.pelvis - expected.pelvis).max() < 1e-5


def test_channels_that_hold_no_more_than_differences(tmp_path: Path) -> None:
    """Six channels for every bone: places against the parent, or nothing on top of the offset."""
    text, expected = plain(tmp_path)
    head, motion = text.split("MOTION")
    offsets = re.findall(r"OFFSET (\S+) (\S+) (\S+)\n\s*CHANNELS 3", head)
    head = head.replace("CHANNELS 3 ", "CHANNELS 6 Xposition Yposition Zposition ")
    lines = motion.strip().splitlines()
    for away in (offsets, [("0", "0", "0")] * 23):
        rows = []
        for line in lines[2:]:
            numbers = line.split()
            row = numbers[:6]
            for bone in range(23):
                row += [*away[bone], *numbers[6 + 3 * bone : 9 + 3 * bone]]
            rows.append(" ".join(row))
        (tmp_path / "a.bvh").write_text(head + "\n".join(["MOTION", *lines[:2], *rows]))
        made = retarget(load_bvh(tmp_path / "a.bvh"), JOINTS, PARENTS)
        assert (
            np.abs(made.rotations - expected.rotations).max() < 1e-5
            and np.abs(made.pelvis - expected.pelvis).max() < 1e-5
        )


@pytest.mark.parametrize("time", ["0", "0.000", "-0.0333"])
def test_a_file_that_does_not_say_how_fast_it_plays(tmp_path: Path, time: str) -> None:
    (tmp_path / "a.bvh").write_text(re.sub(r"Frame Time: \S+", f"Frame Time: {time}", plain(tmp_path)[0]))
    capture = load_bvh(tmp_path / "a.bvh")
    assert capture.rate == 30 and "30 frames per second are assumed" in capture.notes[0]


@pytest.mark.parametrize("cut", [40, 700])
def test_a_file_that_ends_too_early_gives_the_frames_that_it_has(tmp_path: Path, cut: int) -> None:
    text, expected = plain(tmp_path)
    (tmp_path / "a.bvh").write_text(text[:-cut])
    motion = retarget(load_bvh(tmp_path / "a.bvh"), JOINTS, PARENTS)
    assert 0 < len(motion) < 6 and f"6 frames but has {len(motion)}" in motion.notes[0]
    assert np.abs(motion.rotations - expected.rotations[: len(motion)]).max() < 1e-6


def sided(pattern: str, parts: str, left: str = "Left", right: str = "Right") -> dict[int, str]:
    """Names of hip, knee, ankle, toe, collar, shoulder, elbow, wrist, as ``parts`` has them, in a program's pattern."""
    joints = ((1, 2), (4, 5), (7, 8), (10, 11), (13, 14), (16, 17), (18, 19), (20, 21))
    return {
        joint: pattern.format(side=side, part=part)
        for pair, part in zip(joints, parts.split(), strict=True)
        for joint, side in zip(pair, (left, right), strict=True)
    }


PROGRAMS = {
    "VRoid": sided("J_Bip_{side}_{part}", "UpperLeg LowerLeg Foot ToeBase Shoulder UpperArm LowerArm Hand", "L", "R")
    | {
        0: "J_Bip_C_Hips",
        3: "J_Bip_C_Spine",
        6: "J_Bip_C_Chest",
        9: "J_Bip_C_UpperChest",
        12: "J_Bip_C_Neck",
        15: "J_Bip_C_Head",
    },
    "Xsens": sided("{side}{part}", "UpperLeg LowerLeg Foot Toe Shoulder UpperArm ForeArm Hand")
    | {0: "Pelvis", 3: "L5", 6: "L3", 9: "T8", 12: "Neck", 15: "Head"},
    "Xsens, others": sided("{side}{part}", "Hip Knee Ankle Toe Collar Shoulder Elbow Wrist")
    | {0: "Hips", 3: "Chest", 6: "Chest2", 9: "Chest3", 12: "Neck", 15: "Head"},
    "Rokoko": sided("{side}{part}", "Thigh Shin Foot Toe Shoulder Arm ForeArm Hand")
    | {0: "Hips", 3: "Spine1", 6: "Spine2", 9: "Spine3", 12: "Neck", 15: "Head"},
    "Biped": sided("Bip01 {side} {part}", "Thigh Calf Foot Toe0 Clavicle UpperArm Forearm Hand", "L", "R")
    | {0: "Bip01 Pelvis", 3: "Bip01 Spine", 6: "Bip01 Spine1", 9: "Bip01 Spine2", 12: "Bip01 Neck", 15: "Bip01 Head"},
    "Character Creator": sided(
        "CC_Base_{side}_{part}", "Thigh Calf Foot ToeBase Clavicle Upperarm Forearm Hand", "L", "R"
    )
    | {
        0: "CC_Base_Hip",
        3: "CC_Base_Waist",
        6: "CC_Base_Spine01",
        9: "CC_Base_Spine02",
        12: "CC_Base_NeckTwist01",
        15: "CC_Base_Head",
    },
    "Daz": sided("{side}{part}", "ThighBend Shin Foot Toe Collar ShldrBend ForearmBend Hand", "l", "r")
    | {0: "hip", 3: "abdomenLower", 6: "abdomenUpper", 9: "chestLower", 12: "neckLower", 15: "head"},
    "Kinect": sided("{part}{side}", "Hip Knee Ankle Foot Clavicle Shoulder Elbow Wrist")
    | {0: "SpineBase", 6: "SpineMid", 12: "Neck", 15: "Head"},
    "OptiTrack": sided("Skeleton_{side}{part}", "Thigh Shin Foot Toe Shoulder UArm FArm Hand", "L", "R")
    | {0: "Skeleton_Hip", 3: "Skeleton_Ab", 9: "Skeleton_Chest", 12: "Skeleton_Neck", 15: "Skeleton_Head"},
    "DeepMotion": sided("{side}_{part}_JNT", "upleg leg foot toebase shoulder arm forearm hand", "l", "r")
    | {0: "hips_JNT", 3: "spine_JNT", 6: "spine1_JNT", 9: "spine2_JNT", 12: "neck_JNT", 15: "head_JNT"},
    "Advanced Skeleton": sided("{part}_{side}", "Hip Knee Ankle Toes Scapula Shoulder Elbow Wrist", "L", "R")
    | {0: "Root_M", 3: "Spine1_M", 9: "Chest_M", 12: "Neck_M", 15: "Head_M"},
    "HumanIK": sided("Character1_{side}{part}", "UpLeg Leg Foot ToeBase Shoulder Arm ForeArm Hand")
    | {
        0: "Character1_Hips",
        3: "Character1_Spine",
        6: "Character1_Spine1",
        9: "Character1_Spine2",
        12: "Character1_Neck",
        15: "Character1_Head",
    },
    "SMPL, short": sided("{side}_{part}", "Hip Knee Ankle Foot Collar Shoulder Elbow Wrist", "L", "R")
    | {0: "Pelvis", 3: "Spine1", 6: "Spine2", 9: "Spine3", 12: "Neck", 15: "Head"},
    "Unreal": {joint: name for joint, name in enumerate(joint_names(Naming.UNREAL)) if joint < 22},
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_skeletons_of_many_programs_are_recognised(program: str) -> None:
    names = PROGRAMS[program]
    parents: dict[str, str | None] = {}
    for joint in sorted(names):
        above = PARENTS[joint]
        while above >= 0 and above not in names:
            above = PARENTS[above]
        parents[names[joint]] = names[above] if above >= 0 else None
    found = naming.match_joints(parents, parents)
    wanted = set(names) - ({3, 6, 9} if sum(joint in names for joint in (3, 6, 9)) < 3 else set())
    assert {joint: found.get(joint) for joint in wanted} == {joint: names[joint] for joint in wanted}


def test_two_people_in_a_file_are_not_mixed(tmp_path: Path) -> None:
    text, expected = plain(tmp_path)
    head, motion = text.split("MOTION")
    skeleton = head[head.index("ROOT") :]
    lines = motion.strip().splitlines()
    both = (
        head + skeleton + "\n".join(["MOTION", *lines[:2], *(f"{line} {line}".replace("\t", "") for line in lines[2:])])
    )
    (tmp_path / "a.bvh").write_text(both)
    assert np.abs(retarget(load_bvh(tmp_path / "a.bvh"), JOINTS, PARENTS).rotations - expected.rotations).max() < 1e-9


def test_a_skeleton_that_is_not_recognised_is_told_what_was_looked_for(tmp_path: Path) -> None:
    text, _ = plain(tmp_path)
    (tmp_path / "a.bvh").write_text(text.replace("LeftLeg", "Quux"))
    with pytest.raises(MotionError, match=r"left_knee \(such as LeftKnee, LeftLeg, LeftCalf\)") as told:
        retarget(load_bvh(tmp_path / "a.bvh"), JOINTS, PARENTS)
    assert "mixamorig:Hips" in str(told.value)


# --- Hostile files


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    """A watchdog, against loops that never end: fails where something takes a hundred times what it should."""

    def late(*_: object) -> None:
        raise AssertionError(f"still at it after {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


ONE = (
    "HIERARCHY\nROOT Hips\n{{\nOFFSET {offset}\nCHANNELS {channels}\nEnd Site\n{{\nOFFSET 0 1 0\n}}\n}}\n"
    "MOTION\nFrames: {frames}\nFrame Time: {time}\n{row}\n"
)
USUAL = {"offset": "0 0 0", "channels": "3 Zrotation Xrotation Yrotation", "frames": "1", "time": "0.1", "row": "0 0 0"}


@pytest.mark.parametrize(
    "change",
    [
        {"channels": "-5"},
        {"channels": "99999999999"},
        {"channels": "x"},
        {"channels": "3 Qrotation Xrotation Yrotation"},
        {"channels": "1 rotation"},
        {"channels": "3 Wposition Xposition Yposition"},
        {"channels": "0"},
        {"offset": "nan 0 0"},
        {"offset": "0 nan 0"},
        {"offset": "1e308 1e308 1e308"},
        {"offset": "1 2"},
        {"offset": "a b c"},
        {"row": "nan 0 0"},
        {"row": "1e308 0 0"},
        {"row": "a b c"},
        {"row": ""},
        {"row": "0 0 0 0"},
        {"frames": "99999999999999999999999999"},
        {"frames": "-1"},
        {"frames": "9" * 5000},
        {"time": "1e-300"},
        {"time": "1e300"},
        {"time": "x"},
    ],
    ids=str,
)
def test_hostile_bvh_is_told_in_a_sentence(tmp_path: Path, change: dict[str, str]) -> None:
    (tmp_path / "x.bvh").write_text(ONE.format(**{**USUAL, **change}))
    with at_most(20), pytest.raises(MotionError, match=r"x\.bvh .*\.$"):
        load_bvh(tmp_path / "x.bvh")
    (tmp_path / "x.bvh").write_text(ONE.format(**USUAL))
    assert len(load_bvh(tmp_path / "x.bvh").turned) == 1


@pytest.mark.parametrize(
    "text",
    [
        "JOINT " * 100_000,
        "ROOT a {" * 100_000,
        "}" * 100_000,
        "ROOT a { End Site { JOINT b {",
        "OFFSET 1 2 3",
        "CHANNELS 1 Xrotation",
        "ROOT a { End Site { CHANNELS 1 Xrotation } }",
        "End Site { OFFSET 1 2 3 }",
        "ROOT",
        "{",
        "",
    ],
)
def test_hostile_hierarchies_are_told_in_a_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.bvh").write_text(f"HIERARCHY\n{text}\nMOTION\nFrames: 1\nFrame Time: 0.1\n0 0 0\n")
    with at_most(20), pytest.raises(MotionError, match=r"x\.bvh .*\.$"):
        load_bvh(tmp_path / "x.bvh")


def test_more_bones_and_frames_than_memory_are_told(tmp_path: Path) -> None:
    bones = "".join(f"JOINT b{k}\n{{\nOFFSET 0 1 0\nCHANNELS 0\n}}\n" for k in range(1900))
    head = (
        f"HIERARCHY\nROOT a\n{{\nOFFSET 0 0 0\nCHANNELS 1 Xrotation\n{bones}}}\nMOTION\nFrames: 100000\nFrame Time: "
        "0.01\n"
    )
    text = head + "0\n" * 100_000
    (tmp_path / "x.bvh").write_text(text)
    with at_most(60), pytest.raises(MotionError, match="100000 frames of 1901 bones are more than can be imported"):
        load_bvh(tmp_path / "x.bvh")


WORDS = st.sampled_from(
    [
        "ROOT",
        "JOINT",
        "End Site",
        "OFFSET",
        "CHANNELS",
        "{",
        "}",
        "MOTION",
        "\nMOTION\n",
        "Frames:",
        "Frame Time:",
        "\n",
        "Hips",
        "-1",
        "0",
        "1",
        "3",
        "6",
        "1e9",
        "nan",
        "Xrotation",
        "Zposition",
        "Qrotation",
        "0.0333",
        ",",
        "\x00",
        "ä",
    ]
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(WORDS, max_size=60), st.data())
def test_any_words_give_a_clip_or_a_sentence(tmp_path: Path, words: list[str], data: st.DataObject) -> None:
    text = ONE.format(**USUAL).split(" ")
    place = data.draw(st.integers(0, len(text)))
    (tmp_path / "x.bvh").write_text(" ".join(text[:place] + words + text[place:]))
    with at_most(30):
        try:
            assert np.isfinite(load_bvh(tmp_path / "x.bvh").places).all()
        except MotionError as error:
            assert str(error).endswith(".")


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, bytes]]:
    """Small whole files of every kind."""
    tmp_path = tmp_path_factory.mktemp("seeds")
    text, _ = plain(tmp_path)
    np.savez(tmp_path / "s.npz", poses=a_walk(3).reshape(3, 72), trans=np.zeros((3, 3)), mocap_framerate=30.0)
    np.savez_compressed(
        tmp_path / "o.npz", results=np.array({"a": {"smpl_thetas": np.zeros((1, 72), np.float32)}}, object)
    )
    np.save(tmp_path / "s.npy", a_walk(3))
    return [(".bvh", text.encode()), *((name, (tmp_path / name).read_bytes()) for name in ("s.npz", "o.npz", "s.npy"))]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_damage_gives_a_clip_or_a_sentence(
    tmp_path: Path, seeds: list[tuple[str, bytes]], data: st.DataObject
) -> None:
    kind, raw = data.draw(st.sampled_from(seeds))
    damaged = bytearray(raw[: data.draw(st.sampled_from([len(raw), len(raw) // 2, len(raw) - 7, 300]))])
    for _ in range(data.draw(st.integers(0, 4))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        damaged[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    file = tmp_path / f"x{kind[-4:]}"
    file.write_bytes(damaged)
    with at_most(30):
        try:
            motion = retarget(load_bvh(file), JOINTS, PARENTS) if kind == ".bvh" else load_smpl_motion(file)
            assert np.isfinite(motion.rotations).all() and np.isfinite(motion.pelvis).all()
        except MotionError as error:
            assert str(error).endswith(".")


# --- The clips of the list of faults


@pytest.mark.skipif(not FAULTS.is_dir(), reason="shared/faults/motion is not on this machine")
def test_two_notations_of_one_walk_are_one_walk() -> None:
    """A rest pose along x, and one that stands with its hips under a root; and the same steps in SMPL's files."""
    joints = []
    for name in ("bone_axes_along_x", "reference_root_hips_move"):
        motion = retarget(load_bvh(FAULTS / f"{name}.bvh"), JOINTS, PARENTS)
        joints.append(swung_joints(JOINTS, chained(motion.rotations, PARENTS), PARENTS) + motion.pelvis[:, None])
    assert np.abs(joints[0] - joints[1]).max() < 0.01
    assert np.ptp(joints[1][:, 0, 1]) > 1.5  # it goes somewhere
    matrices, quaternions = (
        load_smpl_motion(FAULTS / f"{name}.npz") for name in ("rotmat_poses_F_24_3_3", "quats_F_96")
    )
    assert np.abs(matrices.rotations - quaternions.rotations).max() < 1e-6
    assert (matrices.rotations[:, 0] @ (0, 0, 1))[:, 2].min() > 0.99
    prone = load_smpl_motion(FAULTS / "prone_negy_zup.npz")
    assert (prone.rotations[:, 0] @ (0, -1, 0))[:, 2].max() < -0.99  # faces the ground
    mixed = load_smpl_motion(FAULTS / "stand30_lie70_zup.npz").rotations[:, 0] @ (0, 0, 1)
    assert (mixed[:30, 2] > 0.99).all() and (np.abs(mixed[-60:, 2]) < 0.05).all()
