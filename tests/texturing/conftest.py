"""A painted body before a camera: photos of it whose true texture is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from uvatar.body import BodyModel, load_open_body
from uvatar.data.camera import Camera
from uvatar.data.fit import BodyParameters, Fit
from uvatar.data.joints import Joint
from uvatar.data.person import Person
from uvatar.data.photo import Photo
from uvatar.geometry.raster import RayScene
from uvatar.texturing import View

SIZE = 256
Paint = Callable[[NDArray[Any]], NDArray[Any]]  # rest positions (N, 3) -> sRGB (N, 3), 0..255


@dataclass(frozen=True)
class Studio:
    """Takes pictures of the painted body."""

    body: BodyModel

    def parameters(
        self, turn: float = 0.0, pose: Mapping[Joint, tuple[float, float, float]] | None = None
    ) -> BodyParameters:
        """The body 2.6 m before the camera, turned by ``turn`` degrees; ``pose``: axis-angles of some joints."""
        body_pose = np.zeros((23, 3), np.float32)
        for joint, rotation in (pose or {}).items():
            body_pose[joint - 1] = rotation
        upright, _ = cv2.Rodrigues(np.array([np.pi, 0, 0]))
        about, _ = cv2.Rodrigues(np.array([0, np.radians(turn), 0]))
        orient, _ = cv2.Rodrigues(upright @ about)
        return BodyParameters(
            np.zeros(10, np.float32),
            orient.ravel().astype(np.float32),
            body_pose,
            np.array([0, -0.25, 2.6], np.float32),
        )

    def photograph(
        self,
        paint: Paint,
        turn: float = 0.0,
        pose: Mapping[Joint, tuple[float, float, float]] | None = None,
        background: tuple[int, int, int] = (128, 128, 128),
        side: int = 640,
        gain: float = 1.0,
    ) -> View:
        """A picture of the body, with what perfect perception and fitting would say of it."""
        parameters = self.parameters(turn, pose)
        vertices, _ = self.body.posed(parameters)
        camera = Camera(1.15 * side, (side / 2, side / 2), side, side)
        fine = Camera(camera.focal * 2, (side, side), 2 * side, 2 * side)
        fragments = RayScene(vertices, self.body.data.faces).render(fine)
        rest = fragments.interpolate(self.body.data.v_template, self.body.data.faces)
        colours = np.full((2 * side, 2 * side, 3), background, np.float32)
        colours[fragments.mask] = np.clip(paint(rest[fragments.mask]) * gain, 0, 255)
        pixels = cv2.resize(colours, (side, side), interpolation=cv2.INTER_AREA)
        mask = cv2.resize(fragments.mask.astype(np.float32) * 255, (side, side), interpolation=cv2.INTER_AREA)
        rows, columns = np.nonzero(mask > 127)
        box = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], np.float32)
        person = Person(
            box=box, score=1.0, landmarks=self.landmarks(parameters, camera),
            world_landmarks=np.zeros((33, 3), np.float32),
            window=(0, 0, side, side), mask=mask.round().astype(np.uint8), others=np.zeros((side, side), np.uint8),
        )  # fmt: skip
        offsets = np.zeros_like(vertices)
        return View(
            Photo(pixels.round().astype(np.uint8), None, "0" * 64),
            person,
            camera,
            Fit(parameters, offsets, 0.0, 0.0, 1.0),
        )

    def landmarks(self, parameters: BodyParameters, camera: Camera) -> NDArray[np.float32]:
        """(33, 3) projected landmarks, all visible."""
        points = self.body.landmarks_of(replace(parameters, betas=np.zeros(10, np.float32)))
        return np.column_stack([camera.project(points), np.ones(33)]).astype(np.float32)


@pytest.fixture(scope="session")
def studio() -> Studio:
    return Studio(load_open_body())


def waves(rest: NDArray[Any]) -> NDArray[Any]:
    """A colourful pattern that is the same on the left and on the right."""
    x, y, z = np.abs(rest[:, 0]), rest[:, 1], rest[:, 2]
    return np.stack(
        [140 + 70 * np.sin(30 * y), 130 + 60 * np.sin(25 * x + 10 * y), 120 + 60 * np.cos(20 * (x + z))], -1
    )


def plain(rest: NDArray[Any]) -> NDArray[Any]:
    """Blue all over."""
    return np.broadcast_to(np.array([60.0, 90.0, 200.0]), rest.shape)


def texel_rest(body: BodyModel, size: int = SIZE) -> tuple[NDArray[Any], NDArray[Any]]:
    """Rest position (N, N, 3) of every texel and whether (N, N) it lies on the body, by walking over the UV triangles
    in numpy.
    """
    data = body.data
    corners = data.uv[data.face_uv] * size
    positions, filled = np.zeros((size, size, 3), np.float32), np.zeros((size, size), bool)
    for triangle, face in zip(corners, data.faces, strict=True):
        low, high = np.floor(triangle.min(0) - 0.5).astype(int), np.ceil(triangle.max(0) + 0.5).astype(int)
        x, y = np.meshgrid(np.arange(max(low[0], 0), min(high[0], size)), np.arange(max(low[1], 0), min(high[1], size)))
        if not x.size:
            continue
        points = np.stack([x, y], -1).reshape(-1, 2) + 0.5
        edges = np.column_stack([triangle[1] - triangle[0], triangle[2] - triangle[0]])
        if abs(np.linalg.det(edges)) < 1e-12:
            continue
        second, third = np.linalg.solve(edges, (points - triangle[0]).T)
        weights = np.stack([1 - second - third, second, third], -1)
        inside = (weights >= 0).all(1)
        row, column = size - 1 - y.ravel()[inside], x.ravel()[inside]
        positions[row, column] = weights[inside] @ data.v_template[face]
        filled[row, column] = True
    return positions, filled


@pytest.fixture(scope="session")
def rest_of_texel(studio: Studio) -> tuple[NDArray[Any], NDArray[Any]]:
    return texel_rest(studio.body)
