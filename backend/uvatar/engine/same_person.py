"""One avatar from several photos of the same person, or from several views in one photo."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from uvatar.data.fit import Fit
from uvatar.data.photo import PhotoFile
from uvatar.data.progress import Progress, ignore_progress, of_stage, within
from uvatar.data.view import View
from uvatar.engine.bodies import fit_bodies
from uvatar.engine.choice import DEFAULT_SETTINGS, Candidate, Choice, choose_views, facing
from uvatar.engine.detect import DetectedPeople, detect, left_out_notes
from uvatar.engine.faces import with_faces
from uvatar.engine.finish import clothe, counted, finish_people, judge, sound_numbers, texture_views
from uvatar.engine.gravity import photo_gravity
from uvatar.engine.likeness import appearance
from uvatar.engine.parsing import with_parsing
from uvatar.engine.shells import shell_parts
from uvatar.engine.texture_size import with_texture_size
from uvatar.engine.timing import Stopwatch
from uvatar.fitting.shape import AGE_NOTES, CHILD
from uvatar.mesh_predictor.result_file import ResultFileError
from uvatar.photos.decoding import PhotoError
from uvatar.protocol.heights import heights_of
from uvatar.protocol.options import DEFAULT_OPTIONS, Options
from uvatar.results.result import NobodyAlike, PersonResult, PhotoResult

if TYPE_CHECKING:
    from uvatar.engine.engine import Engine

PhotoFailed = Callable[[int, PhotoError | ResultFileError], None]


@dataclass(frozen=True)
class _Context:
    """What all steps of one merge share."""

    engine: Engine
    options: Options
    report: Progress
    clock: Stopwatch


def reconstruct_same_person(
    photos: Sequence[PhotoFile],
    engine: Engine,
    options: Options = DEFAULT_OPTIONS,
    report: Progress = ignore_progress,
    failed: PhotoFailed | None = None,
) -> tuple[int, PhotoResult] | None:
    """Make one avatar from all photos; `uvatar.engine.choice` chooses the person.

    Shape is the mean of all views'; every view's texels are used where it sees best; pose, camera and clothing are
    those of the view that fits best.

    Args:
        failed: called for photos that cannot be used or in which nobody looks like the person, by index; the others are
            merged without them. None raises the error of the first one that cannot be used.

    Returns the index of the photo that pose and camera are from, and its result; where there is one photo alone and
    its people look unlike, each has an avatar. None if no photo is left.

    Raises NotFitted if no avatar could be made.
    """
    if len(photos) > 1:
        options = replace(options, max_people=min(options.max_people, DEFAULT_SETTINGS.candidates))
    context = _Context(engine, options, report, Stopwatch())
    detected = _detected(photos, context, failed)
    if not detected:
        return None
    fits: dict[int, list[Fit]] = {}
    for i, one in detected.items():
        start, end = (0.3 + 0.2 * (len(fits) + step) / len(detected) for step in (0, 1))
        report("fitting", start, f"Fitting {counted(one.people)} in {one.photo.name}")
        # Who of the people has the height that was typed is known when they are told apart.
        unsized = replace(options, height="")
        fits[i] = fit_bodies(one, engine, unsized, of_stage(report, "fitting", start, end))
    choice = choose_views(_sightings(detected, fits, engine), {i: one.photo.name for i, one in detected.items()})
    context.clock.lap("fitting")
    if choice.separate:
        [(index, one)] = detected.items()
        notes = choice.notes + left_out_notes(one, options.max_people)
        return index, finish_people(one, fits[index], notes, engine, options, report, context.clock)
    for index, why in choice.left_out.items():
        if failed is not None:
            failed(index, NobodyAlike(why))
    return _of_chosen(choice, detected, fits, context)


def of_one_age(fits: Sequence[Fit]) -> list[Fit]:
    """The fits to the same person that agree on whether it is a child: those that are more confident together."""
    children, grown_ups = ([fit for fit in fits if (fit.group == CHILD) == young] for young in (True, False))
    return max(grown_ups, children, key=lambda some: sum(fit.confidence for fit in some))


def merge_betas(fits: Sequence[Fit]) -> NDArray[np.float32]:
    """One body's betas from several photos of the same person: the mean, each photo weighted by its confidence."""
    weights = np.array([max(fit.confidence, 1e-3) for fit in fits])
    betas = np.stack([fit.body.betas for fit in fits])
    merged: NDArray[np.float32] = (weights[:, None] * betas).sum(0).astype(np.float32) / np.float32(weights.sum())
    return merged


def _detected(photos: Sequence[PhotoFile], context: _Context, failed: PhotoFailed | None) -> dict[int, DetectedPeople]:
    """The people of all photos that can be used, by the photos' indices."""
    detected: dict[int, DetectedPeople] = {}
    share = 0.3 / len(photos)
    for i, photo in enumerate(photos):
        report = within(context.report, share * i, share * (i + 1))
        try:
            detected[i] = detect(photo, context.engine, context.options, report, context.clock)
        except (PhotoError, ResultFileError) as error:
            if failed is None:
                raise
            failed(i, error)
    return detected


def _sightings(
    detected: Mapping[int, DetectedPeople], fits: Mapping[int, Sequence[Fit]], engine: Engine
) -> list[Candidate]:
    """Everybody in all photos, as candidates for the one person."""
    return [
        Candidate(index, number, person, appearance(one.photo, person, one.camera, fit, engine.body), facing(fit.body))
        for index, one in detected.items()
        for number, (person, fit) in enumerate(zip(one.people, fits[index], strict=True))
    ]


def _of_chosen(
    choice: Choice, detected: Mapping[int, DetectedPeople], fits: Mapping[int, Sequence[Fit]], context: _Context
) -> tuple[int, PhotoResult]:
    """The avatar of the chosen views, and the index of the photo that pose and camera are from."""
    crowds = [one for one in detected.values() if one.found > len(one.people)]
    compared = (
        f"Of the {one.found} people in {one.photo.name}, only the {len(one.people)} most prominent were compared."
        for one in crowds
    )
    notes = (*choice.notes, *compared)
    views = [detected[view.photo].only([view.number]) for view in choice.views]
    view_fits = [fits[view.photo][view.number] for view in choice.views]
    if len(views) == 1 and not heights_of(context.options.height):
        engine, options, report, clock = context.engine, context.options, context.report, context.clock
        return choice.views[0].photo, finish_people(views[0], view_fits, notes, engine, options, report, clock)
    index, result = _merged(views, view_fits, context)
    return choice.views[index].photo, replace(result, notes=notes)


def _merged(detected: Sequence[DetectedPeople], fits: Sequence[Fit], context: _Context) -> tuple[int, PhotoResult]:
    """One avatar from views of one person, each alone in its ``detected``; and the number of the view that pose and
    camera are from.
    """
    engine, options, report, clock = context.engine, context.options, context.report, context.clock
    report("fitting", 0.5, f"Fitting one body to {len(detected)} views of a person")
    agreed = of_one_age(fits)
    betas = _with_height(merge_betas(agreed), engine, options)
    age = tuple(note for note in AGE_NOTES if any(note in fit.notes for fit in agreed))
    step = 0.1 / len(detected)
    fits = [
        fit_bodies(one, engine, options, of_stage(report, "fitting", 0.5 + step * i, 0.5 + step * (i + 1)), betas)[0]
        for i, one in enumerate(detected)
    ]
    clock.lap("fitting")
    bare = [View(one.photo, one.people[0], one.camera, fit) for one, fit in zip(detected, fits, strict=True)]
    with sound_numbers(bare[0].person, bare[0].photo):
        bare = with_faces(bare, engine, options)
    gravities = [
        photo_gravity([view.person], [view.fit], view.camera, one.gravity, engine.fitting)
        for view, one in zip(bare, detected, strict=True)
    ]
    views: list[View] = []
    for view, gravity in zip(bare, gravities, strict=True):
        report("texturing", 0.6 + 0.2 * len(views) / len(bare), f"Fitting clothes in {view.photo.name}")
        with sound_numbers(view.person, view.photo):
            views.append(replace(view, fit=clothe(view, engine, options, gravity.up, bare)))
    clock.lap("clothing")
    report("texturing", 0.8, "Merging the views into one texture")
    # Eyes and missing detail come from the first view: one with a face, the one that fits best.
    order = sorted(range(len(views)), key=lambda i: (views[i].person.face is None, -_worth(views[i])))
    best = max(range(len(views)), key=lambda i: _worth(views[i]))
    main = views[best]
    with sound_numbers(main.person, main.photo):
        options = with_texture_size(views, options, engine)
        first, parser_notes = with_parsing(views[order[0]], engine, options)
        texture, notes = texture_views([first, *(views[i] for i in order[1:])], engine, options)
    clock.lap("texturing")
    parts = shell_parts(main, int(options.texture_size), engine)
    fit = replace(main.fit, notes=main.fit.notes + age + parser_notes + notes)
    person = PersonResult(main.person, fit, texture, parts=parts)
    person = judge(person, main.photo, main.camera, engine)
    everybody = detected[best].everybody
    return best, PhotoResult(main.photo, main.camera, [person], clock.laps, everybody, gravity=gravities[best])


def _with_height(betas: NDArray[np.float32], engine: Engine, options: Options) -> NDArray[np.float32]:
    """The shape (10,) of somebody as tall as was typed, if anything was."""
    height = next(iter(heights_of(options.height)), None)
    if height is None:
        return betas
    changed = engine.fitting.stature.changed(betas[None].astype(float), np.array([height / 100]))
    return np.asarray(changed[0], np.float32)


def _worth(view: View) -> float:
    """How much a view says of the person: how well it fits, and how large it is."""
    return view.fit.confidence * float(np.ptp(view.person.box[[1, 3]]))
