"""The SMPL-format body: shape, pose, skinning, UV topology, measurements, fingers and face."""

from uvatar.body.data import (
    BODY,
    LEFT_EYE,
    RIGHT_EYE,
    BodyData,
    BodyError,
    ShapePrior,
    as_smpl_dict,
    load_body,
    save_body,
)
from uvatar.body.face import Face
from uvatar.body.measure import measure
from uvatar.body.model import BodyModel, BodyOutput, load_open_body
from uvatar.body.official import load_smpl
from uvatar.body.rig import Rig

__all__ = [
    "BODY",
    "LEFT_EYE",
    "RIGHT_EYE",
    "BodyData",
    "BodyError",
    "BodyModel",
    "BodyOutput",
    "Face",
    "Rig",
    "ShapePrior",
    "as_smpl_dict",
    "load_body",
    "load_open_body",
    "load_smpl",
    "measure",
    "save_body",
]
