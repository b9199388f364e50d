"""How much of a limb's volume poses take, by the way in which the mean body is skinned.

    python -m benchmarks.deformation               # the mean body; writes benchmarks/results/deformation.csv
    python -m benchmarks.deformation --shapes 8    # prints the range over the mean body and 8 of random shapes

Regions are the surface around a joint, closed by the fans of their borders; a row is a pose of the left side. Columns
are the change of the region's volume against rest: "body" with the body's own weights and linear skinning, "files" with
those of exported files, "vrm" with the helper bones of VRM files, "dual quaternions" with these alone, "blender" with
them and the corrective shapes of the limbs, as in Blender.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from benchmarks.csv_results import write_csv
from uvatar.body import load_open_body
from uvatar.data.arrays import Floats, Integers
from uvatar.gltf.helper_bones import helper_bones, with_weights
from uvatar.gltf.surface import Skeleton, Surface, body_at_rest, with_bones
from uvatar.protocol.rig import RIG_NAMES
from uvatar.results.present import body_entry
from uvatar_blender.core.limb_correctives import CORRECTIVES, SIDES, load_shapes, value

# Metres from the joint that a region reaches.
REACH = {"elbow": 0.13, "knee": 0.2, "shoulder": 0.17, "hip": 0.22, "wrist": 0.13, "ankle": 0.13, "neck": 0.15}
SPREAD = 1.5  # standard deviations of random shapes
Pose = Mapping[str, tuple[float, float, float]]
# By name: the joint whose region counts, and the rotation vectors, degrees, of the joints that turn.
POSES: Mapping[str, tuple[str, Pose]] = {
    "elbow 90": ("left_elbow", {"left_elbow": (0, -90, 0)}),
    "elbow 140": ("left_elbow", {"left_elbow": (0, -140, 0)}),
    "knee 90": ("left_knee", {"left_knee": (90, 0, 0)}),
    "knee 130": ("left_knee", {"left_knee": (130, 0, 0)}),
    "arm down 75": ("left_shoulder", {"left_shoulder": (0, 0, -75)}),
    "arm up 80": ("left_shoulder", {"left_shoulder": (0, 0, 60), "left_collar": (0, 0, 20)}),
    "collar bone up 20": ("left_shoulder", {"left_collar": (0, 0, 20)}),
    "arm and collar bone up 120": ("left_shoulder", {"left_shoulder": (0, 0, 90), "left_collar": (0, 0, 30)}),
    "shrugged 20, arm down 75": ("left_shoulder", {"left_shoulder": (0, 0, -75), "left_collar": (0, 0, 20)}),
    "arm forward 90": ("left_shoulder", {"left_shoulder": (0, -90, 0)}),
    "arm twisted 80": ("left_shoulder", {"left_shoulder": (80, 0, 0)}),
    "hip flexed 90": ("left_hip", {"left_hip": (-90, 0, 0)}),
    "hip flexed 110": ("left_hip", {"left_hip": (-110, 0, 0)}),
    "hip abducted 45": ("left_hip", {"left_hip": (0, 0, 45)}),
    "hip extended 25": ("left_hip", {"left_hip": (25, 0, 0)}),
    "wrist flexed 70": ("left_wrist", {"left_wrist": (0, 0, -70)}),
    "hand twisted 90": ("left_wrist", {"left_wrist": (90, 0, 0)}),
    "hand twisted 150": ("left_wrist", {"left_wrist": (150, 0, 0)}),
    "ankle 40": ("left_ankle", {"left_ankle": (40, 0, 0)}),
    "head turned 60": ("neck", {"neck": (0, 30, 0), "head": (0, 30, 0)}),
}
Skinning = Callable[[Pose], NDArray[np.float64]]


def changes(betas: Floats | None = None) -> list[dict[str, object]]:
    """A row for each pose, with the changes in percent; ``betas``: (10,) the body's shape, None for the mean body."""
    files, body, skeleton = mean_body(betas)
    bones = helper_bones(skeleton)
    vrm, with_helpers = with_weights(files, skeleton, bones), with_bones(skeleton, bones)

    def linear(surface: Surface) -> Skinning:
        return lambda pose: skinned(surface, *transforms(skeleton, pose))

    def helped(pose: Pose) -> NDArray[np.float64]:
        own: dict[int, Rotation] = {}
        for number, bone in enumerate(bones):
            turn = np.radians(pose.get(RIG_NAMES[bone.source], (0.0, 0.0, 0.0)))
            own[len(RIG_NAMES) + number] = Rotation.from_rotvec(bone.share * (turn * (1, 0, 0) if bone.twist else turn))
        return skinned(vrm, *transforms(with_helpers, pose, own))

    def quaternions(pose: Pose) -> NDArray[np.float64]:
        return dual_quaternion_skinned(body, *transforms(skeleton, pose))

    def blender(pose: Pose) -> NDArray[np.float64]:
        return dual_quaternion_skinned(corrected(body, pose), *transforms(skeleton, pose))

    ways: dict[str, Skinning] = {"body": linear(body), "files": linear(files), "vrm": helped}
    ways |= {"dual quaternions": quaternions, "blender": blender}
    rows: list[dict[str, object]] = []
    for name, (joint, pose) in POSES.items():
        near = np.linalg.norm(files.positions - skeleton.heads[RIG_NAMES.index(joint)], axis=1)
        inside = near < REACH[joint.removeprefix("left_")]
        region = files.triangles[inside[files.triangles].all(1)].astype(np.int64)
        rest = volume(files.positions.astype(float), region, files.sources)
        shares = {way: volume(skin(pose), region, files.sources) / rest - 1 for way, skin in ways.items()}
        rows.append({"pose": name, **{f"{way} (%)": round(100 * share, 1) for way, share in shares.items()}})
    return rows


def mean_body(betas: Floats | None = None) -> tuple[Surface, Surface, Skeleton]:
    """The mean body, or one of a shape, at rest with the weights of exported files, and with those of Blender."""
    person = {**body_entry(load_open_body()), "pose": np.zeros((24, 3), np.float32)}
    person |= {
        "betas": np.zeros(10) if betas is None else betas,
        "offsets": np.zeros_like(person["template"]),
        "texture_png": b"",
    }
    files, skeleton = body_at_rest(person, False)
    rig = person["rig"]
    own = replace(files, joints=rig["skin_joints"][files.sources], weights=rig["skin_weights"][files.sources])
    return files, own, skeleton


def corrected(surface: Surface, pose: Pose) -> Surface:
    """A surface at rest with the corrective shapes of the limbs, as a pose drives them."""
    shapes, count = load_shapes()
    turns = {name: Rotation.from_rotvec(vector, degrees=True).as_matrix() for name, vector in pose.items()}
    moved = np.zeros((count, 3))
    for corrective in CORRECTIVES:
        for side in SIDES:
            shape = shapes[corrective.name, side]
            moved[shape.vertices] += value(corrective, side, turns) * shape.deltas
    return replace(surface, positions=surface.positions + moved[surface.sources])


def transforms(
    skeleton: Skeleton, pose: Pose, extra: Mapping[int, Rotation] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rotations (J, 3, 3) and translations (J, 3) of the bones; ``extra``: rotations of others by their number."""
    turns = {RIG_NAMES.index(name): Rotation.from_rotvec(vector, degrees=True) for name, vector in pose.items()}
    turns |= extra or {}
    world, places = np.tile(np.eye(3), (len(skeleton.heads), 1, 1)), skeleton.heads.copy()
    for joint, parent in enumerate(skeleton.parents):
        own = turns[joint].as_matrix() if joint in turns else np.eye(3)
        world[joint] = world[parent] @ own if parent >= 0 else own
        if parent >= 0:
            places[joint] = places[parent] + world[parent] @ (skeleton.heads[joint] - skeleton.heads[parent])
    return world, places - np.einsum("jab,jb->ja", world, skeleton.heads)


def skinned(surface: Surface, rotations: Floats, translations: Floats) -> NDArray[np.float64]:
    """(N, 3) linear blend skinning."""
    matrices = np.einsum("nk,nkab->nab", surface.weights, rotations[surface.joints])
    moved: NDArray[np.float64] = np.einsum("nab,nb->na", matrices, surface.positions)
    moved += np.einsum("nk,nka->na", surface.weights, translations[surface.joints])
    return moved


def dual_quaternion_skinned(surface: Surface, rotations: Floats, translations: Floats) -> NDArray[np.float64]:
    """(N, 3) Kavan et al., Geometric Skinning with Approximate Dual Quaternion Blending, 2008."""
    real = Rotation.from_matrix(rotations).as_quat()
    dual = 0.5 * _product(np.concatenate([translations, np.zeros((len(translations), 1))], 1), real)
    mine = surface.joints[np.arange(len(surface.joints)), surface.weights.argmax(1)]
    signs = np.where((real[surface.joints] * real[mine][:, None]).sum(-1) < 0, -1.0, 1.0) * surface.weights
    first, second = (np.einsum("nk,nka->na", signs, part[surface.joints]) for part in (real, dual))
    length = np.linalg.norm(first, axis=1, keepdims=True)
    first, second = first / length, second / length
    shift = 2 * _product(second, first * (-1, -1, -1, 1))[:, :3]
    moved: NDArray[np.float64] = Rotation.from_quat(first).apply(surface.positions) + shift
    return moved


def _product(one: Floats, other: Floats) -> NDArray[np.float64]:
    """Products (N, 4) of quaternions x, y, z, w."""
    vector = one[:, 3:] * other[:, :3] + other[:, 3:] * one[:, :3] + np.cross(one[:, :3], other[:, :3])
    real = one[:, 3] * other[:, 3] - (one[:, :3] * other[:, :3]).sum(1)
    return np.concatenate([vector, real[:, None]], 1)


def volume(positions: Floats, triangles: Integers, sources: Integers) -> float:
    """Cubic metres of triangles (F, 3), closed by a fan over each border; ``sources``: vertices that are the same."""
    _, first, corner = np.unique(sources, return_index=True, return_inverse=True)
    places, faces = positions[first], corner[triangles]
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    known = {(int(tail), int(head)) for tail, head in edges}
    following = {tail: head for tail, head in known if (head, tail) not in known}
    total = _signed(places[faces[:, 0]], places[faces[:, 1]], places[faces[:, 2]])
    while following:
        loop = [next(iter(following))]
        while loop[-1] in following:
            loop.append(following.pop(loop[-1]))
        tails, heads = places[loop[:-1]], places[loop[1:]]
        total += _signed(heads, tails, np.broadcast_to(tails.mean(0), tails.shape))
    return total


def _signed(a: Floats, b: Floats, c: Floats) -> float:
    return float(np.einsum("fi,fi->", a, np.cross(b, c)) / 6)


def ranges(shapes: int) -> list[dict[str, object]]:
    """A row for each pose, with the least and the greatest change over the mean body and others of random shapes."""
    chance = np.random.default_rng(3)
    tables = [changes(chance.normal(0, SPREAD, 10) if number else None) for number in range(shapes + 1)]
    rows: list[dict[str, object]] = []
    for same in zip(*tables, strict=True):
        columns = {name: [float(str(row[name])) for row in same] for name in same[0] if name != "pose"}
        spans = {name: f"{min(values)}..{max(values)}" for name, values in columns.items()}
        rows.append({"pose": same[0]["pose"], **spans})
    return rows


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", type=int, default=0, help="measure this many random shapes as well; only printed")
    shapes = parser.parse_args().shapes
    rows = ranges(shapes) if shapes else changes()
    for row in rows:
        print("  ".join(str(cell).rjust(14 if number else 27) for number, cell in enumerate(row.values())))
    if not shapes:
        write_csv("deformation", rows)


if __name__ == "__main__":
    main()
