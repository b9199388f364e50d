"""One photo's colours on the texels that it sees, and how far each may be trusted."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.data.person import Person
from uvatar.data.view import View
from uvatar.photos.colour import colour_distance, smoothstep
from uvatar.texturing.atlas import Atlas
from uvatar.texturing.foreground import Foreground, cut_out, restored_detail
from uvatar.texturing.lowband import diffuse, vertex_colours
from uvatar.texturing.surface import LEFT_HAND, RIGHT_HAND, Surface
from uvatar.texturing.visibility import Visibility

# A texel counts from the first of these cosines to the line of sight on, fully from the second: later costs a decibel
# at outlines.
_GRAZING = (0.05, 0.20)
# ... and the colours of what is not seen follow it fully only from the second of these on.
_CERTAIN = (0.05, 0.6)
# Surface this far before a texel does not hide it (texture.md, finding 5).
_BIAS = 0.01
# Doubtful texels are judged by the mean colour this far around them (metres), and pass fully below the first colour
# distance.
_SURROUNDINGS = 0.012
_SEEN_PULL = 10.0
_LOOKS_RIGHT = (0.2, 0.4)
# So near to another person's pixels, as a fraction of the window, the picture may show that person.
_OTHERS_MARGIN = 0.006


@dataclass(frozen=True)
class Projection:
    """The M texels that a photo sees.

    Attributes:
        texels: (M,) int32 indices into the texel table.
        colours: (M, 3) float32 linear light.
        weights: (M,) float32 in (0, 1]: how surely the photo shows this texel there.
        cosine: (M,) float32 between the surface's normal and the line of sight.
        width: (M,) float32 the texel's width in pixels of the photo.
    """

    texels: NDArray[np.int32]
    colours: NDArray[np.float32]
    weights: NDArray[np.float32]
    cosine: NDArray[np.float32]
    width: NDArray[np.float32]


@dataclass(frozen=True)
class ProjectedView:
    """One photo, ready to be asked for the colours of the body.

    Attributes:
        source: the photo with the person and the fit.
        visibility: the posed body before the camera.
        shift: (V, 2) pixels of the photo to add to where each vertex projects (the face's alignment; zeros elsewhere).
        foreground: the person cut out of the photo.
        footprint: (F,) width of a texel of every triangle in pixels of the photo.
    """

    source: View
    visibility: Visibility
    shift: NDArray[np.float32]
    foreground: Foreground
    footprint: NDArray[np.float32]

    def pixels(self, points: NDArray[np.float32], shift: NDArray[np.float32]) -> NDArray[np.float32]:
        """Where (K, 3) points of the camera frame, shifted by (K, 2), lie in the photo."""
        return self.source.camera.project(points) + shift


def projected_view(view: View, visibility: Visibility, shift: NDArray[np.float32], atlas: Atlas) -> ProjectedView:
    """Cut the person out of the photo as finely as the atlas' texels need it."""
    footprint = texel_footprints(visibility.pixels, atlas.surface, atlas.size)
    # grazing triangles ask for less than a pixel, but have nothing to show for it
    finest = float(np.percentile(footprint[visibility.facing], 25)) if visibility.facing.any() else 1.0
    return ProjectedView(view, visibility, shift, cut_out(view.photo, view.person, finest), footprint)


def project(view: ProjectedView, atlas: Atlas) -> Projection:
    """Sample the photo at every texel that it sees; eyeballs are left to `eyes`.

    Where the picture may show another part or person, a texel that looks like the trusted texels around it is taken
    after all: either it is the right part, or the wrong one does not show.
    """
    visibility = view.visibility
    seen_faces = (
        visibility.facing
        & (visibility.cosine[atlas.surface.faces].max(1) > _GRAZING[0])
        & (atlas.surface.eye[atlas.surface.faces[:, 0]] == 0)
    )
    texels = np.flatnonzero(seen_faces[atlas.table.face]).astype(np.int32)
    values = atlas.interpolate(np.column_stack([visibility.vertices, visibility.cosine, view.shift]), texels)
    points, cosine = values[:, :3], values[:, 3]
    pixels = view.pixels(points, values[:, 4:])
    weights = np.where(view.foreground.depth_inside(pixels) > 0, smoothstep(cosine, *_GRAZING), 0).astype(np.float32)
    kept = np.flatnonzero(weights > 0.01)
    kept = kept[visibility.scene.visible_from(points[kept], bias=_BIAS)]
    texels, points, pixels, weights, cosine = texels[kept], points[kept], pixels[kept], weights[kept], cosine[kept]
    width = view.footprint[atlas.table.face[texels]]
    colours = restored_detail(view.foreground, pixels, width, view.foreground.sample(pixels, width))
    trust = np.where(_near_others(view.source.person, pixels), 0, visibility.trust_at(points))
    doubtful = np.flatnonzero(
        (trust < 0.99)
        & ~np.isin(atlas.surface.part[atlas.surface.faces[atlas.table.face[texels], 0]], (LEFT_HAND, RIGHT_HAND))
    )
    if len(doubtful):
        colour, share = vertex_colours(colours, weights * trust * certainty(cosine), texels, atlas)
        expected = atlas.interpolate(diffuse(atlas.surface, [(colour, _SEEN_PULL * share)]), texels[doubtful])
        around = view.foreground.sample(pixels[doubtful], _SURROUNDINGS * visibility.pixels_per_metre)
        trust[doubtful] = np.maximum(trust[doubtful], 1 - smoothstep(colour_distance(around, expected), *_LOOKS_RIGHT))
    weights = weights * trust
    kept = np.flatnonzero(weights > 0.01)
    return Projection(texels[kept], colours[kept], weights[kept], cosine[kept], width[kept])


def certainty(cosine: NDArray[np.float32]) -> NDArray[np.float32]:
    """How far a seen texel may speak for its neighbours, 0..1: at the outline, light and background creep round the
    body.
    """
    return smoothstep(cosine, *_CERTAIN)


def texel_footprints(pixels: NDArray[np.float32], surface: Surface, size: int) -> NDArray[np.float32]:
    """(V, 2) projected vertices -> (F,) width of a texel of every triangle, in pixels of the photo."""
    footprints: NDArray[np.float32] = np.sqrt(
        _areas(pixels[surface.faces]) / np.maximum(_areas(surface.uv[surface.face_uv]) * size**2, 1e-9)
    ).astype(np.float32)
    return footprints


def _areas(triangles: Floats) -> Floats:
    u, v = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    areas: Floats = 0.5 * np.abs(u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0])
    return areas


def _near_others(person: Person, pixels: NDArray[np.float32]) -> NDArray[np.bool_]:
    if not person.others.any():
        return np.zeros(len(pixels), bool)
    side = 2 * round(_OTHERS_MARGIN * max(person.others.shape)) + 1
    others = cv2.dilate(person.others, np.ones((side, side), np.uint8)) >= 128
    x0, y0, x1, y1 = person.window
    column = np.clip(pixels[:, 0] - x0, 0, x1 - x0 - 1).astype(np.int32)
    row = np.clip(pixels[:, 1] - y0, 0, y1 - y0 - 1).astype(np.int32)
    return others[row, column]
