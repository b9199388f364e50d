"""Hair that the photo shows behind the neck, a ponytail say, or before an ear, and that falls on their texels."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from uvatar.data.arrays import Floats
from uvatar.photos.colour import DISTANCE_WEIGHTS, LUMA, colour_distance, perceptual, smoothstep
from uvatar.photos.skin import SkinLikenessSettings, skin_likeness
from uvatar.texturing.layout.atlas import Atlas
from uvatar.texturing.layout.surface import Part
from uvatar.texturing.seen.projection import Projection


@dataclass(frozen=True)
class StrayHairSettings:
    """Tuned numbers of hair on neck and ears, set while looking at the heads of 23 photos.

    Attributes:
        least: texels of hair that must be seen to tell its colour.
        shades: quantiles of their luma between which it is taken.
        unlike_skin: colour distance of hair and skin from which they are told apart.
        cloth_samples: colours of the trunk, about, that a collar may have.
        most: share of neck and ears that looks like hair from which hair covers them.
        turned: cosines to the line of sight up to which it is hair, and from which a chain or a collar.
        grown: share of the texture's side by which it is grown.
        beard: share of the lower face that looks like hair from which what is on the neck is a beard.
        skin: what is still skin in the shade: brown hair has the hue of skin.
    """

    least: int = 200
    shades: tuple[float, float] = (0.15, 0.5)
    unlike_skin: float = 0.2
    cloth_samples: int = 256
    most: float = 0.5
    turned: tuple[float, float] = (0.5, 0.75)
    grown: float = 0.006
    beard: float = 0.1
    skin: SkinLikenessSettings = field(default_factory=lambda: SkinLikenessSettings(shade=(0.4, 0.6)))


DEFAULT_SETTINGS = StrayHairSettings()


def stray_hair(
    projection: Projection, skin: Floats, atlas: Atlas, settings: StrayHairSettings = DEFAULT_SETTINGS
) -> NDArray[np.float32]:
    """How far (M,), 0..1, each texel of a photo shows hair where the neck or an ear is; ``skin`` (3,) linear light."""
    found = np.zeros(len(projection.texels), np.float32)
    surface = atlas.surface
    if not surface.face_front.any():
        return found
    corner = surface.faces[atlas.table.face[projection.texels], 0]
    scalp, face = surface.scalp[corner], surface.face_front[corner]
    height = surface.template[surface.face_front, 1]
    low = surface.template[corner, 1] < 0.5 * (height.min() + height.max())
    neck = (surface.part[corner] == Part.HEAD) & ~scalp & ~face & low
    tone = hair_tone(projection, scalp, skin, settings)
    if tone is None or not neck.any():
        return found

    trunk = projection.colours[(surface.part[corner] == Part.TRUNK) & (projection.weights > 0.5)]
    clothes = trunk[:: max(1, len(trunk) // settings.cloth_samples)]

    def like_hair(chosen: NDArray[np.bool_]) -> NDArray[np.float32]:
        colours = projection.colours[chosen]
        nearer = colour_distance(colours, tone) < np.minimum(colour_distance(colours, skin), _nearest(colours, clothes))
        return np.asarray(nearer * (1 - skin_likeness(colours, skin, settings.skin)), np.float32)

    below = face & low
    on_neck = like_hair(neck)
    beard = like_hair(below).mean() if below.any() else 0.0
    if on_neck.mean() < settings.most and beard < settings.beard:
        found[neck] = on_neck * (1 - smoothstep(projection.cosine[neck], *settings.turned))
        everywhere = np.zeros(len(atlas.table), np.float32)
        everywhere[projection.texels] = found
        side = 2 * round(settings.grown * atlas.size) + 1  # its blurred edge
        grown = np.asarray(cv2.dilate(atlas.table.scatter(everywhere), np.ones((side, side), np.uint8)))
        found[neck] = grown.ravel()[atlas.table.pixel[projection.texels[neck]]]
    return found


def hair_tone(
    projection: Projection, scalp: NDArray[np.bool_], skin: Floats, settings: StrayHairSettings
) -> NDArray[np.float32] | None:
    """Linear light (3,) of the hair that a photo shows on the ``scalp`` (M,), None if there is too little of it or it
    cannot be told from the ``skin`` (3,).
    """
    hair = projection.colours[scalp & (projection.weights > 0.5)]
    if len(hair) < settings.least:
        return None
    luma = hair @ LUMA
    dark, light = np.quantile(luma, settings.shades)
    tone: NDArray[np.float32] = np.median(hair[(luma >= dark) & (luma <= light)], axis=0)
    return None if colour_distance(tone[None], skin)[0] < settings.unlike_skin else tone


def _nearest(colours: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float64]:
    """`colour_distance` (K,) of each colour (K, 3) from the nearest of others (N, 3)."""
    if not len(others):
        return np.full(len(colours), np.inf)
    nearest, _ = cKDTree(perceptual(others) * DISTANCE_WEIGHTS).query(perceptual(colours) * DISTANCE_WEIGHTS)
    return np.asarray(nearest, np.float64)
