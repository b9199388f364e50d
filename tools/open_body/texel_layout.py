"""The layout of the open body's texture: MakeHuman's, with more texels where eyes look.

MakeHuman's layout gives the back of the head more texels than the face. Here the head's island is flattened anew with a
wanted density for every place; hands and eyeballs are enlarged, the mouth's inside, eye sockets and the backs of the
eyeballs reduced. Islands keep their seams, so that both layouts have the same indices.

    python -m tools.open_body.texel_layout

makes the layout of weights/open_body.npz anew and leaves all else in the file as it is; `anny` is not needed.
"""

from __future__ import annotations

import argparse
import hashlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.ndimage import grey_dilation
from scipy.sparse.csgraph import connected_components

from tools.open_body.flattening import Array, Bounds, Indices, edges_of, flattened
from uvatar.body.data import BodyData, load_body
from uvatar.data.landmarks import EYES, MOUTH

_PICTURE = 2048  # pixels on a side of the picture in which free room is looked for
_TEXELS = 1024  # on a side: densities are told for this size


@dataclass(frozen=True)
class Placement:
    """Where an island goes.

    Attributes:
        near: (u, v) in MakeHuman's layout, a place on the island.
        corner: (u, v) of the bounding box's lower left corner.
        scale: of its lengths.
    """

    near: tuple[float, float]
    corner: tuple[float, float]
    scale: float


PLACEMENTS = (
    Placement((0.400, 0.500), (0.008, 0.156), 1.00),  # trunk, arms and legs
    Placement((0.100, 0.080), (0.008, 0.008), 0.93),  # right foot
    Placement((0.280, 0.080), (0.170, 0.008), 0.93),  # left foot
    Placement((0.450, 0.080), (0.330, 0.008), 1.18),  # right hand
    Placement((0.680, 0.080), (0.573, 0.008), 1.18),  # left hand
    Placement((0.840, 0.080), (0.008, 0.300), 0.60),  # the mouth's inside
    Placement((0.758, 0.960), (0.010, 0.490), 1.30),  # front of the left eyeball
    Placement((0.901, 0.960), (0.010, 0.565), 1.30),  # front of the right eyeball
    Placement((0.789, 0.908), (0.020, 0.650), 0.40),  # their backs
    Placement((0.850, 0.908), (0.050, 0.650), 0.40),
    Placement((0.045, 0.590), (0.082, 0.555), 0.60),  # sockets
    Placement((0.118, 0.590), (0.082, 0.612), 0.60),
)


@dataclass(frozen=True)
class LayoutSettings:
    """Wanted densities in pixels per centimetre of the rest body, for a texture of 1024 x 1024, and how they change.

    Depths are in front of the head's middle in units of the eyes' depth, heights above the mouth in units of the
    distance from mouth to eyes, as in `uvatar.texturing.layout.surface`.

    Attributes:
        face: of eyes, nose, mouth and cheeks. Set, like the next two, to what fills the room beside the trunk.
        side: of ears and temples.
        back: of the back of the head.
        depths: at which the density is `back`, `side`, nine tenths of `face`, and `face`.
        eyes: factor at the eyes.
        eye_radius: metres around an eye's middle within which that factor fades out.
        hair: of the hair above the forehead, at most.
        hairline: heights between which the face's density falls to the hair's.
        smoothing: steps of averaging over neighbours.
        familiar: share of MakeHuman's layout in the wanted shapes of triangles.
        gap: between islands, share of the texture's side: three texels of 512.
        clearance: height, share of the texture's side, over which the head keeps clear of what is left of it.
        start: (u, v) by which the head is moved before it is flattened.
    """

    face: float = 17.0
    side: float = 12.0
    back: float = 9.5
    depths: tuple[float, float, float, float] = (-0.8, 0.0, 0.55, 0.85)
    eyes: float = 1.12
    eye_radius: float = 0.03
    hair: float = 12.0
    hairline: tuple[float, float] = (1.7, 2.2)
    smoothing: int = 15
    familiar: float = 0.25
    gap: float = 0.006
    clearance: float = 0.02
    start: tuple[float, float] = (0.0, 0.07)


DEFAULT_SETTINGS = LayoutSettings()


def texel_layout(data: BodyData, settings: LayoutSettings = DEFAULT_SETTINGS) -> NDArray[np.float32]:
    """The places (T, 2) of the body's texture coordinates.

    Args:
        data: the body, whose ``network_uv`` is MakeHuman's layout with larger eyes.
        settings: wanted densities.
    """
    old = data.in_network_layout().uv.astype(np.float64)
    island = _islands(data.face_uv, len(old))
    places, placed = old.copy(), np.zeros(len(old), bool)
    for placement in PLACEMENTS:
        own = island == island[np.linalg.norm(old - placement.near, axis=1).argmin()]
        places[own] = placement.corner + placement.scale * (old[own] - old[own].min(0))
        placed |= own
    head = np.flatnonzero(~placed)
    inside = np.isin(data.face_uv, head).all(1)
    triangles = np.searchsorted(head, data.face_uv[inside])
    corners = data.faces[inside]
    vertex = np.zeros(len(head), np.int64)
    vertex[triangles] = corners
    wanted = _wanted_density(data, vertex, settings)
    graph = _graph(triangles, len(head))
    for _ in range(settings.smoothing):
        wanted = (wanted + graph @ wanted) / 2
    inner = _wanted_products(data.v_template[corners], old[head], triangles, wanted, graph, settings)
    stiffness = wanted[triangles].mean(1) / settings.face
    bounds = _room(places[data.face_uv[~inside]], settings)
    places[head] = flattened(old[head] + settings.start, triangles, inner, stiffness, bounds)
    return places.astype(np.float32)


def _islands(face_uv: NDArray[np.int32], count: int) -> NDArray[np.int32]:
    edges = np.concatenate([face_uv[:, [0, 1]], face_uv[:, [1, 2]]])
    graph = sparse.coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), (count, count))
    return np.asarray(connected_components(graph, directed=False)[1], np.int32)


def _wanted_density(data: BodyData, vertex: Indices, settings: LayoutSettings) -> Array:
    """(P,) of the head's texture coordinates; ``vertex`` (P,)."""
    eyes, mouth = data.landmark_template[EYES].astype(np.float64), data.landmark_template[MOUTH].mean(0)
    points = data.v_template[vertex].astype(np.float64)
    height = (points[:, 1] - mouth[1]) / (eyes[:, 1].mean() - mouth[1])
    skull = data.v_template[vertex, 2]
    middle = (skull.min() + skull.max()) / 2
    depth = (points[:, 2] - middle) / (eyes[:, 2].mean() - middle)
    levels = settings.back, settings.side, 0.9 * settings.face, settings.face
    wanted = np.interp(depth, settings.depths, levels)
    hair = np.interp(height, settings.hairline, (settings.face, settings.hair))
    wanted = np.where(height > settings.hairline[0], np.minimum(wanted, hair), wanted)
    away = np.linalg.norm(points[:, None] - eyes, axis=2).min(1)
    return np.asarray(wanted * np.interp(away, (settings.eye_radius / 2, settings.eye_radius), (settings.eyes, 1.0)))


def _graph(triangles: Indices, count: int) -> sparse.csr_matrix:
    """(P, P) the mean of each point's neighbours."""
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    edges = np.unique(np.sort(edges, axis=1), axis=0)
    ends = np.concatenate([edges, edges[:, ::-1]])
    graph = sparse.csr_matrix((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), (count, count))
    return (sparse.diags(1 / np.asarray(graph.sum(1)).ravel()) @ graph).tocsr()


def _wanted_products(
    corners: NDArray[np.float32],
    old: Array,
    triangles: Indices,
    wanted: Array,
    graph: sparse.csr_matrix,
    settings: LayoutSettings,
) -> Array:
    """(F, 2, 2) inner products of the edges that triangles should have in the layout: most of the body's own shape, and
    some of MakeHuman's layout, which has no needles where skin is folded in lids, lips and nostrils.

    Args:
        corners: (F, 3, 3) metres.
        old: (P, 2) MakeHuman's layout.
        triangles: (F, 3) indices of ``old``.
        wanted: (P,) densities, pixels per centimetre.
        graph: see `_graph`.
        settings: how much of each.
    """
    corners = corners.astype(np.float64)
    length = wanted[triangles].mean(1) * 100 / _TEXELS
    edges = np.stack([corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]], -1) * length[:, None, None]
    body, layout = edges.transpose(0, 2, 1) @ edges, edges_of(old, triangles)
    layout = layout.transpose(0, 2, 1) @ layout
    area = np.stack([np.linalg.det(body), np.linalg.det(layout)], -1) ** 0.5
    sums = np.zeros((len(old), 2))
    np.add.at(sums, triangles, area[:, None])
    for _ in range(settings.smoothing):
        sums = (sums + graph @ sums) / 2
    size = sums[triangles].mean(1)
    layout *= (size[:, 0] / size[:, 1])[:, None, None]
    return np.asarray(body + settings.familiar * (layout - body))


def _room(others: Array, settings: LayoutSettings) -> Bounds:
    """The places right of the triangles (F, 3, 2) of all other islands that keep the gap to them and to the border."""
    picture = np.zeros((_PICTURE, _PICTURE), np.uint8)
    for triangle in np.round(others * _PICTURE).astype(np.int32):
        cv2.fillConvexPoly(picture, triangle, (1,))
    last = np.where(picture.any(1), _PICTURE - picture[:, ::-1].argmax(1), 0)
    # rows nearby count as well: no outline shall reach between fingers
    limit = grey_dilation(last, round(settings.clearance * _PICTURE)) / _PICTURE + settings.gap
    rows = (np.arange(_PICTURE) + 0.5) / _PICTURE

    def bounds(places: Array) -> Array:
        left = np.interp(places[:, 1], rows, limit)
        low, high = settings.gap, 1 - settings.gap
        return np.column_stack([np.clip(places[:, 0], left, high), np.clip(places[:, 1], low, high)])

    return bounds


def main() -> None:
    """Write the layout into the file that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).resolve().parents[2] / "weights" / "open_body.npz"
    parser.add_argument("--file", type=Path, default=default, help="the body's file (default: %(default)s)")
    path = parser.parse_args().file
    data = load_body(path)
    with np.load(path) as file:
        arrays = {key: file[key] for key in file.files}
    layouts = {"uv": texel_layout(data), "network_uv": data.in_network_layout().uv}
    np.savez_compressed(path, **{**arrays, **layouts})
    print(f"wrote {path}, sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}: put it into {path.stem}.md")


if __name__ == "__main__":
    main()
