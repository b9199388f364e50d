"""The user's neutral SMPL body, in the official formats or in ROMP's packed format."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from uvatar.body import BodyError, BodyModel, load_smpl
from uvatar.body.official import body_from_arrays
from uvatar.mesh_predictor.romp_format import Regressors
from uvatar.runtime.networks import CheckpointError
from uvatar.runtime.torch_networks import require_torch
from uvatar.runtime.weights import SMPL_PACKED, smpl_path

if TYPE_CHECKING:
    from torch import Tensor

HELP = (
    "Download SMPL for Python (version 1.1.0) from smpl.is.tue.mpg.de and put "
    "basicmodel_neutral_lbs_10_207_0_v1.1.0.pkl "
    "or SMPL_NEUTRAL.pkl there unchanged."
)


def neutral_smpl(models: Path) -> BodyModel | None:
    """The neutral SMPL body in the folder ``models``, None if there is none.

    Raises BodyError if it cannot be used.
    """
    path = smpl_path(models)
    return None if path is None else load_neutral_smpl(path)


def load_neutral_smpl(path: Path) -> BodyModel:
    """The neutral SMPL body in a file, packed or official. Raises BodyError if it is missing or cannot be used."""
    if not path.is_file():
        raise BodyError(f"The SMPL file {path} does not exist. {HELP}")
    if path.suffix != ".pth":
        return load_smpl(path)
    packed = _packed(path)
    try:
        arrays = {
            key: packed[key].numpy() for key in ("v_template", "shapedirs", "J_regressor", "weights", "kintree_table")
        }
        # Packed, a row of posedirs is one number of the pose and faces are floats.
        arrays["posedirs"] = packed["posedirs"].numpy().T.reshape(-1, 3, 207)
        arrays["f"] = packed["f"].numpy().astype(np.int32)
        arrays["kintree_table"] = np.broadcast_to(arrays["kintree_table"].reshape(-1, 24)[:1], (2, 24))
        return BodyModel(body_from_arrays("smpl-neutral", arrays))
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise BodyError(f"{path.name} is not ROMP's packed SMPL body ({error}). {HELP}") from error


def packed_regressors(models: Path) -> Regressors | None:
    """The regressors of ROMP's further joints, where the user has the packed file.

    Raises BodyError if it cannot be used.
    """
    path = models / SMPL_PACKED
    if not path.is_file():
        return None
    packed = _packed(path)
    try:
        extra, h36m = packed["J_regressor_extra9"].numpy(), packed["J_regressor_h36m17"].numpy()
    except KeyError as error:
        raise BodyError(f"{path.name} lacks {error}. {HELP}") from error
    if extra.shape != (9, 6890) or h36m.shape != (17, 6890):
        raise BodyError(
            f"{path.name} has regressors of shapes {extra.shape} and {h36m.shape}, not (9, 6890) and (17, 6890). {HELP}"
        )
    return Regressors(extra.astype(np.float32), h36m.astype(np.float32))


def _packed(path: Path) -> Mapping[str, Tensor]:
    try:
        require_torch(path.name)
        from uvatar.mesh_predictor.networks.checkpoint import read_state_dict

        content = read_state_dict(path)
    except CheckpointError as error:
        raise BodyError(f"{error} {HELP}") from error
    return {name: tensor.to_dense() if tensor.is_sparse else tensor for name, tensor in content.items()}
