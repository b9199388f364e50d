"""Cuts out parts of people whose keypoints are known: a torso, legs, a hand or half a face, for example."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from uvatar.data import landmarks
from uvatar.data.arrays import Floats
from uvatar.data.landmarks import COCO_LANDMARKS, Landmark


def _rows(group: list[Landmark]) -> list[int]:
    """Which of COCO's keypoints these landmarks are."""
    return [COCO_LANDMARKS.index(landmark) for landmark in group]


NOSE, EYES = COCO_LANDMARKS.index(Landmark.NOSE), _rows(landmarks.EYES)
HEAD = _rows([Landmark.NOSE, *landmarks.EYES, *landmarks.EARS])
SHOULDERS, ELBOWS, WRISTS = _rows(landmarks.SHOULDERS), _rows(landmarks.ELBOWS), _rows(landmarks.WRISTS)
HIPS, KNEES, ANKLES = _rows(landmarks.HIPS), _rows(landmarks.KNEES), _rows(landmarks.ANKLES)
LEAST = 48  # pixels of a cut's shorter side

# (17, 3) x, y, flag (2 visible, 1 hidden, 0 unknown) and the person's box (4,) -> the part's x0, y0, x1, y1, or None if
# the person has no such part in the picture
Cut = Callable[[Floats, Floats], "list[float] | None"]


def cut_window(kind: str, keypoints: Floats, box: Floats, width: int, height: int) -> tuple[int, int, int, int] | None:
    """The window of a photo that shows a part of a person; None if there is no such part.

    Args:
        kind: one of `CUTS`.
        keypoints: (17, 3) x, y, flag as in COCO.
        box: (4,) x0, y0, x1, y1 of the whole person.
        width, height: of the photo, pixels.
    """
    window = CUTS[kind](keypoints, box)
    if window is None:
        return None
    x0, y0, x1, y1 = (round(float(value)) for value in np.clip(window, 0, [width, height, width, height]))
    return (x0, y0, x1, y1) if min(x1 - x0, y1 - y0) >= LEAST else None


def _known(keypoints: Floats, *groups: list[int]) -> bool:
    return all((keypoints[group, 2] > 0).all() for group in groups)


def _points(keypoints: Floats, group: list[int]) -> Floats:
    """(K, 2) of the group's known keypoints."""
    return keypoints[group][keypoints[group, 2] > 0, :2]


def _below_head(keypoints: Floats, trunk: float) -> float:
    """The y below which nothing of the head is visible."""
    return max(
        float(keypoints[SHOULDERS, 1].min()) - 0.12 * trunk, float(_points(keypoints, HEAD)[:, 1].max()) + 0.18 * trunk
    )


def _trunk(keypoints: Floats) -> float | None:
    """Length of the trunk in pixels if it is upright under the head, else None."""
    if not _known(keypoints, SHOULDERS, HIPS) or len(_points(keypoints, HEAD)) < 2:
        return None
    shoulders, hips = keypoints[SHOULDERS, :2], keypoints[HIPS, :2]
    length = float(np.linalg.norm(shoulders.mean(0) - hips.mean(0)))
    return length if hips[:, 1].min() > shoulders[:, 1].max() + 0.5 * length else None


def _torso(keypoints: Floats, box: Floats) -> list[float] | None:
    trunk = _trunk(keypoints)
    if trunk is None:
        return None
    top, bottom = _below_head(keypoints, trunk), float(keypoints[HIPS, 1].max()) + 0.15 * trunk
    points = _points(keypoints, SHOULDERS + HIPS + ELBOWS + WRISTS)
    across = points[(points[:, 1] > top) & (points[:, 1] < bottom), 0]
    return [across.min() - 0.35 * trunk, top, across.max() + 0.35 * trunk, bottom] if len(across) > 1 else None


def _neck_to_knees(keypoints: Floats, box: Floats) -> list[float] | None:
    trunk = _trunk(keypoints)
    if (
        trunk is None
        or not _known(keypoints, KNEES)
        or keypoints[KNEES, 1].min() < keypoints[HIPS, 1].max() + 0.3 * trunk
    ):
        return None
    return [
        box[0] - 0.1 * trunk,
        _below_head(keypoints, trunk),
        box[2] + 0.1 * trunk,
        keypoints[KNEES, 1].max() + 0.1 * trunk,
    ]


def _legs(keypoints: Floats, box: Floats) -> list[float] | None:
    if not _known(keypoints, HIPS, KNEES, ANKLES):
        return None
    hips, ankles = keypoints[HIPS, :2], keypoints[ANKLES, :2]
    length = float(np.linalg.norm(hips.mean(0) - ankles.mean(0)))
    points = keypoints[HIPS + KNEES + ANKLES, 0]
    if ankles[:, 1].min() < hips[:, 1].max() + 0.5 * length:
        return None
    return [
        points.min() - 0.25 * length,
        hips[:, 1].max(),
        points.max() + 0.25 * length,
        ankles[:, 1].max() + 0.15 * length,
    ]


def _below_knees(keypoints: Floats, box: Floats) -> list[float] | None:
    if not _known(keypoints, KNEES, ANKLES):
        return None
    knees, ankles = keypoints[KNEES, :2], keypoints[ANKLES, :2]
    length = float(np.linalg.norm(knees.mean(0) - ankles.mean(0)))
    points = keypoints[KNEES + ANKLES, 0]
    if ankles[:, 1].min() < knees[:, 1].max() + 0.4 * length:
        return None
    return [
        points.min() - 0.4 * length,
        knees[:, 1].max(),
        points.max() + 0.4 * length,
        ankles[:, 1].max() + 0.35 * length,
    ]


def _hand(keypoints: Floats, box: Floats) -> list[float] | None:
    for elbow, wrist in zip(ELBOWS, WRISTS, strict=True):
        forearm = keypoints[wrist, :2] - keypoints[elbow, :2]
        length = float(np.linalg.norm(forearm))
        if (keypoints[[elbow, wrist], 2] == 2).all() and length > 0.06 * float(np.max(box[2:] - box[:2])):
            x, y = keypoints[wrist, :2] + 0.3 * forearm
            return [x - 0.6 * length, y - 0.6 * length, x + 0.6 * length, y + 0.6 * length]
    return None


def _arm(keypoints: Floats, box: Floats) -> list[float] | None:
    for side in zip(SHOULDERS, ELBOWS, WRISTS, strict=True):
        points = keypoints[list(side[1:]), :2]
        length = float(np.linalg.norm(points[0] - points[1]))
        if (keypoints[list(side), 2] == 2).all() and length > 0.08 * float(np.max(box[2:] - box[:2])):
            return [*(points.min(0) - [0.4 * length, 0.3 * length]), *(points.max(0) + [0.4 * length, 0.5 * length])]
    return None


def _eyes_apart(keypoints: Floats) -> float | None:
    """Pixels between the eyes of a visible face; None if there is none."""
    apart = float(np.linalg.norm(np.diff(keypoints[EYES, :2], axis=0)))
    return apart if (keypoints[[NOSE, *EYES], 2] == 2).all() and apart >= 14 else None


def _close_up(keypoints: Floats, box: Floats) -> list[float] | None:
    apart = _eyes_apart(keypoints)
    x, y = keypoints[[NOSE, *EYES], :2].mean(0)
    return None if apart is None else [x - 1.6 * apart, y - 1.7 * apart, x + 1.6 * apart, y + 1.9 * apart]


def _half_face(keypoints: Floats, box: Floats) -> list[float] | None:
    apart = _eyes_apart(keypoints)
    x, y = keypoints[[NOSE, *EYES], :2].mean(0)
    return None if apart is None else [x, y - 1.8 * apart, x + 3.2 * apart, y + 3 * apart]


def _chin_down(keypoints: Floats, box: Floats) -> list[float] | None:
    apart = _eyes_apart(keypoints)
    x, y = keypoints[NOSE, :2]
    return None if apart is None else [x - 3 * apart, y + 0.4 * apart, x + 3 * apart, y + 5 * apart]


def _bust(keypoints: Floats, box: Floats) -> list[float] | None:
    if keypoints[NOSE, 2] != 2 or not _known(keypoints, SHOULDERS):
        return None
    shoulders = keypoints[SHOULDERS, :2]
    x, neck = float(shoulders[:, 0].mean()), float(np.linalg.norm(shoulders.mean(0) - keypoints[NOSE, :2]))
    wide = max(float(np.linalg.norm(shoulders[0] - shoulders[1])), neck)
    return [x - 1.1 * wide, box[1] - 0.2 * wide, x + 1.1 * wide, shoulders[:, 1].max() + 0.5 * wide]


CUTS: dict[str, Cut] = {
    "torso": _torso, "neck to knees": _neck_to_knees, "legs": _legs, "below the knees": _below_knees, "arm": _arm,
    "hand": _hand,
    "close-up": _close_up, "half a face": _half_face, "chin and chest": _chin_down, "head and shoulders": _bust,
}  # fmt: skip
