"""Reading people out of a JSON file with the places of their joints in space: a door for any estimator.

Anny's and MHR's parameters, and those of other bodies, mean something to their own models only; the places of joints
mean the same everywhere. Whoever has such a model lets it place its joints, and writes them (docs/mesh-predictor.md).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uvatar.body import load_open_body
from uvatar.data.arrays import Floats
from uvatar.data.landmarks import (
    ANKLES,
    EARS,
    ELBOWS,
    FACE,
    HEELS,
    HIPS,
    INDICES,
    KNEES,
    LANDMARK_NAMES,
    PINKIES,
    SHOULDERS,
    THUMBS,
    TOES,
    TRUNK,
    WRISTS,
    Landmark,
)
from uvatar.fitting.starts import landmark_start
from uvatar.geometry import rotations
from uvatar.geometry.mesh import unit
from uvatar.mesh_predictor.prediction import OPEN_BODY
from uvatar.mesh_predictor.result_file import PHOTO, GivenPeople, ResultFileError
from uvatar.protocol.given_people import MOST_GIVEN

NEEDED = [*SHOULDERS, *ELBOWS, *WRISTS, *HIPS, *KNEES, *ANKLES]
MOST_BYTES = 5_000_000
NEAREST, FARTHEST = 0.2, 1000.0  # metres
_LARGEST = 1e5  # pixels, of pictures and focal lengths


def people_of_joints(path: Path) -> GivenPeople:
    """The people of a photo whose joints a file places in the camera's frame.

    Raises ResultFileError: the file does not exist, is too large, is not JSON or lacks what is needed.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ResultFileError(f"{path.name} is larger than {MOST_BYTES / 1e6:.0f} MB, too large for joints.")
        content = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ResultFileError(f"The file {path} cannot be read ({error.strerror}). Check the path.") from error
    except (ValueError, RecursionError) as error:
        raise ResultFileError(f"{path.name} is not JSON ({error}). Create it again.") from error
    try:
        return _people(content)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ResultFileError(
            f"{path.name} cannot be used: {error}. See docs/mesh-predictor.md for what it needs."
        ) from error


def _people(content: Any) -> GivenPeople:
    width, height = _numbers(content["img_size"], 2, 1, _LARGEST, "img_size")
    (focal,) = _numbers([content["focal_length"]], 1, 1, _LARGEST, "focal_length")
    people = content["people"]
    if not isinstance(people, list) or not 0 < len(people) <= MOST_GIVEN:
        raise ValueError(f"its people are not a list of 1 to {MOST_GIVEN}")
    data = load_open_body().data
    rest = data.landmark_template.astype(float)
    # The body's origin beside the middle of its hips, which its pose turns about the pelvis.
    pelvis = data.joint_template[0].astype(float)
    scale = 2 * focal / max(width, height)
    rows = []
    for number, person in enumerate(people, 1):
        points = _landmarks(person["joints"], rest, number)
        start = landmark_start(points, rest)
        pose = np.concatenate([rotations.log(start.orient)[None], start.pose, np.zeros((2, 3))])
        hips = points[HIPS].mean(0)
        origin = hips - pelvis - start.orient @ (rest[HIPS].mean(0) - pelvis)
        size = scale / hips[2]
        middle = points[TRUNK]
        seen = (middle[:, :2] / middle[:, 2:]).mean(0) * focal + [width / 2, height / 2]
        (score,) = _numbers([person.get("confidence", 1.0)], 1, 0, 1, "confidence")
        rows.append((pose.ravel(), np.array([size, *(size * origin[:2])]), np.zeros(10), np.array([score]), seen))
    thetas, camera, betas, confidence, center = (
        np.stack(column).astype(np.float32) for column in zip(*rows, strict=True)
    )
    return GivenPeople(thetas, camera, betas, confidence, center, OPEN_BODY, PHOTO)


def _landmarks(joints: Mapping[str, Any], rest: Floats, number: int) -> NDArray[np.float64]:
    """(33, 3) metres, camera frame: the joints that are given, and the others as they are on a body at rest (33, 3)."""
    known = np.zeros(len(LANDMARK_NAMES), bool)
    points = np.zeros((len(LANDMARK_NAMES), 3))
    for name, place in joints.items():
        if name not in LANDMARK_NAMES:
            raise ValueError(f"{name} is not the name of a joint")
        index = LANDMARK_NAMES.index(name)
        points[index] = _numbers(place, 3, -FARTHEST, FARTHEST, f"{name} of person {number}")
        known[index] = True
    missing = [LANDMARK_NAMES[joint] for joint in NEEDED if not known[joint]]
    if missing:
        raise ValueError(f"person {number} lacks {', '.join(missing)}")
    if (points[known, 2] < NEAREST).any():
        raise ValueError(f"person {number} is behind the camera or in it: z is how far ahead a joint is, in metres")
    across, up = (points[pair[0]] - points[pair[1]] for pair in (SHOULDERS, (SHOULDERS[0], HIPS[0])))
    trunk = _turn(rest[SHOULDERS[0]] - rest[SHOULDERS[1]], rest[SHOULDERS[0]] - rest[HIPS[0]], across, up)
    if not known[[Landmark.NOSE, *EARS]].all():  # these turn the head; without them it looks ahead
        known[FACE] = False
    followers = [(FACE, SHOULDERS, trunk)]
    for side in (0, 1):
        forearm = rotations.between(
            unit(rest[WRISTS[side]] - rest[ELBOWS[side]]), unit(points[WRISTS[side]] - points[ELBOWS[side]])
        )
        shin = trunk @ rotations.between(
            unit(rest[ANKLES[side]] - rest[KNEES[side]]), trunk.T @ unit(points[ANKLES[side]] - points[KNEES[side]])
        )
        followers += [
            ([INDICES[side], PINKIES[side], THUMBS[side]], [WRISTS[side]], forearm),
            ([HEELS[side], TOES[side]], [ANKLES[side]], shin),
        ]
    for group, base, turn in followers:
        unknown = [joint for joint in group if not known[joint]]
        points[unknown] = points[base].mean(0) + (rest[unknown] - rest[base].mean(0)) @ turn.T
    return points


def _turn(first: Floats, second: Floats, to_first: Floats, to_second: Floats) -> NDArray[np.float64]:
    """(3, 3) the rotation that takes one direction to another, and the plane with a second one likewise."""

    def frame(x: Floats, y: Floats) -> Floats:
        z = unit(np.cross(x, y))
        return np.stack([unit(x), np.cross(z, unit(x)), z], 1)

    turn: NDArray[np.float64] = frame(to_first, to_second) @ frame(first, second).T
    return turn


def _numbers(value: Any, count: int, low: float, high: float, name: str) -> list[float]:
    """``count`` numbers within bounds, or a ValueError that names what they were to be."""
    numbers = value if isinstance(value, list) else []
    sound = all(isinstance(one, int | float) and not isinstance(one, bool) and low <= one <= high for one in numbers)
    if len(numbers) != count or not sound:
        raise ValueError(f"{name} is not {count} number{'s' * (count > 1)} from {low:g} to {high:g}")
    return [float(one) for one in numbers]
