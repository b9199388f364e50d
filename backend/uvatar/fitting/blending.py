"""The light Mesh Predictor's pose and the pose lifter's as one: a start of the fit, or what a body is like without it.

The light Mesh Predictor sees the whole picture, but coarsely; the pose lifter knows where the joints are in it, and
less of their depth. On rendered people the mean of both is nearer to the truth than either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.data.camera import Camera
from uvatar.data.fit import BodyParameters
from uvatar.data.joints import PARENTS, POSED_JOINTS
from uvatar.data.person import Person
from uvatar.data.start import Start
from uvatar.fitting.chain import TRANSL, State
from uvatar.fitting.lifter import Lifted
from uvatar.fitting.objective import Objective
from uvatar.fitting.observations import Observations
from uvatar.fitting.parameters import parameters_of
from uvatar.fitting.prepared import FittingModel
from uvatar.fitting.solver import minimise, only
from uvatar.fitting.terms import LandmarkTerm
from uvatar.fitting.terms.base import Stage
from uvatar.geometry import rotations
from uvatar.mesh_predictor.prediction import Prediction


@dataclass(frozen=True)
class BlendSettings:
    """Tuned numbers of the blend.

    Attributes:
        share: of the other predictor in the mean, 0..1. On 424 rendered people of the training set the mean error of
            the joints is least with 0.15: 11.1 cm, 11.3 with the lifter alone and 14.5 with the light Mesh Predictor
            alone.
        place_steps: of the solver, to put a body where its landmarks are seen; more change nothing.
    """

    share: float = 0.15
    place_steps: int = 6


DEFAULT_SETTINGS = BlendSettings()


def blended(lifted: Lifted, start: Start, settings: BlendSettings = DEFAULT_SETTINGS) -> Lifted:
    """What the lifter says of a person, its rotations drawn towards another predictor's.

    The rotations relative to the camera are averaged, not those relative to the parents: an arm stays where the lifter
    sees it, however the trunk is turned.
    """
    seen, predicted = _to_camera(lifted.orient, lifted.pose), _to_camera(start.orient, start.pose)
    mean = rotations.nearest((1 - settings.share) * seen + settings.share * predicted)
    local = [mean[PARENTS[k]].T @ mean[k] for k in range(1, POSED_JOINTS)]
    return replace(lifted, orient=mean[0], pose=rotations.log(np.stack(local)))


def _to_camera(orient: Floats, pose: Floats) -> NDArray[np.float64]:
    """(22, 3, 3) rotations relative to the camera of a pelvis (3, 3) and joints' axis-angles (21, 3)."""
    turned = [np.asarray(orient, np.float64)]
    for k, local in enumerate(rotations.exp(np.asarray(pose, np.float64)), start=1):
        turned.append(turned[PARENTS[k]] @ local)
    return np.stack(turned)


def starts_of(
    prediction: Prediction,
    people: Sequence[Person],
    camera: Camera,
    model: FittingModel,
    settings: BlendSettings = DEFAULT_SETTINGS,
) -> list[Start]:
    """The start that a prediction is for each of the people: a coarse one's is blended with what the lifter says."""
    starts = prediction.starts()
    if not prediction.coarse or model.lifter is None:
        return starts
    each = [
        blended(model.lifter.lift(person, camera), start, settings)
        for person, start in zip(people, starts, strict=True)
    ]
    return [Start(start.name, one.orient, one.pose) for start, one in zip(starts, each, strict=True)]


def blended_bodies(
    people: Sequence[Person],
    starts: Sequence[Start],
    camera: Camera,
    model: FittingModel,
    betas: NDArray[np.float32] | None = None,
    settings: BlendSettings = DEFAULT_SETTINGS,
) -> list[BodyParameters]:
    """A body for each of the people, of its start and of what the model's lifter says, where its landmarks are seen.
    Nothing but its place is fitted.

    Args:
        people: what perception found.
        starts: another predictor's pose of each.
        camera: the photo's.
        model: the body.
        betas: (10,) the shape where it is known already; else it is the lifter's.
        settings: tuned numbers.

    Returns:
        a body for each of the people; none if the model has no lifter.
    """
    observed = Observations.of(people, camera, model, silhouette=False)
    each = [blended(lifted, start, settings) for lifted, start in zip(observed.lifted, starts, strict=False)]
    if not each:
        return []
    shapes = np.stack([one.betas if betas is None else betas.astype(float) for one in each])
    term = LandmarkTerm.of(observed).at(Stage.SEARCH)
    objective = Objective(camera, model, [term])
    orient, pose = (np.stack([getattr(one, name) for one in each]) for name in ("orient", "pose"))
    state = State(orient, pose, shapes, np.zeros((len(each), 3)))
    state = replace(state, transl=term.translations(objective.bodies(state).landmarks.positions, camera))
    # The closed form takes what is wrong with the pose for nearness; the solver does not.
    state, _, _ = minimise(objective, state, settings.place_steps, free=only(TRANSL))
    return parameters_of(state, observed)
