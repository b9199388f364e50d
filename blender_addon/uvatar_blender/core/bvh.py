# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading motion capture files in the BVH format, in the dialects that programs write."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .arrays import Floats
from .motion import LONGEST, MotionError
from .naming import match_joints
from .skeleton import rotation_matrices

_MOST_BYTES = 500_000_000
_MOST_BONES = 2000
_MOST_WORDS = 50  # of a bone's name
_MOST_CHANNELS = 9  # of a bone: positions, rotations, scales
_MOST_POSES = 6_000_000  # bones times frames: 0.6 GB; half an hour at 120 frames a second of the bones of an avatar
_FARTHEST = 1e6  # in whatever unit the file has; ten kilometres in centimetres
_AXES = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}
_CHANNEL = re.compile(r"([xyz])(rotation|position|translation|scale)")
_NUMBER = r"[-+]?\d*[.,]?\d+(?:[eE][-+]?\d+)?"
_MOTION = re.compile(r"(?im)^[ \t]*MOTION\b")
_HEAD = re.compile(rf"(?i)\s*Frames\s*:?\s*(\d+)\s+Frame[ \t]*Time\s*:?\s*({_NUMBER})[ \t]*")
_RATE = 30.0  # frames per second if the file's frame time is 0
_NO_DELTA = 0.05  # positions that stay below this share of the offset in all frames are added to it


@dataclass(frozen=True)
class Capture:
    """A captured skeleton in the file's own axes and units; N bones, F frames.

    Attributes:
        names: (N,) names of the bones.
        parents: (N,) index of each bone's parent, -1 for the root; parents come first.
        rest: (N, 3) heads of the bones at rest, where all rotations are the identity.
        ends: (N, 3) tails of the bones at rest: the end site, or else the first child, or else the head.
        turned: (F, N, 3, 3) rotations relative to the world.
        places: (F, N, 3) positions of the heads.
        rate: frames per second.
        notes: sentences about what had to be assumed.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    rest: NDArray[np.float64]
    ends: NDArray[np.float64]
    turned: NDArray[np.float64]
    places: NDArray[np.float64]
    rate: float
    notes: tuple[str, ...] = ()


@dataclass
class _Bone:
    name: str
    parent: int
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    channels: list[str] = field(default_factory=list)
    end: tuple[float, float, float] | None = None


def load_bvh(path: Path) -> Capture:
    """Read a BVH file.

    Accepted are any channel order, blank lines, tabs, names with spaces, END SITE in any case or missing, decimal
    commas and byte order marks. Of a skeleton that is recognised as a person's only the bones that move an avatar, and
    those above them, are kept.

    Raises:
        MotionError: it is not a BVH file that can be used.
        OSError: the file cannot be opened.
    """
    if path.stat().st_size > _MOST_BYTES:
        raise MotionError(f"{path.name} is too large for a BVH file; cut it into several clips.")
    try:
        text = _text(path.read_bytes())
        start = _MOTION.search(text)
        if start is None:
            raise ValueError("it has no MOTION line")
        bones = _hierarchy(text[: start.start()])
        values, rate, notes = _frames(text[start.end() :], sum(len(bone.channels) for bone in bones))
        return _posed(bones, values, rate, notes)
    except (ValueError, IndexError, OverflowError) as error:
        raise MotionError(f"{path.name} cannot be read as a BVH file: {error}.") from error
    except MemoryError as error:
        raise MotionError(f"{path.name} is too large for this computer's memory; cut it into several clips.") from error


def _text(raw: bytes) -> str:
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = raw.decode("utf-16", errors="replace")
    else:
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = raw.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _hierarchy(text: str) -> list[_Bone]:
    """Parse the hierarchy into bones, in the file's order."""
    tokens = re.findall(r"[{}]|[^\s{}]+", text)
    bones: list[_Bone] = []
    open_bones: list[int | None] = []  # numbers of bones; None for an end site
    index = 0
    while index < len(tokens):
        word = tokens[index].upper()
        if word in ("ROOT", "JOINT", "END"):
            index = _opened(tokens, index, bones, open_bones)
        elif word == "}":
            if not open_bones:
                raise ValueError("it closes more brackets than it opens")
            open_bones.pop()
            index += 1
        elif word == "OFFSET":
            _set_offset(_three(tokens, index + 1), bones, open_bones)
            index += 4
        elif word == "CHANNELS":
            if not open_bones or open_bones[-1] is None:
                raise ValueError("it has channels that belong to no bone")
            bones[open_bones[-1]].channels = _channels(tokens, index + 1)
            index += 2 + len(bones[open_bones[-1]].channels)
        else:  # HIERARCHY, and words that all readers ignore
            index += 1
    if not bones:
        raise ValueError("it has no bones")
    _name_once(bones)
    return bones


def _opened(tokens: list[str], index: int, bones: list[_Bone], open_bones: list[int | None]) -> int:
    """Add the bone or end site whose keyword is at ``index``, and return the index of the first token in its block."""
    brace = next((k for k in range(index + 1, min(index + _MOST_WORDS, len(tokens))) if tokens[k] == "{"), None)
    if brace is None:
        raise ValueError(f"{tokens[index]} is not followed by a name and a bracket")
    if tokens[index].upper() == "END":
        open_bones.append(None)
        return brace + 1
    if len(bones) == _MOST_BONES:
        raise ValueError(f"it has more than {_MOST_BONES} bones")
    parent = open_bones[-1] if open_bones else -1
    if parent is None:
        raise ValueError("an end site contains a joint")
    open_bones.append(len(bones))
    bones.append(_Bone(" ".join(tokens[index + 1 : brace]) or f"bone {len(bones)}", parent))
    return brace + 1


def _set_offset(offset: tuple[float, float, float], bones: list[_Bone], open_bones: list[int | None]) -> None:
    """Set the offset of the innermost open block: a bone's own, or for an end site the end of the bone around it."""
    if not open_bones:
        raise ValueError("it has an offset that belongs to no bone")
    inner, outer = open_bones[-1], open_bones[-2] if len(open_bones) > 1 else None
    if inner is not None:
        bones[inner].offset = offset
    elif outer is not None:
        bones[outer].end = offset


def _channels(tokens: list[str], index: int) -> list[str]:
    count = int(tokens[index])
    if not 0 <= count <= _MOST_CHANNELS:
        raise ValueError(f"a bone has {count} channels")
    channels = [channel.lower() for channel in tokens[index + 1 : index + 1 + count]]
    if len(channels) < count:
        raise ValueError("a bone's channels are truncated")
    unknown = next((channel for channel in channels if not _CHANNEL.fullmatch(channel)), None)
    if unknown is not None:
        raise ValueError(f"a bone has an unknown channel {unknown[:40]!r}")
    return channels


def _name_once(bones: list[_Bone]) -> None:
    """Make the names unique: files of two people have the same names twice."""
    seen: set[str] = set()
    for index, bone in enumerate(bones):
        if bone.name in seen:
            bone.name = f"{bone.name} #{index}"
        seen.add(bone.name)


def _three(tokens: list[str], index: int) -> tuple[float, float, float]:
    """Parse three numbers, which may have decimal commas or be followed by a comma."""
    if len(tokens) < index + 3:
        raise ValueError("an offset is truncated")
    x, y, z = (float(token.rstrip(",;").replace(",", ".")) for token in tokens[index : index + 3])
    if not all(abs(value) < _FARTHEST for value in (x, y, z)):
        raise ValueError(f"a bone has the implausible offset {x:g}, {y:g}, {z:g}")
    return x, y, z


def _frames(text: str, width: int) -> tuple[NDArray[np.float64], float, tuple[str, ...]]:
    """Parse the motion: channels (F, width), frames per second, and notes."""
    head = _HEAD.match(text)
    if head is None:
        raise ValueError("the number of frames and the frame time are missing after MOTION")
    promised, seconds = int(head[1]), float(head[2].replace(",", "."))
    if promised > LONGEST:
        raise ValueError(f"it has {promised} frames; only 1 to {LONGEST} can be imported")
    values = _numbers(text[head.end() :])
    if width == 0:
        raise ValueError("none of its bones has channels")
    notes: tuple[str, ...] = ()
    count = len(values) // width
    if not 1 <= count <= LONGEST:
        raise ValueError(f"it has {count} frames; only 1 to {LONGEST} can be imported")
    if values.size != promised * width:
        rows = [len(line.split()) for line in text[head.end() :].strip().split("\n")]
        if {*rows[:-1]} - {0, width} or rows[-1] > width:
            raise ValueError(
                f"it has {values.size} numbers, but {promised} frames of {width} channels need {promised * width}"
            )
        notes += (f"The file announces {promised} frames but has {count}.",)
    if 0 < seconds < 1e-3 or seconds > 1:
        raise ValueError(f"its frame time is {seconds:g} seconds; only 0.001 to 1 second can be imported")
    rate = 1 / seconds if seconds > 0 else _RATE
    if seconds <= 0 and count > 1:
        notes += (f"The file does not state its frame rate; {rate:g} frames per second are assumed.",)
    return values[: count * width].reshape(count, width), rate, notes


def _numbers(text: str) -> NDArray[np.float64]:
    if "," in text:  # decimal commas, or separators between numbers with decimal points
        text = text.replace(",", " " if "." in text else ".")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # numpy only warns about text that is not a number
        try:
            values = np.fromstring(text, np.float64, sep=" ")
        except DeprecationWarning as error:
            raise ValueError("not all of its frames are numbers") from error
    if not (np.abs(values) < _FARTHEST).all():
        raise ValueError("not all of its numbers are finite")
    return values


def _posed(bones: list[_Bone], values: NDArray[np.float64], rate: float, notes: tuple[str, ...]) -> Capture:
    columns = np.cumsum([0, *(len(bone.channels) for bone in bones)])
    kept = _that_matter(bones)
    if len(kept) * len(values) > _MOST_POSES:
        raise ValueError(
            f"{len(values)} frames of {len(kept)} bones are more than can be imported; cut it into several clips"
        )
    number = {bone: index for index, bone in enumerate(kept)}
    parents = tuple(number.get(bones[bone].parent, -1) for bone in kept)
    turned = np.empty((len(values), len(kept), 3, 3))
    places, rest = np.empty((len(values), len(kept), 3)), np.empty((len(kept), 3))
    for index, (old, parent) in enumerate(zip(kept, parents, strict=True)):
        bone, own = bones[old], values[:, columns[old] : columns[old + 1]]
        local, away = _local(bone, own)
        rest[index] = np.array(bone.offset) + (rest[parent] if parent >= 0 else 0)
        turned[:, index] = turned[:, parent] @ local if parent >= 0 else local
        places[:, index] = places[:, parent] + np.einsum("fab,fb->fa", turned[:, parent], away) if parent >= 0 else away
    return Capture(
        tuple(bones[bone].name for bone in kept), parents, rest, _ends(bones, kept, rest), turned, places, rate, notes
    )


def _local(bone: _Bone, values: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return rotations (F, 3, 3) and positions (F, 3) of a bone relative to its parent.

    Position channels replace the offset, whichever bone has them.
    """
    rotation = np.broadcast_to(np.eye(3), (len(values), 3, 3))
    offset = np.array(bone.offset)
    away = np.broadcast_to(offset, (len(values), 3)).copy()
    for column, channel in enumerate(bone.channels):
        axis, own = channel[0], values[:, column]
        if channel.endswith("rotation"):
            rotation = rotation @ rotation_matrices(np.radians(own)[:, None] * np.array(_AXES[axis]))
        elif not channel.endswith("scale"):
            away[:, "xyz".index(axis)] = own
    if bone.parent >= 0 and np.abs(away).max() <= _NO_DELTA * np.abs(offset).max():
        away = away + offset  # some programs write the distance from the offset, which is nearly zero
    return rotation, away


def _that_matter(bones: list[_Bone]) -> list[int]:
    """Return the bones that move an avatar, and those above them; all bones if the skeleton is not recognised."""
    names = [bone.name for bone in bones]
    parents = {bone.name: names[bone.parent] if bone.parent >= 0 else None for bone in bones}
    found = match_joints(names, parents).values()
    if len(found) < 8:
        return list(range(len(bones)))
    kept: set[int] = set()
    for name in found:
        bone = names.index(name)
        while bone >= 0 and bone not in kept:
            kept.add(bone)
            bone = bones[bone].parent
    return sorted(kept)


def _ends(bones: list[_Bone], kept: Sequence[int], rest: Floats) -> NDArray[np.float64]:
    first_child: dict[int, int] = {}
    for index, bone in enumerate(bones):
        first_child.setdefault(bone.parent, index)
    ends = rest.copy()
    for index, old in enumerate(kept):
        end = bones[old].end
        if end is None and old in first_child:
            end = bones[first_child[old]].offset
        if end is not None:
            ends[index] += np.array(end)
    return ends
