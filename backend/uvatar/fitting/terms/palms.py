"""The palms: where the hand model says that they point, and where it sees wrists and knuckles in the picture."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from uvatar.data.hands import HandLandmark
from uvatar.data.joints import WRIST_JOINTS
from uvatar.fitting.chain import POSED, UNKNOWNS, BodyPoints
from uvatar.fitting.hands import DEFAULT_GATE, GateSettings, chosen_candidate
from uvatar.fitting.observations import Observations
from uvatar.fitting.terms.base import PosedBodies, Residuals, Stage, Term, project, robust
from uvatar.geometry import rotations

_SEEN = [HandLandmark.WRIST, HandLandmark.INDEX_MCP, HandLandmark.PINKY_MCP]
_REFUSED = -1


@dataclass(frozen=True)
class PalmSettings:
    """Tuned numbers of the palms' term.

    Attributes:
        error: expected error of a palm's rotation, radians.
        held_error: the same of a palm that is not seen, in the last stage, which keeps what was found.
        width: of the robust function of the rotation, radians.
        pixel_error, close_pixel_error: expected error of wrist and knuckles in the picture, as fractions of the
            person's box side; the second in the last stage.
        pixel_width: of the robust function of these.
    """

    error: float = 0.12
    held_error: float = 0.05
    width: float = 1.5
    pixel_error: float = 0.012
    close_pixel_error: float = 0.003
    pixel_width: float = 0.06


DEFAULT_SETTINGS = PalmSettings()


@dataclass(frozen=True)
class PalmTerm(Term):
    """Differences of the wrists' rotations from the palms', and of wrists and knuckles in the picture.

    Attributes:
        points: wrist and knuckles of index and little finger, left then right.
        palms: (B, 2, 2, 3, 3) for the left and the right hand two candidates.
        reversible: (B, 2) whether the second one explains the landmarks about as well.
        target: (B, 2, 3, 3) the palms that the wrists are drawn to.
        trust: (B, 2) 0 for hands that are not seen.
        chosen: (B, 2) which candidate, or -1.
        kept: (B, 2) whether a palm that is not believed stays as it is.
        pixels: (B, 6, 2) where ``points`` are seen.
        side: (B,) longer side of each person's box, pixels.
        pixel_error: fraction of the box side.
    """

    points: BodyPoints
    palms: NDArray[np.float64]
    reversible: NDArray[np.bool_]
    target: NDArray[np.float64]
    trust: NDArray[np.float64]
    chosen: NDArray[np.int64]
    kept: NDArray[np.bool_]
    pixels: NDArray[np.float64]
    side: NDArray[np.float64]
    pixel_error: float
    settings: PalmSettings
    gate: GateSettings

    @classmethod
    def of(
        cls, observed: Observations, settings: PalmSettings = DEFAULT_SETTINGS, gate: GateSettings = DEFAULT_GATE
    ) -> PalmTerm | None:
        """A row for each person; None where the body has no fingers."""
        points = observed.model.palms
        if points is None:
            return None
        count = len(observed.people)
        palms = np.tile(np.eye(3), (count, 2, 2, 1, 1))
        reversible = np.zeros((count, 2), bool)
        trust, pixels = np.zeros((count, 2)), np.zeros((count, 2, len(_SEEN), 2))
        for number, hands in enumerate(observed.hands):
            for side, seen in enumerate(hands):
                if seen is not None:
                    palms[number, side], trust[number, side] = seen.palms, seen.hand.score
                    reversible[number, side] = seen.reversible
                    pixels[number, side] = seen.hand.points[_SEEN]
        return cls(
            points,
            palms,
            reversible,
            palms[:, :, 0],
            trust,
            np.full((count, 2), _REFUSED),
            np.zeros((count, 2), bool),
            pixels.reshape(count, -1, 2),
            observed.side,
            settings.pixel_error,
            settings,
            gate,
        )

    def at(self, stage: Stage) -> PalmTerm | None:
        """Not before the arms are in place: they tell which side of a hand is seen."""
        if stage in (Stage.SEARCH, Stage.LANDMARKS):
            return None
        return replace(
            self,
            pixel_error=self.settings.close_pixel_error if stage is Stage.CLOSE else self.settings.pixel_error,
        )

    def paired(self, bodies: PosedBodies) -> PalmTerm:
        """Each hand with the candidate that its wrist can take."""
        wrists, forearms = bodies.posed.rotations[:, WRIST_JOINTS], bodies.posed.forearms
        chosen, target = self.chosen.copy(), self.target.copy()
        for row, side in zip(*np.nonzero((self.trust > 0) & ~self.kept), strict=True):
            palms, reversible = self.palms[row, side], bool(self.reversible[row, side])
            candidate = chosen_candidate(palms, reversible, wrists[row, side], forearms[row, side], self.gate)
            chosen[row, side] = _REFUSED if candidate is None else candidate
            if candidate is not None:
                target[row, side] = self.palms[row, side, candidate]
        return replace(self, chosen=chosen, target=target)

    def held(self, bodies: PosedBodies) -> PalmTerm:
        """Palms that are not believed stay as they are."""
        paired = self.paired(bodies)
        kept = paired.chosen == _REFUSED
        wrists = bodies.posed.rotations[:, WRIST_JOINTS]
        return replace(paired, kept=kept, target=np.where(kept[..., None, None], wrists, paired.target))

    def residuals(self, bodies: PosedBodies) -> Residuals:
        """Nine residuals of each palm, two of each point."""
        turned, placed = self._rotations(bodies), self._places(bodies)
        jacobian = None
        if turned.jacobian is not None and placed.jacobian is not None:
            jacobian = np.concatenate([turned.jacobian, placed.jacobian], 1)
        return Residuals(
            np.concatenate([turned.values, placed.values], 1),
            jacobian,
            np.concatenate([turned.scale, placed.scale], 1),
            turned.cost + placed.cost,
        )

    def _rotations(self, bodies: PosedBodies) -> Residuals:
        posed = bodies.posed
        wrists = posed.rotations[:, WRIST_JOINTS]
        count = len(wrists)
        # Over the root of 2 the entries' difference is twice the sine of half the angle between the rotations.
        columns = wrists.swapaxes(-1, -2) / np.sqrt(2)
        values = columns - self.target.swapaxes(-1, -2) / np.sqrt(2)
        jacobian = None
        if bodies.with_derivatives:
            below = posed.skeleton.ancestors[WRIST_JOINTS, :POSED]
            turning = posed.axes[:, None] * below[..., None, None]  # (B, 2, 22, 3, 3)
            by_pose = np.einsum("bsckl,bsjlm->bsckjm", -rotations.skew(columns), turning, optimize=True)
            jacobian = np.zeros((count, 2, 9, UNKNOWNS))
            jacobian[..., : POSED * 3] = by_pose.reshape(count, 2, 9, -1)
        weights = np.where(self.chosen == _REFUSED, 0.0, self.trust) / self.settings.error**2
        weights = np.where(self.kept, 1 / self.settings.held_error**2, weights)
        return robust(values.reshape(count, 2, 9), jacobian, weights, self.settings.width)

    def _places(self, bodies: PosedBodies) -> Residuals:
        placed = bodies.posed.place(self.points)
        pixels, by_point = project(placed.positions, bodies.camera)
        side = self.side[:, None, None]
        jacobian = by_point @ placed.derivative() / side[..., None] if bodies.with_derivatives else None
        weights = np.repeat(self.trust[..., None], len(_SEEN), 2)
        weights[..., 1:] *= (self.chosen != _REFUSED)[..., None]  # the knuckles' place depends on the palm
        weights = weights.reshape(len(pixels), -1)
        return robust((pixels - self.pixels) / side, jacobian, weights / self.pixel_error**2, self.settings.pixel_width)
