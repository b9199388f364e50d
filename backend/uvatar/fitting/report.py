"""How well a body explains the evidence, as numbers and as sentences for the artist."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.data.camera import Camera
from uvatar.data.fit import Fit
from uvatar.data.landmarks import HEAD, Landmark
from uvatar.data.person import Person
from uvatar.fitting.observations import SEEN, image_landmarks, inside_photo
from uvatar.fitting.shape import CHILD_NOTE, ShapeGroup

# Of the box side: median error of a useless fit, 95th percentile that deserves a note.
GOOD_ERROR, BAD_TAIL = 0.03, 0.05
LIMBS = {
    "head": HEAD,
    "left arm": [Landmark.LEFT_ELBOW, Landmark.LEFT_WRIST],
    "right arm": [Landmark.RIGHT_ELBOW, Landmark.RIGHT_WRIST],
    "left leg": [Landmark.LEFT_KNEE, Landmark.LEFT_ANKLE],
    "right leg": [Landmark.RIGHT_KNEE, Landmark.RIGHT_ANKLE],
}
UNCLEAR = 0.75  # likelihood below which the artist should look twice
ODD_OUTLINE = 0.55  # overlap (IoU) of body and mask, below that of nearly everybody who is found where they are
NO_OUTLINE = 0.25  # overlap that is worth nothing
ENOUGH_SEEN = 0.05  # share of the texels; a head and shoulders show more
LEAST_SEEN = 0.005  # share of the texels below which an avatar shows nothing of the photo
SMALL = 100  # pixels of the box side below which pose and texture are rough


@dataclass(frozen=True)
class Quality:
    """How well one body fits; the fields of `Fit` of the same names."""

    landmark_error_median: float
    landmark_error_p95: float
    confidence: float
    notes: tuple[str, ...]


def quality(person: Person, pixels: Floats, camera: Camera, group: ShapeGroup) -> Quality:
    """Judge a body whose landmarks project to ``pixels`` (33, 2); only landmarks seen inside the photo are compared."""
    inside = inside_photo(person.landmarks[:, :2], camera)
    seen = inside & (person.landmarks[:, 2] > SEEN)
    errors = np.linalg.norm(pixels - image_landmarks(person)[:, :2], axis=-1)[seen] / person.side
    median, tail = (float(np.percentile(errors, q)) for q in (50, 95)) if len(errors) else (1.0, 1.0)
    trust = float((person.landmarks[:, 2] * inside).mean())
    return Quality(
        median, tail, sureness(person.likelihood, trust, median), tuple(_notes(person, seen, inside, tail, group))
    )


def _notes(
    person: Person, seen: NDArray[np.bool_], inside: NDArray[np.bool_], tail: float, group: ShapeGroup
) -> list[str]:
    notes = []
    outside = [name for name, points in LIMBS.items() if not inside[points].any()]
    hidden = [name for name, points in LIMBS.items() if name not in outside and not seen[points].any()]
    if outside:
        notes.append(f"Outside the photo: {', '.join(outside)}. Unseen parts have a typical pose.")
    if hidden:
        notes.append(f"Hidden, given a typical pose: {', '.join(hidden)}.")
    if group.name == "child":
        notes.append(CHILD_NOTE)
    if person.likelihood < UNCLEAR:
        notes.append("It is uncertain whether this is a person, or how they stand: check the overlay.")
    if tail > BAD_TAIL:
        notes.append("Some joints do not match the photo: check the overlay.")
    if person.side < SMALL:
        notes.append("Small in the photo: pose and texture are rough.")
    return notes


def sureness(likelihood: float, visible: float, error: float) -> float:
    """0..1: how sure a fit is before mask and texture are known.

    Args:
        likelihood: that it is a person who is where the landmarks say.
        visible: mean visibility of the landmarks, those outside the photo counting as hidden.
        error: median distance of the body from the landmarks, as a share of the box side.
    """
    return likelihood * visible * float(np.exp(-((error / GOOD_ERROR) ** 2)))


def shown_share(outline: float, texels_seen: float) -> float:
    """0..1: what the finished avatar leaves of the fit's confidence (arguments as for `finished`)."""
    overlap = 0.0 if np.isnan(outline) else outline
    agreement = float(np.clip((overlap - NO_OUTLINE) / (ODD_OUTLINE - NO_OUTLINE), 0, 1))
    return agreement * float(np.clip(texels_seen / ENOUGH_SEEN, 0, 1))


def finished(fit: Fit, outline: float, texels_seen: float) -> Fit:
    """The fit with the confidence that all stages together give, and a remark where body and mask do not agree.

    Args:
        outline: overlap (IoU) of the body, clothing included, and the person's mask; NaN where neither is seen.
        texels_seen: share of the texels that a photo shows.
    """
    odd = (
        ()
        if outline >= ODD_OUTLINE
        else ("The body's outline does not match the person in the photo: check the overlay.",)
    )
    return replace(fit, confidence=fit.confidence * shown_share(outline, texels_seen), notes=fit.notes + odd)
