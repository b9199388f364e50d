"""How well a body explains what was seen, in numbers and in words for the artist."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.camera import Camera
from backend.fitting.evidence import SEEN, box_side, image_landmarks, inside_photo
from backend.fitting.shape import CHILD_NOTE, ShapeGroup
from backend.perception.person import Person

GOOD_ERROR, BAD_TAIL = 0.03, 0.05  # of the box side: median error of a useless fit, 95th percentile that deserves a note
LIMBS = {
    "left arm": [13, 15],
    "right arm": [14, 16],
    "left leg": [25, 27],
    "right leg": [26, 28],
}
SMALL = 100  # pixels of the box side below which pose and texture are rough


@dataclass(frozen=True)
class Quality:
    """How well one body fits; the fields of `Fit` of the same names."""

    landmark_error_median: float
    landmark_error_p95: float
    confidence: float
    notes: tuple[str, ...]


def quality(person: Person, pixels: NDArray, camera: Camera, group: ShapeGroup) -> Quality:
    """Judge a body whose landmarks project to ``pixels`` (33, 2); only landmarks seen inside the photo are compared."""
    inside = inside_photo(person.landmarks[:, :2], camera)
    seen = inside & (person.landmarks[:, 2] > SEEN)
    errors = np.linalg.norm(pixels - image_landmarks(person)[:, :2], axis=-1)[seen] / box_side(person)
    median, tail = (float(np.percentile(errors, q)) for q in (50, 95)) if len(errors) else (1.0, 1.0)
    trust = float((person.landmarks[:, 2] * inside).mean())
    confidence = trust * float(np.exp(-((median / GOOD_ERROR) ** 2)))
    return Quality(median, tail, confidence, tuple(_notes(person, seen, inside, tail, group)))


def _notes(person: Person, seen: NDArray, inside: NDArray, tail: float, group: ShapeGroup) -> list[str]:
    notes = []
    outside = [name for name, points in LIMBS.items() if not inside[points].any()]
    hidden = [name for name, points in LIMBS.items() if name not in outside and not seen[points].any()]
    if outside:
        notes.append(f"Outside the photo and posed by habit: {', '.join(outside)}.")
    if hidden:
        notes.append(f"Hidden and posed by habit: {', '.join(hidden)}.")
    if group.name == "child":
        notes.append(CHILD_NOTE)
    if tail > BAD_TAIL:
        notes.append("Some joints do not meet the photo: check the overlay.")
    if box_side(person) < SMALL:
        notes.append("Small in the photo: pose and texture are rough.")
    return notes
