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
from uvatar.fitting.observations import SEEN, image_landmarks, inside_photo, with_seen_hands
from uvatar.fitting.shape import CHILD, CHILD_NOTE, ShapeGroup

LIMBS = {
    "head": HEAD,
    "left arm": [Landmark.LEFT_ELBOW, Landmark.LEFT_WRIST],
    "right arm": [Landmark.RIGHT_ELBOW, Landmark.RIGHT_WRIST],
    "left leg": [Landmark.LEFT_KNEE, Landmark.LEFT_ANKLE],
    "right leg": [Landmark.RIGHT_KNEE, Landmark.RIGHT_ANKLE],
}


@dataclass(frozen=True)
class ReportSettings:
    """Tuned numbers of the judgement (docs/confidence.md). Where nothing is said of how a number was
    chosen, that is not recorded.

    Attributes:
        error: median landmark error, as a share of the box side, that leaves a fit 1/e of its confidence.
        tail: 95th percentile of the landmark errors, as a share of the box side, that deserves a note.
        unclear: likelihood of being a person below which you should look twice.
        odd_outline: overlap (IoU) of body and mask that deserves a note below: nearly everybody who is found where they
            are overlaps more.
        no_outline: overlap that is worth nothing.
        enough_seen: share of the texels from which as much is seen as can be expected: a head and shoulders show more.
        least_seen: share of the texels below which an avatar shows nothing of the photo.
        small: pixels of the box side below which pose and texture are rough.
    """

    error: float = 0.03
    tail: float = 0.05
    unclear: float = 0.75
    odd_outline: float = 0.55
    no_outline: float = 0.25
    enough_seen: float = 0.05
    least_seen: float = 0.005
    small: float = 100


DEFAULT_SETTINGS = ReportSettings()


@dataclass(frozen=True)
class Quality:
    """How well one body fits; the fields of `Fit` of the same names."""

    landmark_error_median: float
    landmark_error_p95: float
    confidence: float
    notes: tuple[str, ...]


def quality(
    person: Person,
    pixels: Floats,
    camera: Camera,
    group: ShapeGroup,
    settings: ReportSettings = DEFAULT_SETTINGS,
) -> Quality:
    """Judge a fitted body. Only landmarks that are seen inside the photo are compared.

    Args:
        person: what perception found.
        pixels: (33, 2) where the body's landmarks project in the photo.
        camera: the photo's.
        group: of people whose shapes the body was drawn towards.
        settings: tuned numbers.
    """
    inside = inside_photo(person.landmarks[:, :2], camera)
    seen = inside & (person.landmarks[:, 2] > SEEN)
    judged = with_seen_hands(image_landmarks(person), person)
    errors = np.linalg.norm(pixels - judged[:, :2], axis=-1)[seen & (judged[:, 2] > SEEN)] / person.side
    median, tail = (float(np.percentile(errors, q)) for q in (50, 95)) if len(errors) else (1.0, 1.0)
    trust = float((person.landmarks[:, 2] * inside).mean())
    notes = _limb_notes(seen, inside)
    if group.name == CHILD:
        notes.append(CHILD_NOTE)
    notes += _doubts(person, tail, settings)
    return Quality(median, tail, fit_confidence(person.likelihood, trust, median, settings), tuple(notes))


def _limb_notes(seen: NDArray[np.bool_], inside: NDArray[np.bool_]) -> list[str]:
    """Sentences about limbs of which no landmark (33,) is seen."""
    notes = []
    outside = [name for name, points in LIMBS.items() if not inside[points].any()]
    hidden = [name for name, points in LIMBS.items() if name not in outside and not seen[points].any()]
    if outside:
        notes.append(f"Outside the photo: {', '.join(outside)}. Unseen parts have a typical pose.")
    if hidden:
        notes.append(f"Hidden, given a typical pose: {', '.join(hidden)}.")
    return notes


def _doubts(person: Person, tail: float, settings: ReportSettings) -> list[str]:
    """Sentences about what may be wrong; ``tail``: 95th percentile of the landmark errors, share of the box side."""
    notes = []
    if person.likelihood < settings.unclear:
        notes.append("It is uncertain whether this is a person, or how they stand: check the overlay.")
    if tail > settings.tail:
        notes.append("Some joints do not match the photo: check the overlay.")
    if person.side < settings.small:
        notes.append("Small in the photo: pose and texture are rough.")
    return notes


def fit_confidence(
    likelihood: float, visible: float, error: float, settings: ReportSettings = DEFAULT_SETTINGS
) -> float:
    """How sure a fit is, 0..1, before mask and texture are known.

    Args:
        likelihood: 0..1, that it is a person who is where the landmarks say.
        visible: mean visibility of the landmarks, 0..1, those outside the photo counting as hidden.
        error: median distance of the body from the landmarks, as a share of the box side.
        settings: tuned numbers.
    """
    return likelihood * visible * float(np.exp(-((error / settings.error) ** 2)))


def shown_share(outline: float, texels_seen: float, settings: ReportSettings = DEFAULT_SETTINGS) -> float:
    """What the finished avatar leaves of the fit's confidence, 0..1; arguments as for `finished`."""
    overlap = 0.0 if np.isnan(outline) else outline
    least, enough = settings.no_outline, settings.odd_outline
    agreement = float(np.clip((overlap - least) / (enough - least), 0, 1))
    return agreement * float(np.clip(texels_seen / settings.enough_seen, 0, 1))


def finished(fit: Fit, outline: float, texels_seen: float, settings: ReportSettings = DEFAULT_SETTINGS) -> Fit:
    """The fit with the confidence that all stages together give, and a note if body and mask do not agree.

    Args:
        fit: with the confidence that `quality` gave it.
        outline: overlap (IoU) of the body, clothing included, and the person's mask; NaN where neither is seen.
        texels_seen: share of the texels that a photo shows.
        settings: tuned numbers.
    """
    notes = fit.notes
    if not outline >= settings.odd_outline:  # nor NaN
        notes = (*notes, "The body's outline does not match the person in the photo: check the overlay.")
    confidence = fit.confidence * shown_share(outline, texels_seen, settings)
    return replace(fit, confidence=confidence, notes=notes)
