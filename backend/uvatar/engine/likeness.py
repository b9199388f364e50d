"""Re-identifying people across photos by the colours of their clothes, hair and skin.

Every person is described by the colours of eleven regions of the body, left and right, front and back together: a shirt
has its colours on both sides, and hardly anything else is seen both from the front and from the back.  No face is
compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.body import BodyModel
from uvatar.body.data import BodyData
from uvatar.data.camera import Camera
from uvatar.data.fit import Fit
from uvatar.data.joints import (
    ANKLE_JOINTS,
    COLLAR_JOINTS,
    ELBOW_JOINTS,
    FOOT_JOINTS,
    HAND_JOINTS,
    HIP_JOINTS,
    KNEE_JOINTS,
    SHOULDER_JOINTS,
    WRIST_JOINTS,
    Joint,
)
from uvatar.data.landmarks import Landmark
from uvatar.data.person import Person
from uvatar.data.photo import Photo
from uvatar.geometry.raster import rasterize

# Joints of the regions; the head is two regions, hair and face.
_REGIONS = (
    [Joint.SPINE2, Joint.SPINE3, *COLLAR_JOINTS],  # chest
    [Joint.SPINE1],  # waist
    [Joint.PELVIS],  # hips
    HIP_JOINTS,  # thighs
    KNEE_JOINTS,  # shins
    [*ANKLE_JOINTS, *FOOT_JOINTS],  # feet
    SHOULDER_JOINTS,  # upper arms
    ELBOW_JOINTS,  # forearms
    [*WRIST_JOINTS, *HAND_JOINTS],  # hands
    [Joint.NECK, Joint.HEAD],  # hair
    [Joint.NECK, Joint.HEAD],  # face
)
_HEAD, _FACE = len(_REGIONS) - 2, len(_REGIONS) - 1
_QUANTILES = np.linspace(0.1, 0.9, 9)


@dataclass(frozen=True)
class LikenessSettings:
    """Tuned numbers for describing and comparing people; `ChoiceSettings` says what they achieve.

    Where nothing is said of how a number was chosen, that is not recorded.

    Attributes:
        side: pixels of a person's longer side at which colours are compared, so that a fabric's pattern is as fine in
            every photo.
        forehead: metres that the face reaches above the eyes.
        least_pixels: of a region that is compared.
        light: L*, a*, b* by which the whole of a person may differ between two photos: other light, another camera.
        lightness_weight: of a difference in L* beside one in a* and b*: folds and shadows change it.
        largest: delta E from which a region counts no more: something lies before it, or a jacket is off.
    """

    side: float = 160
    forehead: float = 0.04
    least_pixels: int = 12
    light: tuple[float, float, float] = (15.0, 6.0, 6.0)
    lightness_weight: float = 0.6
    largest: float = 35.0


DEFAULT_SETTINGS = LikenessSettings()


@dataclass(frozen=True)
class Appearance:
    """The appearance of a person in one photo.

    Attributes:
        colours: (R, 9, 3) quantiles 0.1 to 0.9 of L*, a*, b* in each region of the body; zeros where a region is not
            seen.
        pixels: (R,) how many pixels were seen of it, at the common size.
    """

    colours: NDArray[np.float32]
    pixels: NDArray[np.int64]


def appearance(
    photo: Photo,
    person: Person,
    camera: Camera,
    fit: Fit,
    body: BodyModel,
    settings: LikenessSettings = DEFAULT_SETTINGS,
) -> Appearance:
    """Describe a person by the photo's colours where the fitted body and the person's mask agree."""
    x0, y0, x1, y1 = person.window
    scale = min(1.0, settings.side / max(float(np.ptp(person.box[[0, 2]])), float(np.ptp(person.box[[1, 3]])), 1.0))
    small = camera.cropped(person.window, scale)
    size = max(small.width, 1), max(small.height, 1)
    fragments = rasterize(body.posed(fit.body)[0], body.data.faces, small)
    mask = (
        cv2.resize(person.mask, size, interpolation=cv2.INTER_AREA) > 250
    )  # soft outlines hold the background's colours
    seen = fragments.mask & mask
    picture = cv2.resize(photo.pixels[y0:y1, x0:x1], size, interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[seen]
    corner = np.argmax(fragments.barycentric[seen], axis=1)
    region = _regions(body.data, settings)[body.data.faces[fragments.face[seen], corner]]
    pixels = np.bincount(region, minlength=len(_REGIONS))
    colours = np.zeros((len(_REGIONS), len(_QUANTILES), 3), np.float32)
    for number in np.flatnonzero(pixels):
        colours[number] = np.quantile(lab[region == number], _QUANTILES, axis=0)
    return Appearance(colours, pixels)


def _regions(data: BodyData, settings: LikenessSettings) -> NDArray[np.int64]:
    """(V,) region of every vertex."""
    of_joint = np.zeros(data.weights.shape[1], np.int64)
    for number, joints in enumerate(_REGIONS):
        of_joint[joints] = min(number, _HEAD)
    region: NDArray[np.int64] = of_joint[np.argmax(data.weights, axis=1)]
    place, marks = data.v_template, data.landmark_template
    face = (place[:, 2] > marks[Landmark.LEFT_EAR, 2] + 0.01) & (
        place[:, 1] < marks[Landmark.LEFT_EYE, 1] + settings.forehead
    )
    region[(region == _HEAD) & face] = _FACE
    return region


def unlikeness(
    one: Appearance, others: Sequence[Appearance], settings: LikenessSettings = DEFAULT_SETTINGS
) -> NDArray[np.float64]:
    """(N,) how different a person looks from each of ``others``: mean delta E of the parts both photos show.

    NaN where that is nothing.
    """
    pixels = np.minimum(one.pixels, np.stack([other.pixels for other in others]))
    weight = np.sqrt(np.where(pixels >= settings.least_pixels, pixels, 0.0))
    shown = weight.sum(1) > 0
    weight[shown] /= weight[shown].sum(1, keepdims=True)
    apart = one.colours - np.stack([other.colours for other in others])
    light = np.einsum("nr,nrc->nc", weight, np.median(apart, axis=2))
    apart = (apart - np.clip(light, -np.array(settings.light), settings.light)[:, None, None]) * [
        settings.lightness_weight,
        1.0,
        1.0,
    ]
    regions = np.minimum(np.sqrt((apart**2).sum(-1)).mean(-1), settings.largest)
    return np.where(shown, (weight * regions).sum(1), np.nan)
