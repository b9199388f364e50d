"""`uvatar evaluate likeness`: how near a face embedding finds avatars to the photos that they were made of.

Each face of a photo is compared with its avatar, drawn as the photo sees it and from 25 degrees to both sides. Three
more distances say what these are worth: of the same avatar with its head in the form of the fitted body's, which the
same texture covers; of other people's faces; and the 0.6 up to which dlib takes two photos to show the same person.

From the side, even a perfect avatar's distance from the photo grows: compare ways of making avatars, not angles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from uvatar.body.face_points import FaceCorrespondence
from uvatar.data.arrays import Floats
from uvatar.data.camera import Camera
from uvatar.data.face import FACE_SCORE
from uvatar.data.joints import Joint
from uvatar.data.person import Person
from uvatar.engine.engine import Engine
from uvatar.evaluation.face_embedding import ALIGNED_BY, SAME_PERSON, Embedding, load_embedding
from uvatar.evaluation.faces import field_of
from uvatar.evaluation.photo_sheets import dressed
from uvatar.evaluation.reconstructed import reconstructed
from uvatar.evaluation.tables import Row, markdown, print_table, write_csv
from uvatar.geometry import rotations
from uvatar.photos.encoding import encode_jpeg
from uvatar.results.preview import render_textured
from uvatar.results.result import PersonResult, PhotoResult
from uvatar.runtime.terminal import terminal

LEAST_FACE = 60.0  # pixels of the face's width
BESIDE = 25.0  # degrees
MARGIN = 0.6  # of the face's width, around it
SHOWN_WIDTH = 160  # pixels of a face's width in the pictures that are compared


@dataclass(frozen=True)
class Likeness:
    """The distances of one face from its avatar, as `uvatar.evaluation.face_embedding` has them.

    Attributes:
        photo, person: where the face is.
        width: of the face, pixels of the photo.
        own: of the avatar as the photo sees it.
        beside: of the avatar seen from `BESIDE` degrees to the left and the right, the mean.
        own_without, beside_without: the same with the fitted body's own form of the head.
        others: mean distance of other people's faces; NaN if there are none.
    """

    photo: str
    person: int
    width: float
    own: float
    beside: float
    own_without: float
    beside_without: float
    others: float = float("nan")

    def row(self) -> Row:
        """The distances by the table's column names."""
        return {
            "photo": self.photo, "person": self.person, "px": round(self.width), "own view": self.own,
            f"{BESIDE:.0f} degrees beside": self.beside, "own view, body's head": self.own_without,
            f"{BESIDE:.0f} degrees beside, body's head": self.beside_without, "other people": self.others,
        }  # fmt: skip


@dataclass(frozen=True)
class _Close:
    """A picture of a face, and the places (5, 2) in it by which it is aligned."""

    picture: NDArray[np.uint8]
    points: Floats

    def embedded(self, embedding: Embedding) -> NDArray[np.float64]:
        return embedding(self.picture, self.points)


def evaluate_likeness(
    folder: Path, out: Path, engine: Engine | None = None, console: Console | None = None
) -> list[Likeness]:
    """Reconstruct a folder's photos and compare faces; print the table, and write it and the pictures.

    Args:
        folder: the photos.
        out: where table.csv, table.md and for each face a row of pictures are written: photo, own view, both sides, and
            the same three of the head in the body's own form.
        engine: what is loaded.
        console: where the table is printed.

    Raises UvatarError if the extra ``uvatar[likeness]`` is not installed.
    """
    embedding = load_embedding()
    console, engine = console or terminal(), engine or Engine.load()
    out.mkdir(parents=True, exist_ok=True)
    found: list[Likeness] = []
    faces: list[NDArray[np.float64]] = []
    for path, result in reconstructed(folder, engine, console):
        for number, person in enumerate(result.people):
            width = face_width(person.person, result.camera)
            if width < LEAST_FACE:
                continue
            photo, avatars = face_pictures(result, person, engine)
            strip = np.concatenate([photo.picture, *(avatar.picture for avatar in avatars)], 1)
            (out / f"{path.stem}_p{number}_faces.jpg").write_bytes(encode_jpeg(strip, 90))
            faces.append(photo.embedded(embedding))
            distances = [float(np.linalg.norm(avatar.embedded(embedding) - faces[-1])) for avatar in avatars]
            found.append(_likeness(path.name, number, width, distances))
    found = with_others(found, faces)
    _report(found, out, console)
    return found


def _likeness(photo: str, number: int, width: float, distances: Sequence[float]) -> Likeness:
    """Of the distances of the six avatars of `face_pictures`."""
    own, left, right, own_without, left_without, right_without = distances
    return Likeness(photo, number, width, own, (left + right) / 2, own_without, (left_without + right_without) / 2)


def face_width(person: Person, camera: Camera) -> float:
    """Pixels; 0 where no face is seen, or where the photo cuts it off."""
    if person.face is None or person.face_score <= FACE_SCORE:
        return 0.0
    points = person.face[ALIGNED_BY]
    inside = (points >= 0).all() and (points < [camera.width, camera.height]).all()
    return float(np.ptp(person.face[:, 0])) if inside else 0.0


def with_others(found: Sequence[Likeness], faces: Sequence[NDArray[np.float64]]) -> list[Likeness]:
    """With the mean distance of each of the ``faces`` from the others."""
    if len(faces) < 2:
        return list(found)
    every = np.stack(faces)
    distances = np.linalg.norm(every[:, None] - every, axis=-1).sum(1) / (len(faces) - 1)
    return [replace(one, others=float(distance)) for one, distance in zip(found, distances, strict=True)]


def face_pictures(result: PhotoResult, person: PersonResult, engine: Engine) -> tuple[_Close, list[_Close]]:
    """A face of a photo, and six pictures of its avatar.

    Own view and both sides of the avatar as it is, then of the same with the form of the fitted body's own head.
    """
    face, points = person.person.face, field_of(engine).points
    assert face is not None
    low, high = face.min(0), face.max(0)
    window = _around(low, high, result.camera)
    close = result.camera.cropped(window, SHOWN_WIDTH / float(high[0] - low[0]))
    scale = close.focal / result.camera.focal
    x0, y0, x1, y1 = window
    crop = cv2.resize(result.photo.pixels[y0:y1, x0:x1], (close.width, close.height), interpolation=cv2.INTER_CUBIC)
    photo = _Close(np.asarray(crop, np.uint8), (face[ALIGNED_BY] - [x0, y0]) * scale)
    head = engine.body.data.weights[:, Joint.HEAD, None]
    plain = replace(person, fit=replace(person.fit, offsets=person.fit.offsets * (1 - head)))
    turns = (0.0, -BESIDE, BESIDE)
    return photo, [_drawn(avatar, turn, close, points, engine) for avatar in (person, plain) for turn in turns]


def _around(low: Floats, high: Floats, camera: Camera) -> tuple[int, int, int, int]:
    """The window around a box, inside the photo."""
    margin = MARGIN * float(high[0] - low[0])
    x0, y0 = (int(value) for value in np.maximum(np.floor(low - margin), 0))
    x1, y1 = (int(value) for value in np.minimum(np.ceil(high + margin), [camera.width, camera.height]))
    return x0, y0, x1, y1


def _drawn(person: PersonResult, turn: float, camera: Camera, points: FaceCorrespondence, engine: Engine) -> _Close:
    """The avatar turned by so many degrees about the vertical line through the middle of its face."""
    betas, offsets = person.fit.body.betas, engine.body.with_closed_lips(person.fit.body.betas, person.fit.offsets)
    teeth = engine.body.parts(betas, offsets)
    avatar = replace(person, fit=replace(person.fit, offsets=offsets), parts=(*teeth, *person.parts))
    body, _ = engine.body.posed(person.fit.body, offsets)
    vertices, mesh, texture = dressed(avatar, engine.body)
    middle = points.at(body).mean(0)
    turned = rotations.exp(np.array([0.0, np.radians(turn), 0.0])).T.astype(np.float32)
    picture = render_textured((vertices - middle) @ turned + middle, mesh, texture, camera)
    places = camera.project(points.at((body - middle) @ turned + middle))
    row = {int(index): row for row, index in enumerate(points.index)}
    return _Close(picture.image, places[[row[index] for index in ALIGNED_BY]])


def _report(found: Sequence[Likeness], out: Path, console: Console) -> None:
    rows = [one.row() for one in found]
    write_csv(rows, out / "table.csv")
    names = [name for name, value in rows[0].items() if isinstance(value, float)] if rows else []
    means: list[Row] = [
        {"faces": len(rows), **{name: float(np.mean([float(row[name]) for row in rows])) for name in names}}
    ]
    sections = {"Faces": rows, "Mean": means} if rows else {}
    note = f"Distances of face embeddings; up to {SAME_PERSON} dlib takes two photos to show the same person."
    text = "\n".join(f"## {title}\n\n{markdown(part)}" for title, part in sections.items())
    (out / "table.md").write_text(f"{note}\n\n{text}", encoding="utf-8")
    for title, part in sections.items():
        print_table(part, title, console)
    console.print(note if rows else f"No face is at least {LEAST_FACE:.0f} pixels wide.")
