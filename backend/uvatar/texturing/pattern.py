"""Structure of cloth for what no photo shows: folds, weave and pattern of the seen front, as ratios to the smooth band.

Structure moves in the photo's own picture: an unseen point takes it from the pixel that it projects to, straight
through the body. So it meets the front at the outline, and stripes and checks stay straight. Close to the outline,
where the photo is stretched, the picture is mirrored at the contour of what is trusted. Each material is a picture of
its own, in which single things (plackets, ties, logos) are holes, and holes are filled from the rest of the material.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.data.camera import Camera
from uvatar.photos.colour import colour_distance, smoothstep
from uvatar.photos.sampling import bilinear
from uvatar.texturing.atlas import Atlas
from uvatar.texturing.projection import ProjectedView
from uvatar.texturing.propagation import colours_at, labels_at
from uvatar.texturing.shift_map import ShiftSettings, filled
from uvatar.texturing.surface import ARMS, HANDS, Part, Surface

_NO_GROUP = 255  # head, hands and eyes: no cloth
_TRUNK_AND_LEGS, _ARMS = 0, 1


@dataclass(frozen=True)
class PatternSettings:
    """Tuned numbers of structure, set while looking at 17 people; lengths are metres of a 1.7 m body.

    Attributes:
        pixel: of the picture in which structure moves, for a texture of 1024 texels a side; it shrinks with the square
            root of the texels'.
        largest_side: of that picture, pixels.
        darkest: linear light added before ratios are taken: noise in the dark is no structure.
        strongest: log ratio at which structure is clipped.
        shown: alpha of a texel from which structure is taken, and
        sure: share of its usual certainty.
        cosine: to the line of sight from which structure is taken; beyond it the picture is mirrored.
        depth: distance from the mask's edge from which it is taken.
        ring_share: of the mean radius of a body slice, by which the picture is mirrored at the sides.
        border_reach: distance from another material up to which a pixel may be of that material.
        more_alike: share of its distance from its own material's colour below which it is.
        foreign_colour: least distance from its own material's colour.
        border_margin: around such pixels, and along the border.
        middle: half width of the trunk's middle, where plackets, ties and logos are.
        middle_gradient: gradient energy there over that beside it, from which the middle is something of its own,
        middle_share: and share of it that is this material, below which it is.
        hue_outlier, light_outlier: least deviation of log ratio from the material's own that is a single thing;
        hue_spread, light_spread: and in units of the median deviation.
        row_share: of a row that is off: belts and stripes are no single things.
        pitch: half the distance at which the pieces of a pattern lie from each other at most.
        pattern_share: share of the material's area that a group of odd pixels, grown by ``pitch``, has from which it is
            a pattern,
        single_extent: and share of the material's width or height.
        pieces: number of groups from which they are a pattern together.
        margin: around single things.
        least_run: of known pixels in a row.
        least_area: square metres of a material from which structure is taken.
        plain_strength: power of the structure of plain cloth, half of whose folds are not where the back has its own;
            patterned cloth has all of it.
        patterned: median deviation of hue from which a material is patterned, and fully.
        shift: how holes are filled.
    """

    pixel: float = 0.003
    largest_side: int = 900
    darkest: float = 0.01
    strongest: float = 1.2
    shown: float = 0.9
    sure: float = 0.7
    cosine: float = 0.50
    depth: float = 0.01
    ring_share: float = 0.9
    border_reach: float = 0.05
    more_alike: float = 0.7
    foreign_colour: float = 0.12
    border_margin: float = 0.006
    middle: float = 0.05
    middle_gradient: float = 1.25
    middle_share: float = 0.6
    hue_outlier: float = 0.05
    hue_spread: float = 4.0
    light_outlier: float = 0.5
    light_spread: float = 5.0
    row_share: float = 0.85
    pitch: float = 0.03
    pattern_share: float = 0.4
    single_extent: float = 0.85
    pieces: int = 8
    margin: float = 0.015
    least_run: float = 0.02
    least_area: float = 0.004
    plain_strength: float = 0.6
    patterned: tuple[float, float] = (0.010, 0.025)
    shift: ShiftSettings = field(default_factory=ShiftSettings)


DEFAULT_SETTINGS = PatternSettings()


@dataclass(frozen=True)
class Dressed:
    """The person's materials and their smooth colours.

    Attributes:
        probability: (V, K) of each material at each vertex.
        labels: (V,) the likeliest.
        colour: (V, 3) linear light, smooth inside each material.
    """

    probability: NDArray[np.float32]
    labels: NDArray[np.int64]
    colour: NDArray[np.float32]


@dataclass(frozen=True)
class _Picture:
    """The photo's picture of the body.

    Attributes:
        camera: of the picture.
        metre: pixels per metre of a 1.7 m body.
        structure: (h, w, 3) log ratio of the photo and the smooth colour.
        shown, low: (h, w, 3) linear light of the photo, and the smooth colour.
        source: (h, w) bool, where structure may be taken from.
        label, group: (h, w) uint8 material and group of parts that is seen, 255 where none.
        across: (h, w) metres left of the rest body's middle plane; infinite off the trunk.
    """

    camera: Camera
    metre: float
    structure: NDArray[np.float32]
    shown: NDArray[np.float32]
    low: NDArray[np.float32]
    source: NDArray[np.bool_]
    label: NDArray[np.uint8]
    group: NDArray[np.uint8]
    across: NDArray[np.float32]


def unseen_structure(
    view: ProjectedView,
    dressed: Dressed,
    texels: NDArray[np.int64],
    texel_labels: NDArray[np.uint8],
    alpha: NDArray[np.float32],
    certain: NDArray[np.float32],
    atlas: Atlas,
    settings: PatternSettings = DEFAULT_SETTINGS,
) -> NDArray[np.float32]:
    """Find the structure of texels that no photo shows fully.

    Args:
        view: the photo that it is taken from.
        dressed: materials and smooth colours.
        texels: (M,) that need structure.
        texel_labels: (M,) their materials.
        alpha, certain: (T,) of all texels, as in `SeenColours`.
        atlas: of the body.
        settings: tuned numbers.

    Returns (M, 3) factors of the smooth colour plus ``settings.darkest``.
    """
    surface = atlas.surface
    group = _groups(surface)
    texel_group = group[surface.faces[atlas.table.face[texels], 0]]
    picture = _picture(view, dressed, group, alpha, certain, atlas, settings)
    place = _places(view, texels, picture, atlas, settings)
    result = np.ones((len(texels), 3), np.float32)
    height, width = picture.label.shape
    for material in np.unique(texel_labels[texel_group != _NO_GROUP]):
        of_others = _of_others(picture, material, settings)
        for cloth in np.unique(texel_group[(texel_group != _NO_GROUP) & (texel_labels == material)]):
            source = picture.source & (picture.label == material) & (picture.group == cloth)
            if source.sum() < settings.least_area * picture.metre**2:
                continue
            own = np.flatnonzero((texel_group == cloth) & (texel_labels == material))
            column, row = np.clip(place[own].astype(np.int32), 0, (width - 1, height - 1)).T
            wanted = np.bincount(row * width + column, minlength=height * width).reshape(height, width) > 0
            wanted = cv2.dilate(wanted.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
            source &= ~of_others
            rows, columns = (np.flatnonzero((wanted | source).any(axis)) for axis in (1, 0))
            box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            values = picture.structure[box]
            clean, strength = _clean_sources(values, source[box], picture, box, settings)
            whole = filled(values, clean, wanted[box], picture.metre, settings.shift)
            at = place[own] - np.array([columns[0], rows[0]], np.float32)
            result[own] = np.exp(strength * bilinear(np.ascontiguousarray(whole), at))
    return result


def _groups(surface: Surface) -> NDArray[np.uint8]:
    """(V,) groups of parts between which structure does not move."""
    group = np.full(len(surface.part), _TRUNK_AND_LEGS, np.uint8)
    group[np.isin(surface.part, ARMS)] = _ARMS
    group[np.isin(surface.part, (Part.HEAD, *HANDS)) | (surface.eye > 0)] = _NO_GROUP
    return group


def _picture(
    view: ProjectedView,
    dressed: Dressed,
    group: NDArray[np.uint8],
    alpha: NDArray[np.float32],
    certain: NDArray[np.float32],
    atlas: Atlas,
    settings: PatternSettings,
) -> _Picture:
    surface, visibility = atlas.surface, view.visibility
    small, photo = visibility.camera, view.source.camera
    metre = visibility.pixels_per_metre * visibility.size  # photo pixels per metre of a 1.7 m body
    wanted = 1 / (settings.pixel * np.sqrt(1024 / atlas.size))
    scale = small.focal / photo.focal
    factor = min(wanted / (metre * scale), settings.largest_side / max(small.width, small.height))
    camera = small.cropped((0, 0, small.width, small.height), factor)
    metre = metre * camera.focal / photo.focal
    fragments = visibility.scene.render(camera)
    inside = fragments.mask
    face, barycentric = fragments.face[inside], fragments.barycentric[inside]
    label, first = np.full(inside.shape, 255, np.uint8), surface.faces[face, 0]
    label[inside] = labels_at(dressed.probability, surface, face, barycentric)
    groups = np.full(inside.shape, _NO_GROUP, np.uint8)
    groups[inside] = group[first]
    low = colours_at(dressed.colour, dressed.labels, label[inside], surface, face, barycentric)
    row, column = np.nonzero(inside)
    at = (np.stack([column, row], 1) + 0.5 - np.array(camera.center)) / camera.focal * photo.focal + np.array(
        photo.center
    )
    at = at.astype(np.float32)
    seen = view.foreground.sample(at, photo.focal / camera.focal)
    ratio = np.log((seen + settings.darkest) / (np.maximum(low, 0) + settings.darkest))
    structure = np.zeros((*inside.shape, 3), np.float32)
    shown, smooth = np.zeros_like(structure), np.zeros_like(structure)
    shown[inside], smooth[inside] = seen, low
    structure[inside] = np.clip(ratio, -settings.strongest, settings.strongest)
    corners = surface.faces[face]
    cosine = np.einsum("mk,mk->m", barycentric, visibility.cosine[corners])
    uv = np.einsum("mk,mkc->mc", barycentric, surface.uv[surface.face_uv[face]])
    size = atlas.size
    pixel = np.clip(((1 - uv[:, 1]) * size).astype(int), 0, size - 1) * size
    texel = atlas.table.source[pixel + np.clip((uv[:, 0] * size).astype(int), 0, size - 1)]
    deep = view.foreground.depth_inside(at) > settings.depth * visibility.pixels_per_metre
    usual = smoothstep(cosine, 0.05, 0.6) * alpha[texel]
    source = np.zeros(inside.shape, bool)
    source[inside] = (
        deep & (cosine > settings.cosine) & (alpha[texel] > settings.shown) & (certain[texel] > settings.sure * usual)
    )
    source = cv2.medianBlur(source.astype(np.uint8), 5) > 0
    across = np.full(inside.shape, np.inf, np.float32)
    trunk = surface.part[first] == Part.TRUNK
    place = np.einsum("mk,mk->m", barycentric, surface.template[corners, 0])
    across[inside] = np.where(trunk, place, np.inf)
    return _Picture(camera, metre, structure, shown, smooth, source & inside, label, groups, across)


def _of_others(picture: _Picture, material: int, settings: PatternSettings) -> NDArray[np.bool_]:
    """Pixels (h, w) near another material that look more like it: borders on the mesh are only as fine as the mesh."""
    other = (picture.label != material) & (picture.label != 255)
    if not other.any():
        return np.zeros(other.shape, bool)
    distance, nearest = cv2.distanceTransformWithLabels(
        (~other).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    colours = np.zeros((int(nearest.max()) + 1, 3), np.float32)
    colours[nearest[other]] = picture.low[other]
    near = (picture.label == material) & (distance < settings.border_reach * picture.metre)
    found = np.zeros(other.shape, bool)
    shown = picture.shown[near]
    theirs, own = colour_distance(shown, colours[nearest[near]]), colour_distance(shown, picture.low[near])
    found[near] = (theirs < settings.more_alike * own) & (own > settings.foreign_colour)
    side = 2 * max(1, round(settings.border_margin * picture.metre)) + 1
    grown = cv2.dilate(found.astype(np.uint8), np.ones((side, side), np.uint8)) > 0
    result: NDArray[np.bool_] = grown | (distance < settings.border_margin * picture.metre)
    return result


def _places(
    view: ProjectedView, texels: NDArray[np.int64], picture: _Picture, atlas: Atlas, settings: PatternSettings
) -> NDArray[np.float32]:
    """The pixels (M, 2) of the picture that texels take their structure from."""
    surface, vertices = atlas.surface, view.visibility.vertices
    normals = view.visibility.normals
    sight = vertices / np.linalg.norm(vertices, axis=1, keepdims=True)
    outwards = normals - (normals * sight).sum(1, keepdims=True) * sight
    outwards /= np.maximum(np.linalg.norm(outwards, axis=1, keepdims=True), 1e-6)
    radius = settings.ring_share * _radii(vertices, surface)
    values = np.column_stack([vertices, outwards, view.visibility.cosine, radius]).astype(np.float32)
    at = atlas.interpolate(values, texels)
    points, outwards, cosine, radius = at[:, :3], at[:, 3:6], at[:, 6], at[:, 7]
    angle, limit = np.arcsin(np.clip(np.abs(cosine), 0, 1)), np.arcsin(settings.cosine)
    inwards = np.where(angle < limit, np.cos(angle) - np.cos(2 * limit - angle), 0) * radius
    return picture.camera.project(points - outwards * inwards[:, None]).astype(np.float32)


def _radii(vertices: Floats, surface: Surface) -> NDArray[np.float64]:
    """The mean distance (V,) of each vertex's slice from its centre line, metres, smoothed from slice to slice."""
    rings = len(surface.ring_part)
    count = np.maximum(np.bincount(surface.ring, minlength=rings), 1)
    centre = np.stack([np.bincount(surface.ring, vertices[:, k], rings) for k in range(3)], 1) / count[:, None]
    distance = np.linalg.norm(vertices - centre[surface.ring], axis=1)
    mean = (np.bincount(surface.ring, distance, rings) / count)[surface.ring]
    degree = np.asarray(surface.graph.sum(1)).ravel() + 1
    for _ in range(4):
        mean = (mean + surface.graph @ mean) / degree
    return np.asarray(mean, np.float64)


def _clean_sources(
    values: NDArray[np.float32],
    source: NDArray[np.bool_],
    picture: _Picture,
    box: tuple[slice, slice],
    settings: PatternSettings,
) -> tuple[NDArray[np.bool_], float]:
    """The sources (h, w) of a material without single things, and the power with which its structure is used."""
    side = 2 * max(1, round(settings.margin * picture.metre)) + 1
    own = values[source]
    light = own.mean(1)
    hue = np.linalg.norm(own - light[:, None] - np.median(own - light[:, None], axis=0), axis=1)
    spread = float(np.median(hue))
    strength = settings.plain_strength + (1 - settings.plain_strength) * float(
        smoothstep(np.array(spread), *settings.patterned)
    )
    off = np.zeros(source.shape, bool)
    off[source] = (hue > max(settings.hue_outlier, settings.hue_spread * spread)) | (
        np.abs(light) > max(settings.light_outlier, settings.light_spread * float(np.median(np.abs(light))))
    )
    row_share = off.sum(1) / np.maximum(source.sum(1), 1)
    off[row_share > settings.row_share] = False
    off = cv2.morphologyEx(off.astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8)) > 0
    off = _single(off, source, picture.metre, settings)
    clean = source & ~(cv2.dilate(off.astype(np.uint8), np.ones((side, side), np.uint8)) > 0)
    clean = clean & ~_middle(values, source, picture, box, settings)
    run = max(1, round(settings.least_run * picture.metre))
    clean = cv2.morphologyEx(clean.astype(np.uint8), cv2.MORPH_OPEN, np.ones((1, run), np.uint8)) > 0
    return (clean if clean.any() else source), strength


def _single(
    off: NDArray[np.bool_], source: NDArray[np.bool_], metre: float, settings: PatternSettings
) -> NDArray[np.bool_]:
    """What of a material's odd pixels (h, w) are single things, such as a logo, and no pattern all over it."""
    side = 2 * max(1, round(settings.pitch * metre)) + 1
    spread = cv2.dilate(off.astype(np.uint8), np.ones((side, side), np.uint8)) & source.astype(np.uint8)
    count, group, statistics, _ = cv2.connectedComponentsWithStats(spread)
    area = source.sum()
    if count - 1 > settings.pieces and spread.sum() > settings.pattern_share * area:
        return np.zeros(off.shape, bool)
    whole = np.array([np.ptp(np.flatnonzero(source.any(axis))) + 1 for axis in (0, 1)])
    extent = (statistics[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]] / whole).max(1)
    single = (statistics[:, cv2.CC_STAT_AREA] < settings.pattern_share * area) & (extent < settings.single_extent)
    single[0] = False
    things: NDArray[np.bool_] = off & single[group]
    return things


def _middle(
    values: NDArray[np.float32],
    source: NDArray[np.bool_],
    picture: _Picture,
    box: tuple[slice, slice],
    settings: PatternSettings,
) -> NDArray[np.bool_]:
    """The trunk's middle (h, w), if there is something of its own there."""
    across = np.abs(picture.across[box])
    middle, beside = across < settings.middle, (across > 1.5 * settings.middle) & (across < 4 * settings.middle)
    if not (middle & source).any() or not (beside & source).any():
        return np.zeros(source.shape, bool)
    rows = source.any(1)
    there = middle & rows[:, None]
    luma = cv2.GaussianBlur(values.mean(-1), (0, 0), 0.8)
    energy = cv2.Sobel(luma, cv2.CV_32F, 1, 0) ** 2 + cv2.Sobel(luma, cv2.CV_32F, 0, 1) ** 2
    inner = cv2.erode(source.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    stronger = (
        energy[middle & inner].mean() > settings.middle_gradient * energy[beside & inner].mean()
        if ((middle & inner).any() and (beside & inner).any())
        else False
    )
    parted = (there & source).sum() < settings.middle_share * there.sum()
    return middle if stronger or parted else np.zeros(source.shape, bool)
