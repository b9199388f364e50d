"""Square crops of one person of a synthetic picture: what the parser is given, and what it is to say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.data.joints import Joint
from uvatar.data.parsing import ParseClass
from uvatar.parsing.inputs import SIDE
from uvatar.parsing.parsers import MARGIN, OUTSIDE
from uvatar_training.data.sample import Sample
from uvatar_training.parsing.photographs import photographed

SMALLEST = 900  # pixels of a person in the picture
# The joints that stand for the landmarks of `uvatar.parsing.inputs`, map by map.
_GROUPS: tuple[tuple[Joint, ...], ...] = (
    (Joint.HEAD,),
    (Joint.LEFT_SHOULDER, Joint.RIGHT_SHOULDER),
    (Joint.LEFT_ELBOW, Joint.RIGHT_ELBOW),
    (Joint.LEFT_HAND, Joint.RIGHT_HAND),
    (Joint.LEFT_HIP, Joint.RIGHT_HIP),
    (Joint.LEFT_KNEE, Joint.RIGHT_KNEE),
    (Joint.LEFT_ANKLE, Joint.RIGHT_ANKLE),
    (Joint.LEFT_FOOT, Joint.RIGHT_FOOT),
)


@dataclass(frozen=True)
class Crop:
    """One person.

    Attributes:
        image: (S, S, 3) uint8 sRGB.
        mask: (S, S) uint8, as rough as the landmark network's.
        labels: (S, S) uint8 `ParseClass`; other people are background.
        places: of the landmarks, as `uvatar.parsing.inputs.place_maps` takes them.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    places: list[list[Floats]]


def person_crop(
    sample: Sample, number: int, rng: np.random.Generator, others: Sequence[NDArray[np.uint8]] | None
) -> Crop | None:
    """The person ``number`` of a sample with labels; None if too little of them is seen.

    Args:
        sample: the picture.
        number: of the person.
        rng: source of all randomness.
        others: other pictures (S, S, 3), whose parts lie before and behind people; None leaves the picture as it is.
    """
    assert sample.mask is not None and sample.labels is not None
    person, carried = sample.mask == number + 1, sample.labels == ParseClass.CARRIED
    if person.sum() < SMALLEST:
        return None
    matrix, scale = _frame(person, rng, others is not None)
    size = (SIDE, SIDE)

    def cut(values: NDArray[np.bool_] | NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.asarray(cv2.warpAffine(values.astype(np.uint8), matrix, size, flags=cv2.INTER_NEAREST), np.uint8)

    source = cv2.GaussianBlur(sample.image, (0, 0), 0.45 / scale) if scale < 0.7 else sample.image
    image = np.asarray(cv2.warpAffine(source, matrix, size, flags=cv2.INTER_LINEAR, borderValue=OUTSIDE), np.uint8)
    own, held = cut(person) > 0, cut(carried) > 0
    near = cv2.dilate(own.astype(np.uint8), np.ones((41, 41), np.uint8)) > 0
    labels = np.where(own | (held & near), cut(sample.labels), ParseClass.BACKGROUND).astype(np.uint8)
    mask = own | (held & (rng.random() < 0.4))
    label = sample.people[number]
    joints = (label.joints_2d @ matrix[:, :2].T + matrix[:, 2]) / SIDE
    places = _places(joints, label.visible, rng, others is not None)
    if others:
        image, labels, mask = _before_and_behind(image, labels, mask, others, rng)
    if others is not None:
        image = photographed(image, rng)
    return Crop(image, _rough(mask, rng), labels, places)


def _frame(person: NDArray[np.bool_], rng: np.random.Generator, varied: bool) -> tuple[NDArray[np.float64], float]:
    """(2, 3) from the picture to the crop, and its scale; varied crops are shifted, turned, mirrored, or cut."""
    rows, columns = np.nonzero(person)
    low, high = np.array([columns.min(), rows.min()]), np.array([columns.max(), rows.max()]) + 1
    side, centre, turn = (high - low).max() * (1 + 2 * MARGIN), (low + high) / 2, 0.0
    if varied:
        side, turn = side * np.exp(rng.normal(0, 0.08)), rng.normal(0, 6)
        centre = centre + rng.normal(0, 0.03, 2) * side
        tall = high[1] - low[1]
        if rng.random() < 0.25 and tall > 140:  # in many photos people are cut
            side *= rng.uniform(0.4, 0.75)
            centre[1] = low[1] + (rng.uniform(0.35, 0.65) * tall if rng.random() < 0.4 else side / 2)
    scale = float(SIDE / side)
    matrix = np.asarray(cv2.getRotationMatrix2D((float(centre[0]), float(centre[1])), turn, scale), np.float64)
    matrix[:, 2] += SIDE / 2 - centre
    if varied and rng.random() < 0.5:
        matrix[0] *= -1
        matrix[0, 2] += SIDE
    return matrix, scale


def _places(joints: Floats, visible: NDArray[np.bool_], rng: np.random.Generator, varied: bool) -> list[list[Floats]]:
    """Landmarks' places from joints (24, 2), shares of the crop: some missing, none exact."""
    nothing = varied and rng.random() < 0.05
    groups = []
    for group in _GROUPS:
        places = []
        for joint in group:
            place = joints[joint]
            inside = bool((place >= 0).all() and (place < 1).all())
            if nothing or not inside or (varied and rng.random() < (0.07 if visible[joint] else 0.4)):
                continue
            places.append(place + rng.normal(0, 0.012, 2) if varied else place)
        groups.append(places)
    return groups


def _before_and_behind(
    image: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    others: Sequence[NDArray[np.uint8]],
    rng: np.random.Generator,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.bool_]]:
    """Something of another picture before the person, and another picture behind them, each sometimes."""
    if rng.random() < 0.3:
        other = others[rng.integers(len(others))]
        height, width = (int(side) for side in rng.integers(16, 90, 2))
        patch, hole = (_window(height, width, rng) for _ in range(2))
        shape = np.ones((height, width), np.uint8)
        if rng.random() < 0.5:
            shape = np.zeros((height, width), np.uint8)
            cv2.ellipse(shape, (width // 2, height // 2), (width // 2, height // 2), 0, 0, 360, (1,), -1)
        image, labels, mask, covered = image.copy(), labels.copy(), mask.copy(), shape > 0
        image[hole][covered] = other[patch][covered]
        labels[hole][covered], mask[hole][covered] = ParseClass.BACKGROUND, False
    if rng.random() < 0.35:
        other = others[rng.integers(len(others))]
        alpha = cv2.GaussianBlur((labels != ParseClass.BACKGROUND).astype(np.float32), (0, 0), 0.7)[..., None]
        flips = (slice(None, None, int(rng.choice([-1, 1]))), slice(None, None, int(rng.choice([-1, 1]))))
        image = (image * alpha + other[flips] * (1 - alpha)).astype(np.uint8)
    return image, labels, mask


def _window(height: int, width: int, rng: np.random.Generator) -> tuple[slice, slice]:
    top, left = int(rng.integers(0, SIDE - height)), int(rng.integers(0, SIDE - width))
    return slice(top, top + height), slice(left, left + width)


def _rough(mask: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A mask (S, S) with the faults of the landmark network's: too large or small, with bulges and dents, soft."""
    soft = mask.astype(np.float32)
    if rng.random() < 0.6:
        radius = int(rng.integers(1, 5))
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
        soft = np.asarray(cv2.dilate(soft, disc) if rng.random() < 0.6 else cv2.erode(soft, disc), np.float32)
    if rng.random() < 0.5:
        coarse = rng.normal(0, 1, (12, 12)).astype(np.float32)
        waves = cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        soft = (np.asarray(cv2.GaussianBlur(soft, (0, 0), 4), np.float32) + 0.22 * waves > 0.5).astype(np.float32)
    soft = np.asarray(cv2.GaussianBlur(soft, (0, 0), rng.uniform(0.6, 2.5)), np.float32)
    return np.clip(soft * 255, 0, 255).astype(np.uint8)
