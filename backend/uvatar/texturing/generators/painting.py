"""Pictures of unseen sides, as a texture generator paints them, laid on the texture like further photos.

The avatar has the photo's pose and is turned before the camera. What the photos show stays; a picture counts where
it sees the surface well, and its colours are matched to those that it shows of what the photos show too.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.data.camera import Camera
from uvatar.data.labels import Label
from uvatar.geometry import rotations
from uvatar.geometry.mesh import unit, vertex_normals
from uvatar.geometry.raster import RayScene
from uvatar.photos.colour import blended, linear_from_srgb, smoothstep, srgb_from_linear
from uvatar.photos.sampling import bilinear
from uvatar.texturing.generators.plugins import SIDES, GeneratorError, TextureGenerator, UnseenView, painted
from uvatar.texturing.layout.atlas import Atlas
from uvatar.texturing.seen.merging import DEFAULT_SETTINGS as MERGING
from uvatar.texturing.seen.merging import exposure_gain
from uvatar.texturing.seen.projection import ProjectedView


@dataclass(frozen=True)
class GeneratedSettings:
    """Numbers of painted views; those of geometry are the projection's of photos, chosen stricter, because a painted
    picture has no detail at the outline that would be missed.

    Attributes:
        side: pixels of the pictures' longer side.
        margin: share of the person's height around them.
        grazing: cosines between normal and line of sight from which a texel counts, and from which it counts fully.
        depth_bias: metres that surface may lie in front of a texel without hiding it.
        rim: pixels inside the avatar's outline that do not count: pictures are soft there.
        backdrop: sRGB grey beside the avatar.
        least: share of a side that must be unseen for it to be painted; .03 is when the photo shows this side.
        upright: cosine between where the person faces and the horizontal from which their sides are those of the
            photo's camera: somebody who lies on their back faces no side.
    """

    side: int = 1024
    margin: float = 0.05
    grazing: tuple[float, float] = (0.15, 0.45)
    depth_bias: float = 0.01
    rim: float = 3.0
    backdrop: int = 128
    least: float = 0.05
    upright: float = 0.3


DEFAULT_SETTINGS = GeneratedSettings()


@dataclass(frozen=True)
class Painter:
    """A generator for a job.

    Attributes:
        name: of the generator.
        generator: that paints.
        seed: 0, or the variation that the job asks for.
        painted: the sides that it has painted.
    """

    name: str
    generator: TextureGenerator
    seed: int = 0
    painted: list[str] = field(default_factory=list)


def paint_unseen(
    colours: NDArray[np.float32],
    source: NDArray[np.uint8],
    alpha: NDArray[np.float32],
    view: ProjectedView,
    painter: Painter,
    atlas: Atlas,
    settings: GeneratedSettings = DEFAULT_SETTINGS,
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """The texture with what a generator paints where no photo shows anything.

    Args:
        colours: (T, 3) linear light of the completed texture.
        source: (T,) its labels.
        alpha: (T,) 0..1, the photos' share in each texel, which stays.
        view: the photo that the generator is shown.
        painter: the generator.
        atlas: of the body.
        settings: numbers.

    Returns (T, 3) and labels (T,), `Label.PREDICTED` for painted texels. Raises GeneratorError.
    """
    colours, source = colours.copy(), source.copy()
    for side in painter.generator.sides:
        turned, camera = _turned(view, _facing(view, settings) + SIDES[side], settings)
        shown = _shown(side, turned, camera, colours, alpha, view, painter.seed, atlas, settings)
        if shown.unseen.sum() < settings.least * shown.mask.sum():
            continue
        picture = painted(painter.generator, shown, painter.name)
        painter.painted.append(side)
        weight, sampled = _projected(picture, shown, turned, camera, atlas, settings)
        overlap = (alpha > MERGING.shown) & (weight > MERGING.shown)
        gain = exposure_gain(colours, sampled, overlap, MERGING)
        weight = weight * (1 - alpha)
        colours = blended(colours, sampled * gain, weight)
        source[weight > 0.5] = Label.PREDICTED
    if not np.isfinite(colours).all():
        raise GeneratorError(f"The texture generator {painter.name} made colours that are not finite.")
    return colours, source


def _facing(view: ProjectedView, settings: GeneratedSettings) -> float:
    """Degrees by which the person is turned away from the camera about the vertical: 0 if they face it."""
    turn = rotations.exp(np.asarray(view.source.fit.body.global_orient, np.float64))
    right, _, away = turn[:, 2]
    return float(np.degrees(np.arctan2(right, -away))) if np.hypot(right, away) > settings.upright else 0.0


def _turned(view: ProjectedView, degrees: float, settings: GeneratedSettings) -> tuple[NDArray[np.float32], Camera]:
    """The vertices (V, 3) of the person, turned about their own vertical, and a camera that shows them all."""
    vertices = view.visibility.vertices.astype(np.float64)
    middle = 0.5 * (vertices.min(0) + vertices.max(0))
    turned = (vertices - middle) @ rotations.about_y(np.radians(degrees)).T
    extent = np.abs(turned).max(0)
    # Far enough that near limbs are not large, as photos of whole people are taken.
    distance = max(2.5 * float(extent[:2].max()) * 2, float(extent[2]) + 1.0)
    turned[:, 2] += distance
    reach = np.abs(turned[:, :2] / turned[:, 2:]).max(0) * (1 + 2 * settings.margin)
    focal = 0.5 * settings.side / float(reach.max())
    width, height = (max(64, int(np.ceil(2 * focal * part / 64)) * 64) for part in reach)
    return turned.astype(np.float32), Camera(focal, (width / 2, height / 2), width, height)


def _shown(
    side: str,
    vertices: NDArray[np.float32],
    camera: Camera,
    colours: NDArray[np.float32],
    alpha: NDArray[np.float32],
    view: ProjectedView,
    seed: int,
    atlas: Atlas,
    settings: GeneratedSettings,
) -> UnseenView:
    """What the generator gets."""
    faces, surface = atlas.surface.faces, atlas.surface
    fragments = RayScene(vertices, faces).render(camera)
    mask = fragments.mask
    face, barycentric = fragments.face[mask], fragments.barycentric[mask]

    def at(values: Floats, index: NDArray[np.int32]) -> Floats:
        mixed: Floats = np.einsum("kc,kcd->kd", barycentric, values[index[face]])
        return mixed

    places = at(surface.uv, surface.face_uv)
    places = np.stack([places[:, 0], 1 - places[:, 1]], 1).astype(np.float32) * np.float32(atlas.size)
    render = np.full((*mask.shape, 3), settings.backdrop, np.uint8)
    render[mask] = srgb_from_linear(bilinear(atlas.table.picture(colours), places))
    unseen = np.zeros(mask.shape, np.float32)
    unseen[mask] = 1 - bilinear(atlas.table.picture(alpha), places)
    normals = np.zeros((*mask.shape, 3), np.float32)
    normals[mask] = unit(at(vertex_normals(vertices, faces), faces))
    x0, y0, x1, y1 = view.source.person.window
    photo = np.ascontiguousarray(view.source.photo.pixels[y0:y1, x0:x1, :3])
    depth = np.where(mask, fragments.depth, np.inf).astype(np.float32)
    return UnseenView(side, photo, view.source.person.mask, render, depth, normals, mask, unseen, seed)


def _projected(
    picture: NDArray[np.uint8],
    shown: UnseenView,
    vertices: NDArray[np.float32],
    camera: Camera,
    atlas: Atlas,
    settings: GeneratedSettings,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """How well (T,), 0..1, the picture shows each texel, and its colours (T, 3) there, linear light."""
    surface, count = atlas.surface, len(atlas.table)
    weight, colours = np.zeros(count, np.float32), np.zeros((count, 3), np.float32)
    cosine = -(vertex_normals(vertices, surface.faces) * unit(vertices)).sum(1)
    facing = (cosine[surface.faces].max(1) > settings.grazing[0]) & (surface.eye[surface.faces[:, 0]] == 0)
    texels = np.flatnonzero(facing[atlas.table.face]).astype(np.int32)
    values = atlas.interpolate(np.column_stack([vertices, cosine]).astype(np.float32), texels)
    points = np.ascontiguousarray(values[:, :3])
    scene = RayScene(vertices, surface.faces)
    kept = np.flatnonzero(scene.visible_from(points, bias=settings.depth_bias))
    pixels = camera.project(points[kept]).astype(np.float32)
    inside = np.asarray(cv2.distanceTransform(shown.mask.astype(np.uint8), cv2.DIST_L2, 5), np.float32)
    sure = smoothstep(bilinear(inside, pixels), 0.5 * settings.rim, 1.5 * settings.rim)
    weight[texels[kept]] = sure * smoothstep(values[kept, 3], *settings.grazing)
    colours[texels[kept]] = bilinear(linear_from_srgb(picture), pixels)
    return weight, colours
