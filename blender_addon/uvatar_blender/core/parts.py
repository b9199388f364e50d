# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of an avatar: checking them, and turning them into another rest pose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..protocol.parts import Part, parts_of
from .arrays import Floats
from .pictures import picture_size


def read_parts(person: Mapping[str, Any], joints: int, betas: int) -> tuple[Part, ...]:
    """Check the parts of a person of a result, and their pictures.

    Raises:
        ValueError: they are damaged; the message says what is wrong.
    """
    found = parts_of(person, joints, betas)
    for part in found:
        if part.texture:
            try:
                picture_size(part.texture)
            except ValueError as error:
                raise ValueError(f"the texture of the part {part.name} is {error}") from error
    return found


def turned_part(part: Part, mixing: Floats, whole: Floats, step: Floats, steps: Floats) -> Part:
    """Turn a part as the body is turned into another rest pose.

    Args:
        part: in the T pose.
        mixing: (V, J) skin weights of the part.
        whole: (J, 3, 3) rotations of the joints.
        step: (J, 3) translations of the joints of the person.
        steps: (J, 3, K) what each beta adds to them.
    """
    turn = (mixing @ whole.reshape(len(whole), 9).astype(np.float32)).reshape(-1, 3, 3)
    shapedirs, keys = part.shapedirs, part.keys
    if shapedirs is not None:
        shapedirs = turn @ shapedirs + (mixing @ steps.reshape(len(steps), -1)).reshape(shapedirs.shape)
    if keys is not None:
        keys = replace(keys, deltas=(turn[keys.vertices] @ keys.deltas[:, :, None])[:, :, 0])
    vertices = (turn @ part.vertices[:, :, None])[:, :, 0] + mixing @ step.astype(np.float32)
    return replace(part, vertices=vertices, shapedirs=shapedirs, keys=keys)
