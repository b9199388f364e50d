"""Rebuild blender_addon/uvatar_blender/limb_correctives.npz: shapes that keep the volume of shoulders and elbows.

    python -m tools.build_limb_correctives

It takes some seconds. The mean body is skinned with dual quaternions in the pose of each shape, as in Blender. Then the
skin near the joint is made as rigid as possible (Sorkine and Alexa 2007) while it stays near the skinned one, and is
blown up or shrunk, smoothly, to the volume that the settings ask for. The shape is what this changes, taken back to the
T pose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree

from benchmarks.deformation import REACH, Pose, dual_quaternion_skinned, mean_body, transforms, volume
from uvatar.gltf.surface import Skeleton, Surface
from uvatar.protocol.rig import RIG_NAMES
from uvatar_blender.core.limb_correctives import CORRECTIVES, FILE

Array = NDArray[np.float64]
_LEAST = 1e-4  # metres; vertices that move less are not stored
_STEPS, _BLOWS = 15, 4  # iterations of the rigid shape, and in each, of its volume


@dataclass(frozen=True)
class Settings:
    """How a shape is made. Chosen by looking at the pose from four sides.

    Attributes:
        pose: of the left side.
        joint: the shape is made around it.
        reach: metres from the joint within which skin moves.
        keep: how strongly skin stays where skinning takes it, against 2 per edge for being rigid. At .5 the chest's
            swelling goes; at 4 a bent elbow keeps its tip.
        change: of the body's volume, as a share of that around the joint (`benchmarks.deformation.REACH`).
    """

    pose: Pose
    joint: str
    reach: float
    keep: float
    change: float


SETTINGS: Mapping[str, Settings] = {
    "arm raised": Settings({"left_shoulder": (0, 0, 60), "left_collar": (0, 0, 20)}, "left_shoulder", 0.24, 0.5, 0.06),
    "arm lowered": Settings({"left_shoulder": (0, 0, -75)}, "left_shoulder", 0.24, 4.0, -0.09),
    "elbow bent": Settings({"left_elbow": (0, -140, 0)}, "left_elbow", 0.15, 4.0, -0.09),
}


def main() -> None:
    """Make the shapes of the left side, mirror them, and write both."""
    _, surface, skeleton = mean_body()
    places = surface.positions.astype(np.float64)
    if not np.array_equal(surface.sources, np.arange(len(places))):
        raise SystemExit("The surface has other vertices than the body, whose numbers the file needs.")
    mirrored = cKDTree(places).query(places * (-1, 1, 1))[1]
    arrays: dict[str, NDArray[np.generic]] = {"vertices": np.array(len(places), np.int32)}
    for corrective in CORRECTIVES:
        left = shape(surface, skeleton, SETTINGS[corrective.name])
        right = np.zeros_like(left)
        right[mirrored] = left * (-1, 1, 1)
        for side, deltas in (("left", left), ("right", right)):
            chosen = np.flatnonzero(np.linalg.norm(deltas, axis=1) > _LEAST)
            arrays[f"{corrective.name} {side} vertices"] = chosen.astype(np.uint16)
            arrays[f"{corrective.name} {side} deltas"] = deltas[chosen].astype(np.float16)
            print(f"{side} {corrective.name}: {len(chosen)} vertices, {1000 * np.abs(deltas).max():.1f} mm at most")
    np.savez_compressed(FILE, **arrays)
    print(f"written: {FILE.name}, {FILE.stat().st_size / 1000:.0f} kB")


def shape(surface: Surface, skeleton: Skeleton, settings: Settings) -> Array:
    """Deltas (N, 3) in the T pose; ``surface``: (N) vertices with the weights for dual quaternions."""
    matrices = transforms(skeleton, settings.pose)
    skinned = dual_quaternion_skinned(surface, *matrices)
    distance = np.linalg.norm(surface.positions - skeleton.heads[RIG_NAMES.index(settings.joint)], axis=1)
    triangles = surface.triangles.astype(np.int64)
    inside = distance < REACH[settings.joint.removeprefix("left_")]
    near = volume(surface.positions.astype(np.float64), triangles[inside[triangles].all(1)], surface.sources)
    rest = surface.positions.astype(np.float64)
    wanted = _volume(rest, triangles) + settings.change * near
    posed = _relaxed(rest, skinned, triangles, distance, wanted, settings)
    # Skinning takes a point of a vertex to a rotation and a shift of it: its axes are where unit steps go.
    turns = np.stack(
        [dual_quaternion_skinned(replace(surface, positions=rest + axis), *matrices) - skinned for axis in np.eye(3)],
        -1,
    )
    deltas: Array = np.einsum("nba,nb->na", turns, posed - skinned)
    return deltas


def _relaxed(
    rest: Array, skinned: Array, triangles: NDArray[np.int64], distance: Array, wanted: float, settings: Settings
) -> Array:
    """The skinned surface (N, 3), as rigid as possible within reach of the joint, with the ``wanted`` cubic metres."""
    pairs = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    pairs = np.unique(np.sort(pairs, 1), axis=0)
    pairs = np.concatenate([pairs, pairs[:, ::-1]])
    free = np.flatnonzero(distance < settings.reach)
    number = np.full(len(rest), -1)
    number[free] = np.arange(len(free))
    pairs = pairs[(number[pairs] >= 0).any(1)]
    first, second = number[pairs].T
    own, outer, inner = first >= 0, (first >= 0) & (second < 0), (first >= 0) & (second >= 0)
    fade = np.clip((settings.reach - distance[free]) / (0.4 * settings.reach), 0, 1)
    fade = fade * fade * (3 - 2 * fade)
    keep = settings.keep / np.maximum(fade, 1e-3)
    size = (len(free), len(free))
    count = 2.0 * np.bincount(first[own], minlength=len(free))
    links = sp.coo_matrix((np.full(inner.sum(), 2.0), (first[inner], second[inner])), size)
    solver = splu((sp.diags(count + keep) - links).tocsc())
    edges = rest[pairs[:, 0]] - rest[pairs[:, 1]]
    posed = skinned.copy()
    for _ in range(_STEPS):
        turns = _rotations(edges, posed[pairs[:, 0]] - posed[pairs[:, 1]], pairs[:, 0], len(rest))
        rigid = np.einsum("nab,nb->na", turns[pairs[:, 0]] + turns[pairs[:, 1]], edges)
        right = keep[:, None] * skinned[free]
        np.add.at(right, first[own], rigid[own])
        np.add.at(right, first[outer], 2 * skinned[pairs[outer, 1]])
        posed[free] = solver.solve(right)
        for _ in range(_BLOWS):
            slope = _slope(posed, triangles)[free]
            step = solver.solve(slope * fade[:, None])
            posed[free] += step * ((wanted - _volume(posed, triangles)) / np.sum(slope * step))
    return posed


def _rotations(before: Array, after: Array, owner: NDArray[np.int64], count: int) -> Array:
    """(count, 3, 3) rotations that best take the edges (E, 3) of each vertex from before to after."""
    sums = np.zeros((count, 3, 3))
    np.add.at(sums, owner, before[:, :, None] * after[:, None, :])
    left, _, right = np.linalg.svd(sums)
    right[:, 2] *= np.sign(np.linalg.det(left @ right))[:, None]
    turns: Array = np.einsum("nab,nbc->nca", left, right)
    return turns


def _volume(places: Array, triangles: NDArray[np.int64]) -> float:
    first, second, third = (places[triangles[:, corner]] for corner in range(3))
    return float(np.einsum("fi,fi->", first, np.cross(second, third)) / 6)


def _slope(places: Array, triangles: NDArray[np.int64]) -> Array:
    """(N, 3) how the volume grows as each vertex moves."""
    first, second, third = (places[triangles[:, corner]] for corner in range(3))
    slope = np.zeros_like(places)
    for corner, grows in enumerate((np.cross(second, third), np.cross(third, first), np.cross(first, second))):
        np.add.at(slope, triangles[:, corner], grows / 6)
    return slope


if __name__ == "__main__":
    main()
