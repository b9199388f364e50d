"""The last stages of a person: clothes, texture, and a judgement of the finished avatar."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.body.rig import with_relaxed_hands
from uvatar.clothing.bridging import cloth_shares
from uvatar.clothing.ears import ears_under_hair, with_whole_ears
from uvatar.clothing.hair.dressing import without_hair
from uvatar.clothing.offsets import clothing_offsets
from uvatar.clothing.shoes import shoe_offsets
from uvatar.clothing.skirt.dressing import build_skirt, find_skirt, without_skirt
from uvatar.clothing.unseen_trousers import with_unseen_trousers
from uvatar.data.camera import Camera
from uvatar.data.fit import Fit
from uvatar.data.person import Person
from uvatar.data.photo import Photo
from uvatar.data.progress import Progress
from uvatar.data.texture import Texture
from uvatar.data.view import View
from uvatar.engine.detect import DetectedPeople
from uvatar.engine.faces import with_faces
from uvatar.engine.generators import painted_texture
from uvatar.engine.gravity import photo_gravity
from uvatar.engine.hair import HairPlan
from uvatar.engine.parsing import with_parsing
from uvatar.engine.shells import dressed_mesh, shell_parts
from uvatar.engine.texture_size import with_texture_size
from uvatar.engine.timing import Stopwatch
from uvatar.fitting.report import DEFAULT_SETTINGS as REPORT_SETTINGS
from uvatar.fitting.report import finished
from uvatar.geometry.masks import mask_iou
from uvatar.geometry.raster import rasterize
from uvatar.mesh_predictor.prediction import Prediction
from uvatar.protocol.options import ON_SURFACE, Options
from uvatar.results.result import NotFitted, PersonResult, PhotoResult
from uvatar.texture_predictor.predictor import PredictionError
from uvatar.texturing import face_offsets, texture_person

if TYPE_CHECKING:
    from uvatar.engine.engine import Engine

OUTLINE_SIDE = 400  # pixels of a mask's longer side at most when body and mask are compared


def finish_people(
    detected: DetectedPeople,
    fits: Sequence[Fit],
    notes: tuple[str, ...],
    engine: Engine,
    options: Options,
    report: Progress,
    clock: Stopwatch,
) -> PhotoResult:
    """The photo's people, fitted already, with clothes and textures.

    Raises NotFitted if none of them becomes an avatar.
    """
    results: list[PersonResult] = []
    failures: list[NotFitted] = []
    report("texturing", 0.6, f"Fitting clothes and texturing {counted(detected.people)}")
    gravity = photo_gravity(detected.people, fits, detected.camera, detected.gravity, engine.fitting)
    clock.lap("gravity")
    with ThreadPoolExecutor(engine.threads) as pool:
        everyone = zip(detected.people, fits, detected.predictions, strict=True)
        finishing = [
            pool.submit(
                finish_person,
                View(detected.photo, person, detected.camera, fit),
                prediction,
                engine,
                options,
                gravity.up,
            )
            for person, fit, prediction in everyone
        ]
        for number, future in enumerate(finishing, 1):
            try:
                results.append(future.result())
            except NotFitted as failure:
                failures.append(failure)
            fraction = 0.6 + 0.4 * number / len(finishing)
            report("texturing", fraction, f"Textured person {number} of {len(finishing)}")
    clock.lap("clothing and texturing")
    if not results:
        raise failures[0]
    return PhotoResult(
        detected.photo, detected.camera, results, clock.laps, detected.everybody, notes, tuple(failures), gravity
    )


def finish_person(
    view: View,
    prediction: Prediction | None,
    engine: Engine,
    options: Options,
    up: tuple[float, float, float] | None = None,
) -> PersonResult:
    """One person of one photo, fitted already, with clothes and texture; ``up`` as of `clothe`. Raises NotFitted."""
    clock = Stopwatch()
    with sound_numbers(view.person, view.photo):
        [view] = with_faces([view], engine, options)
        view, parser_notes = with_parsing(view, engine, options)
        fit = clothe(view, engine, options, up)
        clock.lap("clothing")
        options = with_texture_size([replace(view, fit=fit)], options, engine)
        texture, notes = texture_views([replace(view, fit=fit)], engine, options)
    clock.lap("texturing")
    as_is = None if options.refine else prediction
    parts = shell_parts(replace(view, fit=fit), int(options.texture_size), engine)
    done = PersonResult(
        view.person, replace(fit, notes=fit.notes + parser_notes + notes), texture, prediction=as_is, parts=parts
    )
    return replace(judge(done, view.photo, view.camera, engine), seconds=clock.laps)


def clothe(
    view: View,
    engine: Engine,
    options: Options,
    up: tuple[float, float, float] | None = None,
    others: Sequence[View] = (),
) -> Fit:
    """The view's fit with clothes, shoes, skirt and hair added, and fingers where nothing is known of them.

    ``up`` (3,) against gravity, camera frame, is where a skirt hangs from; None: it hangs along the legs. ``others``
    are more views of the person: legs that one of them shows do not wear the trousers of legs that nobody sees.

    Raises FloatingPointError if its vertices are not finite.
    """
    person, camera, body = view.person, view.camera, engine.body
    fit = replace(view.fit, body=with_relaxed_hands(view.fit.body, body.data.rig))
    if not options.fast and options.clothing and options.refine:
        kind, shoes = shoe_offsets(view, body, engine.shoes, options.shoes) if engine.shoes else (None, None)
        found, notes = find_skirt(view, body) if options.skirts else (None, ())
        cloth = cloth_shares(view, body, engine.clothing.mesh.averaging, engine.clothing.settings.bridging)
        if found is None:
            shoes = with_unseen_trousers(shoes, view, engine.clothing, cloth, others)
        hair = HairPlan.of(view, body, options.hair)
        if hair.pixels is not None:
            person = without_hair(person, hair.pixels)
        hidden = hair.covers_ears and ears_under_hair(replace(view, fit=fit), body, engine.clothing.ears)
        worn = functools.partial(
            clothing_offsets, fit, camera=camera, model=engine.clothing, shoes=shoes, hair_on_ears=hidden, cloth=cloth
        )
        offsets = worn(person=without_skirt(person, found))
        skirt = None
        if found is not None:
            skirt, offsets, notes = build_skirt(found, view, body, offsets, up)
            if skirt is None:
                offsets = worn(person=person)
        fit = replace(fit, offsets=fit.offsets + offsets, shoes=(kind, kind), skirt=skirt, notes=fit.notes + notes)
        dressed = body.data.v_template + body.data.shapedirs @ fit.body.betas + fit.offsets
        face = with_whole_ears(face_offsets(fit, person, camera, body, engine.face), dressed, engine.clothing.ears)
        fit = replace(fit, offsets=(fit.offsets + face).astype(np.float32))
        haired = hair.worn(fit, view, body, engine.clothing.ears)
        if haired is None:  # it cannot be built: then the body's surface follows it
            return clothe(view, engine, replace(options, hair=ON_SURFACE), up, others)
        fit = haired
    if not np.isfinite(body.posed(fit.body, fit.offsets)[0]).all():
        raise FloatingPointError("The body's vertices are not finite.")
    return fit


def texture_views(views: Sequence[View], engine: Engine, options: Options) -> tuple[Texture, tuple[str, ...]]:
    """A person's texture from one or more views, of a size in the options that is not automatic any more, and notes."""
    predictor = engine.texture_predictor
    # The photo shows the skirt where the legs inside are, and loose hair where neck and trunk are.
    views = [replace(view, person=without_shells(view.person, view.fit)) for view in views]
    chosen = options.texture or ("projected" if options.fast else "combined")
    atlas = engine.atlases.at(int(options.texture_size))
    without = functools.partial(texture_person, views, atlas, face=engine.face, fast=options.fast)
    if predictor is None or chosen == "projected":
        return painted_texture(without, options)
    predict = functools.partial(predictor.predict, views[0], seed=options.texture_seed or None)
    predicted = functools.partial(without, predicted=predict, keep_photo=chosen != "predicted")
    try:
        return painted_texture(predicted, options)
    except PredictionError as error:
        texture, notes = painted_texture(without, options)
        return texture, (f"{error} It was completed without the Texture Predictor.", *notes)


def without_shells(person: Person, fit: Fit) -> Person:
    """The person without the pixels of skirt and loose hair; those of hair before the head are painted on the head."""
    person = without_skirt(person, fit.skirt)
    for loose in (fit.bared, None if fit.hair is None else fit.hair.loose):
        if loose is not None:
            # Nor is it the person's: the neck takes what looks like the scalp beside it from somebody else's pixels.
            person = replace(without_hair(person, loose), mask=np.where(loose > 127, 0, person.mask))
    return person


def judge(person: PersonResult, photo: Photo, camera: Camera, engine: Engine) -> PersonResult:
    """The person with outline and confidence as the finished avatar has them.

    Raises NotFitted if (next to) nothing of the photo is on the avatar.
    """
    if not person.texture.seen >= REPORT_SETTINGS.least_seen:
        raise not_fitted(person.person, photo, "no pixels of the photo reached the texture")
    # Hair that the artist has left out says nothing of how well the rest meets the outline.
    seen = person.person if person.fit.bared is None else without_hair(person.person, person.fit.bared)
    outline = outline_iou(seen, *dressed_mesh(person.fit, engine.body), camera)
    return replace(person, outline=outline, fit=finished(person.fit, outline, person.texture.seen))


def outline_iou(person: Person, vertices: NDArray[np.float32], faces: NDArray[np.int32], camera: Camera) -> float:
    """Intersection over union of the body's outline and the person's mask, where no other person is.

    NaN where neither is seen.

    ``vertices`` (V, 3) in the camera frame; compared in a picture of the mask's window of at most `OUTLINE_SIDE`
    pixels.
    """
    x0, y0, x1, y1 = person.window
    small = camera.cropped(person.window, min(1.0, OUTLINE_SIDE / max(x1 - x0, y1 - y0)))
    mask, others = (
        cv2.resize(image, (small.width, small.height), interpolation=cv2.INTER_AREA) > 127
        for image in (person.mask, person.others)
    )
    return mask_iou(rasterize(vertices, faces, small).mask, mask, known=~others)


@contextmanager
def sound_numbers(person: Person, photo: Photo) -> Iterator[None]:
    """Raise NotFitted if a person's numbers are not finite or a system of equations has no solution."""
    try:
        yield
    except (np.linalg.LinAlgError, FloatingPointError) as error:
        raise not_fitted(person, photo, "the computation failed numerically") from error
    except RuntimeError as error:
        if "singular" not in str(error):  # scipy's word for a system of equations without a solution
            raise
        raise not_fitted(person, photo, "the computation failed numerically") from error


def not_fitted(person: Person, photo: Photo, why: str) -> NotFitted:
    """The error that says for which person no avatar could be made, and why."""
    x, y = (person.box[:2] + person.box[2:]) / 2
    return NotFitted(
        f"No avatar could be made of the person at {x:.0f}, {y:.0f} in {photo.name}: {why}. "
        "Try another photo, or one that shows the person larger; if this happens with every photo, run `uvatar doctor`."
    )


def counted(people: Sequence[Person]) -> str:
    """How many people, in words."""
    return "1 person" if len(people) == 1 else f"{len(people)} people"
