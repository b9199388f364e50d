"""What the product makes of a synthetic person before the Texture Predictor's turn: the completed texture and its
materials.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.body import BodyModel
from uvatar.data.fit import BodyParameters, Fit
from uvatar.data.person import Person
from uvatar.data.photo import Photo
from uvatar.data.texture import Texture
from uvatar.data.view import View
from uvatar.geometry.mesh import vertex_normals
from uvatar.texturing import texture_person
from uvatar.texturing.layout.atlas import Atlas
from uvatar_training.data.problems import DataError
from uvatar_training.data.sample import Sample


@dataclass(frozen=True)
class ErrorSettings:
    """Errors of perception and fit in training data. They were set to look like those of photos, by eye.

    Attributes:
        joints: standard deviation of every joint's rotation, radians.
        place: of the body's position, metres, x, y and z of the camera frame.
        outline: pixels by which a mask is too wide or too narrow, at most.
    """

    joints: float = 0.025
    place: tuple[float, float, float] = (0.006, 0.006, 0.018)
    outline: int = 2


DEFAULT_ERRORS = ErrorSettings()
_SURE = 127  # of a mask of 0..255


def view_of(
    sample: Sample,
    number: int,
    body: BodyModel,
    rng: np.random.Generator | None = None,
    settings: ErrorSettings = DEFAULT_ERRORS,
) -> View:
    """The sample's person ``number`` as perception and fit would describe them: exactly, or with errors from ``rng``.

    Raises DataError if the mask is empty.
    """
    label = sample.people[number]
    assert sample.mask is not None
    own = sample.mask == number + 1
    others = ((sample.mask > 0) & ~own).astype(np.uint8) * np.uint8(255)
    mask, fitted = own.astype(np.uint8) * np.uint8(255), label.parameters
    if rng is not None:
        mask, fitted = _wrong_mask(mask, others, rng, settings), _wrong_fit(fitted, rng, settings)
    rows, columns = np.flatnonzero((mask > _SURE).any(1)), np.flatnonzero((mask > _SURE).any(0))
    if not len(rows):
        raise DataError(sample.name, f"has nothing left of the mask of person {number}")
    box = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float32)
    points = body.landmarks_of(fitted)
    landmarks = np.column_stack([sample.camera.project(points), np.ones(len(points))]).astype(np.float32)
    person = Person(
        box=box, score=1.0, landmarks=landmarks, world_landmarks=np.zeros((len(points), 3), np.float32),
        window=(0, 0, mask.shape[1], mask.shape[0]), mask=mask, others=others,
    )  # fmt: skip
    offsets = np.zeros_like(body.data.v_template)
    if label.stand_off is not None:
        offsets = label.stand_off[:, None] * vertex_normals(body.data.v_template, body.data.faces)
    fit = Fit(fitted, offsets.astype(np.float32), 0.0, 0.0, 1.0)
    return View(Photo(sample.image, None, "0" * 64), person, sample.camera, fit)


def completed_texture(view: View, atlas: Atlas) -> Texture:
    """What the Texture Predictor would be given of this person.

    Raises DataError if the product cannot make it.
    """
    given: list[Texture] = []

    def predict(completed: Texture) -> NDArray[np.uint8]:
        given.append(completed)
        return completed.image

    try:
        texture_person([view], atlas, predict)
    except (ValueError, FloatingPointError, RuntimeError) as error:
        raise DataError("a person", f"cannot be textured: {error}") from error
    return given[0]


def _wrong_mask(
    mask: NDArray[np.uint8], others: NDArray[np.uint8], rng: np.random.Generator, settings: ErrorSettings
) -> NDArray[np.uint8]:
    width = 1 + int(rng.integers(0, settings.outline + 1))
    change = cv2.dilate if rng.random() < 0.5 else cv2.erode
    changed = cv2.GaussianBlur(change(mask, np.ones((width, width), np.uint8)), (3, 3), 0)
    return np.where(others > 0, 0, changed).astype(np.uint8)


def _wrong_fit(fitted: BodyParameters, rng: np.random.Generator, settings: ErrorSettings) -> BodyParameters:
    turned = fitted.body_pose + rng.normal(0, settings.joints, fitted.body_pose.shape)
    placed = fitted.transl + rng.normal(0, 1, 3) * settings.place
    return replace(fitted, body_pose=turned.astype(np.float32), transl=placed.astype(np.float32))
