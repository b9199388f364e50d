"""How people and cameras are drawn at random, in one way for all: the evaluation in 3D, the pictures that the pose
lifter learns from, and synthetic photos.

Each of them states its own distribution with the settings below; the numbers drawn from a seed, and their order, are
part of the figures that are published, so change neither.

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
# From the world's axes to those of a camera that looks along -z.
FACING_CAMERA = np.diag([1.0, -1.0, -1.0])


@dataclass(frozen=True)
class Population:
    """Whose bodies are drawn.

    Attributes:
        shares: of `GROUPS`, summing to 1.
        spread: share of the shape prior's standard deviation; below 1 because the rarest bodies are the prior's
            guesses, not people.
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
    """Where a person is seen from: degrees turned away from facing the camera, seen from above, and tilted."""

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
        """(3,) axis-angle in the camera's axes of a body that is oriented ``orient`` (3,) in the world."""
        vector: NDArray[np.float64] = (Rotation.from_matrix(self.matrix()) * Rotation.from_rotvec(orient)).as_rotvec()
        return vector


@dataclass(frozen=True)
class Viewpoints:
    """From where people are seen; all angles in degrees.

    Attributes:
        front_share: of the views lie within ``front_yaw`` of the front; the others come from all round.
        pitch: mean and standard deviation of the normal distribution from above, cut to ``pitch_range``.
        steep: least and most pitch of a share ``steep_share`` of the views instead.
        roll: standard deviation of the tilt, 0 for none; tilted: the same for a share ``tilted_share`` instead.
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
    """Focal lengths from ``least`` to ``most`` of the picture's longer side, evenly or evenly in their logarithm."""

    least: float
    most: float
    logarithmic: bool = True

    def camera(self, width: int, height: int, rng: np.random.Generator) -> Camera:
        """A camera with a random lens and the principal point in the middle of the picture."""
        if self.logarithmic:
            focal = float(np.exp(rng.uniform(*np.log((self.least, self.most)))))
        else:
            focal = rng.uniform(self.least, self.most)
        return Camera(focal * max(width, height), (width / 2, height / 2), width, height)


@dataclass(frozen=True)
class Framing:
    """How a camera is moved until a person fills the picture.

    Attributes:
        rounds: of moving it; each uses the projection of the one before.
        start: metres from the camera to the middle of the points in the first round.
        step: least and most relative change of the distance in one round.
        nearest: metres from the camera to the nearest point, at least.
        least_depth: metres from the camera to the middle of the points, at least.
        clip: metres; points nearer to the camera than this are projected as if they were so far away.
    """

    rounds: int = 8
    start: float = 3.0
    step: tuple[float, float] = (-np.inf, np.inf)
    nearest: float = -np.inf
    least_depth: float = -np.inf
    clip: float = -np.inf

    def placed(self, points: Floats, camera: Camera, fill: float, aside: Floats) -> NDArray[np.float64]:
        """The translation (3,), metres, that centres points (K, 3) in the picture, ``aside`` (2,) shares of it off, and
        lets them fill the share ``fill`` of it.
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
        """(2,) how wide and high points (K, 3) are in the first round, as shares of the picture."""
        pixels = self.projected(points + self._first(points), camera)
        shares: NDArray[np.float64] = np.ptp(pixels, axis=0) / np.array([camera.width, camera.height])
        return shares

    def _first(self, points: Floats) -> NDArray[np.float64]:
        transl: NDArray[np.float64] = -(points.min(0) + points.max(0)) / 2 + [0, 0, self.start]
        return transl

    def projected(self, points: Floats, camera: Camera) -> NDArray[np.float64]:
        """(K, 2) pixels of points (K, 3) in the camera's frame, the nearest ones moved away to `clip`."""
        return camera.project(np.maximum(points, [-np.inf, -np.inf, self.clip]))


def heading(orient: Floats) -> float:
    """Radians about the vertical from +z to where a body faces that is oriented ``orient`` (3,), axis-angle."""
    forward = Rotation.from_rotvec(orient).apply([0.0, 0.0, 1.0])
    return float(np.arctan2(forward[0], forward[2]))


def parameters_of(betas: Floats, pose: Floats, transl: Floats) -> BodyParameters:
    """Body parameters in single precision from betas (10,), a pose (24, 3) and a translation (3,)."""
    return BodyParameters(
        betas.astype(np.float32), pose[0].astype(np.float32), pose[1:].astype(np.float32), transl.astype(np.float32)
    )
