"""Clothes and hair as displacements of the body: its outline grows to the person's mask, and its depth with it.

A displacement has two parts. *Swelling* moves every vertex away from the bones it hangs on, in proportion to its
distance from them, so that a coat which is wider than the body is also deeper, and front and back follow the outline's
growth. A stiffer *slide* in the image plane takes up what is left of a limb that lies beside its picture. Both are
smooth fields on a coarse set of nodes, found by least squares from the outline's wanted shifts (`outline`), five times
over, as the outline wanders while the body grows:

    min  sum_i w_i (n_i . (slide + swelling direction x swelling)_i - shift_i)^2  +  smoothness of both fields

This is SMPL+D (Alldieck et al. 2018, "Video based reconstruction of 3D people models", section 3.2) with the
displacements of one silhouette in closed form.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree

from backend.body import BodyModel
from backend.body.data import BODY, LEFT_EYE, RIGHT_EYE, BodyData
from backend.camera import Camera
from backend.fitting.fit import BodyParameters, Fit
from backend.fitting.outline import MaskPicture, mask_picture, outline_shifts
from backend.mesh import face_normals, unit, vertex_normals
from backend.perception.person import Person
from backend.raster import rasterize

# Stiffness and size weight of the swelling, round by round: first whole cross-sections follow the outline, at last its rim alone.
ROUNDS = ((1.0, 0.001), (0.5, 0.001), (0.2, 0.02), (0.1, 0.05), (0.1, 0.05))
PICTURE_SIDE = 400  # pixels of the person's box side while measuring
SWELL_NODES, SLIDE_NODES = 1600, 250
LIMIT = 0.12  # of the body's height
SHRINK_LIMIT = 0.3  # of a limb's radius: a mask that is thinner than the body is more often wrong than the body

HOOP = 30.0  # how much more a field resists change around a limb than along it
SECTION_ROUNDS = 6  # averaging of a cross-section's radius over neighbouring nodes
UNFOLD_ROUNDS = 30
TURN_LIMIT = 0.1  # least cosine between a triangle's normals without and with clothes
FOLD_LIMIT = 0.1  # least cosine between the normals of a quad's halves

FINE_PARTS = ("head", "left_wrist", "right_wrist", "left_hand", "right_hand", "left_ankle", "right_ankle", "left_foot", "right_foot")

# Weights of the least squares.
SWELL_BENDING, SWELL_STRETCHING = 0.05, 0.1
SLIDE_BENDING, SLIDE_STRETCHING, SLIDE_SIZE = 5.0, 0.5, 0.01
# Extra size weight where clothes do not reach: the face stays as it was fitted, hands and feet nearly so.
FACE_STIFFNESS, HAND_STIFFNESS, FOOT_STIFFNESS = 10.0, 5.0, 0.1


@dataclass(frozen=True)
class _Nodes:
    """A coarse set of points on the body that carry a smooth field.

    Attributes:
        spread: (V, K) csr, rows sum to 1: the field at the vertices from its values at the nodes.
        averaging: (K, K) csr, replaces a node's value by the mean of its neighbours'.
        bending: (K, K) bilaplacian, and stretching: (K, K) Laplacian, both of the graph of neighbouring nodes.
        spacing: typical distance between neighbours, metres.
    """

    spread: sparse.csr_matrix
    averaging: sparse.csr_matrix
    bending: sparse.csr_matrix
    stretching: sparse.csr_matrix
    spacing: float

    def at_nodes(self, values: NDArray) -> NDArray:
        """Values (V, C) at the vertices -> (K, C), the mean over each node's surroundings."""
        share = np.asarray(self.spread.sum(0)).ravel()
        return (self.spread.T @ values) / np.maximum(share, 1e-9)[:, None]


@dataclass(frozen=True)
class _Wardrobe:
    """What depends on the body alone, not on the person.

    Attributes:
        swell, slide: the nodes of the two fields; K and L of them.
        smoothness: (K + 2L, K + 2L) what roughness of the fields costs.
        size: (K + 2L,) what moving at all costs there: much on the face, some on hands and feet.
        neighbours: (V, V) csr, replaces a vertex's value by the mean of its neighbours'.
    """

    swell: _Nodes
    slide: _Nodes
    smoothness: sparse.csc_matrix
    size: NDArray
    neighbours: sparse.csr_matrix


def clothing_offsets(fit: Fit, person: Person, camera: Camera, body: BodyModel) -> NDArray[np.float32]:
    """Displacements (V, 3), rest pose, metres, that bring the fitted body's outline to the person's mask.

    Zeros where the picture says nothing: parts outside the photo or behind other people keep the body's form. No
    triangle is turned over, in the pose of the photo or in the rest pose. ``fit.offsets`` are ignored.
    """
    data = body.data
    wardrobe = _wardrobe(body)
    rest = data.v_template + data.shapedirs @ fit.body.betas
    posed, turn = _pose_and_turns(body, fit.body)
    height = float(np.ptp(rest[:, 1]))
    swell_rest, radius = _swelling_directions(rest, data, fit.body.betas, wardrobe.swell)
    swell = np.einsum("vij,vj->vi", turn, swell_rest)
    picture = mask_picture(person, camera, PICTURE_SIDE)

    swelling, offsets = np.zeros(len(rest)), np.zeros_like(rest)
    for stiffness, size in ROUNDS:
        vertices = posed + np.einsum("vij,vj->vi", turn, offsets)
        step = _solve(vertices, swell, picture, wardrobe, data, stiffness, size)
        if step is None:
            break
        swollen = np.maximum(swelling + step[0], -SHRINK_LIMIT * radius)
        slide = np.linalg.solve(turn, np.pad(step[1], ((0, 0), (0, 1)))[..., None])[..., 0]
        offsets = _limited(offsets + (swollen - swelling)[:, None] * swell_rest + slide, LIMIT * height)
        swelling = swollen
        # Before the next round, not only at the end: what smoothing takes from the outline, the next round gives back.
        offsets = _unfolded(offsets, rest, posed, turn, data, wardrobe.neighbours)
    return _with_rigid_eyes(offsets, rest, data).astype(np.float32)


def _pose_and_turns(body: BodyModel, parameters: BodyParameters) -> tuple[NDArray, NDArray]:
    """Posed vertices (V, 3), and per vertex the matrix (V, 3, 3) that skinning applies to a rest-pose displacement."""
    posed, _ = body.posed(parameters)
    columns = []
    for axis in range(3):
        unit = np.zeros_like(posed)
        unit[:, axis] = 1
        columns.append(body.posed(parameters, unit)[0] - posed)
    return posed, np.stack(columns, -1)


def _solve(
    vertices: NDArray, swell: NDArray, picture: MaskPicture, wardrobe: _Wardrobe, data: BodyData, stiffness: float, size: float
) -> tuple[NDArray, NDArray] | None:
    """One round: swelling (V,) and slide (V, 2), or None where the mask says nothing of the outline."""
    fragments = rasterize(vertices, data.faces, picture.camera)
    wanted = outline_shifts(fragments, picture)
    if not len(wanted.shift):
        return None
    columns, rows = wanted.pixel.T
    corners = data.faces[fragments.face[rows, columns]]
    share = fragments.barycentric[rows, columns]
    depth = fragments.depth[rows, columns]
    metres_per_pixel = depth / picture.camera.focal
    count = len(corners)
    at_points = sparse.csr_matrix((share.ravel(), (np.repeat(np.arange(count), 3), corners.ravel())), (count, len(vertices)))

    # A displacement in depth moves a point off the optical axis in the picture too.
    off_axis = (wanted.pixel + 0.5 - picture.camera.center) / picture.camera.focal
    in_picture = np.concatenate([wanted.normal, -(wanted.normal * off_axis).sum(1, keepdims=True)], 1)
    along = np.einsum("nc,nkc,nk->nk", in_picture, swell[corners], share)
    swell_at_points = sparse.csr_matrix((along.ravel(), (np.repeat(np.arange(count), 3), corners.ravel())), (count, len(vertices)))
    slide_at_points = at_points @ wardrobe.slide.spread
    data_rows = sparse.hstack(
        [swell_at_points @ wardrobe.swell.spread] + [sparse.diags(wanted.normal[:, axis]) @ slide_at_points for axis in range(2)]
    ).tocsr()
    # Every node hears about one unit of outline, however many pixels there are to its length.
    weight = metres_per_pixel / wardrobe.swell.spacing
    weighted = sparse.diags(weight) @ data_rows
    swell_count, slide_count = wardrobe.swell.spread.shape[1], wardrobe.slide.spread.shape[1]
    sizes = sparse.diags(wardrobe.size + np.concatenate([np.full(swell_count, size), np.full(2 * slide_count, SLIDE_SIZE)]))
    matrix = (data_rows.T @ weighted + stiffness * wardrobe.smoothness + sizes).tocsc()
    solution = splu(matrix, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}).solve(
        weighted.T @ (wanted.shift * metres_per_pixel).astype(np.float64)
    )
    slide = wardrobe.slide.spread @ solution[swell_count:].reshape(2, slide_count).T
    return wardrobe.swell.spread @ solution[:swell_count], slide


@lru_cache(maxsize=2)
def _wardrobe(body: BodyModel) -> _Wardrobe:
    data = body.data
    directions = np.array([end - start for start, end in _bones(data, np.zeros(data.shapedirs.shape[2]))])
    bones = unit(data.weights @ unit(directions))
    swell, slide = _nodes(data, bones, SWELL_NODES), _nodes(data, bones, SLIDE_NODES)
    swell_smooth = SWELL_BENDING * swell.bending + SWELL_STRETCHING * swell.stretching
    slide_smooth = SLIDE_BENDING * slide.bending + SLIDE_STRETCHING * slide.stretching
    smoothness = sparse.block_diag([swell_smooth, slide_smooth, slide_smooth], "csc")
    swell_size = swell.at_nodes(_stiffness(data)[:, None])[:, 0]
    slide_size = slide.at_nodes(FACE_STIFFNESS * _face_share(data)[:, None])[:, 0]
    size = np.concatenate([swell_size, slide_size, slide_size])
    edges = np.concatenate([data.faces[:, [0, 1]], data.faces[:, [1, 2]], data.faces[:, [2, 0]]])
    neighbours = _graph(edges, len(data.v_template))
    return _Wardrobe(swell, slide, smoothness, size, _averaging(neighbours))


def _nodes(data: BodyData, bones: NDArray, count: int) -> _Nodes:
    """Evenly spaced vertices, the farthest from all before each time, and their smooth partition of unity."""
    normals = vertex_normals(data.v_template, data.faces)
    skin = np.flatnonzero(data.part == BODY)
    # Distance in place and facing: two thighs are far apart though close in space. But fingers, toes and ears move whole.
    facing = 0.03 * (1 - data.weights[:, _joints(data, *FINE_PARTS)].sum(1, keepdims=True))
    place = np.concatenate([data.v_template, facing * normals], 1)
    candidates = place[skin]
    chosen = [0]
    nearest = np.full(len(candidates), np.inf)
    for _ in range(min(count, len(skin)) - 1):
        nearest = np.minimum(nearest, ((candidates - candidates[chosen[-1]]) ** 2).sum(1))
        chosen.append(int(nearest.argmax()))
    seeds = skin[chosen]
    spacing = float(np.sqrt(nearest.max()))
    distance, index = cKDTree(place[seeds]).query(place, k=6)
    weight = np.exp(-0.5 * (distance / (0.7 * spacing)) ** 2) + 1e-9
    weight /= weight.sum(1, keepdims=True)
    vertex = np.repeat(np.arange(len(place)), index.shape[1])
    spread = sparse.csr_matrix((weight.ravel(), (vertex, index.ravel())), (len(place), len(seeds)))
    owner = index[:, 0]
    edges = np.concatenate([owner[data.faces[:, [0, 1]]], owner[data.faces[:, [1, 2]]], owner[data.faces[:, [2, 0]]]])
    graph = _graph(edges[edges[:, 0] != edges[:, 1]], len(seeds))
    averaging = _averaging(graph)
    laplacian = sparse.identity(len(seeds)) - averaging
    pairs = graph.tocoo()
    towards = unit(data.v_template[seeds[pairs.row]] - data.v_template[seeds[pairs.col]])
    along = np.abs((towards * bones[seeds[pairs.row]]).sum(1))
    hoops = sparse.csr_matrix((1 + HOOP * (1 - along**2), (pairs.row, pairs.col)), graph.shape)
    hoops = (hoops + hoops.T) / 2
    degree = np.asarray(hoops.sum(1)).ravel()
    stretching = (sparse.diags(degree) - hoops) / max(degree.mean() / (1 + HOOP / 2), 1)
    return _Nodes(spread, averaging, (laplacian.T @ laplacian).tocsr(), stretching.tocsr(), spacing)


def _graph(edges: NDArray, count: int) -> sparse.csr_matrix:
    """Adjacency (N, N) of ones from (E, 2) pairs, both ways."""
    ones = np.ones(len(edges))
    graph = sparse.csr_matrix((ones, (edges[:, 0], edges[:, 1])), (count, count))
    graph = graph + graph.T
    graph.data[:] = 1
    return graph


def _averaging(graph: sparse.csr_matrix) -> sparse.csr_matrix:
    """The matrix that replaces every value by the mean of its neighbours'."""
    return sparse.diags(1 / np.maximum(np.asarray(graph.sum(1)).ravel(), 1)) @ graph


def _stiffness(data: BodyData) -> NDArray:
    """(V,) how much a vertex resists clothing: the face most, hands, feet."""
    hands = data.weights[:, _joints(data, "left_wrist", "right_wrist", "left_hand", "right_hand")].sum(1)
    feet = data.weights[:, _joints(data, "left_foot", "right_foot")].sum(1)
    return FACE_STIFFNESS * _face_share(data) + HAND_STIFFNESS * hands + FOOT_STIFFNESS * feet


def _joints(data: BodyData, *names: str) -> list[int]:
    return [data.joint_names.index(name) for name in names]


def _face_share(data: BodyData) -> NDArray:
    """(V,) 1 on the face between brow, chin and ears, falling to 0 over two centimetres."""
    marks = data.landmark_template
    eyes, ears, mouth = marks[[2, 5]].mean(0), marks[[7, 8]].mean(0), marks[[9, 10]].mean(0)
    brow, chin = eyes[1] + 0.035, mouth[1] - 0.05
    behind = eyes[2] * 0.55 + ears[2] * 0.45
    depth_inside = np.min(
        [brow - data.v_template[:, 1], data.v_template[:, 1] - chin, data.v_template[:, 2] - behind], axis=0
    )
    head = data.weights[:, data.joint_names.index("head")]
    return np.clip(1 + depth_inside / 0.02, 0, 1) * (head > 0.5)


def _swelling_directions(rest: NDArray, data: BodyData, betas: NDArray, nodes: _Nodes) -> tuple[NDArray, NDArray]:
    """Away from the bones, (V, 3), of about unit length around each cross-section, longer where it is wider; its radius (V,)."""
    axis = np.zeros_like(rest)
    for joint, (start, end) in enumerate(_bones(data, betas)):
        touched = data.weights[:, joint] > 0
        bone = end - start
        along = np.clip((rest[touched] - start) @ bone / max(float(bone @ bone), 1e-9), 0, 1)
        axis[touched] += data.weights[touched, joint, None] * (start + along[:, None] * bone)
    outward = nodes.at_nodes(rest - axis)
    radius = np.linalg.norm(outward, axis=1)
    for _ in range(SECTION_ROUNDS):
        radius = nodes.averaging @ radius
    return nodes.spread @ (outward / np.maximum(radius, 0.02)[:, None]), nodes.spread @ radius


def _bones(data: BodyData, betas: NDArray) -> list[tuple[NDArray, NDArray]]:
    """(start, end) of the 24 bones in the rest pose; those without a joint at their end go on as far as flesh does."""
    joints = data.joint_template + data.joint_shapedirs @ betas
    marks = data.landmark_template + data.landmark_shapedirs @ betas
    index = {name: number for number, name in enumerate(data.joint_names)}
    ends = {"pelvis": joints[index["spine1"]], "spine3": joints[index["neck"]], "head": marks[[2, 5, 7, 8]].mean(0) + (0, 0.04, 0)}
    for side in ("left", "right"):
        hand, foot = joints[index[f"{side}_hand"]], joints[index[f"{side}_foot"]]
        ends[f"{side}_hand"] = hand + 0.8 * (hand - joints[index[f"{side}_wrist"]])
        ends[f"{side}_foot"] = foot + (0, 0, 0.05)
    children = {int(parent): joints[child] for child, parent in enumerate(data.parents)}
    return [(joints[number], ends[name] if name in ends else children[number]) for number, name in enumerate(data.joint_names)]


def _limited(offsets: NDArray, limit: float) -> NDArray:
    """Displacements no longer than ``limit``, shortened smoothly from three quarters of it on."""
    length = np.linalg.norm(offsets, axis=1)
    start = 0.75 * limit
    shortened = start + (limit - start) * np.tanh((length - start) / (limit - start))
    return offsets * np.where(length > start, shortened / np.maximum(length, 1e-12), 1)[:, None]


def _unfolded(offsets: NDArray, rest: NDArray, posed: NDArray, turn: NDArray, data: BodyData, averaging: sparse.csr_matrix) -> NDArray:
    """Displacements that turn no triangle over and fold no quad, in either pose: smoothed, and shortened, where they did."""
    offsets = offsets.copy()
    suspects = np.arange(len(data.faces) // 2)
    for attempt in range(UNFOLD_ROUNDS):
        faces = data.faces.reshape(-1, 2, 3)[suspects]
        spoilt = _spoilt(rest, rest + offsets, faces) | _spoilt(posed, posed + np.einsum("vij,vj->vi", turn, offsets), faces)
        if not spoilt.any():
            break
        around = np.zeros(len(rest))
        around[faces[spoilt]] = 1
        for _ in range(1 + attempt // 3):
            around = np.maximum(around, averaging @ around > 0)
        inside = np.flatnonzero(around)
        local = averaging[inside]
        for _ in range(3):
            offsets[inside] = (1 - 0.02 * attempt) * (local @ offsets)
        near = np.maximum(around, averaging @ around > 0)
        suspects = np.flatnonzero(near[data.faces].reshape(len(data.faces) // 2, -1).any(1))
    return offsets


def _spoilt(before: NDArray, after: NDArray, pairs: NDArray) -> NDArray[np.bool_]:
    """Which pairs of triangles (P, 2, 3), the halves of a quad, clothes have turned over or folded on each other."""
    old, new = unit(face_normals(before, pairs)), unit(face_normals(after, pairs))
    turned = ((old * new).sum(-1) < TURN_LIMIT).any(1)
    flat_before, flat_after = (old[:, 0] * old[:, 1]).sum(-1), (new[:, 0] * new[:, 1]).sum(-1)
    return turned | ((flat_after < FOLD_LIMIT) & (flat_before > FOLD_LIMIT))


def _with_rigid_eyes(offsets: NDArray, rest: NDArray, data: BodyData) -> NDArray:
    """Eyes follow their sockets as a whole, so that they neither bulge nor poke through the lids."""
    skin = np.flatnonzero(data.part == BODY)
    for eye in (LEFT_EYE, RIGHT_EYE):
        members = data.part == eye
        if members.any():
            _, socket = cKDTree(rest[skin]).query(rest[members], k=3)
            offsets[members] = offsets[skin[np.unique(socket)]].mean(0)
    return offsets
