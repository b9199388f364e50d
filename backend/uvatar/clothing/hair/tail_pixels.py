"""A ponytail, as far as a photo from the front shows it: hair of the head's colour that hangs beside the bare neck of
somebody whose hair is tied back.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.body import BodyModel
from uvatar.clothing.hair.pixels import DEFAULT_SETTINGS as PIXEL_SETTINGS
from uvatar.clothing.hair.pixels import HairPixels, HeadPicture, colour_samples, distance_to, grown_hair, head_picture
from uvatar.data.view import View


@dataclass(frozen=True)
class TailPixelSettings:
    """Tuned numbers of finding ponytails. Lengths are face widths.

    Attributes:
        heights: over the chin, between which a tail is looked for: below the ears and above the shoulders.
        across: distances from the middle, between which it is.
        hair: area of hair on the head from which its colour is known.
        like: colour distance from that hair up to which something is hair, if skin and clothes are farther.
        tall, area: of a tail at least.
        wide: area of a tail at most, over the square of its height.
        least_hue: length of the skin's chroma, as its colours are perceived, below which a photo is grey: then light
            and shade alone do not tell hair from what is behind the neck.
    """

    heights: tuple[float, float] = (-1.0, 0.35)
    across: tuple[float, float] = (0.2, 1.0)
    hair: float = 0.08
    like: float = 0.06
    tall: float = 0.3
    area: float = 0.03
    wide: float = 0.35
    least_hue: float = 0.03


DEFAULT_SETTINGS = TailPixelSettings()


def tied_hair(view: View, body: BodyModel, settings: TailPixelSettings = DEFAULT_SETTINGS) -> HairPixels | None:
    """The pixels of a ponytail beside the neck; None where the photo shows none."""
    picture = head_picture(view, body)
    if picture is None:
        return None
    cap, _ = grown_hair(picture, PIXEL_SETTINGS)
    if cap.sum() < settings.hair * picture.unit**2:
        return None
    tail = _beside_neck(picture, cap, settings)
    return None if tail is None else HairPixels(picture.camera, tail, tail, tied=True)


def _beside_neck(picture: HeadPicture, cap: NDArray[np.bool_], settings: TailPixelSettings) -> NDArray[np.bool_] | None:
    """(H, W) the largest piece of hair that stands out of the bare body beside the neck, with what hangs together with
    it before the neck.
    """
    over_chin = picture.height + picture.tall
    low, high = settings.heights
    near, far = settings.across
    where = picture.mask & ~picture.inner & (over_chin > low) & (over_chin < high)
    where &= (picture.across > near) & (picture.across < far)
    place = np.flatnonzero(where)
    count = PIXEL_SETTINGS.samples
    hair, skin, clothes = (
        colour_samples(picture, kind, count) for kind in (cap, picture.mask & picture.inner, picture.clothes)
    )
    if min(len(place), len(hair), len(skin), len(clothes)) < PIXEL_SETTINGS.neighbours * 3:
        return None
    if np.linalg.norm(np.median(skin, 0)[1:]) < settings.least_hue:
        return None
    colours = picture.colours.reshape(-1, 3)[place]
    to_hair = distance_to(colours, hair, PIXEL_SETTINGS)
    to_others = distance_to(colours, np.concatenate([skin, clothes]), PIXEL_SETTINGS)
    like = np.zeros(where.shape, np.uint8)
    like.ravel()[place] = (to_hair < settings.like) & (to_hair < to_others)
    like = np.asarray(cv2.morphologyEx(like, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)))
    outside = like * ~picture.body
    count, labels, stats, _ = cv2.connectedComponentsWithStats(outside, connectivity=4)
    if count < 2:
        return None
    best = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    unit = picture.unit
    tall, area = stats[best, cv2.CC_STAT_HEIGHT] / unit, stats[best, cv2.CC_STAT_AREA] / unit**2
    tail = labels == best
    beside = cv2.dilate(tail.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    if not (beside & picture.head).any():
        return None
    if tall < settings.tall or area < settings.area or area > settings.wide * tall**2:
        return None
    _, pieces = cv2.connectedComponents(like)
    return np.isin(pieces, np.unique(pieces[tail]))
