"""A person found in a photo by perception: the input of the fitting and texturing stages."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Hand:
    """The landmarks of a hand, in the order of `uvatar.data.hands.HandLandmark`.

    Attributes:
        points: (21, 2) pixels of the photo.
        world: (21, 3) metres, camera axes (x right, y down, z away), origin near the hand's centre.
        score: how sure the model is that this is a hand of that side, 0..1.
    """

    points: NDArray[np.float32]
    world: NDArray[np.float32]
    score: float


@dataclass(frozen=True)
class Person:
    """One person found in a photo. Pixels are those of the decoded, upright photo.

    Attributes:
        box: (4,) x0, y0, x1, y1 of the person, inside the photo.
        score: detection confidence, 0..1.
        landmarks: (33, 3) in the order of `uvatar.data.landmarks.Landmark`: x, y in pixels (may lie outside the photo)
            and visibility 0..1.
        world_landmarks: (33, 3) the same in metres, origin between the hips, camera axes (x right, y down, z away).
        window: (x0, y0, x1, y1) integer pixel window that ``mask`` covers, inside the photo.
        mask: (y1-y0, x1-x0) uint8, 255 where this person is visible, soft at the outline; other people's pixels are 0.
        others: like ``mask``, 255 where another person of the photo is (they may occlude this one).
        face: (478, 2) face mesh landmarks in pixels, or None if no face is seen.
        face_score: confidence that ``face`` is one, 0..1.
        left_hand, right_hand: the person's own left and right hand, or None if not seen.
        likelihood: 0..1, how likely this is a person whose landmarks lie where the photo shows them
            (`uvatar.perception.evidence`).
        face_expression: (52,) 0..1, how strongly the face makes each of `uvatar.protocol.expressions.EXPRESSIONS`, as
            the blendshape model sees it; None where ``face`` is None or nothing is known of it.
        face_depth: (478,) how much farther each point of ``face`` lies from the camera than the face's middle does, in
            pixels of the photo as large as at the face's distance; None where ``face`` is None or its depth is unknown.
        pinned: the landmarks that somebody has put where they are, by hand.
        unbrushed: window and mask as they were before somebody painted on the mask, by hand; None if nobody has.
        number: by which the client knows the person; None if it does not.
        stature: metres, as somebody has said; None if nobody has.
    """

    box: NDArray[np.float32]
    score: float
    landmarks: NDArray[np.float32]
    world_landmarks: NDArray[np.float32]
    window: tuple[int, int, int, int]
    mask: NDArray[np.uint8]
    others: NDArray[np.uint8]
    face: NDArray[np.float32] | None = None
    face_score: float = 0.0
    left_hand: Hand | None = None
    right_hand: Hand | None = None
    likelihood: float = 1.0
    face_depth: NDArray[np.float32] | None = None
    face_expression: NDArray[np.float32] | None = None
    pinned: tuple[int, ...] = ()
    unbrushed: tuple[tuple[int, int, int, int], NDArray[np.uint8]] | None = None
    number: int | None = None
    stature: float | None = None

    @property
    def side(self) -> float:
        """The longer side of the box, pixels: the unit of what is measured relative to the person's size."""
        return float(max(self.box[2] - self.box[0], self.box[3] - self.box[1]))

    def whole_mask(self, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        """(H, W) ``mask`` at one half, in a photo of this ``shape``."""
        x0, y0, x1, y1 = self.window
        whole = np.zeros(shape[:2], bool)
        whole[y0:y1, x0:x1] = self.mask > 127
        return whole
