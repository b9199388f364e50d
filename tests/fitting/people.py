"""People whose body is known: what perception would report of them if it made no mistakes."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import cv2
import numpy as np
from numpy.typing import ArrayLike

from uvatar.body import BodyModel, load_open_body
from uvatar.body.face_points import FILE, load_correspondence
from uvatar.data.camera import Camera
from uvatar.data.face import FACE_LANDMARKS
from uvatar.data.fit import BodyParameters
from uvatar.data.person import Person
from uvatar.data.photo import Photo
from uvatar.fitting.models import PoseModels
from uvatar.fitting.prepared import FittingModel, prepare_fitting
from uvatar.geometry.raster import rasterize
from uvatar.perception.perception import Found
from uvatar.runtime.weights import weights_folder

CAMERA = Camera.for_photo(480, 640)


class Eyes:
    """Perception that sees the given people in every photo."""

    def __init__(self, people: list[Person]) -> None:
        self.seen = people

    def found(self, photo: Photo, least: float) -> Found:
        return Found(self.seen, [])


@cache
def fitting_model() -> FittingModel:
    """The open body, ready to be fitted with the pose prior, the lifter and the face's points that ship."""
    body = load_open_body()
    return prepare_fitting(body, PoseModels.load(weights_folder()), load_correspondence(weights_folder() / FILE, body))


def standing(**changes: ArrayLike) -> BodyParameters:
    """An adult facing the camera with hanging arms, 3.2 m away."""
    pose = np.zeros((23, 3), np.float32)
    pose[15], pose[16] = [0, -0.2, -1.2], [0, 0.2, 1.2]  # shoulders
    pose[17], pose[18] = [0, -0.3, 0], [0, 0.3, 0]  # elbows
    values = {
        "betas": np.zeros(10, np.float32),
        "global_orient": np.array([np.pi - 0.05, 0, 0.02], np.float32),
        "body_pose": pose,
        "transl": np.array([0.1, -0.4, 3.2], np.float32),
    }
    return BodyParameters(**{**values, **{key: np.asarray(value, np.float32) for key, value in changes.items()}})


def with_face(person: Person, body: BodyModel, parameters: BodyParameters, larger: float = 1.0) -> Person:
    """The person with the face mesh of this body, ``larger`` than the body's by a factor."""
    points = load_correspondence(weights_folder() / FILE, body)
    assert points is not None
    places = points.at(body.posed(parameters)[0]).astype(float)
    middle = places.mean(0)
    pixels = CAMERA.project(places)
    face, depth = np.tile(CAMERA.project(middle), (FACE_LANDMARKS, 1)), np.zeros(FACE_LANDMARKS)
    face[points.index] += larger * (pixels - CAMERA.project(middle))
    depth[points.index] = larger * (places[:, 2] - middle[2]) * CAMERA.focal / middle[2]
    return replace(person, face=face.astype(np.float32), face_depth=depth.astype(np.float32), face_score=1.0)


def person_of(body: BodyModel, parameters: BodyParameters, camera: Camera = CAMERA) -> Person:
    """What perfect perception sees of this body: rendered mask, exact landmarks, all visible."""
    points = body.landmarks_of(parameters)
    vertices, _ = body.posed(parameters)
    drawn = rasterize(vertices, body.data.faces, camera).mask.astype(np.uint8) * 255
    mask = np.asarray(cv2.morphologyEx(drawn, cv2.MORPH_CLOSE, np.ones((3, 3))), np.uint8)
    rows, columns = np.nonzero(mask)
    box = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    x0, y0, x1, y1 = (int(v) for v in box)
    pixels = camera.project(points)
    middle = (points[23] + points[24]) / 2
    return Person(
        box=box.astype(np.float32),
        score=1.0,
        landmarks=np.concatenate([pixels, np.ones((33, 1))], 1).astype(np.float32),
        world_landmarks=(points - middle).astype(np.float32),
        window=(x0, y0, x1, y1),
        mask=mask[y0:y1, x0:x1].astype(np.uint8),
        others=np.zeros((y1 - y0, x1 - x0), np.uint8),
    )
