"""Scores of expressions carry the right names, and a smile in a photo is seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from uvatar.data.face import LEFT_LIDS, RIGHT_LIDS
from uvatar.data.landmarks import Landmark
from uvatar.perception.details import FaceModel
from uvatar.perception.expression import ExpressionModel
from uvatar.perception.geometry import Pyramid
from uvatar.perception.models import Model
from uvatar.photos.decoding import decode_photo
from uvatar.protocol.expressions import EXPRESSIONS

ROOT = Path(__file__).resolve().parents[2]
WEIGHTS = ROOT / "weights" / "perception"
# Where the smiling woman's eyes and the corners of her mouth are, pixels.
PORTRAIT = {
    Landmark.LEFT_EYE: (244, 111), Landmark.RIGHT_EYE: (201, 106),
    Landmark.MOUTH_LEFT: (233, 151), Landmark.MOUTH_RIGHT: (203, 147),
}  # fmt: skip


@pytest.fixture(scope="module")
def smiling() -> NDArray[np.float32]:
    """(478, 2) the face of a smiling woman."""
    photo = decode_photo((ROOT / "samples" / "portrait.jpg").read_bytes(), "portrait.jpg")
    landmarks = np.zeros((len(Landmark), 3), np.float32)
    for landmark, place in PORTRAIT.items():
        landmarks[landmark, :2] = place
    points = FaceModel(Model(WEIGHTS, "face_landmarks.tflite")).find(Pyramid(photo.pixels), landmarks).points
    assert points is not None
    return points


@pytest.fixture(scope="module")
def scores(smiling: NDArray[np.float32]) -> dict[str, float]:
    return named(ExpressionModel(Model(WEIGHTS, "face_blendshapes.tflite")).scores(smiling))


def named(scores: NDArray[np.float32]) -> dict[str, float]:
    assert scores.shape == (52,) and scores.min() >= 0 and scores.max() <= 1
    return dict(zip(EXPRESSIONS, scores.tolist(), strict=True))


def test_a_smile_is_seen_on_both_sides_and_nothing_else_is_as_strong(scores: dict[str, float]) -> None:
    strongest = sorted(scores, key=lambda name: scores[name])[-2:]
    assert set(strongest) == {"mouthSmileLeft", "mouthSmileRight"}
    assert min(scores[name] for name in strongest) > 0.6
    assert scores["jawOpen"] < 0.3 and scores["mouthFrownLeft"] < 0.1 and scores["eyeBlinkLeft"] < 0.3


def test_the_model_says_nothing_of_the_tongue(scores: dict[str, float]) -> None:
    assert scores["tongueOut"] == 0


def test_place_and_size_of_the_face_in_the_photo_do_not_matter(
    smiling: NDArray[np.float32], scores: dict[str, float]
) -> None:
    model = ExpressionModel(Model(WEIGHTS, "face_blendshapes.tflite"))
    elsewhere = named(model.scores(3 * smiling + np.array([400, 100], np.float32)))
    assert elsewhere == pytest.approx(scores, abs=0.02)


@pytest.mark.parametrize(("lids", "closed", "open_"), [
    (LEFT_LIDS, "eyeBlinkLeft", "eyeBlinkRight"), (RIGHT_LIDS, "eyeBlinkRight", "eyeBlinkLeft"),
])  # fmt: skip
def test_left_and_right_are_the_persons_own(
    smiling: NDArray[np.float32], lids: list[int], closed: str, open_: str
) -> None:
    winking = smiling.copy()
    below, above = lids[1:8], lids[:8:-1]
    winking[above] = winking[below]
    scores = named(ExpressionModel(Model(WEIGHTS, "face_blendshapes.tflite")).scores(winking))
    assert scores[closed] > scores[open_] + 0.2
