"""Masks that take in a strip of background are cut out again; others stay as they are."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.perception.test_gaps import SHIRT, SIZE, TROUSERS, person
from uvatar.data.parsing import ParseClass, Parsing
from uvatar.data.person import Person
from uvatar.data.photo import Photo
from uvatar.geometry.masks import mask_iou
from uvatar.perception.background import without_background

LEFT, TOP = 30, 20  # of the person's window in the photo
STRIP, KNOWN = 20, 8  # pixels around the person that the mask takes in, and as far as which the parser is wrong as well
CROWD = np.array([(120, 150, 110), (90, 120, 100), (150, 170, 120)], np.float32)


def grown(outline: NDArray[np.bool_], width: int) -> NDArray[np.uint8]:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width + 1, 2 * width + 1))
    return np.asarray(cv2.dilate(outline.astype(np.uint8), disc), np.uint8)


def scene(strip: int, known: int = KNOWN) -> tuple[Person, Photo, NDArray[np.bool_]]:
    """Somebody before a crowd with a mask as wide as that, and their true outline in the window.

    The parser's answer is of half the window's resolution, and reaches beyond it.
    """
    points, upper, lower = person()
    outline = upper | lower
    rng = np.random.default_rng(0)
    blocks = CROWD[rng.integers(0, len(CROWD), (40, 40))]
    pixels = cv2.resize(blocks, (400, 400), interpolation=cv2.INTER_NEAREST)
    inside = pixels[TOP : TOP + SIZE, LEFT : LEFT + SIZE]
    inside[lower], inside[upper] = TROUSERS, SHIRT
    pixels = (pixels + rng.normal(0, 3, pixels.shape)).clip(0, 255).astype(np.uint8)
    background = np.pad(1.0 - grown(outline, known), 20, constant_values=1)
    half = cv2.resize(background, (SIZE // 2 + 20, SIZE // 2 + 20), interpolation=cv2.INTER_AREA)
    probabilities = np.zeros((*half.shape, len(ParseClass)), np.float32)
    probabilities[..., ParseClass.BACKGROUND], probabilities[..., ParseClass.UPPER] = half, 1 - half
    parsing = Parsing((LEFT - 20.0, TOP - 20.0, LEFT + SIZE + 20.0, TOP + SIZE + 20.0), probabilities)
    landmarks = np.column_stack([points + (LEFT, TOP), np.ones(33)]).astype(np.float32)
    window = (LEFT, TOP, LEFT + SIZE, TOP + SIZE)
    box = np.array([LEFT + 70, TOP + 20, LEFT + 186, TOP + 250], np.float32)
    mask = np.uint8(255) * grown(outline, strip)
    one = Person(box, 1.0, landmarks, landmarks, window, mask, np.zeros_like(mask), parsing=parsing)
    return one, Photo(pixels, None, "0" * 64), outline


def test_a_strip_of_background_leaves_the_mask_beyond_what_the_parser_knows() -> None:
    wide, photo, outline = scene(STRIP)
    before = mask_iou(wide.mask > 127, outline)
    known_alone = mask_iou(grown(outline, KNOWN) > 0, outline)
    cut = without_background(wide, photo)
    assert before < 0.5 and known_alone < 0.75, "the scene does not test what it should"
    assert mask_iou(cut.mask > 127, outline) > 0.9
    assert (cut.mask <= wide.mask).all() and cut.window == wide.window
    assert cut.parsing is None, "the parser saw another mask"
    np.testing.assert_array_equal(cut.mask, without_background(wide, photo).mask)


def test_others_in_the_same_clothes_take_nothing_away() -> None:
    wide, photo, outline = scene(STRIP)
    pixels, others = photo.pixels.copy(), np.zeros_like(wide.mask)
    others[40:250, 215:250] = 255
    mask = np.minimum(wide.mask, 255 - others)
    pixels[TOP + 40 : TOP + 250, LEFT + 215 : LEFT + 250] = SHIRT
    cut = without_background(replace(wide, mask=mask, others=others), replace(photo, pixels=pixels))
    assert mask_iou(cut.mask > 127, outline) > 0.9


@pytest.mark.parametrize("strip", [0, 2])
def test_masks_that_are_little_too_wide_stay_as_they_are(strip: int) -> None:
    good, photo, _ = scene(strip, known=0)
    assert without_background(good, photo) is good


def test_without_a_parser_or_landmarks_on_the_mask_nothing_changes() -> None:
    wide, photo, _ = scene(STRIP)
    unknown = replace(wide, parsing=None)
    astray = replace(wide, landmarks=wide.landmarks + np.float32(10_000))
    assert without_background(unknown, photo) is unknown
    assert without_background(astray, photo) is astray
