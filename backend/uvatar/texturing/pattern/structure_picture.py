"""The photo as a picture of its structure: what it shows beyond the smooth colours of its materials."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.data.camera import Camera
from uvatar.photos.colour import smoothstep
from uvatar.texturing.completion.lowband import colours_at
from uvatar.texturing.layout.atlas import Atlas
from uvatar.texturing.layout.surface import ARMS, HANDS, Part, Surface
from uvatar.texturing.materials.propagation import labels_at
from uvatar.texturing.pattern.settings import PatternSettings
from uvatar.texturing.seen.projection import ProjectedView

NO_GROUP = 255  # hands and eyes: no cloth
_TRUNK_AND_LEGS, _ARMS, _HEAD = 0, 1, 2


@dataclass(frozen=True)
class Dressed:
    """The person's materials and their smooth colours.

    Attributes:
        probability: (V, K) of each material at each vertex.
        labels: (V,) the likeliest.
        colour: (V, 3) linear light, smooth inside each material.
        things: (V,) bool, single things on garments, which are copied nowhere.
    """

    probability: NDArray[np.float32]
    labels: NDArray[np.int64]
    colour: NDArray[np.float32]
    things: NDArray[np.bool_]


@dataclass(frozen=True)
class StructurePicture:
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


def cloth_groups(surface: Surface) -> NDArray[np.uint8]:
    """(V,) groups of parts between which structure does not move. A collar, on the neck, is the trunk's garment."""
    group = np.full(len(surface.part), _TRUNK_AND_LEGS, np.uint8)
    group[np.isin(surface.part, ARMS)] = _ARMS
    group[(surface.part == Part.HEAD) & (surface.scalp | surface.face_front)] = _HEAD
    group[np.isin(surface.part, HANDS) | (surface.eye > 0)] = NO_GROUP
    return group


def structure_picture(
    view: ProjectedView,
    dressed: Dressed,
    group: NDArray[np.uint8],
    alpha: NDArray[np.float32],
    certain: NDArray[np.float32],
    atlas: Atlas,
    settings: PatternSettings,
) -> StructurePicture:
    """Draw the body from the photo's camera with what the photo shows; arguments as in `unseen_structure`."""
    surface, visibility = atlas.surface, view.visibility
    photo = view.source.camera
    camera, metre = _camera(view, atlas, settings)
    fragments = visibility.scene.render(camera)
    inside = fragments.mask
    face, barycentric = fragments.face[inside], fragments.barycentric[inside]
    label, first = np.full(inside.shape, 255, np.uint8), surface.faces[face, 0]
    label[inside] = labels_at(dressed.probability, surface, face, barycentric)
    groups = np.full(inside.shape, NO_GROUP, np.uint8)
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
    things = np.zeros(inside.shape, np.uint8)
    things[inside] = dressed.things[corners].any(1)
    side = 2 * max(1, round(settings.margin * metre)) + 1
    source &= ~(cv2.dilate(things, np.ones((side, side), np.uint8)) > 0)
    across = np.full(inside.shape, np.inf, np.float32)
    trunk = surface.part[first] == Part.TRUNK
    place = np.einsum("mk,mk->m", barycentric, surface.template[corners, 0])
    across[inside] = np.where(trunk, place, np.inf)
    return StructurePicture(camera, metre, structure, shown, smooth, source & inside, label, groups, across)


def _camera(view: ProjectedView, atlas: Atlas, settings: PatternSettings) -> tuple[Camera, float]:
    """The picture's camera, and its pixels per metre of a 1.7 m body."""
    visibility = view.visibility
    small, photo = visibility.camera, view.source.camera
    metre = visibility.pixels_per_metre * visibility.size  # photo pixels per metre of a 1.7 m body
    wanted = 1 / (settings.pixel * np.sqrt(1024 / atlas.size))
    scale = small.focal / photo.focal
    factor = min(wanted / (metre * scale), settings.largest_side / max(small.width, small.height))
    margin = int(np.ceil(settings.furthest * metre * scale))  # the unrolled sides lie around it
    camera = small.cropped((-margin, -margin, small.width + margin, small.height + margin), factor)
    return camera, metre * camera.focal / photo.focal
