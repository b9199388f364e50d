"""The landmarks in the picture: where the body's landmarks project, against where perception sees them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.data.camera import Camera
from uvatar.data.landmarks import INDICES, PINKIES, THUMBS, WRISTS
from uvatar.data.person import Person
from uvatar.fitting.observations import Observations, inside_photo
from uvatar.fitting.terms.base import PosedBodies, Residuals, Stage, Term, project, robust


@dataclass(frozen=True)
class LandmarkSettings:
    """Tuned numbers of the landmark term. Lengths are fractions of the person's box side.

    Attributes:
        error: expected error of a landmark: BlazePose's median error on rendered people is 0.011 to 0.013.
        close_error: the same in the last stage, which follows the landmarks closely: lowered in steps from 0.004. What
            that brought is not recorded.
        width: of the robust function.
        search_width: the same in the first stage, wide so that a limb in the wrong place is still drawn. In the
            prototype of the fit two of 23 people lost a lower leg without such a stage, with it nobody.
        hidden_trust: weight of a landmark that lies on another person. How it was chosen is not recorded.
        trust: (33,) weight of each landmark beside the others, its visibility coming on top: the face is small, but
            seen sharply; fingers and hips are vague.
        pinned: what the weight of a landmark is multiplied by that somebody has put there by hand: so that the body
            comes to lie there whatever the other landmarks, the bones' directions and the prior say.
        seen_wrist: what the weight of a wrist is multiplied by once `PalmTerm` follows the hand model's; the fingers'
            is 0 then.
        nearest: least distance from the camera that a body is placed at, metres. How it was chosen is not recorded.
    """

    error: float = 0.012
    close_error: float = 0.0015
    width: float = 0.06
    search_width: float = 0.2
    hidden_trust: float = 0.3
    trust: tuple[float, ...] = (
        1.2, *[0.7] * 10,  # nose; eyes, ears, mouth
        *[0.8] * 2, *[1.0] * 4, *[0.6] * 6,  # shoulders; elbows and wrists; fingers
        *[0.8] * 2, *[1.0] * 4, *[0.7] * 2, *[1.0] * 2,  # hips; knees and ankles; heels; toes
    )  # fmt: skip
    pinned: float = 25.0
    seen_wrist: float = 0.3
    nearest: float = 0.5


DEFAULT_SETTINGS = LandmarkSettings()


@dataclass(frozen=True)
class LandmarkTerm(Term):
    """Distances of the projected landmarks from those seen, as fractions of the box side.

    Attributes:
        side: (B,) longer side of each person's box, pixels.
        pixels: (B, 33, 2) the landmarks seen.
        weights: (B, 33) 0 for unseen.
        late_weights: the same from the stage on in which the hand model's landmarks are followed.
    """

    side: NDArray[np.float64]
    pixels: NDArray[np.float64]
    weights: NDArray[np.float64]
    late_weights: NDArray[np.float64]
    error: float
    width: float
    settings: LandmarkSettings

    @classmethod
    def of(cls, observed: Observations, settings: LandmarkSettings = DEFAULT_SETTINGS) -> LandmarkTerm:
        """A row for each person."""
        people = zip(observed.people, observed.landmarks, strict=True)
        weights = np.stack([landmark_weights(person, points, observed.camera, settings) for person, points in people])
        late = weights.copy()
        for side in (0, 1):
            seen = observed.hand_seen[:, side]
            for finger in (PINKIES, INDICES, THUMBS):
                late[seen, finger[side]] = 0
            late[seen, WRISTS[side]] *= settings.seen_wrist
        pixels = observed.landmarks[..., :2]
        return cls(observed.side, pixels, weights, late, settings.error, settings.width, settings)

    def at(self, stage: Stage) -> LandmarkTerm:
        """Wide in the first stage, close in the last."""
        return replace(
            self,
            error=self.settings.close_error if stage is Stage.CLOSE else self.settings.error,
            width=self.settings.search_width if stage is Stage.SEARCH else self.settings.width,
            weights=self.late_weights if stage in (Stage.OUTLINE, Stage.CLOSE) else self.weights,
        )

    def residuals(self, bodies: PosedBodies) -> Residuals:
        """Two residuals, x and y, of every landmark."""
        pixels, by_point = project(bodies.landmarks.positions, bodies.camera)
        side = self.side[:, None, None]
        whole = bodies.landmark_jacobian
        jacobian = by_point @ whole / side[..., None] if whole is not None else None
        return robust((pixels - self.pixels) / side, jacobian, self.weights / self.error**2, self.width)

    def translations(self, points: Floats, camera: Camera) -> NDArray[np.float64]:
        """(B, 3) metres to add to landmarks (B, 33, 3) so that they project nearest to where they are seen.

        Linear in the rays' own equations.
        """
        ray = (self.pixels - np.asarray(camera.center)) / camera.focal
        weight = self.weights[..., None]
        # x + tx = ray_x (z + tz): rows (1, 0, -ray_x), right side ray_x z - x, and the same for y.
        right = ray * points[..., 2:] - points[..., :2]
        total = weight.sum(1)[:, 0]
        mean_ray, mean_right = (weight * ray).sum(1) / total[:, None], (weight * right).sum(1) / total[:, None]
        depth = -(weight * (ray - mean_ray[:, None]) * (right - mean_right[:, None])).sum((1, 2))
        depth = depth / np.maximum((weight * (ray - mean_ray[:, None]) ** 2).sum((1, 2)), 1e-12)
        depth = np.maximum(depth, self.settings.nearest)
        return np.concatenate([mean_right + mean_ray * depth[:, None], depth[:, None]], 1)


def landmark_weights(
    person: Person, landmarks: Floats, camera: Camera, settings: LandmarkSettings
) -> NDArray[np.float64]:
    """(33,) weights of image landmarks (33, 3): nothing outside the photo, little on top of another person."""
    weights: NDArray[np.float64] = np.array(settings.trust) * landmarks[:, 2] * inside_photo(landmarks, camera)
    on_others = _on(person.others, person.window, landmarks[:, :2])
    weights *= np.where(on_others, settings.hidden_trust, 1.0)
    pinned = list(person.pinned)
    weights[pinned] = settings.pinned * np.array(settings.trust)[pinned]
    return weights


def _on(mask: NDArray[np.uint8], window: tuple[int, int, int, int], points: Floats) -> NDArray[np.bool_]:
    """Whether the mask of the photo's ``window`` is set at (N, 2) pixels."""
    cell = np.floor(points - window[:2]).astype(int)
    inside = (cell >= 0).all(1) & (cell[:, 0] < mask.shape[1]) & (cell[:, 1] < mask.shape[0])
    cell = np.where(inside[:, None], cell, 0)
    is_set: NDArray[np.bool_] = inside & (mask[cell[:, 1], cell[:, 0]] > 127)
    return is_set
