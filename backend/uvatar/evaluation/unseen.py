"""What can be said of an avatar's unseen sides without knowing the truth: structure, background, skin."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.body import BodyModel
from uvatar.data.arrays import Numbers
from uvatar.data.camera import Camera
from uvatar.data.fit import Fit
from uvatar.data.labels import Label
from uvatar.data.texture import Texture
from uvatar.evaluation.structure_metrics import detail
from uvatar.geometry import rotations
from uvatar.photos.colour import colour_distance, linear_from_srgb
from uvatar.results.preview import render_textured
from uvatar.texturing.surface import HANDS, build_surface

_SIDE = 512  # pixels, of the pictures from before and behind
_LEAST_PIXELS = 800  # of a garment that is compared
_SAME = 0.06  # `colour_distance` below which a colour is that of the background
_PLAIN = 24  # levels by which a pixel may differ from the background nearest to it and be of its colour


@dataclass(frozen=True)
class UnseenFigures:
    """Figures of what no photo shows; NaN where they cannot be told.

    Attributes:
        detail: gradient energy of the garments from behind over that from before (square root), mean over garments.
        least_detail: the same of the garment with the least.
        background: share of the unseen texels that have the colour of the background around the person.
        skin: `colour_distance` of the hands' median colour from the face's.
    """

    detail: float
    least_detail: float
    background: float
    skin: float


def unseen_figures(texture: Texture, fit: Fit, camera: Camera, backdrop: Numbers, body: BodyModel) -> UnseenFigures:
    """Measure a texture.

    Args:
        texture: of the person.
        fit: the person's body.
        camera: of the photo.
        backdrop: (K, 3) uint8 pixels of the photo around the person that show nobody.
        body: that was fitted.
    """
    ratios = list(_detail_ratios(texture, fit, camera, body).values())
    nan = float("nan")
    return UnseenFigures(
        float(np.mean(ratios)) if ratios else nan,
        min(ratios, default=nan),
        _background_share(texture, backdrop),
        _skin_distance(texture, body),
    )


def _detail_ratios(texture: Texture, fit: Fit, camera: Camera, body: BodyModel) -> dict[str, float]:
    """Detail from behind over that from before, by garment."""
    if texture.materials is None:
        return {}
    vertices, joints = body.posed(fit.body, fit.offsets)
    pixels = camera.project(vertices)
    low, high = np.floor(pixels.min(0)).astype(int) - 2, np.ceil(pixels.max(0)).astype(int) + 2
    view = camera.cropped((int(low[0]), int(low[1]), int(high[0]), int(high[1])), _SIDE / float((high - low).max()))
    turned = ((vertices - joints[0]) @ rotations.about_y(np.pi).T + joints[0]).astype(np.float32)
    # Each material as a colour of its own, read back from the rendering: grey values blend at borders.
    codes = np.repeat((texture.materials * 8)[..., None], 3, axis=2).astype(np.uint8)
    pictures = [
        (render_textured(points, body.data, texture.image, view), render_textured(points, body.data, codes, view))
        for points in (vertices, turned)
    ]
    ratios = {}
    for index, name in enumerate(texture.material_names, start=1):
        if name.split()[0] in ("skin", "hair", "eyes"):
            continue
        energy = []
        for picture, code in pictures:
            own = picture.mask & (np.abs(code.image[..., 0].astype(int) - 8 * index) < 2)
            energy.append(detail(picture.image, own) if own.sum() > _LEAST_PIXELS else float("nan"))
        if np.isfinite(energy).all():
            ratios[name] = float(np.sqrt(energy[1] / max(energy[0], 1e-3)))
    return ratios


def _background_share(texture: Texture, backdrop: Numbers) -> float:
    unseen = (texture.source != Label.SEEN) & (texture.source != Label.EMPTY)
    if not unseen.any() or len(backdrop) < _LEAST_PIXELS:
        return float("nan")
    colours = linear_from_srgb(np.ascontiguousarray(texture.image[unseen]))
    behind = np.median(linear_from_srgb(np.ascontiguousarray(backdrop, np.uint8)), axis=0)
    return float((colour_distance(colours, behind) < _SAME).mean())


def _skin_distance(texture: Texture, body: BodyModel) -> float:
    """See `UnseenFigures.skin`; from the texels at the vertices."""
    surface = build_surface(body.data)
    size = len(texture.image)
    place = np.zeros((len(surface.template), 2), np.float32)
    place[surface.faces.ravel()] = surface.uv[surface.face_uv.ravel()]
    column = np.clip((place[:, 0] * size).astype(int), 0, size - 1)
    row = np.clip(((1 - place[:, 1]) * size).astype(int), 0, size - 1)
    colours = linear_from_srgb(np.ascontiguousarray(texture.image[row, column]))
    hands = np.isin(surface.part, HANDS)
    if not hands.any() or not surface.face_front.any():
        return float("nan")
    return float(colour_distance(np.median(colours[hands], 0), np.median(colours[surface.face_front], 0)))


def background_coloured(photo: Numbers, person: NDArray[np.bool_], background: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels (H, W) of a person's mask that have the colour of the background nearest to them, and those beside.

    Args:
        photo: (H, W, 3).
        person: (H, W) the mask.
        background: (H, W) pixels that certainly show nobody.
    """
    # the outermost pixels mix person and background
    background = cv2.erode(background.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    if not background.any():
        return np.zeros(person.shape, bool)
    _, labels = cv2.distanceTransformWithLabels(
        (~background).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    colours = np.zeros((int(labels.max()) + 1, 3), int)
    colours[labels[background]] = photo[background]
    found = person & (np.abs(photo.astype(int) - colours[labels]).max(-1) < _PLAIN)
    # the pixels beside them mix both
    grown: NDArray[np.bool_] = person & (cv2.dilate(found.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0)
    return grown
