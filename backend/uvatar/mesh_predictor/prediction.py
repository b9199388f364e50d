"""People as the Mesh Predictor, or a file of another estimator, describes them; and who of them is whom in the
photo.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from uvatar.body import BodyModel
from uvatar.data.arrays import Integers
from uvatar.data.camera import Camera
from uvatar.data.fit import BodyParameters, Fit
from uvatar.data.joints import HIP_JOINTS, POSED_JOINTS
from uvatar.data.landmarks import TRUNK
from uvatar.data.person import Person
from uvatar.data.start import Start
from uvatar.geometry import rotations
from uvatar.mesh_predictor.weak_perspective import PaddedSquare, translation

NAME = "mesh_predictor"
SMPL, OPEN_BODY = "smpl", "open_body"
NEAR = 0.25  # of a person's box: a prediction whose centre is further from the person's torso is of somebody else
SEEN = 0.5  # visibility of a landmark that counts
_PER_PERSON = ("score", "center", "camera", "pose", "betas")


@dataclass(frozen=True)
class Prediction:
    """N people of one photo, best first.

    Attributes:
        score: (N,) of the body-centre heatmap.
        center: (N, 2) body centre, pixels of the photo.
        camera: (N, 3) s, tx, ty: a point X, Y of the posed body is seen at (s X + tx, s Y + ty), -1..1 across the
            padded square.
        pose: (N, 24, 3, 3) rotations, joint 0 is global_orient, camera axes.
        betas: (N, 10) of the body ``betas_of``, "smpl" or "open_body".
        square: how the photo lies in the padded square.
        root_aligned: the camera sees the posed body moved so that its origin is between its hips, not as SMPL places
            it. So it is with checkpoints of ROMP's public training code (its ``root_align``), and not with the
            published ROMP.pkl.
        coarse: the network is the light one, whose bodies are not given as they are: `uvatar.fitting.blending`.
    """

    score: NDArray[np.float32]
    center: NDArray[np.float32]
    camera: NDArray[np.float32]
    pose: NDArray[np.float32]
    betas: NDArray[np.float32]
    betas_of: str
    square: PaddedSquare
    root_aligned: bool = False
    coarse: bool = False

    def __len__(self) -> int:
        return len(self.score)

    def rows(self, index: Sequence[int] | Integers) -> Prediction:
        """The people ``index``."""
        rows = np.asarray(index, np.int64)
        return self._with({name: getattr(self, name)[rows] for name in _PER_PERSON})

    def joined(self, other: Prediction) -> Prediction:
        """These people and then ``other``'s, of the same photo."""
        return self._with({name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in _PER_PERSON})

    def _with(self, arrays: dict[str, NDArray[np.float32]]) -> Prediction:
        return replace(self, **arrays)  # type: ignore[arg-type]

    def axis_angles(self) -> NDArray[np.float32]:
        """(N, 24, 3) the pose in radians."""
        return rotations.log(self.pose.astype(np.float64)).astype(np.float32)

    def starts(self) -> list[Start]:
        """The starting pose of every person for fitting.

        Shape and place it finds itself, for they depend on body and camera.
        """
        vectors = self.axis_angles().astype(np.float64)
        return [
            Start(NAME, orient[0].astype(np.float64), pose[1:POSED_JOINTS])
            for orient, pose in zip(self.pose, vectors, strict=True)
        ]

    def bodies(self, body: BodyModel, camera: Camera) -> list[BodyParameters]:
        """Every person on ``body`` in front of the photo's pinhole camera, nothing refined.

        Betas of another body mean nothing to this one: then it keeps its mean shape. SMPL's pelvis and the open body's
        rest at the same place (to 4 mm), so that the weak-perspective camera holds for both.
        """
        if not len(self):
            return []
        betas = self.betas if self.betas_of == kind_of(body) else np.zeros_like(self.betas)
        joints = body.joints(betas, self.pose)
        origin = joints[:, HIP_JOINTS].mean(1, keepdims=True) if self.root_aligned else np.zeros((1, 1, 3), np.float32)
        transl = (translation(joints - origin, self.camera, self.square, camera) - origin[:, 0]).astype(np.float32)
        vectors = self.axis_angles()
        return [BodyParameters(betas[i], vectors[i, 0], vectors[i, 1:], transl[i]) for i in range(len(self))]


def kind_of(body: BodyModel) -> str:
    """Which body's betas it takes: "smpl" or "open_body"."""
    return SMPL if body.data.name.startswith("smpl") else OPEN_BODY


def torso_centers(people: Sequence[Person]) -> NDArray[np.float32]:
    """(P, 2) pixels: where the Mesh Predictor has been taught to see a person's centre."""
    landmarks = np.array([person.landmarks[TRUNK] for person in people], np.float32).reshape(-1, len(TRUNK), 3)
    seen = landmarks[..., 2:] > SEEN
    weight = np.where(seen.any(1, keepdims=True), seen, True)
    centers: NDArray[np.float32] = (landmarks[..., :2] * weight).sum(1) / weight.sum(1)
    return centers


def match_people(prediction: Prediction, people: Sequence[Person]) -> NDArray[np.int64]:
    """(P,) which predicted person each of ``people`` is, -1 for none; nobody is two people, and near centres win over
    all.
    """
    matches = np.full(len(people), -1, np.int64)
    if not len(prediction) or not people:
        return matches
    size = np.array([person.side for person in people], np.float32)
    apart = np.linalg.norm(torso_centers(people)[:, None] - prediction.center[None], axis=-1) / size[:, None]
    # A pair that is too far apart costs as much as none, so that it never takes a prediction from a pair that is near.
    rows, columns = linear_sum_assignment(np.minimum(apart, NEAR))
    near = apart[rows, columns] < NEAR
    matches[rows[near]] = columns[near]
    return matches


def fit_as_predicted(parameters: BodyParameters, person: Person, body: BodyModel, camera: Camera) -> Fit:
    """A predicted body as the result for ``person``, judged by the landmarks as a refined one is."""
    points = body.landmarks_of(parameters)
    points[:, 2] = np.maximum(points[:, 2], 1e-3)  # a prediction may reach behind the camera
    visible = person.landmarks[:, 2] > SEEN
    errors = np.linalg.norm(camera.project(points) - person.landmarks[:, :2], axis=-1)[visible] / max(person.side, 1.0)
    median, p95 = (float(np.percentile(errors, q)) for q in (50, 95)) if visible.any() else (1.0, 1.0)
    confidence = float(person.likelihood * person.landmarks[:, 2].mean() * np.exp(-((median / 0.03) ** 2)))
    return Fit(parameters, np.zeros((len(body.data.v_template), 3), np.float32), median, p95, confidence, NAME)
