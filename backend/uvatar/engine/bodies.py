"""The bodies of a photo's people: fitted to the photo, or as they were predicted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from uvatar.data.fit import Fit
from uvatar.data.progress import StageProgress
from uvatar.engine.detect import DetectedPeople
from uvatar.fitting.fitter import FitOptions, fit_people
from uvatar.mesh_predictor.prediction import SMPL, fit_as_predicted
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
    """Predictions and landmarks refined, or, without ``options.refine``, the predictions as they are.

    Args:
        betas: (10,) the shape where it is known already.

    Returns one `Fit` for each of the people, in order, without clothing.
    """
    if not options.refine:
        return _as_predicted(detected, engine, options, betas)
    starts = [[] if prediction is None else prediction.starts() for prediction in detected.predictions]
    typed = [None if height is None else height / 100 for height in heights_of(options.height)]
    typed += [None] * (len(detected.people) - len(typed))
    heights = [person.stature or height for person, height in zip(detected.people, typed, strict=False)]
    how = FitOptions(fast=options.fast, betas=betas, heights=heights)
    return fit_people(detected.people, detected.camera, engine.fitting, how, starts, report, gravity=detected.gravity)


def _as_predicted(
    detected: DetectedPeople, engine: Engine, options: Options, betas: NDArray[np.float32] | None
) -> list[Fit]:
    fits = []
    for person, prediction in zip(detected.people, detected.predictions, strict=True):
        assert prediction is not None  # `detect` has left the others out
        parameters = prediction.bodies(engine.body, detected.camera)[0]
        if prediction.betas_of == SMPL and (registration := engine.registration(options.body)) is not None:
            parameters = replace(parameters, betas=registration.source_betas(prediction.betas[0]))
        parameters = parameters if betas is None else replace(parameters, betas=betas)
        fits.append(fit_as_predicted(parameters, person, engine.body, detected.camera))
    return fits
