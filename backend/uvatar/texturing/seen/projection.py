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
from uvatar.texturing.completion.lowband import diffuse, vertex_colours
from uvatar.texturing.layout.atlas import Atlas
from uvatar.texturing.layout.surface import HANDS, Surface
from uvatar.texturing.seen.foreground import DEFAULT_SETTINGS as FOREGROUND_SETTINGS
from uvatar.texturing.seen.foreground import Foreground, ForegroundSettings, cut_out, restored_detail
from uvatar.texturing.seen.visibility import Visibility


@dataclass(frozen=True)
class ProjectionSettings:
    """Tuned numbers of projection. Where nothing is said of how a number was chosen, that is not recorded.

    Attributes:
        grazing: cosines between normal and line of sight from which a texel counts, and from which it counts fully.
            From 0.2 on, instead of 0.05, cost a decibel at outlines on real photos.
        certain: cosines from which, and from which fully, a texel may speak for what is not seen: at the outline, light
            and background creep round the body.
        depth_bias: metres that surface may lie in front of a texel without hiding it. On a body in T-pose without a
            bias half of the visible texels are lost; from 10 mm on, none are.
        finest: percentile of the footprints of visible triangles that the photo's finest level is made for: grazing
            triangles ask for less than a pixel, but have nothing to show for it.
        surroundings: width, metres, over which the photo is averaged to judge a doubtful texel by its colour.
        seen_pull: of trusted texels' colours when the expected colour of doubtful ones is diffused from them, relative
            to the pull of a vertex's neighbours.
        similar_colours: colour distances up to which a doubtful texel is taken fully, and from which it is not taken.
            Tuned on real photos: see `VisibilitySettings.edge_margin`.
        others_margin: share of the window's longer side within which of another person's pixels the photo may show that
            person.
        least_weight: of a texel that is kept.
    """

    grazing: tuple[float, float] = (0.05, 0.20)
    certain: tuple[float, float] = (0.05, 0.6)
    depth_bias: float = 0.01
    finest: float = 25
    surroundings: float = 0.012
    seen_pull: float = 10.0
    similar_colours: tuple[float, float] = (0.2, 0.4)
    others_margin: float = 0.006
    least_weight: float = 0.01


DEFAULT_SETTINGS = ProjectionSettings()


@dataclass(frozen=True)
class Projection:
    """The M texels that a photo sees.

    Attributes:
        texels: (M,) int32 indices into the texel table.
        colours: (M, 3) float32 linear light.
        weights: (M,) float32 in (0, 1]: how surely the photo shows this texel there.
        certainty: (M,) float32 0..1, how far the texel may speak for what is not seen.
        cosine: (M,) float32 between the surface's normal and the line of sight.
        width: (M,) float32 the texel's width in pixels of the photo.
    """

    texels: NDArray[np.int32]
    colours: NDArray[np.float32]
    weights: NDArray[np.float32]
    certainty: NDArray[np.float32]
    cosine: NDArray[np.float32]
    width: NDArray[np.float32]


@dataclass(frozen=True)
class ProjectedView:
    """One photo, ready to be asked for the colours of the body.

    Attributes:
        source: the photo with the person and the fit.
        visibility: the posed body in front of the camera.
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
        """Pixels (K, 2) of the photo for points (K, 3) of the camera frame, moved by ``shift`` (K, 2) pixels."""
        return self.source.camera.project(points) + shift


def projected_view(
    view: View,
    visibility: Visibility,
    shift: NDArray[np.float32],
    atlas: Atlas,
    settings: ProjectionSettings = DEFAULT_SETTINGS,
    foreground_settings: ForegroundSettings = FOREGROUND_SETTINGS,
) -> ProjectedView:
    """Cut the person out of the photo as finely as the atlas's texels need it; ``shift`` as in `ProjectedView`."""
    footprint = texel_footprints(visibility.pixels, atlas.surface, atlas.size)
    facing = footprint[visibility.facing]
    finest = float(np.percentile(facing, settings.finest)) if len(facing) else 1.0
    foreground = cut_out(view.photo, view.person, finest, foreground_settings)
    return ProjectedView(view, visibility, shift, foreground, footprint)


def project(
    view: ProjectedView,
    atlas: Atlas,
    settings: ProjectionSettings = DEFAULT_SETTINGS,
    foreground_settings: ForegroundSettings = FOREGROUND_SETTINGS,
) -> Projection:
    """Sample the photo at every texel that it sees; eyeballs are left to `uvatar.texturing.seen.eyes`.

    Where the photo may show another part or person, a texel that looks like the trusted texels around it is taken
    after all: either it is the right part, or the wrong one does not show.
    """
    visibility = view.visibility
    seen_faces = (
        visibility.facing
        & (visibility.cosine[atlas.surface.faces].max(1) > settings.grazing[0])
        & (atlas.surface.eye[atlas.surface.faces[:, 0]] == 0)
    )
    texels = np.flatnonzero(seen_faces[atlas.table.face]).astype(np.int32)
    values = atlas.interpolate(np.column_stack([visibility.vertices, visibility.cosine, view.shift]), texels)
    points, cosine = values[:, :3], values[:, 3]
    pixels = view.pixels(points, values[:, 4:])
    weights = np.where(view.foreground.depth_inside(pixels) > 0, smoothstep(cosine, *settings.grazing), 0).astype(
        np.float32
    )
    kept = np.flatnonzero(weights > settings.least_weight)
    kept = kept[visibility.scene.visible_from(np.take(points, kept, axis=0), bias=settings.depth_bias)]
    points, pixels = np.take(points, kept, axis=0), np.take(pixels, kept, axis=0)
    texels, weights, cosine = texels[kept], weights[kept], cosine[kept]
    width = view.footprint[atlas.table.face[texels]]
    sampled = view.foreground.sample(pixels, width)
    colours = restored_detail(view.foreground, pixels, width, sampled, foreground_settings)
    certainty = smoothstep(cosine, *settings.certain)
    trust = np.where(_near_others(view.source.person, pixels, settings), 0, visibility.trust_at(points))
    doubtful = np.flatnonzero(
        (trust < 0.99) & ~np.isin(atlas.surface.part[atlas.surface.faces[atlas.table.face[texels], 0]], HANDS)
    )
    if len(doubtful):
        colour, share = vertex_colours(colours, weights * trust * certainty, texels, atlas)
        expected = atlas.interpolate(diffuse(atlas.surface, [(colour, settings.seen_pull * share)]), texels[doubtful])
        around = view.foreground.sample(pixels[doubtful], settings.surroundings * visibility.pixels_per_metre)
        similar = 1 - smoothstep(colour_distance(around, expected), *settings.similar_colours)
        trust[doubtful] = np.maximum(trust[doubtful], similar)
    weights = weights * trust
    kept = np.flatnonzero(weights > settings.least_weight)
    return Projection(
        texels[kept], np.take(colours, kept, axis=0), weights[kept], certainty[kept], cosine[kept], width[kept]
    )


def texel_footprints(pixels: NDArray[np.float32], surface: Surface, size: int) -> NDArray[np.float32]:
    """Width (F,) of a texel of every triangle, pixels of the photo; ``pixels`` (V, 2): where the vertices project."""
    footprints: NDArray[np.float32] = np.sqrt(
        _areas(pixels[surface.faces]) / np.maximum(_areas(surface.uv[surface.face_uv]) * size**2, 1e-9)
    ).astype(np.float32)
    return footprints


def _areas(triangles: Floats) -> Floats:
    u, v = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    areas: Floats = 0.5 * np.abs(u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0])
    return areas


def _near_others(person: Person, pixels: NDArray[np.float32], settings: ProjectionSettings) -> NDArray[np.bool_]:
    """Whether (K,) another person is near these pixels (K, 2) of the photo."""
    if not person.others.any():
        return np.zeros(len(pixels), bool)
    side = 2 * round(settings.others_margin * max(person.others.shape)) + 1
    others = cv2.dilate(person.others, np.ones((side, side), np.uint8)) >= 128
    x0, y0, x1, y1 = person.window
    column = np.clip(pixels[:, 0] - x0, 0, x1 - x0 - 1).astype(np.int32)
    row = np.clip(pixels[:, 1] - y0, 0, y1 - y0 - 1).astype(np.int32)
    return others[row, column]
