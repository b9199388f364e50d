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

from uvatar.body import BodyModel
from uvatar.body.data import BODY, LEFT_EYE, RIGHT_EYE, BodyData
from uvatar.clothing.fields import Nodes, nodes_on
from uvatar.clothing.outline import MaskPicture, mask_picture, outline_shifts
from uvatar.clothing.unfolding import unfolded
from uvatar.data.camera import Camera
from uvatar.data.fit import BodyParameters, Fit
from uvatar.data.person import Person
from uvatar.geometry.adjacency import adjacency, averaging, triangle_edges
from uvatar.geometry.mesh import unit
from uvatar.geometry.raster import rasterize

# Stiffness and size weight of the swelling, round by round: first whole cross-sections follow the outline, at last its
# rim alone.
ROUNDS = ((1.0, 0.001), (0.5, 0.001), (0.2, 0.02), (0.1, 0.05), (0.1, 0.05))
PICTURE_SIDE = 400  # pixels of the person's box side while measuring
SWELL_NODES, SLIDE_NODES = 1600, 250
LIMIT = 0.12  # of the body's height
SHRINK_LIMIT = 0.3  # of a limb's radius: a mask that is thinner than the body is more often wrong than the body

SECTION_ROUNDS = 6  # averaging of a cross-section's radius over neighbouring nodes

# Weights of the least squares.
SWELL_BENDING, SWELL_STRETCHING = 0.05, 0.1
SLIDE_BENDING, SLIDE_STRETCHING, SLIDE_SIZE = 5.0, 0.5, 0.01
# Extra size weight where clothes do not reach: the face stays as it was fitted, hands and feet nearly so.
FACE_STIFFNESS, HAND_STIFFNESS, FOOT_STIFFNESS = 10.0, 5.0, 0.1
HAND_SLIDE_STIFFNESS = 0.1


@dataclass(frozen=True)
class _Wardrobe:
    """What depends on the body alone, not on the person.

    Attributes:
        swell, slide: the nodes of the two fields; K and L of them.
        smoothness: (K + 2L, K + 2L) what roughness of the fields costs.
        size: (K + 2L,) what moving at all costs there: much on the face, some on hands and feet.
        bare: (V,) float32, 1 on the hands.
        neighbours: (V, V) csr, replaces a vertex's value by the mean of its neighbours'.
    """

    swell: Nodes
    slide: Nodes
    smoothness: sparse.csc_matrix
    size: NDArray
    bare: NDArray[np.float32]
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
    # Damped, as a vertex between two bones that are twisted half around each other has no inverse.
    back = np.linalg.solve(turn.swapaxes(1, 2) @ turn + 1e-3 * np.eye(3, dtype=turn.dtype), turn.swapaxes(1, 2))
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
        slide = np.einsum("vij,vj->vi", back, np.pad(step[1], ((0, 0), (0, 1))))
        offsets = _limited(offsets + (swollen - swelling)[:, None] * swell_rest + slide, LIMIT * height)
        swelling = swollen
        # Before the next round, not only at the end: what smoothing takes from the outline, the next round gives back.
        offsets = unfolded(offsets, rest, posed, turn, data, wardrobe.neighbours)
    return _with_rigid_eyes(offsets, rest, data).astype(np.float32)


def _pose_and_turns(body: BodyModel, parameters: BodyParameters) -> tuple[NDArray, NDArray]:
    """Posed vertices (V, 3), and per vertex the matrix (V, 3, 3) that skinning applies to a rest-pose displacement."""
    posed, _ = body.posed(parameters)
    columns = []
    for axis in range(3):
        step = np.zeros_like(posed)
        step[:, axis] = 1
        columns.append(body.posed(parameters, step)[0] - posed)
    return posed, np.stack(columns, -1)


def _solve(
    vertices: NDArray,
    swell: NDArray,
    picture: MaskPicture,
    wardrobe: _Wardrobe,
    data: BodyData,
    stiffness: float,
    size: float,
) -> tuple[NDArray, NDArray] | None:
    """One round: swelling (V,) and slide (V, 2), or None where the mask says nothing of the outline."""
    fragments = rasterize(vertices, data.faces, picture.camera)
    wanted = outline_shifts(
        fragments, picture, np.where(fragments.mask, wardrobe.bare[data.faces[fragments.face, 0]], 0)
    )
    if not len(wanted.shift):
        return None
    columns, rows = wanted.pixel.T
    corners = data.faces[fragments.face[rows, columns]]
    share = fragments.barycentric[rows, columns]
    depth = fragments.depth[rows, columns]
    metres_per_pixel = depth / picture.camera.focal
    count = len(corners)
    at_points = sparse.csr_matrix(
        (share.ravel(), (np.repeat(np.arange(count), 3), corners.ravel())), (count, len(vertices))
    )

    # A displacement in depth moves a point off the optical axis in the picture too.
    off_axis = (wanted.pixel + 0.5 - picture.camera.center) / picture.camera.focal
    in_picture = np.concatenate([wanted.normal, -(wanted.normal * off_axis).sum(1, keepdims=True)], 1)
    along = np.einsum("nc,nkc,nk->nk", in_picture, swell[corners], share)
    swell_at_points = sparse.csr_matrix(
        (along.ravel(), (np.repeat(np.arange(count), 3), corners.ravel())), (count, len(vertices))
    )
    slide_at_points = at_points @ wardrobe.slide.spread
    data_rows = sparse.hstack(
        [swell_at_points @ wardrobe.swell.spread]
        + [sparse.diags(wanted.normal[:, axis]) @ slide_at_points for axis in range(2)]
    ).tocsr()
    # Every node hears about one unit of outline, however many pixels there are to its length.
    weight = metres_per_pixel / wardrobe.swell.spacing
    weighted = sparse.diags(weight) @ data_rows
    swell_count, slide_count = wardrobe.swell.spread.shape[1], wardrobe.slide.spread.shape[1]
    sizes = sparse.diags(
        wardrobe.size + np.concatenate([np.full(swell_count, size), np.full(2 * slide_count, SLIDE_SIZE)])
    )
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
    swell, slide = nodes_on(data, bones, SWELL_NODES), nodes_on(data, bones, SLIDE_NODES)
    swell_smooth = SWELL_BENDING * swell.bending + SWELL_STRETCHING * swell.stretching
    slide_smooth = SLIDE_BENDING * slide.bending + SLIDE_STRETCHING * slide.stretching
    smoothness = sparse.block_diag([swell_smooth, slide_smooth, slide_smooth], "csc")
    swell_size = swell.atnodes_on(_stiffness(data)[:, None])[:, 0]
    bare = _hand_share(data)
    slide_size = slide.atnodes_on((FACE_STIFFNESS * _face_share(data) + HAND_SLIDE_STIFFNESS * bare)[:, None])[:, 0]
    size = np.concatenate([swell_size, slide_size, slide_size])
    neighbours = averaging(adjacency(triangle_edges(data.faces), len(data.v_template)))
    return _Wardrobe(swell, slide, smoothness, size, bare.astype(np.float32), neighbours)


def _stiffness(data: BodyData) -> NDArray:
    """(V,) how much a vertex resists clothing: the face most, hands, feet."""
    feet = data.weights[:, _joints(data, "left_foot", "right_foot")].sum(1)
    return FACE_STIFFNESS * _face_share(data) + HAND_STIFFNESS * _hand_share(data) + FOOT_STIFFNESS * feet


def _hand_share(data: BodyData) -> NDArray:
    """(V,) 1 on hands, falling to 0 on the wrists."""
    return data.weights[:, _joints(data, "left_wrist", "right_wrist", "left_hand", "right_hand")].sum(1)


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


def _swelling_directions(rest: NDArray, data: BodyData, betas: NDArray, nodes: Nodes) -> tuple[NDArray, NDArray]:
    """Away from the bones, (V, 3), of about unit length around each cross-section, longer where it is wider; its radius
    (V,).
    """
    axis = np.zeros_like(rest)
    for joint, (start, end) in enumerate(_bones(data, betas)):
        touched = data.weights[:, joint] > 0
        bone = end - start
        along = np.clip((rest[touched] - start) @ bone / max(float(bone @ bone), 1e-9), 0, 1)
        axis[touched] += data.weights[touched, joint, None] * (start + along[:, None] * bone)
    outward = nodes.atnodes_on(rest - axis)
    radius = np.linalg.norm(outward, axis=1)
    for _ in range(SECTION_ROUNDS):
        radius = nodes.averaging @ radius
    return nodes.spread @ (outward / np.maximum(radius, 0.02)[:, None]), nodes.spread @ radius


def _bones(data: BodyData, betas: NDArray) -> list[tuple[NDArray, NDArray]]:
    """(start, end) of the 24 bones in the rest pose; those without a joint at their end go on as far as flesh does."""
    joints = data.joint_template + data.joint_shapedirs @ betas
    marks = data.landmark_template + data.landmark_shapedirs @ betas
    index = {name: number for number, name in enumerate(data.joint_names)}
    ends = {
        "pelvis": joints[index["spine1"]],
        "spine3": joints[index["neck"]],
        "head": marks[[2, 5, 7, 8]].mean(0) + (0, 0.04, 0),
    }
    for side in ("left", "right"):
        hand, foot = joints[index[f"{side}_hand"]], joints[index[f"{side}_foot"]]
        ends[f"{side}_hand"] = hand + 0.8 * (hand - joints[index[f"{side}_wrist"]])
        ends[f"{side}_foot"] = foot + (0, 0, 0.05)
    children = {int(parent): joints[child] for child, parent in enumerate(data.parents)}
    return [
        (joints[number], ends[name] if name in ends else children[number])
        for number, name in enumerate(data.joint_names)
    ]


def _limited(offsets: NDArray, limit: float) -> NDArray:
    """Displacements no longer than ``limit``, shortened smoothly from three quarters of it on."""
    length = np.linalg.norm(offsets, axis=1)
    start = 0.75 * limit
    shortened = start + (limit - start) * np.tanh((length - start) / (limit - start))
    return offsets * np.where(length > start, shortened / np.maximum(length, 1e-12), 1)[:, None]


def _with_rigid_eyes(offsets: NDArray, rest: NDArray, data: BodyData) -> NDArray:
    """Eyes follow their sockets as a whole, so that they neither bulge nor poke through the lids."""
    skin = np.flatnonzero(data.part == BODY)
    for eye in (LEFT_EYE, RIGHT_EYE):
        members = data.part == eye
        if members.any():
            _, socket = cKDTree(rest[skin]).query(rest[members], k=3)
            offsets[members] = offsets[skin[np.unique(socket)]].mean(0)
    return offsets
