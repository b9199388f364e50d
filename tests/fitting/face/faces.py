"""A person's face as an exact face model would see it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from uvatar.body import BodyModel
from uvatar.data.camera import Camera
from uvatar.data.face import FACE_LANDMARKS
from uvatar.data.fit import BodyParameters, Fit
from uvatar.data.joints import Joint
from uvatar.data.person import Person
from uvatar.fitting.face.field import FaceField
from uvatar.geometry import rotations

CAMERA = Camera(1500.0, (400.0, 400.0), 800, 800)
FACING = rotations.exp(np.array([np.pi, 0.0, 0.0]))
NOBODY = Person(
    np.array([0, 0, 800, 800], np.float32), 1.0, np.zeros((33, 3), np.float32), np.zeros((33, 3), np.float32),
    (0, 0, 800, 800), np.zeros((800, 800), np.uint8), np.zeros((800, 800), np.uint8),
)  # fmt: skip


def standing(body: BodyModel, turn: float = 0.0, nod: float = 0.0) -> Fit:
    """A fit to somebody two metres away, turned and nodding by degrees, the face in the middle of the picture."""
    orient = rotations.log(FACING @ rotations.exp(np.array([0.0, np.radians(turn), 0.0])))
    pose = np.zeros((23, 3), np.float32)
    pose[Joint.HEAD - 1, 0] = np.radians(nod)
    parameters = BodyParameters(np.zeros(10, np.float32), orient.astype(np.float32), pose, np.zeros(3, np.float32))
    head = body.posed(parameters)[1][Joint.HEAD]
    parameters = replace(parameters, transl=(np.array([0, 0, 2]) - head).astype(np.float32))
    return Fit(parameters, np.zeros_like(body.data.v_template), 0.0, 0.0, 1.0)


def seen(
    fit: Fit, body: BodyModel, field: FaceField, form: NDArray[np.float64] | None = None, scale: float = 1.0
) -> Person:
    """The person of a fit, the face's landmarks moved by ``form`` (K, 3), the head ``scale`` times as large."""
    offsets = np.zeros_like(body.data.v_template)
    if form is not None:
        offsets[field.vertices] += field.offsets(form)
    head = body.data.joint_template[Joint.HEAD]
    offsets += np.float32(scale - 1) * body.data.weights[:, Joint.HEAD, None] * (body.data.v_template + offsets - head)
    points = field.points.at(body.posed(fit.body, offsets)[0]).astype(np.float64)
    middle = points.mean(0)
    away = (points - middle) @ middle / np.linalg.norm(middle) * CAMERA.focal / middle[2]
    face, depth = np.zeros((FACE_LANDMARKS, 2), np.float32), np.zeros(FACE_LANDMARKS, np.float32)
    face[field.points.index], depth[field.points.index] = CAMERA.project(points), away
    return replace(NOBODY, face=face, face_score=1.0, face_depth=depth)
