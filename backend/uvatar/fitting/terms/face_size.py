"""The size of the face: a child's is large beside the body, and nothing else in a photo tells ages as well."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvatar.data.camera import Camera
from uvatar.data.face import FACE_SCORE
from uvatar.data.landmarks import FACE
from uvatar.data.person import Person
from uvatar.fitting.chain import BETAS, UNKNOWNS
from uvatar.fitting.face.head import HeadPlace
from uvatar.fitting.observations import Observations
from uvatar.fitting.prepared import FaceShape
from uvatar.fitting.terms.base import PosedBodies, Residuals, Term, plain


@dataclass(frozen=True)
class FaceSizeSettings:
    """Tuned numbers of the face's size.

    Attributes:
        error: by how much the size of a face that is seen may differ from that of the body's, as a share: the face mesh
            errs by 0.015 on rendered people who look at the camera, people differ from the body model by more.
        too_large: by how much faces that are turned are seen too large, as a share, at (first row) degrees from the
            camera (second row), on rendered people.
        turned: degrees from the camera (counts fully up to, counts no more from).
    """

    error: float = 0.035
    too_large: tuple[tuple[float, float], tuple[float, float]] = ((0.0, 0.045), (35.0, 60.0))
    turned: tuple[float, float] = (50.0, 75.0)


DEFAULT_SETTINGS = FaceSizeSettings()


@dataclass(frozen=True)
class FaceSizeTerm(Term):
    """Logarithm of the size of the body's face in the photo by the size seen.

    Attributes:
        face: of the body model.
        seen: (B,) size of the face as the camera sees it, metres per metre of distance; 1 where it is unknown.
        weights: (B,) 0..1.
    """

    face: FaceShape
    seen: NDArray[np.float64]
    weights: NDArray[np.float64]
    settings: FaceSizeSettings

    @classmethod
    def of(cls, observed: Observations, settings: FaceSizeSettings = DEFAULT_SETTINGS) -> FaceSizeTerm | None:
        """A row for each person; None if no face is seen."""
        face = observed.model.face
        if face is None:
            return None
        found = np.array([_seen(person, observed.camera, face, settings) for person in observed.people])
        return cls(face, found[:, 0], found[:, 1], settings) if found[:, 1].any() else None

    def residuals(self, bodies: PosedBodies) -> Residuals:
        """One residual."""
        size, by_beta = self.face.size(bodies.state.betas)
        depth, whole = np.maximum(bodies.landmarks.positions[:, FACE, 2].mean(1), 0.1), bodies.landmark_jacobian
        values = np.log(size / depth / self.seen)[:, None]
        jacobian = None
        if whole is not None:
            jacobian = np.zeros((len(values), 1, UNKNOWNS))
            jacobian[:, 0, BETAS] = by_beta / size[:, None]
            jacobian[:, 0] -= whole[:, FACE, 2].mean(1) / depth[:, None]
        return plain(values, jacobian, np.sqrt(self.weights)[:, None] / self.settings.error)


def _seen(person: Person, camera: Camera, face: FaceShape, settings: FaceSizeSettings) -> tuple[float, float]:
    """The size of a face as the camera sees it, and how much that counts."""
    if person.face is None or person.face_depth is None or person.face_score <= FACE_SCORE:
        return 1.0, 0.0
    places = np.column_stack([person.face, person.face_depth])[face.index].astype(float)
    head = HeadPlace.between(face.template, places, np.ones(len(places)))
    turned = float(np.degrees(np.arccos(np.clip(-head.rotation[2, 2], -1, 1))))
    full, none = settings.turned
    weight = float(np.clip((none - turned) / (none - full), 0, 1))
    share, angles = settings.too_large
    size = head.scale * float(face.size(np.zeros((1, 10)))[0][0]) / (1 + float(np.interp(turned, angles, share)))
    return size / camera.focal, weight
