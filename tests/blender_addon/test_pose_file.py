"""Files of SMPL poses in every layout that is read, against poses made with scipy; and what is refused, in a
sentence.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from uvatar_blender.core.array_file import load_arrays
from uvatar_blender.core.motion import LONGEST, MotionError
from uvatar_blender.core.pose_file import load_smpl_motion
from uvatar_blender.core.skeleton import ARMATURE_FROM_BODY, WORLD_FROM_CAMERA
from uvatar_blender.core.upright import UpAxis

FRAMES = 40
TO_Z_UP, TO_CAMERA = ARMATURE_FROM_BODY, np.diag([1.0, -1, -1])  # from SMPL's own y-up axes


def a_walk(frames: int = FRAMES) -> NDArray[Any]:
    """(F, 24, 3) axis-angle, y up: legs swing, knees bend the way that knees do, arms hang, hands rest."""
    time = np.linspace(0, 4 * np.pi, frames)
    poses = np.zeros((frames, 24, 3))
    poses[:, 0, 1] = 0.3
    poses[:, 1, 0], poses[:, 2, 0] = 0.4 * np.sin(time), -0.4 * np.sin(time)
    poses[:, 4, 0], poses[:, 5, 0] = 0.3 + 0.2 * np.cos(time), 0.3 - 0.2 * np.cos(time)
    poses[:, 16, 2], poses[:, 17, 2] = -1.2, 1.2
    poses[:, 18, 1], poses[:, 19, 1] = -0.4, 0.4
    poses[:, 12, 0] = 0.1 * np.sin(time)
    return poses


def turned_root(poses: NDArray[Any], world: NDArray[Any]) -> NDArray[Any]:
    """The same person in a world with other axes."""
    turned = poses.copy()
    turned[:, 0] = (Rotation.from_matrix(world) * Rotation.from_rotvec(poses[:, 0])).as_rotvec()
    return turned


def places(frames: int = FRAMES) -> NDArray[Any]:
    """(F, 3) y up, SMPL's trans: the floor is at 0, the pelvis 0.95 above it."""
    return np.stack([np.zeros(frames), np.full(frames, 0.95 + 0.22), np.linspace(0, 2, frames)], -1)


def assert_is(motion: Any, poses: NDArray[Any], moves: NDArray[Any] | None, tolerance: float = 1e-6) -> None:
    """That a motion is these y-up poses at these places, in Blender's axes."""
    expected = Rotation.from_rotvec(poses.reshape(-1, 3)).as_matrix().reshape(-1, 24, 3, 3)
    assert np.abs(motion.rotations - ARMATURE_FROM_BODY @ expected @ ARMATURE_FROM_BODY.T).max() < tolerance
    assert np.abs(motion.pelvis - (0 if moves is None else moves @ ARMATURE_FROM_BODY.T)).max() < 1e-5


def matrices(poses: NDArray[Any]) -> NDArray[Any]:
    return Rotation.from_rotvec(poses.reshape(-1, 3)).as_matrix().reshape(*poses.shape[:-1], 3, 3)


def quaternions(poses: NDArray[Any], real_first: bool) -> NDArray[Any]:
    last = Rotation.from_rotvec(poses.reshape(-1, 3)).as_quat().reshape(*poses.shape[:-1], 4)
    return np.roll(last, 1, -1) if real_first else last


NOTATIONS = {
    "72": lambda poses: poses.reshape(len(poses), 72),
    "24x3": lambda poses: poses,
    "66": lambda poses: poses[:, :22].reshape(len(poses), 66),
    "156": lambda poses: np.concatenate([poses[:, :22].reshape(len(poses), 66), np.full((len(poses), 90), 0.2)], 1),
    "165": lambda poses: np.concatenate([poses[:, :22].reshape(len(poses), 66), np.full((len(poses), 99), 0.2)], 1),
    "24x3x3": matrices,
    "216": lambda poses: matrices(poses).reshape(len(poses), 216),
    "22x3x3": lambda poses: matrices(poses)[:, :22],
    "24x4 real last": lambda poses: quaternions(poses, False),
    "96 real first": lambda poses: quaternions(poses, True).reshape(len(poses), 96),
    "208": lambda poses: quaternions(np.concatenate([poses[:, :22], np.zeros((len(poses), 30, 3))], 1), False).reshape(
        len(poses), 208
    ),
    "six, rows": lambda poses: matrices(poses)[..., :2, :].reshape(len(poses), 24, 6),
    "six, columns": lambda poses: np.swapaxes(matrices(poses)[..., :2], -1, -2).reshape(len(poses), 144),
    "six, columns in turn": lambda poses: matrices(poses)[..., :2].reshape(len(poses), 144),
    "batch": lambda poses: poses.reshape(1, len(poses), 72),
}


@pytest.mark.parametrize("notation", NOTATIONS)
def test_every_notation_of_rotations(tmp_path: Path, notation: str) -> None:
    poses = turned_root(a_walk(), TO_Z_UP)
    np.savez(tmp_path / "m.npz", poses=NOTATIONS[notation](poses), trans=places() @ TO_Z_UP.T, mocap_framerate=60.0)
    motion = load_smpl_motion(tmp_path / "m.npz")
    assert motion.rate == 60 and motion.notes == ()
    assert_is(motion, a_walk(), places())


def keys_of(family: str) -> tuple[dict[str, Any], float]:
    """Arrays as a family of files has them, and frames per second."""
    walk, way = a_walk(), places()
    flat = walk.reshape(FRAMES, 72)
    z_up, camera = turned_root(walk, TO_Z_UP).reshape(FRAMES, 72), turned_root(walk, TO_CAMERA).reshape(FRAMES, 72)
    if family == "AMASS":
        return {
            "poses": z_up,
            "trans": way @ TO_Z_UP.T,
            "mocap_framerate": 120.0,
            "betas": np.arange(16.0),
            "gender": "male",
        }, 120
    if family == "AMASS, SMPL-X":
        return {
            "root_orient": z_up[:, :3],
            "pose_body": z_up[:, 3:66],
            "trans": way @ TO_Z_UP.T,
            "mocap_frame_rate": 100,
        }, 100
    if family == "AIST++":
        return {"smpl_poses": flat, "smpl_trans": 94.0 * way, "smpl_scaling": np.array([94.0])}, 60
    if family == "EDGE":  # z up, without a scale
        return {"smpl_poses": z_up, "smpl_trans": way @ TO_Z_UP.T, "fps": 30}, 30
    if family == "smplx":
        return {
            "global_orient": flat[:, :3],
            "body_pose": flat[:, 3:66],
            "transl": way,
            "betas": np.arange(10.0)[None],
        }, 30
    if family == "smplx, 69":
        return {
            "global_orient": flat[:, None, :3],
            "body_pose": flat[:, 3:].reshape(FRAMES, 23, 3),
            "transl": way,
            "fps": 25.0,
        }, 25
    if family == "GVHMR":
        inside = {"global_orient": flat[:, :3], "body_pose": flat[:, 3:66], "transl": way}
        return {
            "smpl_params_global": inside,
            "smpl_params_incam": {"global_orient": camera[:, :3], "body_pose": camera[:, 3:66]},
        }, 30
    if family == "4D-Humans":
        turns = matrices(camera.reshape(FRAMES, 24, 3))
        return {
            "global_orient": turns[:, :1],
            "body_pose": turns[:, 1:],
            "pred_cam_t": way @ TO_CAMERA.T,
            "fps": 30.0,
        }, 30
    if family == "TRAM":
        return {
            "pred_rotmat": matrices(camera.reshape(FRAMES, 24, 3)),
            "pred_trans": (way @ TO_CAMERA.T)[:, None],
            "fps": 30.0,
        }, 30
    if family == "ROMP":
        return {"smpl_thetas": camera, "cam_trans": way @ TO_CAMERA.T, "fps": 30.0}, 30
    if family == "WHAM":
        return {"pose": camera, "trans": way * 0, "pose_world": flat, "trans_world": way, "fps": 30.0}, 30
    if family == "MDM":
        six = matrices(walk)[..., :2, :].reshape(FRAMES, 24, 6)
        return {"thetas": np.moveaxis(six, 0, -1), "root_translation": way.T}, 20
    raise AssertionError(family)


@pytest.mark.parametrize(
    "family",
    [
        "AMASS",
        "AMASS, SMPL-X",
        "AIST++",
        "EDGE",
        "smplx",
        "smplx, 69",
        "GVHMR",
        "4D-Humans",
        "TRAM",
        "ROMP",
        "WHAM",
        "MDM",
    ],
)
@pytest.mark.parametrize("kind", ["npz", "pkl", "npy"])
def test_every_family_of_files(tmp_path: Path, family: str, kind: str) -> None:
    content, rate = keys_of(family)
    file = tmp_path / f"m.{kind}"
    if kind == "npz":
        np.savez_compressed(file, **content)
    elif kind == "pkl":
        file.write_bytes(pickle.dumps(content))
    else:
        np.save(file, np.array(content, object), allow_pickle=True)
    motion = load_smpl_motion(file)
    assert motion.rate == rate
    camera = family in ("4D-Humans", "TRAM", "ROMP")
    assert_is(motion, a_walk(), places(), 1e-6 if not camera else 1e-5)
    told = any("does not state its frame rate" in note for note in motion.notes)
    assert told == (family in ("AIST++", "smplx", "GVHMR", "MDM"))


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_of_every_protocol(tmp_path: Path, protocol: int) -> None:
    content, _ = keys_of("AIST++")
    (tmp_path / "m.pkl").write_bytes(pickle.dumps(content, protocol=protocol))
    assert_is(load_smpl_motion(tmp_path / "m.pkl"), a_walk(), places())


@pytest.mark.parametrize("shape", [(FRAMES, 72), (FRAMES, 24, 3), (FRAMES, 24, 3, 3), (1, FRAMES, 24, 3)])
def test_a_npy_of_nothing_but_poses(tmp_path: Path, shape: tuple[int, ...]) -> None:
    walk = a_walk()
    np.save(tmp_path / "m.npy", (matrices(walk) if shape[-2:] == (3, 3) else walk).reshape(shape))
    assert_is(load_smpl_motion(tmp_path / "m.npy"), walk, None)


@pytest.mark.parametrize("one", [a_walk()[3], a_walk()[3].ravel(), matrices(a_walk()[3])])
def test_a_single_pose_is_a_clip_of_one_frame(tmp_path: Path, one: NDArray[Any]) -> None:
    np.save(tmp_path / "m.npy", one)
    assert_is(load_smpl_motion(tmp_path / "m.npy"), a_walk()[3:4], None)


# --- ROMP's videos


def romp_frames(people: int, skip: tuple[int, ...] = ()) -> dict[str, dict[str, NDArray[Any]]]:
    """ROMP's ``results``: a dictionary per frame, a row per person; the last person is the walker and is missing in
    some frames.
    """
    camera = turned_root(a_walk(), TO_CAMERA).reshape(FRAMES, 72).astype(np.float32)
    frames = {}
    for frame in range(FRAMES):
        rows = people - 1 if frame in skip else people
        thetas = np.zeros((rows, 72), np.float32)
        if frame not in skip:
            thetas[-1] = camera[frame]
        shift = np.zeros((rows, 3), np.float32)
        ids = np.arange(rows) if frame % 2 else np.arange(rows)[::-1]
        order = np.arange(rows) if frame % 2 else np.arange(rows)[::-1]
        content = {
            "smpl_thetas": thetas[order],
            "cam_trans": shift,
            "track_ids": ids,
            "verts": np.zeros((rows, 10, 3), np.float32),
        }
        frames[f"{frame}.jpg"] = content
    return frames


def test_a_video_of_romp_by_its_tracks(tmp_path: Path) -> None:
    walk = a_walk()
    camera = turned_root(walk, TO_CAMERA).reshape(FRAMES, 72).astype(np.float32)
    seen = np.array([frame for frame in range(FRAMES) if frame not in (5, 6)])
    tracks = {
        1: {"frame_id": [0, 1], "smpl_thetas": camera[:2], "cam_trans": np.zeros((2, 3))},
        7: {"frame_id": seen.tolist(), "smpl_thetas": camera[seen], "cam_trans": places()[seen] @ TO_CAMERA.T},
    }
    np.savez(
        tmp_path / "video_results.npz",
        results=np.array(romp_frames(1), object),
        sequence_results=np.array(tracks, object),
    )
    motion = load_smpl_motion(tmp_path / "video_results.npz")
    held = walk.copy()
    held[5:7] = walk[4]
    way = places()
    way[5:7] = way[4]
    assert_is(motion, held, way, 1e-5)
    assert any("2 people" in note for note in motion.notes)


@pytest.mark.parametrize("people", [1, 2])
def test_a_video_of_romp_by_its_frames(tmp_path: Path, people: int) -> None:
    frames = romp_frames(people, skip=(3,) if people == 2 else ())
    if people == 2:  # the walker is in most frames
        for frame in list(frames)[10:20]:
            only = frames[frame]["track_ids"] == 1
            frames[frame] = {key: value[only] for key, value in frames[frame].items()}
    np.savez(tmp_path / "video_results.npz", results=np.array(frames, object))
    motion = load_smpl_motion(tmp_path / "video_results.npz")
    walk = a_walk()
    if people == 2:
        walk[3] = walk[2]
    assert_is(motion, walk, None, 1e-5)


# --- Which way is up


def stiff(frames: int, root: NDArray[Any]) -> NDArray[Any]:
    """(F, 24, 3) of a stiff body whose root turns by ``root`` (3,) or (F, 3)."""
    poses = np.zeros((frames, 24, 3))
    poses[:, 0] = root
    return poses


def lying(up: NDArray[Any], head: NDArray[Any], face: NDArray[Any]) -> NDArray[Any]:
    """(3,) the root's turn for a head (SMPL's y) and a face (z) that point so."""
    return Rotation.from_matrix(np.stack([np.cross(head, face), head, face], -1)).as_rotvec()


X, Y, Z = np.eye(3)
STANDING = lying(Z, Z, -Y)
CLIPS: dict[str, tuple[NDArray[Any], Any]] = {  # of z-up worlds: the root's turns and the places of the pelvis
    "prone, head to -y": (lying(Z, -Y, -Z), (0, 0, 0.12)),
    "prone, head to y": (lying(Z, Y, -Z), (0, 0, 0.12)),
    "supine, head to y": (lying(Z, Y, Z), (0, 0, 0.12)),
    "supine, head to x": (lying(Z, X, Z), (3, 1, 0.12)),
    "handstand": (lying(Z, -Z, Y), (0, 0, 0.7)),
    "push-ups": (
        np.stack(
            [
                lying(Z, *tipped)
                for tipped in [
                    (np.array([0, np.cos(a), np.sin(a)]), np.array([0, np.sin(a), -np.cos(a)]))
                    for a in np.linspace(0.1, 0.4, 20)
                ]
            ]
        ),
        (0, 0, 0.25),
    ),
    "stands, then lies": (np.concatenate([np.tile(STANDING, (6, 1)), np.tile(lying(Z, -Y, Z), (14, 1))]), (0, 0, 0.5)),
    "stands": (STANDING, (0, 0, 0.95)),
    "climbs": (STANDING, np.linspace((0, 0, 0.95), (0, 0, 5), 20)),
}


@pytest.mark.parametrize("clip", CLIPS)
def test_amass_files_have_z_up_whatever_they_do(tmp_path: Path, clip: str) -> None:
    root, where = CLIPS[clip]
    poses, trans = stiff(20, root), np.broadcast_to(where, (20, 3))
    np.savez(tmp_path / "m.npz", poses=poses.reshape(20, 72), trans=trans, mocap_framerate=30.0)
    motion = load_smpl_motion(tmp_path / "m.npz")
    whole = Rotation.from_rotvec(poses[:, 0]).as_matrix()
    assert np.abs(motion.rotations[:, 0] @ (0, 0, 1) - whole @ Y).max() < 1e-9  # the head
    assert np.abs(motion.rotations[:, 0] @ (0, -1, 0) - whole @ Z).max() < 1e-9  # the face
    assert np.abs(motion.pelvis - trans).max() < 1e-9


def test_amass_keys_in_a_plainly_y_up_world(tmp_path: Path) -> None:
    """Some write AMASS's keys and keep their own axes: who walks along z as if it were up, walks in a y-up world."""
    np.savez(tmp_path / "m.npz", poses=a_walk().reshape(FRAMES, 72), trans=places(), mocap_framerate=30.0)
    assert_is(load_smpl_motion(tmp_path / "m.npz"), a_walk(), places())


@pytest.mark.parametrize("world", ["y", "z", "camera"])
def test_files_that_promise_no_axis_are_seen_through(tmp_path: Path, world: str) -> None:
    axes = {"y": np.eye(3), "z": TO_Z_UP, "camera": TO_CAMERA}[world]
    poses = turned_root(a_walk(), axes)
    np.savez(tmp_path / "m.npz", poses=poses.reshape(FRAMES, 72), trans=places() @ axes.T, fps=30.0)
    assert_is(load_smpl_motion(tmp_path / "m.npz"), a_walk(), places())


def test_who_mostly_lies_in_a_world_of_unknown_axis(tmp_path: Path) -> None:
    """Y up: stands for 30 % of the frames, then lies with the head along z, on the same floor."""
    roots = np.concatenate([np.zeros((12, 3)), np.tile(lying(Y, Z, Y), (28, 1))])
    way = np.concatenate([np.tile((0, 0.97 + 0.22, 0), (12, 1)), np.tile((0, 0.12 + 0.22, 0.3), (28, 1))])
    np.savez(tmp_path / "m.npz", poses=stiff(40, roots).reshape(40, 72), trans=way, fps=30.0)
    assert_is(load_smpl_motion(tmp_path / "m.npz"), stiff(40, roots), way)


@pytest.mark.parametrize("up", [UpAxis.Y, UpAxis.Z, UpAxis.MINUS_Y])
def test_the_artist_may_say_which_axis_is_up(tmp_path: Path, up: UpAxis) -> None:
    np.savez(
        tmp_path / "m.npz",
        poses=stiff(3, np.zeros(3)).reshape(3, 72),
        trans=np.tile((1.0, 2, 3), (3, 1)),
        mocap_framerate=30.0,
    )
    motion = load_smpl_motion(tmp_path / "m.npz", up)
    world = {UpAxis.Y: ARMATURE_FROM_BODY, UpAxis.Z: np.eye(3), UpAxis.MINUS_Y: WORLD_FROM_CAMERA}[up]
    assert np.allclose(motion.pelvis, world @ (1, 2, 3)) and np.allclose(motion.rotations[0, 0] @ (0, 0, 1), world @ Y)


# --- Refused, in a sentence

DEGREES = a_walk().reshape(FRAMES, 72) * 180 / np.pi
POSITIONS = np.tile(np.random.default_rng(0).normal(size=(11, 3)), (FRAMES, 2, 1))
LEFT = [
    (0.1, 0, 0),
    (0.1, -0.4, 0),
    (0.1, -0.8, 0),
    (0.2, 0.4, 0),
    (0.45, 0.4, 0),
    (0.7, 0.4, 0),
]  # hip, knee, ankle, shoulder, elbow, wrist
POSITIONS[:, [1, 4, 7, 16, 18, 20]] = LEFT
POSITIONS[:, [2, 5, 8, 17, 19, 21]] = np.array(LEFT) * (-1, 1, 1)


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"x": np.zeros(3)}, "no SMPL poses: none of its arrays is called poses"),
        ({"poses": np.zeros((4, 30))}, "30 numbers a frame"),
        ({"poses": np.zeros((4, 75))}, "75 numbers a frame"),
        ({"poses": np.zeros((4, 159))}, "159 numbers a frame"),
        ({"poses": np.zeros(())}, "numbers a frame"),
        ({"poses": np.full((2, 72), np.nan)}, "finite"),
        ({"poses": np.zeros((0, 72))}, "0 frames"),
        ({"poses": np.zeros((2, 72)), "trans": np.zeros((5, 3))}, "damaged"),
        ({"poses": np.zeros((2, 72)), "trans": np.full((2, 3), 1e308)}, "finite"),
        ({"poses": np.zeros((2, 72)), "trans": np.full((2, 3), 1e6)}, "damaged"),
        ({"poses": np.zeros((2, 72)), "mocap_framerate": 0.0}, "0 frames per second"),
        ({"poses": np.zeros((2, 72)), "mocap_framerate": "fast"}, "no numbers"),
        ({"poses": np.array([{"a": 1}], object)}, "no SMPL poses"),
        ({"poses": np.array([{"a": 1}, {}], object)}, "objects instead of numbers"),
        ({"poses": np.array(["walk", "run"])}, "no numbers"),
        ({"poses": DEGREES}, "in radians, not degrees"),
        ({"poses": np.tile(np.eye(3) * 2, (3, 24, 1, 1))}, "not rotations"),
        ({"poses": np.tile(np.diag([1.0, 1, -1]), (3, 24, 1, 1))}, "not rotations"),
        ({"poses": np.random.default_rng(0).normal(size=(3, 96))}, "unit length"),
        ({"poses": np.full((3, 96), 0.5)}, "first or last"),
        ({"poses": np.random.default_rng(0).normal(size=(3, 144))}, "two rows or columns"),
        (
            {"poses": np.tile(np.eye(3)[:2], (3, 24, 1, 1)).reshape(3, 144)},
            "it is ambiguous whether its rotations of six numbers are matrix rows or columns",
        ),
        ({"poses": POSITIONS}, "joint positions instead of rotations"),
        ({"root_orient": np.zeros((3, 3)), "pose_body": np.zeros((4, 63))}, "does not match"),
        (
            {"smpl_poses": np.zeros((3, 72)), "smpl_trans": np.zeros((3, 3)), "smpl_scaling": np.zeros(1)},
            "a scale of 0",
        ),
        ({"results": np.array({"a.jpg": {"verts": np.zeros((1, 3))}}, object)}, "no people"),
        ({"results": np.array(Path("x"), object)}, "objects of pathlib"),
    ],
)
def test_what_is_no_smpl_motion_is_told_in_a_sentence(tmp_path: Path, arrays: dict[str, Any], sentence: str) -> None:
    np.savez(tmp_path / "m.npz", **arrays)
    with pytest.raises(MotionError, match=sentence) as told:
        load_smpl_motion(tmp_path / "m.npz")
    assert str(told.value).startswith("m.npz cannot be imported: ") and str(told.value).endswith(".")


def header(shape: tuple[int, ...], kind: str = "<f8") -> bytes:
    data = io.BytesIO()
    np.lib.format.write_array_header_1_0(data, {"descr": kind, "fortran_order": False, "shape": shape})
    return data.getvalue()


def archive(path: Path, data: bytes, compression: int = zipfile.ZIP_DEFLATED) -> None:
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr("poses.npy", data)


def test_hostile_archives_are_told_before_they_expand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "m.npz"
    archive(file, header((10**14, 72)))  # 57.6 PB
    with pytest.raises(MotionError, match="frames"):
        load_smpl_motion(file)
    archive(file, header((100, 10**13)))
    with pytest.raises(MotionError, match=r"take .* GB"):
        load_smpl_motion(file)
    archive(file, header((100, 72)) + bytes(10))
    with pytest.raises(MotionError, match="truncated"):
        load_smpl_motion(file)
    archive(file, header((3, 72)) + bytes(3 * 72 * 8), zipfile.ZIP_LZMA)
    with pytest.raises(MotionError, match="a compression method that numpy does not write"):
        load_smpl_motion(file)
    archive(file, header((3, 72)) + bytes(3 * 72 * 8), zipfile.ZIP_DEFLATED)
    whole = bytearray(file.read_bytes())
    encrypted = bytearray(whole)
    encrypted[6] |= 1
    encrypted[whole.rindex(b"PK\x01\x02") + 8] |= 1
    file.write_bytes(encrypted)
    with pytest.raises(MotionError, match="encrypted"):
        load_smpl_motion(file)
    whole[-150:-120] = bytes(30)
    file.write_bytes(whole)
    with pytest.raises(MotionError, match="damaged"):
        load_smpl_motion(file)


def test_millions_of_frames_are_counted_before_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """3 million frames of zeros are less than 1 MB packed and 1.7 GB unpacked: nothing of them may be read."""
    with (
        zipfile.ZipFile(tmp_path / "m.npz", "w", zipfile.ZIP_DEFLATED) as file,
        file.open("poses.npy", "w", force_zip64=True) as member,
    ):
        member.write(header((3_000_000, 72)))
        for _ in range(20):  # of what the header promises
            member.write(bytes(1_000_000))
    read = 0
    original = zipfile.ZipExtFile.read

    def counted(self: zipfile.ZipExtFile, size: int = -1) -> bytes:
        nonlocal read
        data = original(self, size)
        read += len(data)
        return data

    monkeypatch.setattr(zipfile.ZipExtFile, "read", counted)
    with pytest.raises(MotionError, match=f"3000000 frames; only 1 to {LONGEST}"):
        load_smpl_motion(tmp_path / "m.npz")
    assert read < 1000


class Command:
    """Pickled, it asks for a program to be run."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("ran"),)


class Hollow:
    """Pickled, it is an array whose bytes are a number: made from it, they would be that many zeros."""

    def __reduce__(self) -> tuple[Any, ...]:
        whole: Any = np.zeros(3).__reduce__()
        make, arguments, (version, _, kind, fortran, _) = whole
        return make, arguments, (version, (10**9,), kind, fortran, 8 * 10**9)


def doubled(times: int) -> list[Any]:
    """A list that names one list twice, that one another, and so on: small in memory, and endless written out."""
    made: list[Any] = []
    for _ in range(times):
        made = [made, made]
    return made


BOMBS = {
    "a list named again and again": pickle.dumps({"poses": doubled(45)}),
    "an array named again and again": pickle.dumps({"poses": [np.zeros(1_000_000)] * 1000}),
    "a far place in the memo": b"\x80\x02Nr\xff\xff\xff\x0f.",
    "a byte array that is not there": b"\x80\x05\x96" + (10**15).to_bytes(8, "little") + b".",
    "an array whose bytes are a number": pickle.dumps({"poses": Hollow()}),
    "a program": pickle.dumps({"poses": Command()}),
    "a list without end": b"]" * 200_000 + b"a" * 199_999 + b".",
    "nothing": b"",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_hostile_pickles(tmp_path: Path, bomb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.pkl").write_bytes(BOMBS[bomb])
    with pytest.raises(MotionError, match=r"m\.pkl cannot be imported"):
        load_smpl_motion(tmp_path / "m.pkl")
    assert not Path("ran").exists()


def test_only_what_is_wanted_is_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "m.npz", poses=np.zeros((2, 72)), verts=np.zeros((2, 6890, 3)))
    assert set(load_arrays(tmp_path / "m.npz", {"poses", "trans"}, 10)) == {"poses"}
