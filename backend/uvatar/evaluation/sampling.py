"""Random people and cameras, for the evaluation in 3D, the pose lifter's training data, and synthetic photos.

Each of these states its own distribution with the settings below. The published figures depend on the numbers drawn
from a seed and on their order, so change neither.

World axes are x, y up, z; a person at rest faces +z. The camera's axes are OpenCV's: x right, y down, z forward.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from uvatar.body import BodyData
from uvatar.data.arrays import Floats
from uvatar.data.camera import Camera
from uvatar.data.fit import BodyParameters

GROUPS = ("male", "female", "child")
# Rotation from the world's axes to those of a camera that looks along -z.
FACING_CAMERA = np.diag([1.0, -1.0, -1.0])


@dataclass(frozen=True)
class Population:
    """The distribution of bodies.

    Attributes:
        shares: share of each of `GROUPS`, summing to 1.
        spread: factor on the shape prior's standard deviation; below 1 because the prior's rarest bodies are not
            realistic.
    """

    shares: tuple[float, float, float]
    spread: float = 1.0

    def group(self, rng: np.random.Generator) -> str:
        """One of `GROUPS`."""
        return str(rng.choice(GROUPS, p=self.shares))

    def betas(self, body: BodyData, group: str, rng: np.random.Generator) -> NDArray[np.float64]:
        """(10,) the shape of a random body of the group."""
        prior = body.shape_prior[group]
        return rng.multivariate_normal(prior.mean, self.spread**2 * prior.covariance)


@dataclass(frozen=True)
class Viewpoint:
    """Where a person is seen from, in degrees: rotation away from facing the camera, view from above, and tilt."""

    yaw: float
    pitch: float
    roll: float = 0.0

    def matrix(self) -> NDArray[np.float64]:
        """(3, 3) rotation from the world's axes to the camera's."""
        turn = Rotation.from_euler("z", self.roll, degrees=True) * Rotation.from_euler("x", self.pitch, degrees=True)
        matrix: NDArray[np.float64] = (
            turn.as_matrix() @ FACING_CAMERA @ Rotation.from_euler("y", self.yaw, degrees=True).as_matrix()
        )
        return matrix

    def seen(self, orient: Floats) -> NDArray[np.float64]:
        """(3,) orientation in the camera's axes, axis-angle, of a body with ``orient`` (3,) in the world."""
        vector: NDArray[np.float64] = (Rotation.from_matrix(self.matrix()) * Rotation.from_rotvec(orient)).as_rotvec()
        return vector


@dataclass(frozen=True)
class Viewpoints:
    """The distribution of viewpoints; all angles in degrees.

    Attributes:
        front_share: share of the views within ``front_yaw`` of the front; the others are from all sides.
        pitch: mean and standard deviation of the view from above, clipped to ``pitch_range``.
        steep: range of the pitch for a share ``steep_share`` of the views.
        roll: standard deviation of the tilt, 0 for none.
        tilted: the same for a share ``tilted_share`` of the views.
    """

    front_share: float
    front_yaw: float
    pitch: tuple[float, float]
    pitch_range: tuple[float, float]
    steep: tuple[float, float] = (0.0, 0.0)
    steep_share: float = 0.0
    roll: float = 0.0
    tilted: float = 0.0
    tilted_share: float = 0.0

    def draw(self, rng: np.random.Generator) -> Viewpoint:
        """One viewpoint."""
        ahead = rng.random() < self.front_share
        yaw = rng.uniform(-self.front_yaw, self.front_yaw) if ahead else rng.uniform(-180, 180)
        if self.steep_share and rng.random() < self.steep_share:
            pitch = rng.uniform(*self.steep)
        else:
            pitch = float(np.clip(rng.normal(*self.pitch), *self.pitch_range))
        if self.tilted_share and rng.random() < self.tilted_share:
            return Viewpoint(yaw, pitch, rng.normal(0, self.tilted))
        return Viewpoint(yaw, pitch, rng.normal(0, self.roll) if self.roll else 0.0)


@dataclass(frozen=True)
class Lenses:
    """Focal lengths from ``least`` to ``most``, in units of the longer side, uniform or uniform in their logarithm."""

    least: float
    most: float
    logarithmic: bool = True

    def camera(self, width: int, height: int, rng: np.random.Generator) -> Camera:
        """A camera with a random focal length and the principal point in the middle of the picture."""
        if self.logarithmic:
            focal = float(np.exp(rng.uniform(*np.log((self.least, self.most)))))
        else:
            focal = rng.uniform(self.least, self.most)
        return Camera(focal * max(width, height), (width / 2, height / 2), width, height)


@dataclass(frozen=True)
class Framing:
    """How a camera is moved iteratively until a person fills the picture.

    Attributes:
        rounds: number of iterations; each uses the projection of the one before.
        start: distance from the camera to the middle of the points in the first round, metres.
        step: smallest and largest relative change of the distance in one round.
        nearest: minimum distance to the nearest point, metres.
        least_depth: minimum distance to the middle of the points, metres.
        clip: metres; points nearer to the camera than this are projected as if at this depth.
    """

    rounds: int = 8
    start: float = 3.0
    step: tuple[float, float] = (-np.inf, np.inf)
    nearest: float = -np.inf
    least_depth: float = -np.inf
    clip: float = -np.inf

    def placed(self, points: Floats, camera: Camera, fill: float, aside: Floats) -> NDArray[np.float64]:
        """The translation (3,), metres, by which points fill the picture.

        Args:
            points: (K, 3) metres.
            camera: the camera.
            fill: share of the picture that the points fill.
            aside: (2,) offset of their centre from the picture's, as shares of the picture.
        """
        middle = (points.min(0) + points.max(0)) / 2
        transl = self._first(points)
        size = np.array([camera.width, camera.height])
        for _ in range(self.rounds):
            pixels = self.projected(points + transl, camera)
            extent = (np.ptp(pixels, axis=0) / size).max()
            depth = middle[2] + transl[2]
            wanted = size * (0.5 + aside) - (pixels.max(0) + pixels.min(0)) / 2
            transl[:2] += wanted * depth / camera.focal
            step = depth * np.clip(extent / fill - 1, *self.step)
            transl[2] += max(step, self.nearest - (points[:, 2].min() + transl[2]), self.least_depth - depth)
        return transl

    def extent(self, points: Floats, camera: Camera) -> NDArray[np.float64]:
        """(2,) width and height of points (K, 3) in the first round, as shares of the picture."""
        pixels = self.projected(points + self._first(points), camera)
        shares: NDArray[np.float64] = np.ptp(pixels, axis=0) / np.array([camera.width, camera.height])
        return shares

    def _first(self, points: Floats) -> NDArray[np.float64]:
        transl: NDArray[np.float64] = -(points.min(0) + points.max(0)) / 2 + [0, 0, self.start]
        return transl

    def projected(self, points: Floats, camera: Camera) -> NDArray[np.float64]:
        """(K, 2) pixels of points (K, 3), camera frame, with depths of at least `clip`."""
        return camera.project(np.maximum(points, [-np.inf, -np.inf, self.clip]))


def heading(orient: Floats) -> float:
    """The angle about the vertical, radians, from +z to where a body faces; ``orient`` (3,) is axis-angle."""
    forward = Rotation.from_rotvec(orient).apply([0.0, 0.0, 1.0])
    return float(np.arctan2(forward[0], forward[2]))


def parameters_of(betas: Floats, pose: Floats, transl: Floats) -> BodyParameters:
    """Body parameters in single precision from betas (10,), a pose (24, 3) and a translation (3,)."""
    return BodyParameters(
        betas.astype(np.float32), pose[0].astype(np.float32), pose[1:].astype(np.float32), transl.astype(np.float32)
    )
