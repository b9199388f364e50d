"""Face mesh and hands of a person whose body landmarks are known.

Models: Kartynnik et al., "Real-time Facial Surface Geometry from Monocular Video on Mobile GPUs", 2019 (478 points with
irises); Zhang et al., "MediaPipe Hands: On-device Real-time Hand Tracking", 2020. Both were trained on regions defined
by the points of a previous pass, so each is run twice: on a region from the body's landmarks, then on one from its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.data.face import FACE_LANDMARKS, FaceLandmark
from uvatar.data.hands import STEADY_HAND_LANDMARKS, HandLandmark
from uvatar.data.landmarks import EYES, INDICES, MOUTH, PINKIES, WRISTS
from uvatar.data.person import Hand
from uvatar.perception.geometry import Pyramid, Roi
from uvatar.perception.models import Model, sigmoid

FACE_SIDE, HAND_SIDE = 256, 224
MIN_FACE, MIN_HAND = 24.0, 16.0  # least size of the region in pixels of the photo
MIN_SCORE = 0.5
MIN_WRIST = 0.3  # visibility

KNUCKLES = [HandLandmark.INDEX_MCP, HandLandmark.MIDDLE_MCP, HandLandmark.RING_MCP]


@dataclass(frozen=True)
class FaceFound:
    """A person's face as `FaceModel` found it.

    Attributes:
        points: (478, 2) landmarks in pixels of the photo, or None if no face is seen.
        depth: (478,) how much farther each lies from the camera than the face's middle does, in pixels of the photo as
            large as at the face's distance; or None.
        score: certainty that this is a face, 0..1.
    """

    points: NDArray[np.float32] | None
    depth: NDArray[np.float32] | None
    score: float


NO_FACE = FaceFound(None, None, 0.0)


class FaceModel:
    """478 face landmarks."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def find(self, photo: Pyramid, landmarks: Floats) -> FaceFound:
        """Find the person's face.

        Args:
            photo: the photo.
            landmarks: (33, 3) the body's landmarks.

        Returns:
            the face; one without points if no face is seen.
        """
        eyes, mouth = landmarks[EYES, :2].mean(0), landmarks[MOUTH, :2].mean(0)
        down = mouth - eyes
        height = float(np.hypot(*down))
        center = (eyes + mouth) / 2
        roi = Roi(float(center[0]), float(center[1]), 4.0 * height, float(np.arctan2(-down[0], down[1])))
        if roi.size < MIN_FACE:
            return NO_FACE
        points, _, _ = self._look(photo, roi)
        across = _across(points)
        points, depth, score = self._look(photo, _roi_around(points, float(np.arctan2(across[1], across[0])), 1.5))
        near = np.hypot(*(points.mean(0) - center)) < 1.5 * height
        # the mesh model also finds faces on the backs of heads; the body's landmarks tell which eye is on which side
        left_eye, right_eye = landmarks[EYES, :2]
        faces_us = float(_across(points) @ (left_eye - right_eye)) > 0
        if not (near and faces_us and score >= MIN_SCORE):
            return NO_FACE
        return FaceFound(points.astype(np.float32), depth.astype(np.float32), score)

    def _look(self, photo: Pyramid, roi: Roi) -> tuple[Floats, Floats, float]:
        """Points (478, 2) and depths (478,), pixels of the photo, and the score of a face in a region."""
        points, score, _ = self._model(photo.crop(roi, FACE_SIDE)[None].astype(np.float32) / 255.0)
        points = points.reshape(FACE_LANDMARKS, 3)
        depth = points[:, 2] * (roi.size / FACE_SIDE)
        return roi.to_photo(points[:, :2], FACE_SIDE), depth, float(sigmoid(score.reshape(-1)[0]))


class HandModel:
    """21 landmarks of a hand."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def find(self, photo: Pyramid, landmarks: Floats, left: bool) -> Hand | None:
        """The person's left or right hand; None if it is not seen. ``landmarks`` (33, 3) are the body's."""
        side = 0 if left else 1
        wrist, little, index = landmarks[[WRISTS[side], PINKIES[side], INDICES[side]]]
        along = (2 * index + little)[:2] / 3 - wrist[:2]
        center = wrist[:2] + 1.2 * along
        roi = Roi(
            float(center[0]), float(center[1]), 4.2 * float(np.hypot(*along)), float(np.arctan2(along[0], -along[1]))
        )
        if roi.size < MIN_HAND or wrist[2] < MIN_WRIST:
            return None
        first = self._look(photo, roi, left)
        hand = max(first, self._look(photo, _palm_roi(first.points), left), key=lambda seen: seen.score)
        near = np.hypot(*(hand.points[HandLandmark.WRIST] - wrist[:2])) < 0.4 * roi.size
        return hand if near and hand.score >= MIN_SCORE else None

    def _look(self, photo: Pyramid, roi: Roi, left: bool) -> Hand:
        points, presence, right_handed, world = self._model(photo.crop(roi, HAND_SIDE)[None].astype(np.float32) / 255.0)
        rotated = world.reshape(len(HandLandmark), 3).copy()
        rotated[:, :2] = rotated[:, :2] @ roi.rotation.T
        xy = roi.to_photo(points.reshape(len(HandLandmark), 3)[:, :2], HAND_SIDE)
        right = float(right_handed.reshape(-1)[0])
        score = float(presence.reshape(-1)[0]) * (1 - right if left else right)
        return Hand(xy.astype(np.float32), rotated.astype(np.float32), score)


def _across(points: Floats) -> Floats:
    """(2,) vector from the outer corner of the right eye to that of the left eye, of a face mesh (478, 2)."""
    across: Floats = points[FaceLandmark.LEFT_EYE_OUTER] - points[FaceLandmark.RIGHT_EYE_OUTER]
    return across


def _palm_roi(points: Floats) -> Roi:
    """The region of the next pass for a hand (21, 2): fingers up, palm and first finger bones in the middle."""
    along = points[KNUCKLES].mean(0) - points[HandLandmark.WRIST]
    angle = float(np.arctan2(along[0], -along[1]))
    roi = _roi_around(points[STEADY_HAND_LANDMARKS], angle, 2.0)
    up = np.array([np.sin(angle), -np.cos(angle)]) * 0.1 * roi.size
    return Roi(roi.x + float(up[0]), roi.y + float(up[1]), roi.size, angle)


def _roi_around(points: Floats, angle: float, scale: float) -> Roi:
    """A square region at an angle (radians) around points (N, 2), ``scale`` times as large as they need."""
    rotation = Roi(0.0, 0.0, 1.0, angle).rotation
    low, high = (points @ rotation).min(0), (points @ rotation).max(0)
    center = (low + high) / 2 @ rotation.T
    return Roi(float(center[0]), float(center[1]), scale * float(np.max(high - low)), angle)
