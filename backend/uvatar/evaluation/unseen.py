"""What can be said of an avatar's unseen sides without knowing the truth: structure, background, skin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from uvatar.body import BodyModel
from uvatar.data.arrays import Numbers
from uvatar.data.camera import Camera
from uvatar.data.fit import Fit
from uvatar.data.labels import Label
from uvatar.data.texture import Texture
from uvatar.evaluation.structure_metrics import detail
from uvatar.geometry import rotations
from uvatar.photos.colour import DISTANCE_WEIGHTS, colour_distance, linear_from_srgb, perceptual
from uvatar.protocol.parts import Part
from uvatar.results.preview import render_textured
from uvatar.results.preview.joined import joined
from uvatar.texturing.layout.surface import HANDS, build_surface

_SIDE = 512  # pixels, of the pictures from before and behind
_LEAST_PIXELS = 800  # of a garment that is compared
_SAME = 0.06  # `colour_distance` below which a colour is that of the background
_STEP = 8  # grey levels between two materials in a picture of them
_PART_CODE = 31  # of the first part in such a picture; the others' follow downwards
_SKIRT = "Skirt"
_EVERY = 5  # texels, of which one is judged
_LEAST_TEXELS = 200  # seen of a material, in which its colours can be told
_SHOWN = 2000  # of these are compared
_RARE = 0.005  # share of a material's seen texels that must be like a colour for it to be the material's
_FAR = 0.08  # `colour_distance` up to which they are
_PLAIN = 24  # levels by which a pixel may differ from the background nearest to it and be of its colour


@dataclass(frozen=True)
class UnseenFigures:
    """Figures of what no photo shows; NaN where they cannot be told.

    Attributes:
        garments: gradient energy from behind over that from before (square root), by garment; skirts are garments.
        off_material: share of all texels whose colour is none that the photo shows of their material.
        background: share of all texels that have the colour of the background around the person.
        skin: `colour_distance` of the hands' median colour from the face's.
    """

    garments: Mapping[str, float]
    off_material: float
    background: float
    skin: float

    @property
    def detail(self) -> float:
        """Mean over the garments."""
        return float(np.mean(list(self.garments.values()))) if self.garments else float("nan")

    @property
    def least_detail(self) -> float:
        """Of the garment with the least."""
        return min(self.garments.values(), default=float("nan"))


def unseen_figures(
    texture: Texture, fit: Fit, camera: Camera, backdrop: Numbers, body: BodyModel, parts: Sequence[Part] = ()
) -> UnseenFigures:
    """Measure a texture.

    Args:
        texture: of the person.
        fit: the person's body.
        camera: of the photo.
        backdrop: (K, 3) uint8 pixels of the photo around the person that show nobody.
        body: that was fitted.
        parts: worn over the body: what they hide does not count.
    """
    return UnseenFigures(
        _detail_ratios(texture, fit, camera, body, parts),
        _off_material_share(texture),
        _background_share(texture, backdrop),
        _skin_distance(texture, body),
    )


def _detail_ratios(
    texture: Texture, fit: Fit, camera: Camera, body: BodyModel, parts: Sequence[Part]
) -> dict[str, float]:
    """Detail from behind over that from before, by garment."""
    if texture.materials is None:
        return {}
    vertices, joints = body.posed(fit.body, fit.offsets)
    # Each material as a grey of its own, read back from the rendering: grey values blend at borders.
    codes = np.repeat((texture.materials * _STEP)[..., None], 3, axis=2).astype(np.uint8)
    garments = dict(enumerate(texture.material_names, start=1))
    coded = []
    for number, part in enumerate(parts):
        code = _PART_CODE - number
        if part.name == _SKIRT:
            garments[code] = "skirt"
        grey = (_STEP * code / 255,) * 3
        coded.append(replace(part, texture=b"", body_texture=False, colour=grey))
    worn, marked = (
        joined(vertices, body.data, image, [(part, body.posed_part(fit.body, part)) for part in shown])
        for image, shown in ((texture.image, parts), (codes, coded))
    )
    pixels = camera.project(worn[0])
    low, high = np.floor(pixels.min(0)).astype(int) - 2, np.ceil(pixels.max(0)).astype(int) + 2
    view = camera.cropped((int(low[0]), int(low[1]), int(high[0]), int(high[1])), _SIDE / float((high - low).max()))
    behind = ((worn[0] - joints[0]) @ rotations.about_y(np.pi).T + joints[0]).astype(np.float32)
    pictures = [
        [render_textured(points, mesh, image, view) for _, mesh, image in (worn, marked)]
        for points in (worn[0], behind)
    ]
    ratios = {}
    for code, name in garments.items():
        if name.split()[0] in ("skin", "hair", "eyes"):
            continue
        energy = []
        for picture, codes_seen in pictures:
            own = picture.mask & (np.abs(codes_seen.image[..., 0].astype(int) - _STEP * code) < 2)
            energy.append(detail(picture.image, own) if own.sum() > _LEAST_PIXELS else float("nan"))
        if np.isfinite(energy).all():
            ratios[name] = float(np.sqrt(energy[1] / max(energy[0], 1e-3)))
    return ratios


def _off_material_share(texture: Texture) -> float:
    if texture.materials is None:
        return float("nan")
    whole = (texture.source != Label.EMPTY) & (texture.materials > 0)
    texels = np.flatnonzero(whole)[::_EVERY]
    if not len(texels):
        return float("nan")
    colours = linear_from_srgb(np.ascontiguousarray(texture.image.reshape(-1, 3)[texels]))
    place = np.asarray(perceptual(colours) * DISTANCE_WEIGHTS, np.float32)
    material, seen = texture.materials.ravel()[texels], texture.source.ravel()[texels] == Label.SEEN
    off, judged, rng = 0, 0, np.random.default_rng(0)
    for one in np.unique(material):
        own = material == one
        shown = place[own & seen]
        if len(shown) < _LEAST_TEXELS:
            continue
        some = shown[rng.choice(len(shown), min(_SHOWN, len(shown)), replace=False)]
        like = max(2, round(_RARE * len(some)))
        off += int((cKDTree(some).query(place[own], like)[0][:, -1] > _FAR).sum())
        judged += int(own.sum())
    return off / judged if judged else float("nan")


def _background_share(texture: Texture, backdrop: Numbers) -> float:
    whole = texture.source != Label.EMPTY
    if not whole.any() or len(backdrop) < _LEAST_PIXELS:
        return float("nan")
    colours = linear_from_srgb(np.ascontiguousarray(texture.image[whole]))
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
