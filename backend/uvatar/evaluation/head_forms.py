"""People whose heads have a known form, for `uvatar evaluate faces`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uvatar.body import BodyModel
from uvatar.data.camera import Camera
from uvatar.data.fit import BodyParameters
from uvatar.data.joints import Joint
from uvatar.evaluation.sampling import Lenses, Population, Viewpoint, parameters_of
from uvatar.runtime.weights import weights_folder

WIDTH, HEIGHT = 640, 800
POPULATION = Population((0.5, 0.5, 0.0), spread=0.8)
LENSES = Lenses(1.1, 1.7, logarithmic=False)
FACE_WIDTH = 0.15  # metres
FACE_PIXELS = (90.0, 150.0)  # range of a face's width
FACE_HEIGHT = 0.4  # of the picture's height, from its middle up to the top of the head
ARMS_DOWN = 1.15  # radians


@dataclass(frozen=True)
class HeadForms:
    """How heads differ from each other.

    Attributes:
        names: of D directions.
        vertices: (H,) vertices that move.
        directions: (D, H, 3) metres.
        average: (H, 3) metres from the body's own head to one with an average human face.
    """

    names: Sequence[str]
    vertices: NDArray[np.int32]
    directions: NDArray[np.float32]
    average: NDArray[np.float32]

    @classmethod
    def load(cls, path: Path | None = None) -> HeadForms:
        """The shipped ones, or those in the file at ``path``."""
        with np.load(path or weights_folder() / "evaluation_faces.npz", allow_pickle=False) as file:
            names = [str(name) for name in file["names"]]
            directions, average = file["directions"].astype(np.float32), file["average"].astype(np.float32)
            return cls(names, file["vertices"], directions, average)

    def draw(self, vertices: int, average: float, rng: np.random.Generator) -> NDArray[np.float32]:
        """(V, 3) rest-pose offsets of a random head, metres, around the body's own (``average`` 0) or the average head
        (1).
        """
        amounts = np.clip(rng.normal(0, 0.35, len(self.names)), -0.8, 0.8)
        # outlines of the whole head, such as "oval", have no opposite
        outline = np.array([name.startswith("head") and "-" not in name for name in self.names])
        amounts = np.where(outline, 0.6 * np.abs(amounts), amounts).astype(np.float32)
        offsets = np.zeros((vertices, 3), np.float32)
        offsets[self.vertices] = np.einsum("d,dvc->vc", amounts, self.directions) + np.float32(average) * self.average
        return offsets


@dataclass(frozen=True)
class FaceSitter:
    """A person whose head has a known form.

    Attributes:
        body: in the frame of ``camera``.
        offsets: (V, 3) metres of the rest pose: the form of the head.
        camera: the camera.
    """

    body: BodyParameters
    offsets: NDArray[np.float32]
    camera: Camera


def random_face_sitter(
    yaw: float, average: float, forms: HeadForms, body: BodyModel, rng: np.random.Generator
) -> FaceSitter:
    """A grown-up who stands with arms down, seen from the hips up, the face turned by ``yaw`` degrees.

    For ``average`` see `HeadForms.draw`. The turn is partly the body's, partly the neck's.
    """
    betas = POPULATION.betas(body.data, POPULATION.group(rng), rng)
    offsets = forms.draw(len(body.data.v_template), average, rng)
    neck = rng.uniform(0, 0.5)
    pose = np.zeros((24, 3))
    pose[Joint.LEFT_SHOULDER, 2], pose[Joint.RIGHT_SHOULDER, 2] = -ARMS_DOWN, ARMS_DOWN
    pose[Joint.HEAD] = np.radians([rng.normal(0, 6), yaw * neck, rng.normal(0, 4)])
    pose[Joint.PELVIS] = Viewpoint(yaw * (1 - neck), rng.normal(3, 4)).seen(np.zeros(3))
    camera = LENSES.camera(WIDTH, HEIGHT, rng)
    distance = camera.focal * FACE_WIDTH / rng.uniform(*FACE_PIXELS)
    vertices, joints = body.posed(parameters_of(betas, pose, np.zeros(3)), offsets)
    top = vertices[:, 1].min()
    transl = [
        rng.uniform(-0.1, 0.1) - joints[Joint.HEAD, 0],
        -top - FACE_HEIGHT * HEIGHT * distance / camera.focal,
        distance - joints[Joint.HEAD, 2],
    ]
    return FaceSitter(parameters_of(betas, pose, np.array(transl)), offsets, camera)
