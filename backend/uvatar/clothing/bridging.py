"""Cloth over a trunk bridges what is hollow in the body below: between breasts, under them, at waist, spine and seat.

Each height's cross-section becomes its convex hull before and behind, and the wider clothes are, the straighter they
hang from one height to the next. What is still hollow there fills. Only where the photo shows no skin, and not at the
outline, which the photo tells.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.ndimage import grey_closing

from uvatar.body import BodyModel
from uvatar.body.data import BODY, BodyData
from uvatar.clothing.limbs import ARM_JOINTS, LEG_JOINTS
from uvatar.clothing.sections import Sections, smoothed
from uvatar.data.arrays import Floats
from uvatar.data.face import BARE_SKIN, FACE_SCORE
from uvatar.data.joints import HIP_JOINTS, SHOULDER_JOINTS, Joint
from uvatar.data.view import View
from uvatar.geometry.mesh import vertex_normals
from uvatar.geometry.raster import rasterize
from uvatar.photos.colour import linear_from_srgb, perceptual, smoothstep
from uvatar.photos.skin import SkinLikenessSettings, skin_likeness


@dataclass(frozen=True)
class BridgingSettings:
    """Tuned numbers of bridging, set while looking at 12 people in photos. Lengths are metres on a person of 1.7 m.

    Attributes:
        picture_side: pixels of the longer side of the picture in which colours are read.
        spreading: rounds in which they spread over the mesh, to where the photo shows nothing.
        prior: weight of cloth where nothing spreads.
        skin: shares of skin around from which a place is less and less covered, and from which not at all.
        hue, shade, light: tolerance of likeness to the face's skin, that of feet (`uvatar.clothing.shoes`).
        least_hue: chroma over luma of the face below which a photo is grey: all is cloth.
        row: between cross-sections.
        directions: of a cross-section.
        above_crotch, below_shoulders: heights over which bridging grows from none.
        hanging: height over which cloth hangs straight.
        loose: mean displacements by clothes from which on it does, and from which on fully.
        tight: how much it does at least.
        outline: cosines between normal and line of sight from which, and up to which, the photo's outline rules.
        smoothing: rounds of averaging normals before that.
        fill_rounds, fill: of hollows, and the share of each that a round fills.
        most: that anything moves.
    """

    picture_side: int = 240
    spreading: int = 40
    prior: float = 1e-3
    skin: tuple[float, float] = (0.3, 0.6)
    hue: tuple[float, float] = (0.4, 0.8)
    shade: tuple[float, float] = (0.5, 0.7)
    light: tuple[float, float] = (1.25, 1.5)
    least_hue: float = 0.03
    row: float = 0.01
    directions: int = 72
    above_crotch: float = 0.03
    below_shoulders: float = 0.1
    hanging: float = 0.3
    loose: tuple[float, float] = (0.006, 0.02)
    tight: float = 0.5
    outline: tuple[float, float] = (0.1, 0.4)
    smoothing: int = 25
    fill_rounds: int = 100
    fill: float = 0.8
    most: float = 0.06


DEFAULT_SETTINGS = BridgingSettings()


def cloth_shares(
    view: View, body: BodyModel, mean: sparse.csr_matrix, settings: BridgingSettings = DEFAULT_SETTINGS
) -> NDArray[np.float64]:
    """(V,) 1 where trunk and thighs are under cloth, 0 where the photo shows skin, or nothing is worn.

    ``mean`` (V, V) replaces each vertex's value by the mean of its neighbours'.
    """
    data = body.data
    worn = np.asarray((data.part == BODY) * (1 - data.weights[:, [Joint.HEAD, *ARM_JOINTS]].sum(1)), np.float64)
    worn *= 1 - data.weights[:, [joint for leg in LEG_JOINTS for joint in leg if joint not in HIP_JOINTS]].sum(1)
    person = view.person
    if person.face is None or person.face_score <= FACE_SCORE:
        return worn
    x0, y0, x1, y1 = person.window
    columns, rows = np.clip(np.floor(person.face[BARE_SKIN]).astype(int).T, [[x0], [y0]], [[x1 - 1], [y1 - 1]])
    skin = np.median(linear_from_srgb(view.photo.pixels[rows, columns]), 0)
    luma, *chroma = perceptual(skin)
    if float(np.linalg.norm(chroma)) <= settings.least_hue * float(luma):  # grey, or black
        return worn
    camera = view.camera.cropped(person.window, min(1.0, settings.picture_side / max(x1 - x0, y1 - y0)))
    fragments = rasterize(body.posed(view.fit.body, view.fit.offsets)[0], data.faces, camera)
    seen_rows, seen_columns = np.nonzero(fragments.mask)
    at_x = np.clip(((seen_columns + 0.5) * (x1 - x0) / camera.width).astype(int), 0, x1 - x0 - 1)
    at_y = np.clip(((seen_rows + 0.5) * (y1 - y0) / camera.height).astype(int), 0, y1 - y0 - 1)
    own = (person.mask[at_y, at_x] > 127) & (person.others[at_y, at_x] < 64)
    hue = float(np.linalg.norm(chroma) / luma)
    tolerance = SkinLikenessSettings((settings.hue[0] * hue, settings.hue[1] * hue), settings.shade, settings.light)
    like = skin_likeness(linear_from_srgb(view.photo.pixels[at_y[own] + y0, at_x[own] + x0]), skin, tolerance)
    place = seen_rows[own], seen_columns[own]
    corner = data.faces[fragments.face[place], fragments.barycentric[place].argmax(1)]
    count = len(worn)
    told = np.stack([np.bincount(corner, like, count), np.bincount(corner, minlength=count)], 1)
    for _ in range(settings.spreading):
        told = 0.5 * (told + mean @ told)
    bare = told[:, 0] / (told[:, 1] + settings.prior)
    shares: NDArray[np.float64] = worn * (1 - smoothstep(bare, *settings.skin))
    return shares


def bridged(
    offsets: Floats,
    rest: Floats,
    facing: Floats,
    cloth: Floats,
    data: BodyData,
    mean: sparse.csr_matrix,
    settings: BridgingSettings = DEFAULT_SETTINGS,
) -> Floats:
    """Displacements (V, 3) with which the cloth bridges the body.

    Args:
        offsets: (V, 3) of the clothes.
        rest: (V, 3) the body without them.
        facing: (V,) absolute cosine between normal and line of sight, as the photo shows the dressed body.
        cloth, mean: as of `cloth_shares`.
        data: the body's.
        settings: tuned numbers.
    """
    size = float(np.ptp(rest[:, 1])) / 1.7
    vertices = rest + offsets
    free = cloth * smoothstep(facing, *settings.outline)
    loose = float(np.median(np.linalg.norm(offsets[cloth > 0.5], axis=1))) if (cloth > 0.5).any() else 0.0
    hanging = settings.tight + (1 - settings.tight) * float(smoothstep(np.array(loose / size), *settings.loose))
    moved = vertices + _to_hulls(vertices, free, data, hanging, size, settings)
    normals = np.zeros(vertices.shape, np.float32)
    for number in range(settings.fill_rounds):
        if number % 10 == 0:
            normals = vertex_normals(moved, data.faces)
        hollow = np.maximum(((mean @ moved - moved) * normals).sum(1), 0)
        moved = moved + settings.fill * (free * hollow)[:, None] * normals
    step = moved - vertices
    length = np.linalg.norm(step, axis=1, keepdims=True)
    limited: Floats = offsets + step * np.minimum(1, settings.most * size / np.maximum(length, 1e-9))
    return limited


def _to_hulls(
    vertices: Floats, free: Floats, data: BodyData, hanging: float, size: float, settings: BridgingSettings
) -> Floats:
    """(V, 3) steps outwards, within cross-sections of the trunk, to their convex hulls."""
    joints = data.joint_template
    scale = np.ptp(vertices[:, 1]) / np.ptp(data.v_template[:, 1])
    ground = vertices[:, 1].min() - data.v_template[:, 1].min() * scale
    crotch, shoulders = (float(joints[pair][:, 1].mean() * scale + ground) for pair in (HIP_JOINTS, SHOULDER_JOINTS))
    crotch -= 0.08 * size
    trunk = np.flatnonzero((free > 0) & (vertices[:, 1] > crotch) & (vertices[:, 1] < shoulders))
    around = np.flatnonzero(
        (data.weights[:, [Joint.HEAD, *ARM_JOINTS]].sum(1) < 0.3) & (data.part == BODY) & (vertices[:, 1] > crotch)
    )
    steps = np.zeros_like(vertices)
    if not len(trunk):
        return steps
    heights = np.arange(crotch, shoulders, settings.row * size)
    sections = Sections.of(vertices[around], heights, settings.row * size, settings.directions)
    if sections is None:
        return steps
    # Cloth hangs before and behind; its sides are the photo's.
    rows = 2 * round(settings.hanging / settings.row / 2) + 1
    radius = sections.reach
    padded = np.pad(radius, ((rows, rows), (0, 0)), mode="edge")
    straight = grey_closing(padded, (rows, 1))[rows:-rows]
    radius = smoothed(radius + hanging * (straight - radius) * sections.way[:, 1] ** 2, 2, 1)
    at = vertices[trunk]
    share = free[trunk] * smoothstep((at[:, 1] - crotch) / size, 0, settings.above_crotch)
    share *= smoothstep((shoulders - at[:, 1]) / size, 0, settings.below_shoulders)
    steps[trunk[:, None], [0, 2]] = sections.outwards(at, radius) * share[:, None]
    return steps
