"""A photo's people in the keys of ROMP's result files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from uvatar.body import BodyModel
from uvatar.data.fit import Fit
from uvatar.mesh_predictor.prediction import SMPL
from uvatar.mesh_predictor.romp_format import fitted_results, predicted_results
from uvatar.mesh_predictor.smpl_files import neutral_smpl, packed_regressors
from uvatar.results.result import PhotoResult


def romp_results(result: PhotoResult, fits: Sequence[Fit], body: BodyModel, models: Path) -> dict[str, Any]:
    """The people as ROMP's own arrays, and "body", the body that betas and vertices belong to.

    Args:
        result: where ROMP's own weights predicted SMPL bodies and the user's neutral SMPL file is there, its
            predictions; else the bodies of the result.
        fits: of the result's people, on ``body``.
        models: folder of the user's model files.

    Raises BodyError if the user's SMPL file cannot be used.
    """
    everybody = result.prediction
    if everybody is not None and everybody.betas_of == SMPL and (smpl := neutral_smpl(models)) is not None:
        return {"body": smpl.data.name, **predicted_results(everybody, smpl, packed_regressors(models))}
    return {
        "body": body.data.name,
        **fitted_results([(fit.body, fit.confidence) for fit in fits], body, result.camera),
    }
