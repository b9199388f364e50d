# SPDX-License-Identifier: GPL-3.0-or-later
"""Motion capture files in the BVH format. Only numpy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .motion import LONGEST, MotionError
from .skeleton import rotation_matrices

_MOST_BYTES = 500_000_000
_AXES = {"X": (1.0, 0.0, 0.0), "Y": (0.0, 1.0, 0.0), "Z": (0.0, 0.0, 1.0)}


@dataclass(frozen=True)
class Capture:
    """A captured skeleton in the file's own axes and units; N bones, F frames.

    Attributes:
        names: (N,) the bones; ``parents``: (N,) index, -1 for the root, parents first.
        rest: (N, 3) where the bones begin at rest, all their rotations being the identity.
        ends: (N, 3) where each bone ends at rest: its end site, else its first child, else where it begins.
        turned: (F, N, 3, 3) rotations against the world; ``places``: (F, N, 3).
        rate: frames per second.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    rest: NDArray[np.float64]
    ends: NDArray[np.float64]
    turned: NDArray[np.float64]
    places: NDArray[np.float64]
    rate: float


@dataclass
class _Bone:
    name: str
    parent: int
    offset: tuple[float, float, float]
    channels: list[str]
    end: tuple[float, float, float] | None = None


def load_bvh(path: Path) -> Capture:
    """Read a BVH file. Raises MotionError where it is none, OSError where it cannot be read.

    Only the root's place is animated: other bones keep their offsets, whatever position channels they have.
    """
    if path.stat().st_size > _MOST_BYTES:
        raise MotionError(f"{path.name} is too large for a BVH file.")
    try:
        head, separator, motion = path.read_text(encoding="utf-8", errors="replace").partition("MOTION")
        bones = _hierarchy(head.split())
        count, seconds, values = _frames(motion)
        width = sum(len(bone.channels) for bone in bones)
        if not separator or not bones or values.size != count * width:
            raise ValueError(f"it has {values.size} numbers, {count} frames of {width} channels need {count * width}")
    except (ValueError, IndexError, OverflowError) as error:
        raise MotionError(f"{path.name} is not a BVH file: {error}.") from error
    if not 1 <= count <= LONGEST or not 1e-3 <= seconds <= 1.0:
        raise MotionError(f"{path.name} has {count} frames of {seconds:g} seconds; 1 to {LONGEST} frames can be imported.")
    return _posed(bones, values.reshape(count, width), 1.0 / seconds)


def _hierarchy(tokens: list[str]) -> list[_Bone]:
    bones: list[_Bone] = []
    open_bones: list[int] = []
    index = 0
    while index < len(tokens):
        token = tokens[index]
        if token in ("ROOT", "JOINT"):
            bones.append(_Bone(tokens[index + 1], open_bones[-1] if open_bones else -1, (0.0, 0.0, 0.0), []))
            open_bones.append(len(bones) - 1)
            index += 2
        elif token == "End":  # "End Site { OFFSET x y z }"
            bones[open_bones[-1]].end = _three(tokens, index + 4)
            index = tokens.index("}", index) + 1
        elif token == "OFFSET":
            bones[open_bones[-1]].offset = _three(tokens, index + 1)
            index += 4
        elif token == "CHANNELS":
            number = int(tokens[index + 1])
            bones[open_bones[-1]].channels = [channel.lower() for channel in tokens[index + 2 : index + 2 + number]]
            index += 2 + number
        elif token == "}":
            open_bones.pop()
            index += 1
        else:  # HIERARCHY and opening brackets; names with spaces
            index += 1
    return bones


def _three(tokens: list[str], index: int) -> tuple[float, float, float]:
    return float(tokens[index]), float(tokens[index + 1]), float(tokens[index + 2])


def _frames(motion: str) -> tuple[int, float, NDArray[np.float64]]:
    frames, frame_time, numbers = motion.strip().split("\n", 2)
    values = np.array(numbers.split(), np.float64)
    if not np.isfinite(values).all():
        raise ValueError("not all of its numbers are finite")
    return int(frames.split(":")[1]), float(frame_time.split(":")[1]), values


def _posed(bones: list[_Bone], values: NDArray[np.float64], rate: float) -> Capture:
    offsets = np.array([bone.offset for bone in bones])
    parents = tuple(bone.parent for bone in bones)
    turned = np.empty((len(values), len(bones), 3, 3))
    places = np.empty((len(values), len(bones), 3))
    rest, column = np.empty((len(bones), 3)), 0
    for index, bone in enumerate(bones):
        local = np.broadcast_to(np.eye(3), (len(values), 3, 3))
        root = np.broadcast_to(offsets[index], (len(values), 3)).copy()
        for channel in bone.channels:
            axis, own = channel[0].upper(), values[:, column]
            if channel.endswith("rotation"):
                local = local @ rotation_matrices(np.radians(own)[:, None] * np.array(_AXES[axis]))
            elif channel.endswith("position") and bone.parent < 0:
                root[:, "XYZ".index(axis)] = own
            column += 1
        parent = bone.parent
        rest[index] = offsets[index] + (rest[parent] if parent >= 0 else 0)
        turned[:, index] = turned[:, parent] @ local if parent >= 0 else local
        places[:, index] = places[:, parent] + turned[:, parent] @ offsets[index] if parent >= 0 else root
    ends = rest.copy()
    for index, bone in enumerate(bones):
        child = next((other for other, parent in enumerate(parents) if parent == index), None)
        if bone.end is not None:
            ends[index] = rest[index] + bone.end
        elif child is not None:
            ends[index] = rest[child]
    return Capture(tuple(bone.name for bone in bones), parents, rest, ends, turned, places, rate)
