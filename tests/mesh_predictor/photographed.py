"""People as perception would report them, made from bodies whose pose and place are known."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from uvatar.body import BodyModel
from uvatar.data.camera import Camera
from uvatar.data.fit import BodyParameters
from uvatar.data.person import Person
from uvatar.geometry.raster import rasterize

CAMERA = Camera.for_photo(640, 480)


def body_at(x: float, seed: int, depth: float = 4.0) -> BodyParameters:
    """An upright person ``x`` metres to the right, in a pose of its own."""
    rng = np.random.default_rng(seed)
    orient = Rotation.from_rotvec([np.pi, 0, 0]) * Rotation.from_rotvec([0, rng.uniform(-0.5, 0.5), 0])
    pose = np.zeros((23, 3))
    pose[[15, 16], 2] = [-1.0, 1.0]  # arms down
    pose[:21] += rng.normal(0, 0.12, (21, 3))
    pose[21:] = 0
    betas = rng.normal(0, 0.3, 10)
    return BodyParameters(
        betas.astype(np.float32),
        orient.as_rotvec().astype(np.float32),
        pose.astype(np.float32),
        np.array([x, 0.1, depth], np.float32),
    )


def person_of(parameters: BodyParameters, body: BodyModel, camera: Camera = CAMERA) -> Person:
    """What perception would see of a body: exact landmarks, exact mask."""
    vertices, _ = body.posed(parameters)
    points = body.landmarks_of(parameters)
    landmarks = np.concatenate([camera.project(points), np.ones((33, 1), np.float32)], 1)
    mask = (rasterize(vertices, body.data.faces, camera).mask * 255).astype(np.uint8)
    x, y, width, height = cv2.boundingRect(mask)
    box = np.array([x, y, x + width, y + height], np.float32)
    window = (0, 0, camera.width, camera.height)
    return Person(box, 0.9, landmarks, points - points[[23, 24]].mean(0), window, mask, np.zeros_like(mask))


def photo_of(bodies: list[BodyParameters], body: BodyModel, camera: Camera = CAMERA) -> NDArray[np.uint8]:
    """(H, W, 3) grey people before a dark background."""
    image = np.full((camera.height, camera.width, 3), 40, np.uint8)
    for parameters in bodies:
        image[rasterize(body.posed(parameters)[0], body.data.faces, camera).mask] = 170
    return image
