"""The first stages of a photo: decoding, finding its people, predicting their bodies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from uvatar.data.camera import Camera
from uvatar.data.gravity import GravityEvidence
from uvatar.data.person import Person
from uvatar.data.photo import Photo, PhotoFile
from uvatar.data.progress import Progress
from uvatar.engine.brush import brushed
from uvatar.engine.chosen import as_chosen
from uvatar.engine.gravity import gravity_evidence
from uvatar.engine.parsing import parsed_people
from uvatar.engine.pins import pinned
from uvatar.engine.timing import Stopwatch
from uvatar.mesh_predictor.prediction import Prediction, match_people
from uvatar.mesh_predictor.result_file import GivenPeople, ResultFileError
from uvatar.perception.evidence import LIKELY
from uvatar.perception.perception import Found
from uvatar.photos.decoding import decode_photo
from uvatar.protocol.given_people import estimates, rows_of
from uvatar.protocol.options import Options, declared
from uvatar.results.result import NobodyFound

if TYPE_CHECKING:
    from uvatar.engine.engine import Engine


@dataclass(frozen=True)
class DetectedPeople:
    """A photo after perception and prediction.

    Attributes:
        predictions: one for each of ``people``, or None if there is none.
        everybody: whom the Mesh Predictor found by itself, or whom the given file holds.
        found: how many people perception found; perhaps more than there may be in ``people``.
        uncertain: how many more were left out because it is not certain enough that they are people.
        gravity: what the photo says about the vertical besides its people.
        missing: how many of those whom somebody has chosen were not found.
    """

    photo: Photo
    camera: Camera
    people: list[Person]
    predictions: list[Prediction | None]
    everybody: Prediction | None
    found: int
    uncertain: int = 0
    gravity: GravityEvidence = field(default_factory=GravityEvidence)
    missing: int = 0

    def only(self, numbers: Sequence[int]) -> DetectedPeople:
        """The same photo with these of its people."""
        return replace(
            self, people=[self.people[i] for i in numbers], predictions=[self.predictions[i] for i in numbers]
        )


def detect(photo: PhotoFile, engine: Engine, options: Options, report: Progress, clock: Stopwatch) -> DetectedPeople:
    """Decode a photo, find its people, and predict their bodies if there is a Mesh Predictor or a result file.

    Raises:
        PhotoError: the photo cannot be read.
        NobodyFound: it shows nobody.
        ResultFileError: the people given for the photo are missing, or none of them is in it.
    """
    name, data = photo
    decoded = decode_photo(data, name)
    height, width = decoded.pixels.shape[:2]
    camera = Camera.for_photo(width, height, options.focal or decoded.focal)
    clock.lap("reading")
    report("finding people", 0.05, "Looking for people")
    found = _found(decoded, engine, options)
    made, rest = found.people[: options.max_people], found.people[options.max_people :]
    found = replace(found, people=parsed_people(made, decoded, engine, options) + rest)
    clock.lap("finding people")
    people = _corrected(found.people, decoded, options)
    report("predicting", 0.25, "Predicting bodies")
    predictions, everybody = _predicted(decoded, people, engine, options)
    clock.lap("predicting")
    gravity = gravity_evidence(decoded, found.people)
    clock.lap("gravity")
    missing = max(len(rows_of(options.given_people, decoded.name, "chosen")) - len(found.people), 0)
    detected = DetectedPeople(
        decoded, camera, people, predictions, everybody, len(found.people), found.left_out, gravity, missing
    )
    if options.refine:
        return detected
    known = [i for i, prediction in enumerate(predictions) if prediction is not None]
    if not known:
        raise ResultFileError(
            f"None of the people given for {name} are in it. Was the result file made from this photo?"
        )
    return detected.only(known)


def _found(photo: Photo, engine: Engine, options: Options) -> Found:
    """The photo's people, or those of them whom somebody has chosen. Raises NobodyFound."""
    chosen = rows_of(options.given_people, photo.name, "chosen")
    if not chosen:
        found = engine.perception.found(photo, least=0.0 if options.uncertain else LIKELY)
        if found.people:
            return found
        nobody_found(photo.name, found.left_out)
    found = engine.perception.found(photo, wanted=np.array(chosen, float)[:, 1:5])
    if not found.people:
        raise NobodyFound(f"None of the people chosen in {photo.name} were found. Find its people again.")
    return replace(found, people=as_chosen(found.people, chosen))


def _corrected(people: list[Person], photo: Photo, options: Options) -> list[Person]:
    """As many of the people as there may be, with what somebody has corrected by hand.

    What a parser has seen before that is left out: it is given mask and landmarks.
    """
    height, width = photo.pixels.shape[:2]
    strokes, pins = (rows_of(options.given_people, photo.name, what) for what in ("strokes", "pins"))
    corrected = pinned(brushed(people, strokes, (width, height))[: options.max_people], pins)
    return [
        after if after is before else replace(after, parsing=None)
        for before, after in zip(people, corrected, strict=False)
    ]


def nobody_found(name: str, left_out: int) -> NoReturn:
    """Raise NobodyFound for a photo, by its name, that shows nobody, or only so many who are left out."""
    raise NobodyFound(
        f"No person was found in {name}. Use a photo that shows a person clearly, at least 100 pixels tall "
        "and from the hips up." + (" If it does show a person, turn on the option uncertain." if left_out else "")
    )


def _predicted(
    photo: Photo, people: list[Person], engine: Engine, options: Options
) -> tuple[list[Prediction | None], Prediction | None]:
    """A prediction for each person where there is one, and everybody who was predicted."""
    if (given_people := estimates(options.given_people)) is not None:
        numbers = next((one for one in given_people if one["photo"] == photo.name), None)
        if numbers is None:
            raise ResultFileError(f"No people are given for {photo.name}.")
        height, width = photo.pixels.shape[:2]
        given = GivenPeople.from_numbers(numbers).prediction(width, height)
        return [given.rows([i]) if i >= 0 else None for i in match_people(given, people)], given
    if engine.mesh_predictor is None:
        return [None] * len(people), None
    look = engine.mesh_predictor.look(photo.pixels)
    every = look.of(people)
    return [every.rows([i]) for i in range(len(people))], look.found


def left_out_notes(detected: DetectedPeople, made: int) -> tuple[str, ...]:
    """Sentences about people who were found but left out, if any."""
    notes = []
    if detected.found > made:
        who = (
            "an avatar was made of the most prominent one"
            if made == 1
            else f"avatars were made of the {made} most prominent ones"
        )
        most = declared()["max_people"].high or made
        more = (
            "Crop the photo into parts for the others"
            if made >= most
            else f"Increase the option max_people (at most {most:g}) for more"
        )
        notes.append(f"{detected.found} people were found, and {who}. {more}.")
    if detected.uncertain:
        who = (
            "One more may be a person and was"
            if detected.uncertain == 1
            else f"{detected.uncertain} more may be people and were"
        )
        notes.append(f"{who} left out, because it is not certain: turn on the option uncertain to make avatars of all.")
    if detected.missing:
        notes.append(
            f"Not found again: {detected.missing} of the people chosen in the photo. Find its people once more."
        )
    return tuple(notes)
