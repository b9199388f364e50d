"""`uvatar evaluate faces`: heads whose form is known are rendered, reconstructed, and compared from other sides.

A photo shows a face from one side, and a head that matches the photo may still be anybody's from another. So the face
landmarks of the reconstructed head are compared with the true ones as they would be seen from the photo's view and from
30 and 55 degrees beside it, after the two heads were laid on each other; size and place of a head are not judged there.
The photo's own view is also judged as it is, in the picture.

One group of heads varies around the open body's own, another around an average human face, which is nearer to real
people's. Landmarks at the sides of the face are left out: the face model puts them on its outline, whichever point of
the head that is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from uvatar.body import BodyModel
from uvatar.clothing.offsets import clothing_offsets
from uvatar.data.arrays import Floats
from uvatar.data.camera import Camera
from uvatar.data.fit import Fit
from uvatar.data.photo import PhotoFile
from uvatar.data.progress import ignore_progress
from uvatar.data.view import View
from uvatar.engine.bodies import fit_bodies
from uvatar.engine.detect import detect
from uvatar.engine.engine import Engine
from uvatar.engine.faces import with_faces
from uvatar.engine.finish import clothe
from uvatar.engine.timing import Stopwatch
from uvatar.evaluation.head_forms import HEIGHT, WIDTH, FaceSitter, HeadForms, random_face_sitter
from uvatar.evaluation.outfits import random_outfit
from uvatar.evaluation.rendering import photograph, random_background, random_light, read_paint
from uvatar.evaluation.tables import Row, markdown, print_table, write_csv
from uvatar.fitting.face.field import FaceField
from uvatar.fitting.face.head import HeadPlace
from uvatar.geometry import rotations
from uvatar.geometry.mesh import vertex_normals
from uvatar.photos.decoding import PhotoError
from uvatar.photos.encoding import encode_jpeg
from uvatar.protocol.options import Options
from uvatar.runtime.terminal import terminal
from uvatar.texturing import face_offsets

YAWS = (0.0, 0.0, 12.0, -12.0, 22.0, -22.0, 33.0, -33.0)  # degrees, person after person
BESIDE = (0, 30, 55)  # degrees beside the photo's view
FRONT = 0.45  # least z of a judged landmark's normal in the rest pose
SEEN = 0.1  # cosine from which a landmark is seen
FREE_MOVE = 0.04  # metres: more than any face asks for
GROUPS = {"open body": 0.0, "average face": 1.0}


@dataclass(frozen=True)
class FaceErrors:
    """Mean distances of a head's landmarks from the true ones, millimetres.

    Attributes:
        picture: in the photo, at the head's true distance.
        beside: seen from `BESIDE` the photo's view, the mean of both sides, after the heads were laid on each other.
    """

    picture: float
    beside: tuple[float, ...]


def evaluate_faces(
    out: Path, count: int = 8, seed: int = 0, textures: Path | None = None, console: Console | None = None
) -> dict[tuple[str, str], list[FaceErrors]]:
    """Render heads, reconstruct them and measure; print the table, and write it and the pictures.

    Args:
        out: where table.csv, table.md and the pictures are written.
        count: people of each group.
        seed: of the people.
        textures: folder of UV textures of the open body (png, jpg); by default procedural people.
        console: where the table is printed.

    Returns the errors of all people by group of heads and way of making them.
    """
    console, engine, forms = console or terminal(), Engine.load(), HeadForms.load()
    images = sorted(path for path in textures.iterdir() if path.suffix in (".png", ".jpg")) if textures else []
    out.mkdir(parents=True, exist_ok=True)
    errors: dict[tuple[str, str], list[FaceErrors]] = {}
    for group, average in GROUPS.items():
        for number in range(count):
            rng = np.random.default_rng([seed, number])
            sitter = random_face_sitter(YAWS[number % len(YAWS)], average, forms, engine.body, rng)
            paint = read_paint(images[number % len(images)]) if images else random_outfit(engine.body.data, rng)
            vertices, _ = engine.body.posed(sitter.body, sitter.offsets)
            background = random_background(WIDTH, HEIGHT, rng)
            light = random_light(rng)
            picture, _ = photograph(vertices, engine.body.data, paint, sitter.camera, light, background, rng)
            name = f"{group.replace(' ', '_')}_{number:03d}.jpg"
            (out / name).write_bytes(encode_jpeg(picture, 92))
            made = heads((name, encode_jpeg(picture, 92)), engine)
            if made is None:
                console.print(f"{name}: no face found")
                continue
            for way, fit in made.fits.items():
                one = face_errors(sitter, fit, made.camera, engine.body, field_of(engine))
                errors.setdefault((group, way), []).append(one)
    rows = _rows(errors)
    write_csv(rows, out / "table.csv")
    (out / "table.md").write_text(markdown(rows), encoding="utf-8")
    print_table(rows, "Landmarks of the face, mm from the true ones", console)
    return errors


@dataclass(frozen=True)
class Heads:
    """The heads made of one photo: fits by the way they were made, and the photo's camera."""

    fits: Mapping[str, Fit]
    camera: Camera


def heads(photo: PhotoFile, engine: Engine) -> Heads | None:
    """The most prominent person's head, made in several ways; None where the photo shows no face.

    "betas" is the fitted body alone, "picture plane" the same with clothes and features moved as the photo shows them,
    but not in depth, and "space" what Uvatar makes.
    """
    options = Options()
    try:
        detected = detect(photo, engine, options, ignore_progress, Stopwatch()).only([0])
    except PhotoError:
        return None
    [person] = detected.people
    if person.face is None:
        return None
    [fit] = fit_bodies(detected, engine, options, lambda fraction, message: None)
    view = View(detected.photo, person, detected.camera, fit)
    [formed] = with_faces([view], engine, options)
    fits = {"betas": fit, "picture plane": _in_picture_plane(view, engine), "space": clothe(formed, engine, options)}
    return Heads(fits, detected.camera)


def _in_picture_plane(view: View, engine: Engine) -> Fit:
    """The baseline: clothes, and all of the face's form by the spline that has only the last word in the product."""
    spline = engine.face and replace(engine.face, settings=replace(engine.face.settings, last_move=FREE_MOVE))
    fit = replace(view.fit, offsets=clothing_offsets(view.fit, view.person, view.camera, engine.clothing))
    return replace(fit, offsets=fit.offsets + face_offsets(fit, view.person, view.camera, engine.body, spline))


def field_of(engine: Engine) -> FaceField:
    """The engine's field of the face. Raises ValueError if its landmarks belong to another body."""
    if engine.face_field is None:
        raise ValueError("The face landmarks belong to another body than the engine's.")
    return engine.face_field


def face_errors(sitter: FaceSitter, fit: Fit, camera: Camera, body: BodyModel, field: FaceField) -> FaceErrors:
    """The errors of a fitted head, whose photo ``camera`` was assumed to have taken."""
    true_rest, rest = (
        body.data.v_template + body.data.shapedirs @ one.betas + offsets
        for one, offsets in ((sitter.body, sitter.offsets), (fit.body, fit.offsets))
    )
    at = field.points.at
    judged = at(vertex_normals(body.data.v_template, body.data.faces))[:, 2] > FRONT
    truth, found = at(true_rest).astype(np.float64), at(rest).astype(np.float64)
    laid = HeadPlace.between(found, truth, judged.astype(float)).placed(found)
    posed = at(body.posed(sitter.body, sitter.offsets)[0]).astype(np.float64)
    place = HeadPlace.between(truth, posed, np.ones(len(truth)))
    middle = posed.mean(0)
    sight = place.rotation.T @ (middle / np.linalg.norm(middle))
    normals = at(vertex_normals(true_rest, body.data.faces))
    beside = []
    for angle in BESIDE:
        sides = [_seen_from(rotations.exp(np.array([0, turn, 0])) @ sight, laid - truth, normals, judged)
                 for turn in np.radians([angle, -angle])]  # fmt: skip
        beside.append(float(np.mean(sides)))
    seen = judged & (-(normals @ sight) > SEEN)
    shift = camera.project(at(body.posed(fit.body, fit.offsets)[0])) - sitter.camera.project(posed)
    size = 1000 * middle[2] / sitter.camera.focal
    return FaceErrors(float(size * np.linalg.norm(shift[seen], axis=1).mean()), tuple(beside))


def _seen_from(sight: Floats, errors: Floats, normals: Floats, judged: NDArray[np.bool_]) -> float:
    """Mean length, mm, of errors (K, 3) across a line of sight (3,), of the landmarks that are seen along it."""
    across = errors - np.outer(errors @ sight, sight)
    return float(1000 * np.linalg.norm(across, axis=1)[judged & (-(normals @ sight) > SEEN)].mean())


def _rows(errors: Mapping[tuple[str, str], Sequence[FaceErrors]]) -> list[Row]:
    """The mean of each group of heads and way of making them."""
    return [
        {
            "heads around": group,
            "made of": way,
            "people": len(some),
            "in the picture": float(np.mean([one.picture for one in some])),
            **{
                f"{angle} degrees beside": float(np.mean([one.beside[i] for one in some]))
                for i, angle in enumerate(BESIDE)
            },
        }
        for (group, way), some in errors.items()
    ]
