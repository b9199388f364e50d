"""Hair's meshes, from its rings or its tube: cut off where there is no hair, and bound to the head."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.body import BodyModel
from uvatar.clothing.hair.pixels import HairPixels
from uvatar.clothing.hair.rings import HairRings, hair_rings
from uvatar.clothing.hair.tail import Tail
from uvatar.clothing.plane import sampled
from uvatar.clothing.shells import ring_layout, strongest
from uvatar.data.arrays import Floats
from uvatar.data.camera import Camera
from uvatar.data.fit import Fit
from uvatar.data.joints import Joint
from uvatar.data.landmarks import EARS
from uvatar.data.shell import Hair
from uvatar.photos.colour import smoothstep

_NOWHERE = np.zeros((0, 0), np.uint8)


@dataclass(frozen=True)
class HairMeshSettings:
    """Tuned numbers of hair's mesh; lengths in metres on a person of 1.7 m.

    Attributes:
        inset: share of a ring's width by which the photo is looked at nearer to its middle: its edge is uncertain.
        blur: pixels of the picture in which hair is found, by which its edge is smoothed.
        face: before the ears, how far back the face reaches on the side that is not seen.
        fading: above the ends.
        widest: distance of neighbouring columns below the chin over which there is hair.
        neck, free: below the chin, from which on hair does not follow the head alone, and from which on not at all.
        tied: below its root, from which on a ponytail does not follow the head at all.
    """

    inset: float = 0.05
    blur: float = 1.2
    face: float = 0.02
    fading: float = 0.01
    widest: float = 0.045
    neck: float = -0.04
    free: float = 0.13
    tied: float = 0.4


DEFAULT_SETTINGS = HairMeshSettings()


def curtain(
    found: HairPixels,
    fit: Fit,
    body: BodyModel,
    vertices: NDArray[np.float32],
    ears: NDArray[np.int64],
    settings: HairMeshSettings = DEFAULT_SETTINGS,
) -> Hair | None:
    """Loose hair over the dressed body, posed, with ``vertices`` (V, 3); None where there is too little of it.

    ``ears``: vertices of ears. Where in the photo the hair is, is for the caller to say.
    """
    rings = hair_rings(found, fit, body, vertices, ears)
    if rings is None:
        return None
    shown = _opacity(found, rings, fit, body, settings)
    points, kept = _cut(rings.plane.points(rings.points), shown)
    # Between what lies before a shoulder and what lies behind it there is the shoulder.
    across = np.linalg.norm(np.roll(rings.points, -1, 1) - rings.points, axis=-1)
    joined = np.maximum(across[:-1], across[1:]) < settings.widest * rings.plane.size
    kept &= joined | (rings.points[1:, :, 2] < rings.chin)
    if not kept.any() or not np.isfinite(points).all():
        return None
    rows, columns = shown.shape
    quads, uv, quad_uv = ring_layout(rows, rows, columns)
    down = (rings.points[..., 2].ravel() - rings.chin) / rings.plane.size
    weights = _weights(smoothstep(down, settings.neck, settings.free))
    return Hair(
        points.reshape(-1, 3).astype(np.float32),
        quads[kept.ravel()],
        uv,
        quad_uv[kept.ravel()],
        weights,
        columns,
        rows,
        _NOWHERE,
        shown=_NOWHERE,
        loose=_NOWHERE,
    )


def tube(built: Tail | None, settings: HairMeshSettings = DEFAULT_SETTINGS) -> Hair | None:
    """A ponytail or a bun; None where there is none. Where in the photo it is, is for the caller to say."""
    if built is None or not np.isfinite(built.points).all():
        return None
    rows, columns = built.points.shape[:2]
    quads, uv, quad_uv = ring_layout(rows, rows, columns)
    weights = _weights(np.repeat(smoothstep(built.down, 0, settings.tied), columns))
    points = built.points.reshape(-1, 3).astype(np.float32)
    return Hair(points, quads, uv, quad_uv, weights, columns, rows, _NOWHERE, shown=_NOWHERE, loose=_NOWHERE)


def _weights(free: Floats) -> NDArray[np.float32]:
    """(N, 24) weights of points that follow the head (``free`` (N,) 0) or the chest (1)."""
    weights = np.zeros((len(free), len(Joint)))
    for joint, share in ((Joint.HEAD, (1 - free) ** 2), (Joint.NECK, 2 * free * (1 - free)), (Joint.SPINE3, free**2)):
        weights[:, joint] = share
    return strongest(weights, 4)


def _opacity(found: HairPixels, rings: HairRings, fit: Fit, body: BodyModel, settings: HairMeshSettings) -> Floats:
    """(R, C) how much hair there is at the rings' points, 0..1."""
    points = rings.points
    columns = points.shape[1]
    along = np.sin(np.arange(columns) * (2 * np.pi / columns))
    seen = np.broadcast_to(along < -1e-6, points.shape[:2])
    inwards = points.copy()
    inwards[..., 0] += (rings.centre[:, :1] - points[..., 0]) * settings.inset
    inwards[..., 2] += np.maximum(rings.brow - points[..., 2], 0) * 2 * settings.inset
    placed = rings.plane.points(inwards)
    soft = cv2.GaussianBlur(found.hair.astype(np.float32), (0, 0), settings.blur)
    picture = np.asarray(np.round(soft * 255), np.uint8)
    shown = _looked_up(picture, found.camera, placed)
    hanging = smoothstep((rings.hem - points[..., 2]) / rings.plane.size, -settings.fading, settings.fading)
    hidden = hanging.copy()
    # The side of the face that the photo does not show has the hairline of the other side.
    head = body.transforms_of(fit.body)[Joint.HEAD]
    rest = (rings.plane.points(points) - head[:, 3]) @ np.linalg.inv(head[:, :3]).T
    ears = (body.data.landmark_template + body.data.landmark_shapedirs @ fit.body.betas)[EARS].mean(0)
    before = rest[..., 2] > ears[2] + settings.face
    mirrored = (rest * (-1, 1, 1)) @ head[:, :3].T + head[:, 3]
    other = rings.plane.coordinates(mirrored)
    known = other[..., 1] < rings.centre[:, 1:]
    hidden = np.where(before & known, np.minimum(hanging, _looked_up(picture, found.camera, mirrored)), hidden)
    opacity: Floats = np.where(seen, shown, hidden)
    # The crown has no holes: hair begins where a column first shows some, and goes on to the top.
    crown = points[..., 2] < rings.brow
    first = np.where(((opacity > 0.5) & crown).any(0), ((opacity > 0.5) & crown).argmax(0), 0)
    opacity[np.arange(len(opacity))[:, None] <= first] = 1
    beside_face = np.where((points[..., 2] > rings.brow) & (points[..., 2] < rings.chin), rest[..., 2], -np.inf)
    return _without_holes(opacity, np.unravel_index(beside_face.argmax(), beside_face.shape))


def _without_holes(opacity: Floats, face: tuple[np.intp, ...]) -> Floats:
    """Opacity (R, C) in which hair is open only before the face, whose middle is at ``face``, and at its ends.

    Highlights, and what lies beside the outline where the surface is seen from its edge, would be holes.
    """
    columns = opacity.shape[1]
    around = np.tile((opacity <= 0.5).astype(np.uint8), 3)  # the grid is closed around
    _, labels = cv2.connectedComponents(around, connectivity=4)
    ends = labels[-1]
    before_face = labels[face[0], [face[1], face[1] + columns, face[1] + 2 * columns]]
    kept = np.isin(labels, np.concatenate([ends, before_face, [0]]))[:, columns : 2 * columns]
    return np.where(kept, opacity, 1.0)


def _looked_up(picture: NDArray[np.uint8], camera: Camera, points: Floats) -> Floats:
    """(R, C) 0..1, what the picture shows at points (R, C, 3)."""
    pixels = camera.project(points.reshape(-1, 3).astype(np.float32)).reshape(*points.shape[:2], 2)
    return sampled(picture, pixels.astype(np.float32)) / 255.0


def _cut(points: Floats, shown: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Points (R, C, 3) with those at an edge moved onto it, where ``shown`` (R, C) passes a half, and the quads that
    are kept, (R - 1, C).
    """
    inside = shown > 0.5
    corners = np.stack([inside[:-1], inside[1:], np.roll(inside[1:], -1, 1), np.roll(inside[:-1], -1, 1)])
    kept = corners.sum(0) >= 2
    total, count = np.zeros_like(points), np.zeros(shown.shape)
    for axis, step in ((0, 1), (0, -1), (1, 1), (1, -1)):
        near, value = np.roll(points, step, axis), np.roll(shown, step, axis)
        crossing = ~inside & (value > 0.5)
        if axis == 0:
            crossing[0 if step == 1 else -1] = False
        share = np.where(crossing, (0.5 - shown) / np.maximum(value - shown, 1e-6), 0)
        total += np.where(crossing[..., None], points + share[..., None] * (near - points), 0)
        count += crossing
    moved = np.where(count[..., None] > 0, total / np.maximum(count, 1)[..., None], points)
    return moved, kept
