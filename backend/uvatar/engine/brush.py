"""Corrections by hand: pixels that somebody has painted onto a person's mask, or off it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.data.person import Person
from uvatar.perception.geometry import same_person
from uvatar.perception.masks import DOUBT, Window, in_window, stray_landmarks
from uvatar.protocol.given_people import STROKE


@dataclass(frozen=True)
class BrushSettings:
    """How strokes are painted.

    Attributes:
        most_side: pixels of the longer side at which strokes are drawn, as masks are made; bounds their time.
        most_radius: of a stroke, share of the longer side of the person's box. A larger brush could only be an error.
        beyond: how far a mask may grow around the person's box, share of the box's longer side: arms, hair and skirts
            reach that far at most.
    """

    most_side: int = 1500
    most_radius: float = 0.5
    beyond: float = 0.5


DEFAULT_SETTINGS = BrushSettings()
_FRACTION_BITS = 4  # of a pixel, in which OpenCV takes the places of lines


def brushed(
    people: Sequence[Person],
    strokes: Sequence[Sequence[float]],
    size: tuple[int, int],
    settings: BrushSettings = DEFAULT_SETTINGS,
) -> list[Person]:
    """The people with masks as somebody has painted them.

    What is painted onto a person is nobody else's. A mask's window grows with what is painted beside it.

    Args:
        people: of a photo.
        strokes: rows as `uvatar.protocol.given_people.STROKE` has them, in their order; those whose box is nobody's
            have no effect.
        size: width and height of the photo, pixels.
        settings: tuned numbers.
    """
    own: dict[int, list[Sequence[float]]] = {}
    whose = same_person([stroke[:4] for stroke in strokes], [person.box for person in people])
    for index, stroke in zip(whose, strokes, strict=True):
        if index >= 0:
            own.setdefault(int(index), []).append(stroke)
    corrected, painted = list(people), {}
    for index, mine in own.items():
        corrected[index], painted[index] = _painted(people[index], people, mine, size, settings)
    return _without_claims(corrected, painted)


def _painted(
    person: Person,
    people: Sequence[Person],
    strokes: Sequence[Sequence[float]],
    size: tuple[int, int],
    settings: BrushSettings,
) -> tuple[Person, NDArray[np.uint8]]:
    """A person with the mask as painted, and how much of each pixel of its window was painted onto it."""
    window = _grown(person, strokes, size, settings)
    mask = in_window(person.mask, person.window, window)
    others = in_window(person.others, person.window, window)
    for other in people:
        if other is not person:
            others = np.maximum(others, in_window(other.mask, other.window, window))
    painted = np.zeros_like(mask)
    for stroke in strokes:
        part = _part(stroke, person.side, window, settings)
        paint = _coverage(stroke, person.side, window, part, settings)
        at = slice(part[1] - window[1], part[3] - window[1]), slice(part[0] - window[0], part[2] - window[0])
        if stroke[4]:
            mask[at], painted[at] = np.maximum(mask[at], paint), np.maximum(painted[at], paint)
            others[at] = np.minimum(others[at], 255 - paint)
        else:
            mask[at] = np.minimum(mask[at], 255 - paint)
    before = stray_landmarks(person.landmarks, person.window, person.mask)
    after = stray_landmarks(person.landmarks, window, mask)
    landmarks = person.landmarks.copy()
    landmarks[before & ~after, 2] /= DOUBT
    landmarks[after & ~before, 2] *= DOUBT
    landmarks[:, 2] = np.minimum(landmarks[:, 2], 1.0)
    corrected = replace(
        person, landmarks=landmarks, window=window, mask=mask, others=others, unbrushed=(person.window, person.mask)
    )
    return corrected, painted


def _without_claims(people: Sequence[Person], painted: Mapping[int, NDArray[np.uint8]]) -> list[Person]:
    """The people beside those whose masks were painted: what is painted onto one of them is nobody else's.

    Of two people onto whom the same pixel is painted, the first one has it.
    """
    result = list(people)
    for number, paint in painted.items():
        owner = result[number]
        claimed = np.minimum(paint, owner.mask)
        for index, person in enumerate(result):
            theirs = in_window(claimed, owner.window, person.window)
            if index != number and theirs.any():
                result[index] = replace(
                    person, mask=np.minimum(person.mask, 255 - theirs), others=np.maximum(person.others, theirs)
                )
    return result


def _grown(
    person: Person, strokes: Sequence[Sequence[float]], size: tuple[int, int], settings: BrushSettings
) -> Window:
    """The window (x0, y0, x1, y1) of a mask with all that is painted onto it."""
    width, height = size
    reach = settings.beyond * person.side
    low = np.maximum(np.floor(person.box[:2] - reach), 0)
    high = np.minimum(np.ceil(person.box[2:] + reach), [width, height])
    corners = [np.array(person.window, float).reshape(2, 2)]
    for stroke in strokes:
        if stroke[4]:
            points, radius = _points(stroke), _radius(stroke, person.side, settings)
            corners += [np.clip(points - radius - 1, low, high), np.clip(points + radius + 1, low, high)]
    places = np.concatenate(corners)
    (x0, y0), (x1, y1) = np.floor(places.min(0)).astype(int), np.ceil(places.max(0)).astype(int)
    return int(x0), int(y0), int(x1), int(y1)


def _part(stroke: Sequence[float], side: float, window: Window, settings: BrushSettings) -> Window:
    """The part of a window in which a stroke can cover pixels; it may be empty."""
    points, reach = _points(stroke), _radius(stroke, side, settings) + 2
    low = np.clip(np.floor(points.min(0) - reach), window[:2], window[2:]).astype(int)
    high = np.clip(np.ceil(points.max(0) + reach), window[:2], window[2:]).astype(int)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _coverage(
    stroke: Sequence[float], side: float, window: Window, part: Window, settings: BrushSettings
) -> NDArray[np.uint8]:
    """(H, W) how much of each pixel of a part of a window a stroke covers, 0 to 255."""
    x0, y0, x1, y1 = part
    if x0 >= x1 or y0 >= y1:
        return np.zeros((y1 - y0, x1 - x0), np.uint8)
    scale = min(1.0, settings.most_side / max(x1 - x0, y1 - y0))
    drawn = np.zeros((max(1, round((y1 - y0) * scale)), max(1, round((x1 - x0) * scale))), np.uint8)
    far = 2 * max(window[2] - window[0], window[3] - window[1])
    points = np.clip(_points(stroke), np.subtract(window[:2], far), np.add(window[2:], far)) - (x0, y0)
    points *= np.array(drawn.shape[::-1]) / (x1 - x0, y1 - y0)
    places = np.round((points - 0.5) * (1 << _FRACTION_BITS)).astype(np.int32)
    radius = _radius(stroke, side, settings) * scale
    if len(places) > 1:
        thickness = max(1, round(2 * radius))
        cv2.polylines(drawn, [places[:, None]], False, (255,), thickness, cv2.LINE_AA, _FRACTION_BITS)
    for x, y in (places[0], places[-1]):  # round ends, also of a single dab
        cv2.circle(
            drawn, (int(x), int(y)), max(1, round(radius * (1 << _FRACTION_BITS))), (255,), -1, cv2.LINE_AA,
            _FRACTION_BITS,
        )  # fmt: skip
    if scale < 1:
        return np.asarray(cv2.resize(drawn, (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR), np.uint8)
    return drawn


def _points(stroke: Sequence[float]) -> Floats:
    points: Floats = np.array(stroke[STROKE:], float).reshape(-1, 2)
    return points


def _radius(stroke: Sequence[float], side: float, settings: BrushSettings) -> float:
    return float(min(stroke[5], settings.most_radius * side))
