"""Contact: what bears weight rests on the ground, all of it at one height, and nothing reaches below it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.data.gravity import Gravity
from uvatar.fitting.chain import BodyPoints
from uvatar.fitting.observations import Observations
from uvatar.fitting.prepared import FittingModel
from uvatar.fitting.stance import ABOVE_SKIN, RESTING, Stance
from uvatar.fitting.terms.base import PosedBodies, Residuals, Stage, Term, robust


@dataclass(frozen=True)
class ContactSettings:
    """Tuned numbers of the contact term.

    They were chosen on people of `uvatar evaluate synthetic --split tuning`: soles that are flat on the ground are 1.4
    cm off it; with an error of 0.01 and a tilt of 1 they are 1.9, without the term 2.1. Raised heels and lifted feet
    are as high as without it.

    Attributes:
        error: metres by which what bears weight may be off the ground.
        width: metres above the ground up to which a point may bear weight; from twice as much it surely does not: it is
            lifted, and stays so. Also of the robust function.
        tilt: share of the vertical's error that counts: whoever sees the avatar sees it in a scene that is levelled as
            the estimate says.
        lowest: metres above the lowest point at which a point counts 1/e in finding where the ground is.
    """

    error: float = 0.005
    width: float = 0.04
    tilt: float = 0.3
    lowest: float = 0.02


DEFAULT_SETTINGS = ContactSettings()


@dataclass(frozen=True)
class ContactTerm(Term):
    """Heights above the ground, metres, of soles, knees, hands and seat.

    Attributes:
        points: soles, and the joints of what people rest on besides.
        ups: (B, 3) unit vectors against gravity, camera frame.
        grounds: (B,) how high the ground is under each body, metres along ``ups`` from the camera.
        weights: (B, P) 1 / metres squared; 0 until the vertical is known.
    """

    points: BodyPoints
    ups: NDArray[np.float64]
    grounds: NDArray[np.float64]
    weights: NDArray[np.float64]
    settings: ContactSettings

    @classmethod
    def of(cls, observed: Observations, settings: ContactSettings = DEFAULT_SETTINGS) -> ContactTerm:
        """A row for each person."""
        count, points = len(observed.people), _touching(observed.model)
        weights = np.zeros((count, len(points.template)))
        return cls(points, np.zeros((count, 3)), np.zeros(count), weights, settings)

    def at(self, stage: Stage) -> ContactTerm | None:
        """Of the last stage alone."""
        return self if stage is Stage.CLOSE else None

    def on_ground(self, stances: Sequence[Stance], gravity: Gravity) -> ContactTerm:
        """Where the ground is under each body, and which points bear weight.

        An error of the vertical moves points up or down the more, the farther they are from the others.
        """
        up, settings = np.array(gravity.up), self.settings
        places = np.stack([stance.touching for stance in stances])
        heights = places @ up - ABOVE_SKIN
        shares = np.exp((heights.min(1, keepdims=True) - heights) / settings.lowest)
        shares /= shares.sum(1, keepdims=True)
        away = places - (shares[..., None] * places).sum(1, keepdims=True)
        away = np.linalg.norm(away - (away @ up)[..., None] * up, axis=-1)
        sure = np.array([stance.tells * stance.legs_seen for stance in stances])[:, None]
        ground = (shares * heights).sum(1)
        bears = sure * np.clip(2 - (heights - ground[:, None]) / settings.width, 0, 1)
        weights = bears / (settings.error**2 + (settings.tilt * gravity.error * away) ** 2)
        ups = np.broadcast_to(up, self.ups.shape)
        return replace(self, ups=ups, grounds=ground, weights=weights)

    def residuals(self, bodies: PosedBodies) -> Residuals:
        """One residual of every point."""
        placed = bodies.posed.place(self.points)
        directions = np.broadcast_to(self.ups[:, None], placed.positions.shape)
        heights = (placed.positions * directions).sum(-1) - ABOVE_SKIN - self.grounds[:, None]
        jacobian = placed.derivative(directions)[:, :, None] if bodies.with_derivatives else None
        return robust(heights[..., None], jacobian, self.weights, self.settings.width)


def _touching(model: FittingModel) -> BodyPoints:
    """The points of the soles, then the joints `RESTING`."""
    skeleton, soles, joints = model.skeleton, model.soles, list(RESTING)
    parts: list[tuple[Floats, Floats]] = [
        (soles.template, skeleton.template[joints]),
        (soles.shapedirs, skeleton.shapedirs[joints]),
        (soles.weights, np.eye(len(skeleton.template))[joints]),
    ]
    return BodyPoints(*(np.concatenate(part) for part in parts))
