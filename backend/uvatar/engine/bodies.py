"""The bodies of a photo's people: fitted to the photo, or only predicted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from uvatar.data.camera import Camera
from uvatar.data.fit import BodyParameters, Fit
from uvatar.data.progress import StageProgress
from uvatar.engine.detect import DetectedPeople
from uvatar.fitting.blending import blended_bodies, starts_of
from uvatar.fitting.fitter import FitOptions, fit_people
from uvatar.mesh_predictor.prediction import SMPL, Prediction, fit_as_predicted
from uvatar.protocol.heights import heights_of
from uvatar.protocol.options import Options

if TYPE_CHECKING:
    from uvatar.engine.engine import Engine


def fit_bodies(
    detected: DetectedPeople,
    engine: Engine,
    options: Options,
    report: StageProgress,
    betas: NDArray[np.float32] | None = None,
) -> list[Fit]:
    """Predictions and landmarks refined, or, without ``options.refine``, the predictions: coarse ones blended with what
    the landmarks say, all others as they are.

    Args:
        betas: (10,) the shape where it is known already.

    Returns one `Fit` for each of the people, in order, without clothing.
    """
    if not options.refine:
        return _as_predicted(detected, engine, options, betas)
    starts = [
        [] if prediction is None else starts_of(prediction, [person], detected.camera, engine.fitting)
        for person, prediction in zip(detected.people, detected.predictions, strict=True)
    ]
    typed = [None if height is None else height / 100 for height in heights_of(options.height)]
    typed += [None] * (len(detected.people) - len(typed))
    heights = [person.stature or height for person, height in zip(detected.people, typed, strict=False)]
    how = FitOptions(fast=options.fast, betas=betas, heights=heights)
    return fit_people(detected.people, detected.camera, engine.fitting, how, starts, report, gravity=detected.gravity)


def _as_predicted(
    detected: DetectedPeople, engine: Engine, options: Options, betas: NDArray[np.float32] | None
) -> list[Fit]:
    predictions = [prediction for prediction in detected.predictions if prediction is not None]
    assert len(predictions) == len(detected.people)  # `detect` has left the others out
    bodies = [_predicted_body(prediction, detected.camera, engine, options) for prediction in predictions]
    if betas is not None:
        bodies = [replace(parameters, betas=betas) for parameters in bodies]
    if all(prediction.coarse for prediction in predictions):
        starts = [prediction.starts()[0] for prediction in predictions]
        bodies = blended_bodies(detected.people, starts, detected.camera, engine.fitting, betas) or bodies
    return [
        fit_as_predicted(parameters, person, engine.body, detected.camera)
        for parameters, person in zip(bodies, detected.people, strict=True)
    ]


def _predicted_body(prediction: Prediction, camera: Camera, engine: Engine, options: Options) -> BodyParameters:
    parameters = prediction.bodies(engine.body, camera)[0]
    if prediction.betas_of == SMPL and (registration := engine.registration(options.body)) is not None:
        return replace(parameters, betas=registration.source_betas(prediction.betas[0]))
    return parameters
