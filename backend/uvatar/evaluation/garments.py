"""Clothes, shoes and hair as meshes that are worn by posed bodies: what avatars' forms are measured against.

A garment was modelled on a body at rest. Every vertex of it keeps its place beside the skin next to it, as that skin is
moved and turned by shape and pose.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.spatial import cKDTree

from uvatar.body.data import BODY, BodyData
from uvatar.data.arrays import Floats, Integers
from uvatar.geometry.adjacency import adjacency, triangle_edges
from uvatar.runtime.weights import weights_folder

UNITS = 20_000  # per metre, of the stored places
NEIGHBOURS = 12  # vertices of the skin that a vertex of cloth moves with
SOFTNESS = 0.01  # metres added to their distances: cloth far from the skin follows more of them evenly
TURNING_ROUNDS = 4  # of averaging how the skin turns: cloth does not follow every fold of it


@dataclass(frozen=True)
class Attachment:
    """How vertices (N) of cloth hang on a body.

    Attributes:
        skin: (V, 3) the body's vertices when they were attached.
        vertices: (N, K) of the body.
        shares: (N, K) of them; rows sum to 1.
        places: (N, 3) of the cloth then.
    """

    skin: Floats
    vertices: Integers
    shares: Floats
    places: Floats


@dataclass(frozen=True)
class WornGarment:
    """A garment on the open body's template.

    Attributes:
        name: of the asset.
        attachment: of its vertices.
        faces: (F, 3) triangles.
        hidden: (V,) bool, the body's vertices under it.
    """

    name: str
    attachment: Attachment
    faces: NDArray[np.int32]
    hidden: NDArray[np.bool_]


def load_garments(data: BodyData, path: Path | None = None) -> dict[str, WornGarment]:
    """The shipped garments (`tools/build_evaluation_clothes.py`) by name; ``data`` is the open body's."""
    garments = {}
    own = np.flatnonzero(data.part == BODY)
    with np.load(path or weights_folder() / "evaluation_clothes.npz", allow_pickle=False) as file:
        for name in sorted({key.split("/")[0] for key in file.files}):
            quads = file[f"{name}/quads"]
            faces = quads[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3)
            faces = faces[(faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 0] != faces[:, 2])]
            hidden = np.zeros(len(data.v_template), bool)
            hidden[file[f"{name}/hidden"]] = True
            places = file[f"{name}/vertices"].astype(np.float64) / UNITS
            garments[name] = WornGarment(
                name, attached(places, data.v_template.astype(np.float64), data, own), faces.astype(np.int32), hidden
            )
    return garments


def attached(places: Floats, skin: Floats, data: BodyData, own: Integers) -> Attachment:
    """Attach cloth at ``places`` (N, 3) to a body with vertices ``skin`` (V, 3), of which only ``own`` count."""
    distance, nearest = cKDTree(skin[own]).query(places, NEIGHBOURS)
    shares = 1 / (distance + SOFTNESS) ** 2
    return Attachment(skin, own[nearest], shares / shares.sum(1, keepdims=True), places)


def carried(attachment: Attachment, skin: Floats, data: BodyData) -> Floats:
    """The cloth's vertices (N, 3) on a body whose vertices are now ``skin`` (V, 3)."""
    turn = _turns(attachment.skin, np.asarray(skin, np.float64), data)
    away = attachment.places[:, None] - attachment.skin[attachment.vertices]
    moved = skin[attachment.vertices] + np.einsum("nkij,nkj->nki", turn[attachment.vertices], away)
    found: Floats = np.einsum("nk,nki->ni", attachment.shares, moved)
    return found


def _turns(before: Floats, after: Floats, data: BodyData) -> Floats:
    """(V, 3, 3) how the skin around each vertex has turned: the rotation that fits its neighbours best (Kabsch)."""
    graph = adjacency(triangle_edges(data.faces), len(before))
    ring = graph + sparse.identity(len(before))
    weight = ring
    for _ in range(TURNING_ROUNDS):
        weight = weight @ ring
        weight.data[:] = 1
    count = np.asarray(weight.sum(1)).ravel()
    old, new = ((weight @ points) / count[:, None] for points in (before, after))
    outer = (after[:, :, None] * before[:, None, :]).reshape(-1, 9)
    covariance = (weight @ outer).reshape(-1, 3, 3) / count[:, None, None] - new[:, :, None] * old[:, None, :]
    left, _, right = np.linalg.svd(covariance)
    left[:, :, 2] *= np.sign(np.linalg.det(left @ right))[:, None]
    turns: Floats = left @ right
    return turns
