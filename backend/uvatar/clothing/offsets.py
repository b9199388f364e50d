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

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree

from uvatar.body import BodyModel
from uvatar.body.data import BODY, LEFT_EYE, RIGHT_EYE, BodyData
from uvatar.clothing.bridging import bridged
from uvatar.clothing.ears import Ear, flat_ears, with_whole_ears
from uvatar.clothing.limbs import beside_hidden_limbs
from uvatar.clothing.model import ClothingModel, ClothingSettings, bones_of
from uvatar.clothing.outline import MaskPicture, mask_picture, outline_shifts
from uvatar.clothing.unfolding import BareBody, unfolded
from uvatar.data.arrays import Floats
from uvatar.data.camera import Camera
from uvatar.data.fit import BodyParameters, Fit
from uvatar.data.person import Person
from uvatar.geometry.mesh import unit, vertex_normals
from uvatar.geometry.raster import rasterize
from uvatar.photos.colour import smoothstep


def clothing_offsets(
    fit: Fit,
    person: Person,
    camera: Camera,
    model: ClothingModel,
    shoes: NDArray[np.float32] | None = None,
    hair_on_ears: bool = False,
    cloth: NDArray[np.float64] | None = None,
) -> NDArray[np.float32]:
    """Displacements (V, 3), rest pose, metres, that bring the fitted body's outline to the person's mask.

    Zeros where the picture says nothing: parts outside the photo or behind other people keep the body's form. No
    triangle of the bare body is turned over, in the pose of the photo or in the rest pose, except at the rims of ears
    that are laid flat. ``fit.offsets`` are the
    person's own form, as of the face, on which clothes are worn; they are not part of what is returned. ``model`` is
    the fitted body, prepared by `uvatar.clothing.model.prepare_clothing`. ``shoes`` (V, 3), rest pose, are
    displacements to begin from, as if they were the body's own form; they are part of what is returned. With them, also
    where they are zeros for bare feet, clothes draw no foot up or down: its sole keeps its form and height.
    ``hair_on_ears`` says whether the photo shows hair where the ears are: they are laid flat if the outline stands off
    the head there. Otherwise they keep their form.
    ``cloth`` (V,) says where cloth bridges what is hollow in the body (`uvatar.clothing.bridging`).
    """
    body, data = model.body, model.body.data
    rest = data.v_template + data.shapedirs @ fit.body.betas
    posed, skinning = pose_and_skinning(body, fit.body)
    if shoes is None:
        model = replace(model, level=np.zeros_like(model.level))
    else:
        model = replace(model, size=model.size + model.shod)
        rest, posed = rest + shoes, posed + np.einsum("vij,vj->vi", skinning, shoes)
    model = replace(model, near=np.maximum(model.near, beside_hidden_limbs(person, camera, data)))
    picture = mask_picture(person, camera, model.settings.picture_side, model.settings.outline)
    start = np.zeros_like(rest) if shoes is None else shoes
    flat: list[Ear] = []
    if hair_on_ears and model.ears:
        first = replace(model, settings=replace(model.settings, rounds=model.settings.rounds[:1]))
        swollen = _grown(rest, posed, skinning, fit, picture, first)
        flat = [ear for ear in model.ears if ear.swelling(swollen) > ear.settings.swollen]
        pressed = flat_ears(flat, rest)
        start, rest, posed = start + pressed, rest + pressed, posed + np.einsum("vij,vj->vi", skinning, pressed)
    return (start + _grown(rest, posed, skinning, fit, picture, model, flat, cloth)).astype(np.float32)


def _grown(
    rest: Floats,
    posed: Floats,
    skinning: Floats,
    fit: Fit,
    picture: MaskPicture,
    model: ClothingModel,
    flat: Sequence[Ear] = (),
    cloth: NDArray[np.float64] | None = None,
) -> Floats:
    """Displacements (V, 3) of the body with vertices ``rest``, ``posed`` (V, 3) to the outline, in all rounds."""
    settings = model.settings
    transposed = skinning.swapaxes(1, 2)
    back = np.linalg.solve(transposed @ skinning + settings.damping * np.eye(3, dtype=skinning.dtype), transposed)
    height = float(np.ptp(rest[:, 1]))
    swell_rest, radius = _swelling_directions(rest, model, fit.body.betas)
    swell = np.einsum("vij,vj->vi", skinning, swell_rest)
    bare = BareBody.of(rest, posed, skinning, model.mesh, [ear.region for ear in flat])
    told = _told(posed, picture, settings)

    swelling, offsets = np.zeros(len(rest)), np.zeros_like(rest)
    for number, (stiffness, size) in enumerate(settings.rounds):
        if cloth is not None and number == len(settings.rounds) - settings.bridged_before:
            dressed = posed + np.einsum("vij,vj->vi", skinning, fit.offsets + offsets)
            normals = vertex_normals(dressed, model.body.data.faces)
            for _ in range(settings.bridging.smoothing):  # a hollow faces the way that its surroundings do
                normals = model.mesh.averaging @ normals
            facing = np.abs((unit(normals) * unit(dressed)).sum(1))
            offsets = bridged(offsets, rest, facing, cloth, model.body.data, model.mesh.averaging, settings.bridging)
        vertices = posed + np.einsum("vij,vj->vi", skinning, fit.offsets + offsets)
        step = _solve(vertices, swell, picture, model, stiffness, size)
        if step is None:
            break
        swollen = np.maximum(swelling + told * step[0], -settings.shrink_limit * radius)
        slide = np.einsum("vij,vj->vi", back, np.pad(told[:, None] * step[1], ((0, 0), (0, 1))))
        offsets = _limited(offsets + (swollen - swelling)[:, None] * swell_rest + slide, height, settings)
        offsets[:, 1] *= 1 - model.level
        swelling = swollen
        # Before the next round, not only at the end: what smoothing takes from the outline, the next round gives back.
        offsets = unfolded(with_whole_ears(offsets, rest, model.ears, flat), bare, model.mesh, settings.unfolding)
    return with_whole_ears(_with_rigid_eyes(offsets, rest, model.body.data), rest, model.ears, flat)


def _told(vertices: Floats, picture: MaskPicture, settings: ClothingSettings) -> Floats:
    """(V,) 1 where the photo tells what is worn, falling to 0 outside its frame; ``vertices`` in the camera frame."""
    x, y = picture.camera.project(vertices).T
    left, top, right, bottom = picture.frame
    outside = np.maximum.reduce([left - x, x - right, top - y, y - bottom])
    told: Floats = 1 - smoothstep(outside * vertices[:, 2] / picture.camera.focal, 0, settings.beyond_frame)
    return told


def pose_and_skinning(body: BodyModel, parameters: BodyParameters) -> tuple[Floats, Floats]:
    """Posed vertices (V, 3), and per vertex the matrix (V, 3, 3) that skinning applies to a rest-pose displacement."""
    posed, _ = body.posed(parameters)
    columns = []
    for axis in range(3):
        step = np.zeros_like(posed)
        step[:, axis] = 1
        columns.append(body.posed(parameters, step)[0] - posed)
    return posed, np.stack(columns, -1)


def _solve(
    vertices: Floats,
    swell: Floats,
    picture: MaskPicture,
    model: ClothingModel,
    stiffness: float,
    size: float,
) -> tuple[Floats, Floats] | None:
    """One round: swelling (V,) and slide (V, 2), or None if the mask says nothing of the outline."""
    data, swell_nodes, slide_nodes = model.body.data, model.swell, model.slide
    fragments = rasterize(vertices, data.faces, picture.camera)
    near = np.where(fragments.mask, model.near[data.faces[fragments.face, 0]], 0)
    wanted = outline_shifts(fragments, picture, near, model.settings.outline)
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
    slide_at_points = at_points @ slide_nodes.spread
    data_rows = sparse.hstack(
        [swell_at_points @ swell_nodes.spread]
        + [sparse.diags(wanted.normal[:, axis]) @ slide_at_points for axis in range(2)]
    ).tocsr()
    # Every node hears about one unit of outline, however many pixels there are to its length.
    weight = metres_per_pixel / swell_nodes.spacing
    weighted = sparse.diags(weight) @ data_rows
    swell_count, slide_count = swell_nodes.spread.shape[1], slide_nodes.spread.shape[1]
    sizes = sparse.diags(
        model.size + np.concatenate([np.full(swell_count, size), np.full(2 * slide_count, model.settings.slide_size)])
    )
    matrix = (data_rows.T @ weighted + stiffness * model.smoothness + sizes).tocsc()
    solution = splu(matrix, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}).solve(
        weighted.T @ (wanted.shift * metres_per_pixel).astype(np.float64)
    )
    slide = slide_nodes.spread @ solution[swell_count:].reshape(2, slide_count).T
    return swell_nodes.spread @ solution[:swell_count], slide


def _swelling_directions(rest: Floats, model: ClothingModel, betas: Floats) -> tuple[Floats, Floats]:
    """Away from the bones, (V, 3), of about unit length around each cross-section, longer where it is wider; its radius
    (V,).
    """
    data, nodes = model.body.data, model.swell
    axis = np.zeros_like(rest)
    for joint, (start, end) in enumerate(bones_of(data, betas)):
        touched = data.weights[:, joint] > 0
        bone = end - start
        along = np.clip((rest[touched] - start) @ bone / max(float(bone @ bone), 1e-9), 0, 1)
        axis[touched] += data.weights[touched, joint, None] * (start + along[:, None] * bone)
    outward = nodes.at_nodes(rest - axis)
    radius = np.linalg.norm(outward, axis=1)
    for _ in range(model.settings.section_rounds):
        radius = nodes.averaging @ radius
    return nodes.spread @ (outward / np.maximum(radius, model.settings.least_radius)[:, None]), nodes.spread @ radius


def _limited(offsets: Floats, height: float, settings: ClothingSettings) -> Floats:
    """Displacements (V, 3) within the limit of a body of this ``height``, shortened smoothly where they come near."""
    length = np.linalg.norm(offsets, axis=1)
    limit = settings.limit * height
    start = settings.limit_from * limit
    shortened = start + (limit - start) * np.tanh((length - start) / (limit - start))
    limited: Floats = offsets * np.where(length > start, shortened / np.maximum(length, 1e-12), 1)[:, None]
    return limited


def _with_rigid_eyes(offsets: Floats, rest: Floats, data: BodyData) -> Floats:
    """Eyes follow their sockets as a whole, so that they neither bulge nor poke through the lids."""
    skin = np.flatnonzero(data.part == BODY)
    surface = cKDTree(rest[skin])
    for eye in (LEFT_EYE, RIGHT_EYE):
        members = data.part == eye
        if members.any():
            _, socket = surface.query(rest[members], k=3)
            offsets[members] = offsets[skin[np.unique(socket)]].mean(0)
    return offsets
