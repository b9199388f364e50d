"""The people of a photo's result, whichever schema it has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .rig import whole_pose


def people_of(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A result's people, each with the arrays of its body.

    Schema 2 has the body once, under "body"; schema 1 had it with every person. Raises KeyError if the result has
    no people, TypeError or ValueError if they are not dictionaries.
    """
    body = result.get("body") or {}
    return [{**body, **person} for person in result["people"]]


def with_rig(person: Mapping[str, Any]) -> dict[str, Any]:
    """A person with the joints of the body's rig, fingers, jaw and eyes among them, in place of SMPL's 24.

    Nothing changes where the result has no rig: results of older backends, and SMPL's body. Raises KeyError, TypeError,
    ValueError or IndexError if the entries do not fit each other.
    """
    rig = person.get("rig")
    if rig is None:
        return dict(person)
    return {**person, **rig, "pose": whole_pose(np.asarray(person["pose"], np.float32), person)}
