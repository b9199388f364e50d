"""What an open mouth shows in the photo, on the inside of the mesh's mouth and not on its lips.

The expression that was found opens the mesh's mouth nearly as far as the photo's, but not to the pixel. What the photo
shows between the lips would then lie on the mesh's lips, too, and be seen on a closed mouth. Those texels are left to
completion, which gives them the colour of the lip beside them: the inside of the mouth does not speak for lips.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from uvatar.body.data import BODY, BodyData
from uvatar.body.face_points import FaceCorrespondence
from uvatar.data.arrays import Floats
from uvatar.data.face import FACE_SCORE, INNER_LIPS, LIPS
from uvatar.geometry.raster import RayScene
from uvatar.photos.colour import smoothstep
from uvatar.texturing.layout.atlas import Atlas
from uvatar.texturing.seen.projection import ProjectedView, Projection


@dataclass(frozen=True)
class MouthSettings:
    """Tuned numbers of the mouth, set while looking at five people who smile or talk.

    Attributes:
        open: gap between the lips, face widths, from which the mouth counts as open: landmarks of closed lips lie up to
            0.02 apart.
        margin: pixels, and face widths, around the photo's mouth within which lips begin to be hidden, and are half
            that near: blur, and how far landmarks are off.
        picture_side: pixels of the picture in which the mouth's rim is drawn.
        least_weight: of a texel that is kept, as `ProjectionSettings.least_weight`.
    """

    open: float = 0.03
    margin: tuple[float, float] = (1.0, 0.01)
    picture_side: int = 192
    least_weight: float = 0.01


DEFAULT_SETTINGS = MouthSettings()
REACH = 0.13  # metres around the inner lips, farther than the mouth is deep
VIEWS = (-20.0, 0.0, 20.0)  # degrees above the mouth, of the places from which closed lips are looked at
EYE = 1.0  # metres from there to the mouth
BIAS = 0.0005  # metres of surface in front of a vertex that do not hide it


@dataclass(frozen=True)
class Mouth:
    """The vertices around a body's mouth.

    Attributes:
        outside: (V,) bool, seen while the mouth is closed.
        inside: (V,) bool, seen only through an open one, or from behind.
    """

    outside: NDArray[np.bool_]
    inside: NDArray[np.bool_]

    @classmethod
    def of(cls, points: FaceCorrespondence, body: BodyData) -> Mouth:
        """The mouth of a body, from where the landmarks of its inner lips are."""
        template = body.v_template.astype(np.float32)
        outside, inside = np.zeros((2, len(template)), bool)
        rim = points.at(template)[np.isin(points.index, INNER_LIPS)]
        if len(rim):
            distance, _ = cKDTree(rim).query(template, distance_upper_bound=REACH)
            around = np.flatnonzero(np.isfinite(distance) & (body.part == BODY))
            scene, middle = RayScene(template, body.faces), rim.mean(0)
            for angle in np.radians(VIEWS):
                eye = middle + EYE * np.array([0, np.sin(angle), np.cos(angle)])
                outside[around] |= scene.visible_from(template[around], eye, BIAS)
            inside[around] = ~outside[around]
        return cls(outside, inside)


def with_open_mouth(
    projection: Projection,
    view: ProjectedView,
    mouth: Mouth | None,
    atlas: Atlas,
    settings: MouthSettings = DEFAULT_SETTINGS,
) -> Projection:
    """The projection with what the photo shows between the lips on the inside of the mouth alone.

    Args:
        projection: of the photo.
        view: the photo.
        mouth: of the body; None for one whose mouth is unknown.
        atlas: of the body.
        settings: tuned numbers.
    """
    person = view.source.person
    if mouth is None or person.face is None or person.face_score <= FACE_SCORE:
        return projection
    face = person.face.astype(np.float64)
    width = float(np.ptp(face[:, 0]))
    if max(float(np.linalg.norm(face[upper] - face[lower])) for upper, lower in LIPS) < settings.open * width:
        return projection
    rim, margin = face[INNER_LIPS], settings.margin[0] + settings.margin[1] * width
    _, pixels = _placed(projection.texels, view, atlas)
    blur = np.minimum(projection.width / 2, margin)  # a texel shows what is around it
    between = smoothstep(_depth_inside(pixels, rim, 2 * margin, settings) + blur, -margin, -margin / 2)
    lips = mouth.outside[atlas.surface.faces].any(1)[atlas.table.face[projection.texels]]
    weights = projection.weights * (1 - lips * between)
    hollow = _between_lips(rim, margin, view, mouth, atlas, settings)
    kept = np.flatnonzero((weights > settings.least_weight) & ~np.isin(projection.texels, hollow.texels))
    return Projection(
        np.concatenate([projection.texels[kept], hollow.texels]),
        np.concatenate([projection.colours[kept], hollow.colours]),
        np.concatenate([weights[kept], hollow.weights]).astype(np.float32),
        np.concatenate([(projection.certainty * (1 - between))[kept], hollow.certainty]).astype(np.float32),
        np.concatenate([projection.cosine[kept], hollow.cosine]),
        np.concatenate([projection.width[kept], hollow.width]),
    )


def _between_lips(
    rim: Floats, margin: float, view: ProjectedView, mouth: Mouth, atlas: Atlas, settings: MouthSettings
) -> Projection:
    """The inside of the mouth that the photo shows between the lips (R, 2); it says nothing of what is not seen."""
    faces = atlas.surface.faces
    seen = mouth.inside[faces].all(1) & view.visibility.facing
    texels = np.flatnonzero(seen[atlas.table.face]).astype(np.int32)
    points, pixels = _placed(texels, view, atlas)
    shown = np.flatnonzero(_depth_inside(pixels, rim, margin, settings) > 0)
    shown = shown[view.visibility.scene.visible_from(points[shown])]
    texels, pixels = texels[shown], pixels[shown]
    width = view.footprint[atlas.table.face[texels]]
    colours = view.foreground.sample(pixels, width)
    cosine = atlas.interpolate(view.visibility.cosine, texels)
    return Projection(texels, colours, np.ones_like(cosine), np.zeros_like(cosine), np.maximum(cosine, 0), width)


def _placed(
    texels: NDArray[np.int32], view: ProjectedView, atlas: Atlas
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Texels (K,) in the camera frame (K, 3), and the pixels (K, 2) of the photo that show them."""
    values = atlas.interpolate(np.column_stack([view.visibility.vertices, view.shift]), texels)
    return values[:, :3], view.pixels(values[:, :3], values[:, 3:])


def _depth_inside(pixels: Floats, rim: Floats, margin: float, settings: MouthSettings) -> NDArray[np.float64]:
    """Pixels (K,) of the photo that places (K, 2) lie inside a closed line (R, 2), negative outside; not more than
    ``margin`` outside.
    """
    low, high = rim.min(0) - 2 * margin, rim.max(0) + 2 * margin
    scale = settings.picture_side / float((high - low).max())
    width, height = np.ceil((high - low) * scale).astype(int) + 1
    drawn = np.zeros((height, width), np.uint8)
    cv2.fillPoly(drawn, [np.round((rim - low) * scale).astype(np.int32)], (1,))
    signed = cv2.distanceTransform(drawn, cv2.DIST_L2, 5) - cv2.distanceTransform(1 - drawn, cv2.DIST_L2, 5)
    column, row = np.round((pixels - low) * scale).astype(np.int64).T
    beside = (column < 0) | (row < 0) | (column >= width) | (row >= height)
    depth = signed[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)] / scale
    result: NDArray[np.float64] = np.where(beside, -margin, np.maximum(depth, -margin))
    return result
