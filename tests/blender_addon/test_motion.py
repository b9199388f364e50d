"""Motion files and retargeting, without Blender: against scipy, and a BVH file that this test writes of a known
motion.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

from tests.blender_addon.sample import body_arrays
from uvatar_blender.core import motion, naming, rotations
from uvatar_blender.core.bvh import load_bvh
from uvatar_blender.core.motion import MotionError
from uvatar_blender.core.rest_pose import chained, swung_joints
from uvatar_blender.core.retarget import retarget
from uvatar_blender.core.skeleton import ARMATURE_FROM_BODY
from uvatar_blender.protocol.bone_names import Naming, joint_names, naming_of

BODY = body_arrays()
JOINTS = BODY["joint_template"].astype(float) @ ARMATURE_FROM_BODY.T
PARENTS = BODY["parents"]
LIMBS = ((1, 4), (4, 7), (2, 5), (5, 8), (16, 18), (18, 20), (17, 19), (19, 21))


def known_poses(frames: int = 5) -> NDArray[Any]:
    """(F, 24, 3) axis-angle in the body's axes, hands at rest."""
    poses = np.random.default_rng(4).normal(0, 0.35, (frames, 24, 3))
    poses[:, 22:] = 0
    return poses


def write_bvh(
    path: Path,
    names: Sequence[str],
    offsets: NDArray[Any],
    rotations: NDArray[Any],
    places: NDArray[Any],
    order: str = "ZXY",
) -> None:
    """``offsets`` (24, 3) from the parents, ``rotations`` (F, 24, 3, 3) against the parents, ``places`` (F, 3) of the
    root.
    """
    lines: list[str] = []
    angles: list[NDArray[Any]] = []

    def bone(joint: int, depth: int) -> None:
        pad = "\t" * depth
        channels = " ".join(f"{axis}rotation" for axis in order)
        lines.append(f"{pad}{'ROOT' if joint == 0 else 'JOINT'} {names[joint]}\n{pad}{{")
        lines.append(f"{pad}\tOFFSET {' '.join(f'{value:.6f}' for value in offsets[joint])}")
        if joint == 0:
            lines.append(f"{pad}\tCHANNELS 6 Xposition Yposition Zposition {channels}")
            angles.append(places)
        else:
            lines.append(f"{pad}\tCHANNELS 3 {channels}")
        angles.append(Rotation.from_matrix(rotations[:, joint]).as_euler(order, degrees=True))
        children = [child for child, parent in enumerate(PARENTS) if parent == joint]
        for child in children:
            bone(child, depth + 1)
        if not children:
            lines.append(f"{pad}\tEnd Site\n{pad}\t{{\n{pad}\t\tOFFSET 0 5 0\n{pad}\t}}")
        lines.append(f"{pad}}}")

    bone(0, 0)
    rows = [" ".join(f"{value:.6f}" for value in row) for row in np.concatenate(angles, 1)]
    head = "\n".join(["HIERARCHY", *lines, "MOTION", f"Frames: {len(rows)}", "Frame Time: 0.033333"])
    path.write_text(head + "\n" + "\n".join(rows) + "\n")


@pytest.mark.parametrize("preset", list(Naming))
def test_every_presets_names_are_understood(preset: Naming) -> None:
    names = joint_names(preset)
    assert len(set(names)) == 24 and naming_of(names) is preset
    found = naming.match_joints(
        names, {name: names[p] if p >= 0 else None for name, p in zip(names, PARENTS, strict=True)}
    )
    assert found == dict(enumerate(names))


def test_names_of_common_bvh_skeletons() -> None:
    chain = {
        "Hips": None,
        "LHipJoint": "Hips",
        "LeftUpLeg": "LHipJoint",
        "LeftLeg": "LeftUpLeg",
        "LeftFoot": "LeftLeg",
        "LowerBack": "Hips",
        "Spine": "LowerBack",
        "Spine1": "Spine",
        "Neck": "Spine1",
        "Neck1": "Neck",
        "Head": "Neck1",
        "LeftShoulder": "Spine1",
        "LeftArm": "LeftShoulder",
        "LeftForeArm": "LeftArm",
        "LeftHand": "LeftForeArm",
    }
    found = naming.match_joints(chain, chain)
    expected = {
        0: "Hips",
        1: "LeftUpLeg",
        4: "LeftLeg",
        7: "LeftFoot",
        3: "LowerBack",
        6: "Spine",
        9: "Spine1",
        12: "Neck",
        15: "Head",
    }
    expected |= {13: "LeftShoulder", 16: "LeftArm", 18: "LeftForeArm", 20: "LeftHand"}
    assert found == expected
    poser = {
        "hip": None,
        "lThigh": "hip",
        "lShin": "lThigh",
        "lFoot": "lShin",
        "abdomen": "hip",
        "chest": "abdomen",
        "neck": "chest",
        "lCollar": "chest",
        "lShldr": "lCollar",
        "lForeArm": "lShldr",
        "lHand": "lForeArm",
    }
    found = naming.match_joints(poser, poser)
    assert (found[1], found[4], found[16], found[18], found[13], found[0]) == (
        "lThigh",
        "lShin",
        "lShldr",
        "lForeArm",
        "lCollar",
        "hip",
    )
    no_collar = {"Hips": None, "LeftHip": "Hips", "LeftShoulder": "Hips", "LeftElbow": "LeftShoulder"}
    assert naming.match_joints(no_collar, no_collar)[16] == "LeftShoulder"


@pytest.mark.parametrize("order", ["ZXY", "XYZ", "YZX"])
def test_a_bvh_of_our_own_skeleton_comes_back_as_it_was(tmp_path: Path, order: str) -> None:
    """In BVH's y-up centimetres: SMPL's own body frame."""
    local = Rotation.from_rotvec(known_poses().reshape(-1, 3)).as_matrix().reshape(-1, 24, 3, 3)
    rest = JOINTS @ ARMATURE_FROM_BODY  # body frame
    offsets = 100 * np.array([rest[j] - (rest[p] if p >= 0 else 0) for j, p in enumerate(PARENTS)])
    places = np.tile(100 * rest[0], (5, 1)) + np.arange(5)[:, None] * (3, 0, 10)
    write_bvh(tmp_path / "a.bvh", BODY["joint_names"], offsets, local, places, order)
    capture = load_bvh(tmp_path / "a.bvh")
    assert capture.rate == pytest.approx(30, abs=0.01)
    back = retarget(capture, JOINTS, PARENTS)
    assert np.abs(back.rotations - ARMATURE_FROM_BODY @ local @ ARMATURE_FROM_BODY.T).max() < 1e-5
    assert np.abs(back.pelvis - np.arange(5)[:, None] * (0.03, -0.1, 0)).max() < 1e-5


def test_limbs_point_as_in_a_capture_that_rests_in_another_pose_and_size(tmp_path: Path) -> None:
    """The capture rests with its arms down, is twice as large, z up, and faces +x."""
    down = np.zeros((24, 3))
    down[16, 2], down[17, 2] = -1.3, 1.3
    turn = Rotation.from_rotvec(down).as_matrix()
    rest = swung_joints(JOINTS @ ARMATURE_FROM_BODY, chained(turn, PARENTS), PARENTS)
    to_file = Rotation.from_euler("z", 90, degrees=True).as_matrix() @ ARMATURE_FROM_BODY
    offsets = 2 * np.array([rest[j] - (rest[p] if p >= 0 else 0) for j, p in enumerate(PARENTS)]) @ to_file.T
    local = Rotation.from_rotvec(known_poses().reshape(-1, 3)).as_matrix().reshape(-1, 24, 3, 3)
    turned = to_file @ local @ to_file.T
    write_bvh(tmp_path / "b.bvh", joint_names(Naming.MIXAMO), offsets, turned, np.zeros((5, 3)))
    capture = load_bvh(tmp_path / "b.bvh")
    made = retarget(capture, JOINTS, PARENTS)
    placed = swung_joints(JOINTS, chained(made.rotations, PARENTS), PARENTS)
    theirs = capture.places @ to_file @ ARMATURE_FROM_BODY.T
    index = [capture.names.index(name) for name in joint_names(Naming.MIXAMO)]
    for start, end in LIMBS:
        own = placed[:, end] - placed[:, start]
        other = theirs[:, index[end]] - theirs[:, index[start]]
        cosine = (own * other).sum(1) / np.linalg.norm(own, axis=1) / np.linalg.norm(other, axis=1)
        assert cosine.min() > 1 - 1e-6, (start, end)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "HIERARCHY\nROOT a\n{\nOFFSET 0 0 0\nCHANNELS 3 Zrotation Xrotation Yrotation\n}\nMOTION\nFrames: 2\n"
        "Frame Time: 0.1\n1 2\n",
        "HIERARCHY\nMOTION\nFrames: x\nFrame Time: 1\n1",
        "\x00\x01",
    ],
)
def test_what_is_no_bvh_is_told_in_a_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.bvh").write_text(text)
    with pytest.raises(MotionError, match=r"x\.bvh"):
        load_bvh(tmp_path / "x.bvh")


def test_a_skeleton_without_people_is_refused(tmp_path: Path) -> None:
    write_bvh(
        tmp_path / "c.bvh",
        [f"bone{k}" for k in range(24)],
        np.ones((24, 3)),
        np.tile(np.eye(3), (2, 24, 1, 1)),
        np.zeros((2, 3)),
    )
    with pytest.raises(MotionError, match="not recognised"):
        retarget(load_bvh(tmp_path / "c.bvh"), JOINTS, PARENTS)


def test_quaternions_and_resampling_are_scipys() -> None:
    turns = Rotation.random(60, random_state=0)
    quaternions = rotations.quaternions_from(turns.as_matrix())
    assert np.allclose(rotations.matrices_from(quaternions), turns.as_matrix())
    assert np.allclose(
        np.abs((quaternions[:, 1:] * turns.as_quat()[:, :3]).sum(1) + quaternions[:, 0] * turns.as_quat()[:, 3]), 1
    )
    clip = motion.Motion(np.tile(turns.as_matrix()[:7, None], (1, 24, 1, 1)), np.arange(21.0).reshape(7, 3), 120.0)
    slow = motion.resampled(clip, 50.0)
    assert len(slow) == 3 and slow.rate == 50
    times = np.arange(3) * 120 / 50
    assert np.allclose(slow.rotations[:, 5], Slerp(np.arange(7), turns[:7])(times).as_matrix())
    assert np.allclose(slow.pelvis, times[:, None] * 3 + np.arange(3))
    steady = rotations.without_flips(quaternions * np.where(np.arange(60) % 3, 1, -1)[:, None])
    assert ((steady[1:] * steady[:-1]).sum(1) >= 0).all()


def test_the_lowest_step_touches_the_ground() -> None:
    toes = JOINTS[[10, 11]] + (0, -0.06, -0.02)
    rotations = np.tile(np.eye(3), (3, 24, 1, 1))
    clip = motion.Motion(rotations, np.array([[5.0, 1, 0.3], [5, 1, 0.1], [5, 1, 0.5]]), 30.0)
    standing = motion.grounded(motion.starting_here(clip), JOINTS - (0, 0, JOINTS[:, 2].min() - 0.03), toes, PARENTS)
    assert np.allclose(standing.pelvis, [[0.0, 0, 0.2], [0.0, 0, 0], [0.0, 0, 0.4]])


def test_without_places_each_frame_is_put_on_the_ground() -> None:
    """Stands, then lies on its face; the file's pelvis stays where it is."""
    toes = JOINTS[[10, 11]] + (0, -0.06, -0.02)
    rotations = np.tile(np.eye(3), (2, 24, 1, 1))
    rotations[1, 0] = Rotation.from_euler("x", 90, degrees=True).as_matrix()
    clip = motion.Motion(rotations, np.full((2, 3), 0.5), 30.0)
    standing = JOINTS - (0, 0, JOINTS[:, 2].min() - 0.03)
    grounded = motion.grounded(clip, standing, toes - (0, 0, JOINTS[:, 2].min() - 0.03), PARENTS)
    placed = swung_joints(standing, chained(grounded.rotations, PARENTS), PARENTS) + grounded.pelvis[:, None]
    assert placed[0, :, 2].min() == pytest.approx(0.03, abs=0.03)
    assert 0 < placed[1, 0, 2] < 0.3
