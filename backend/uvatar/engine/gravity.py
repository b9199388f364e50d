"""The vertical of a photo: its evidence, and the estimate once its people are fitted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from uvatar.data.camera import Camera
from uvatar.data.fit import Fit
from uvatar.data.gravity import Gravity, GravityEvidence
from uvatar.data.person import Person
from uvatar.data.photo import Photo
from uvatar.fitting.chain import State
from uvatar.fitting.gravity import stances_and_gravity
from uvatar.fitting.prepared import FittingModel
from uvatar.perception.vertical_lines import vertical_segments
from uvatar.protocol.levelling import pitch_and_roll


def gravity_evidence(photo: Photo, people: Sequence[Person]) -> GravityEvidence:
    """What a photo says about the vertical besides its people, all of whom are given."""
    roll = 0.0 if photo.up is None else pitch_and_roll(np.array(photo.up))[1]
    return GravityEvidence(vertical_segments(photo.pixels, people, roll), photo.up)


def photo_gravity(
    people: Sequence[Person], fits: Sequence[Fit], camera: Camera, evidence: GravityEvidence, model: FittingModel
) -> Gravity:
    """The vertical of a photo and its ground, from all that is known.

    Args:
        people: of the photo.
        fits: for each of them.
        camera: the photo's.
        evidence: what the photo says besides.
        model: the body that was fitted.
    """
    bodies = State.of([fit.body for fit in fits])
    return stances_and_gravity(people, bodies, camera, model, evidence)[1]
