"""Rendered people whose limbs leave gaps: does the mask show the background there?

A gap is background that the outline nearly encloses: between the legs, under an arm, between arm and hip. What lies
there in the mask becomes cloth on the avatar.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.body import BodyModel
from uvatar.data.person import Person
from uvatar.evaluation.outfits import random_outfit
from uvatar.evaluation.poses import drawn_poses, load_poses
from uvatar.evaluation.rendering import photograph, random_background, random_light
from uvatar.evaluation.sitters import HEIGHT, WIDTH, random_sitter

CLOSED = 0.03  # half the width of the openings that are gaps, as a share of the person's longer side
LEAST_GAP = 0.02  # share of the person's area that gaps must have


@dataclass(frozen=True)
class GapPicture:
    """A picture of a person with gaps.

    Attributes:
        name: of the person.
        pixels: (H, W, 3) sRGB.
        mask: (H, W) the true outline.
    """

    name: str
    pixels: NDArray[np.uint8]
    mask: NDArray[np.bool_]


def gaps(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(H, W) -> (H, W) what closing the outline by `CLOSED` adds: holes and the narrow part of inlets."""
    rows, columns = np.nonzero(mask)
    radius = max(1, round(CLOSED * max(np.ptp(rows), np.ptp(columns))))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    wide = cv2.copyMakeBorder(mask.astype(np.uint8), radius, radius, radius, radius, cv2.BORDER_CONSTANT)
    closed = cv2.morphologyEx(wide, cv2.MORPH_CLOSE, disc)[radius:-radius, radius:-radius]
    found: NDArray[np.bool_] = (closed > 0) & ~mask
    return found


def gap_agreement(person: Person | None, truth: NDArray[np.bool_]) -> tuple[float, float]:
    """How well a person's mask leaves out the true gaps (H, W).

    Returns:
        intersection over union of the true gaps and of what the mask leaves out of the closed outline; and the share of
        the true gaps that it leaves out.
    """
    wanted = gaps(truth)
    left_out = (wanted | truth) & ~mask_of(person, truth.shape)
    shared = float((wanted & left_out).sum())
    return shared / max(int((wanted | left_out).sum()), 1), shared / max(int(wanted.sum()), 1)


def mask_of(person: Person | None, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """(H, W) a person's mask at one half in the whole picture; empty for nobody."""
    return np.zeros(shape, bool) if person is None else person.whole_mask(shape)


def people_with_gaps(body: BodyModel, count: int, seed: int) -> Iterator[GapPicture]:
    """Render ``count`` random people in poses with gaps of at least `LEAST_GAP`."""
    made = 0
    for name, pose, rng in drawn_poses(load_poses(None), 100 * count, seed):
        sitter = random_sitter(name, pose, body, rng)
        vertices, _ = body.posed(sitter.body)
        light, background = random_light(rng), random_background(WIDTH, HEIGHT, rng)
        paint = random_outfit(body.data, rng)
        pixels, mask = photograph(vertices, body.data, paint, sitter.camera, light, background, rng)
        if gaps(mask).sum() >= LEAST_GAP * mask.sum():
            made += 1
            yield GapPicture(name, pixels, mask)
        if made == count:
            return
