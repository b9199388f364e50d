"""Rebuild weights/open_shoes.npz: what a shoe does to the foot of the open body, for four kinds of shoes.

You need it after a change of the open body's feet, or to change a kind of shoe.

    python -m tools.build_shoes

Every shoe is a union of convex hulls: the foot with the upper's thickness, a toe box and a sole; the ankle; a heel.
Seen from a point inside the foot it has one surface in every direction, so that a direction stands for a point on it.
The skin of the foot is spread over these directions by Tutte's embedding ("How to draw a graph", 1963), which turns no
triangle over whatever its weights: toes and the gaps between them flatten into the toe cap. The weights are then
changed, in the way of Yoshizawa, Belyaev and Seidel ("A fast and simple stretch-minimizing mesh parameterization",
2004), until long edges have become short. All of it takes half a minute.
"""

from __future__ import annotations

import argparse
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import spsolve
from scipy.spatial import ConvexHull

from uvatar.body import load_open_body
from uvatar.body.data import BodyData
from uvatar.data.arrays import Floats, Integers
from uvatar.geometry.adjacency import adjacency, averaging, triangle_edges
from uvatar.geometry.mesh import face_normals, unit, vertex_normals
from uvatar.photos.colour import smoothstep

ROOT = Path(__file__).resolve().parents[1]
CUT = 0.112  # metres above the sole, where the skin of the foot ends
EASE = 0.035  # metres below the cut over which a low shoe passes into the leg
CENTRE = (0.0, 0.042, 0.085)  # metres from the ankle in x, above the sole, and z: sees the whole shoe from inside
SHARPNESS = 24.0  # of the soft maximum of the hulls' radii: a crease of about 5 mm
ROUNDS = 100  # of changing the embedding's weights
STIFFENING = 0.15  # power of an edge's length over the wanted one by which its weight grows in each of them
LENGTHS = (
    0.3  # power of an edge's length on the bare foot that is wanted: at 1 toes stay folds, at 0 the sole is coarse
)
SMOOTHING = 2  # rounds of smoothing at last
LOOSE = (0.13, 0.175)  # z: the skin behind keeps to its own direction, the toes before it are free
HEEL = 0.015  # metres from which a heel is a block of its own, not a wedge
HOLD = 0.08  # strength of that, against 1 of all neighbours


@dataclass(frozen=True)
class Shoe:
    """Measures of a shoe, metres on a foot of 26 cm.

    Attributes:
        name: of the kind.
        sole: thickness under the ball of the foot.
        heel: how much more there is under the heel; from `HEEL` on it is a block of its own.
        upper: thickness of the upper.
        opening: height above the foot's sole up to which the upper reaches.
        welt: by how much the sole stands out over the foot.
        toe_room: length before the toes.
        toe_box: height above the foot's sole at the toes' tips.
        point: by how much the toe narrows to a point, 0 round to 1.
        spring: how high the sole rises at the tip.
        shaft: height of the shaft above the sole, or 0.
        shaft_width: distance of the shaft from the leg.
    """

    name: str
    sole: float
    heel: float
    upper: float
    opening: float
    welt: float
    toe_room: float
    toe_box: float
    point: float
    spring: float
    shaft: float = 0.0
    shaft_width: float = 0.0


SHOES = (
    Shoe("trainer", 0.022, 0.008, 0.006, 0.075, 0.007, 0.012, 0.040, 0.15, 0.008),
    Shoe("flat", 0.009, 0.007, 0.003, 0.060, 0.003, 0.012, 0.030, 0.55, 0.004),
    Shoe("boot", 0.020, 0.012, 0.006, 0.085, 0.007, 0.013, 0.042, 0.20, 0.006, 0.24, 0.010),
    Shoe("heel", 0.008, 0.040, 0.003, 0.055, 0.002, 0.014, 0.026, 0.75, 0.002),
)


@dataclass(frozen=True)
class Foot:
    """The skin of the left foot up to the cut, about `CENTRE`; lengths in metres.

    Attributes:
        index: (N,) its vertices in the body.
        points: (N, 3) from the centre, y up, z towards the toes.
        triangles: (M, 3) into ``points``.
        rim: vertices at the cut, into ``points``.
        ground: (3,) the centre in the body's frame.
        ankle: (K, 3) points of ankle and lower leg from the centre.
        normals: (N, 3).
    """

    index: Integers
    points: Floats
    triangles: Integers
    rim: Integers
    ground: Floats
    ankle: Floats
    normals: Floats


def left_foot(data: BodyData) -> Foot:
    """The skin of the body's left foot."""
    assert data.quads is not None
    vertices = data.v_template.astype(float)
    centre = np.array([data.joint_template[7, 0], vertices[:, 1].min(), 0.0]) + CENTRE
    own = (vertices[:, 0] > 0) & (vertices[:, 1] - vertices[:, 1].min() < CUT)
    inside = own[data.quads].all(1)
    quads = data.quads[inside]
    index = np.unique(quads)
    number = np.full(len(vertices), -1)
    number[index] = np.arange(len(index))
    triangles = number[data.faces.reshape(-1, 2, 3)[inside].reshape(-1, 3)]
    edges = np.sort(np.concatenate([triangles[:, pair] for pair in ([0, 1], [1, 2], [2, 0])]), 1)
    unique, count = np.unique(edges, axis=0, return_counts=True)
    rim = np.unique(unique[count == 1])
    height = vertices[:, 1] - vertices[:, 1].min()
    ankle = vertices[(vertices[:, 0] > 0) & (height > 0.05) & (height < CUT + 0.06) & (vertices[:, 2] < 0.125)]
    return Foot(
        index,
        vertices[index] - centre,
        triangles,
        rim,
        centre,
        ankle - centre,
        vertex_normals(vertices, data.faces)[index],
    )


def radius(hull: ConvexHull, directions: Floats) -> Floats:
    """Distance (N,) of a convex hull around the origin in the directions (N, 3); 0 if it does not hold it."""
    facing = directions @ hull.equations[:, :3].T
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = np.where(facing > 1e-9, -hull.equations[:, 3] / facing, np.inf).min(1)
    distance: Floats = np.maximum(reach, 0)
    return distance


def _swollen(points: Floats, amount: Floats | float) -> Floats:
    """Points (N, 3) with others around them, ``amount`` (3,) away."""
    around = unit(
        np.array([[x, y, z] for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1) if x or y or z], float)
    )
    return (points[:, None] + around * amount).reshape(-1, 3)


def pieces(foot: Foot, shoe: Shoe) -> list[ConvexHull]:
    """The convex hulls that a shoe is the union of, each around the foot's centre."""
    points = foot.points
    height = points[:, 1] + CENTRE[1]
    low, high = points[:, 2].min(), points[:, 2].max()
    front = smoothstep((points[:, 2] - low) / (high - low), 0.55, 1.0)
    longer = points + np.outer(front * shoe.toe_room, [0, 0, 1])
    # The big toe's side is straighter than the little toe's: the tip lies towards the inner side.
    tip = np.array([-0.010, 0, 0])
    longer[:, 0] += (tip[0] - longer[:, 0]) * shoe.point * 0.45 * smoothstep(front, 0.35, 1.0)
    upper = longer[height < shoe.opening]
    plan = longer[height < 0.03]
    toes = plan[plan[:, 2] > low + 0.6 * (high - low)]
    middle = np.array([toes[:, 0].mean(), 0, low + 0.6 * (high - low)])
    box = []
    for angle in np.radians((0, 20, 40, 60, 75, 90)):  # a quarter of an ellipse: a round toe
        row = middle + (toes - middle) * [1 - 0.40 * (1 - np.cos(angle)), 0, 1 - 0.36 * (1 - np.cos(angle))]
        row[:, 1] = 0.006 + (shoe.toe_box - 0.006) * np.sin(angle) - CENTRE[1]
        box.append(_swollen(row, shoe.upper))
    levels = []
    fall = shoe.heel * (1 - smoothstep(plan[:, 2], low + 0.03, low + 0.19)) if shoe.heel < HEEL else 0
    for level, inset in ((-shoe.sole, 0.004), (-shoe.sole + 0.002, 0.001), (-shoe.sole + 0.005, 0.0), (0.004, 0.001)):
        row = plan.copy()
        row[:, 1] = level - fall * (level < 0) - CENTRE[1]
        levels.append(_swollen(row, np.array([shoe.welt - inset, 0.0005, shoe.welt - inset])))
    hulls = [ConvexHull(np.concatenate([_swollen(upper, shoe.upper), *box, *levels]))]
    collar = _swollen(foot.ankle, max(shoe.shaft_width, 0.002))
    hulls.append(ConvexHull(np.concatenate([collar, [[0, -0.01, 0], [0.01, -0.01, 0.02], [-0.01, -0.01, 0.02]]])))
    if shoe.heel >= HEEL:
        back = plan[plan[:, 2] < low + 0.065]
        block = []
        for level, share in ((0.004, 1.0), (-shoe.sole - shoe.heel + 0.003, 0.86), (-shoe.sole - shoe.heel, 0.82)):
            row = back.copy()
            row[:, [0, 2]] += (np.array([row[:, 0].mean(), low + 0.03]) - row[:, [0, 2]]) * (1 - share)
            row[:, 1] = level - CENTRE[1]
            block.append(_swollen(row, np.array([shoe.welt, 0.0005, shoe.welt])))
        hulls.append(ConvexHull(np.concatenate([*block, [[0, 0.01, 0.02], [0.01, 0.01, 0.02], [-0.01, 0.01, 0.02]]])))
    return hulls


def surface(hulls: list[ConvexHull], directions: Floats) -> Floats:
    """The points (N, 3) of a union of hulls in the directions (N, 3), its creases softened."""
    reach = np.stack([radius(hull, directions) for hull in hulls])
    most = reach.max(0)
    soft = most * ((reach / most) ** SHARPNESS).sum(0) ** (1 / SHARPNESS)
    # Where two hulls agree the soft maximum adds 3 %; that much is taken off where one hull alone is not enough.
    places: Floats = directions * np.minimum(soft, most * 1.03)[:, None]
    return places


class Disc:
    """Directions about the centre as points of the unit disc: straight down in its middle, the cut at its rim."""

    def __init__(self, foot: Foot) -> None:
        polar, turn = self._angles(foot.points[foot.rim])
        order = np.argsort(turn)
        self._turn = np.concatenate([turn[order] - 2 * np.pi, turn[order], turn[order] + 2 * np.pi])
        self._rim = np.tile(polar[order], 3)

    @staticmethod
    def _angles(points: Floats) -> tuple[Floats, Floats]:
        way = unit(points)
        return np.arccos(np.clip(-way[:, 1], -1, 1)), np.arctan2(way[:, 0], way[:, 2])

    def of(self, points: Floats) -> Floats:
        """(N, 2) of the points (N, 3)."""
        polar, turn = self._angles(points)
        share = polar / np.interp(turn, self._turn, self._rim)
        places: Floats = share[:, None] * np.stack([np.cos(turn), np.sin(turn)], 1)
        return places

    def direction(self, places: Floats) -> Floats:
        """(N, 3) unit, of places (N, 2) in the disc."""
        turn = np.arctan2(places[:, 1], places[:, 0])
        polar = np.linalg.norm(places, axis=1) * np.interp(turn, self._turn, self._rim)
        side = np.sin(polar)
        return np.stack([side * np.sin(turn), -np.cos(polar), side * np.cos(turn)], 1)


def spread(foot: Foot, hulls: list[ConvexHull]) -> Floats:
    """Where on the union of hulls each vertex of the foot comes to lie, (N, 3) from the centre."""
    disc = Disc(foot)
    own = disc.of(foot.points)
    count = len(own)
    free = np.setdiff1d(np.arange(count), foot.rim)
    graph = adjacency(triangle_edges(foot.triangles), count).tocoo()
    weight = 1 / np.linalg.norm(foot.points[graph.row] - foot.points[graph.col], axis=1)
    hold = HOLD * (1 - smoothstep(foot.points[:, 2] + CENTRE[2], *LOOSE))
    wanted = np.linalg.norm(foot.points[graph.row] - foot.points[graph.col], axis=1) ** LENGTHS
    places = own
    for _ in range(ROUNDS):
        matrix = sparse.csr_matrix((weight, (graph.row, graph.col)), (count, count))
        matrix = sparse.diags(1 / np.asarray(matrix.sum(1)).ravel()) @ matrix
        system = (sparse.diags(1 + hold) - matrix).tocsr()
        right = hold[free, None] * own[free] - system[free][:, foot.rim] @ own[foot.rim]
        places = own.copy()
        places[free] = spsolve(system[free][:, free].tocsc(), right)
        points = surface(hulls, disc.direction(places))
        length = np.linalg.norm(points[graph.row] - points[graph.col], axis=1) / wanted
        weight = weight * np.clip(length / np.median(length), 0.1, 10) ** STIFFENING
    means = averaging(adjacency(triangle_edges(foot.triangles), count))
    for _ in range(SMOOTHING):
        points[free] += 0.5 * (means @ points - points)[free]
    return points


def offsets_of(shoe: Shoe, foot: Foot, data: BodyData) -> Floats:
    """Displacements (V, 3) of the body's template for a pair of shoes."""
    points = spread(foot, pieces(foot, shoe))
    tip = smoothstep(points[:, 2], foot.points[:, 2].max() - 0.09, foot.points[:, 2].max() + 0.02)
    points[:, 1] += shoe.spring * tip
    # The sole's waist: narrower at the inner side, between ball and heel.
    waist = np.exp(-0.5 * ((points[:, 2] - 0.005) / 0.03) ** 2) * (1 - smoothstep(points[:, 1], -0.03, 0.0))
    points[:, 0] += 0.007 * waist * (points[:, 0] < 0) * np.clip(-points[:, 0] / 0.03, 0, 1)
    height = foot.points[:, 1] + CENTRE[1]
    rest = foot.points + shoe.shaft_width * foot.normals
    share = smoothstep(height, CUT - EASE, CUT - 0.004)[:, None]
    offsets = np.zeros_like(data.v_template, float)
    offsets[foot.index] = points * (1 - share) + rest * share - foot.points
    if shoe.shaft:
        above = data.v_template[:, 1] - data.v_template[:, 1].min()
        normals = vertex_normals(data.v_template, data.faces)
        width = shoe.shaft_width * (1 - smoothstep(above, shoe.shaft - 0.02, shoe.shaft))
        legs = (above < shoe.shaft) & (data.v_template[:, 0] > 0)
        legs[foot.index] = False
        offsets[legs] = (width[:, None] * normals)[legs]
    left = data.v_template[:, 0] > 0
    offsets[data.mirror[left]] = offsets[left] * [-1, 1, 1]
    return offsets


def main() -> None:
    """Build the shoes and write them to the file that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=ROOT / "weights" / "open_shoes.npz", help="file to write")
    path = parser.parse_args().output
    data = load_open_body().data
    foot = left_foot(data)
    everything = np.stack([offsets_of(shoe, foot, data) for shoe in SHOES])
    for shoe, offsets in zip(SHOES, everything, strict=True):
        print(f"{shoe.name}: {report(offsets, data)}")
    vertices = np.flatnonzero((np.abs(everything) > 5e-5).any((0, 2)))
    np.savez_compressed(
        path,
        names=np.array([shoe.name for shoe in SHOES]),
        vertices=vertices.astype(np.int32),
        offsets=everything[:, vertices].astype(np.float16),
        body=np.array(data.name),
        vertex_count=np.array(len(data.v_template)),
    )
    content = path.read_bytes()
    print(
        f"wrote {path} ({len(content) / 1e3:.0f} kB), sha256 {hashlib.sha256(content).hexdigest()}: "
        "put it into its card"
    )


def report(offsets: Floats, data: BodyData) -> str:
    """What a shoe does to the mesh, in words."""
    shod = data.v_template + offsets
    halves = data.faces.reshape(-1, 2, 3)
    moved = (np.abs(offsets[data.quads]) > 5e-5).any((1, 2))
    normals = unit(face_normals(shod, halves[moved]))
    folded = ((normals[:, 0] * normals[:, 1]).sum(-1) < 0.1).sum()
    before, after = (
        np.linalg.norm(face_normals(v, data.faces), axis=1)[np.repeat(moved, 2)] for v in (data.v_template, shod)
    )
    ratio = np.percentile(after / before, (1, 50, 99))
    return (
        f"{folded} of {moved.sum()} quads folded, areas {ratio[0]:.2f} {ratio[1]:.2f} {ratio[2]:.2f} "
        "of the bare foot's, "
        f"lowest point {1000 * (shod[:, 1].min() - data.v_template[:, 1].min()):.0f} mm"
    )


if __name__ == "__main__":
    main()
