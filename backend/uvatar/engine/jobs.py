"""The work of a model process: a job's photos in, a result for each as soon as it is ready."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from uvatar.body import BodyError
from uvatar.data.camera import Camera
from uvatar.data.photo import PhotoFile
from uvatar.data.progress import Progress
from uvatar.engine.finish import outline_iou
from uvatar.engine.placement import device_notes, stage_devices
from uvatar.engine.reconstruct import reconstruct
from uvatar.engine.same_person import reconstruct_same_person
from uvatar.engine.shells import dressed_mesh, parts_on
from uvatar.mesh_predictor.prediction import NAME, OPEN_BODY, SMPL
from uvatar.mesh_predictor.result_file import ResultFileError
from uvatar.photos.decoding import PhotoError
from uvatar.protocol.errors import Code
from uvatar.protocol.given_people import estimates
from uvatar.protocol.options import Options
from uvatar.results.present import Licences, described, present_failure, present_photo
from uvatar.results.result import NotFitted, PersonOnBody, PersonResult, PhotoResult
from uvatar.results.romp_results import romp_results
from uvatar.transfer import Registration, transfer_fit, transfer_texture

if TYPE_CHECKING:
    from uvatar.engine.engine import Engine

# index of the photo, its result as docs/result-schema.md has it
PhotoDone = Callable[[int, dict[str, Any]], None]


def run_job(
    photos: Sequence[PhotoFile], options: Options, engine: Engine, report: Progress, photo_done: PhotoDone
) -> None:
    """Reconstruct a job's photos in order.

    A photo that cannot be used gets a result without people that says why in ``errors``; the others go on.

    Args:
        photo_done: called with each photo's result as soon as it is there; of several photos that become one avatar,
            for the one that its pose is from.

    Raises UvatarError if the options ask for what is not installed.
    """
    engine.check(options)
    if options.body != OPEN_BODY:
        report("reading", 0.0, "Preparing the SMPL body")
        engine.registration(options.body)
    if options.same_person:
        _run_same_person(photos, options, engine, report, photo_done)
    else:
        for index, photo in enumerate(photos):
            photo_done(index, photo_result(photo, options, engine, report))


def photo_result(photo: PhotoFile, options: Options, engine: Engine, report: Progress) -> dict[str, Any]:
    """One photo's result; of a photo that cannot be used one without people that says why in ``errors``."""
    try:
        result = reconstruct(photo, engine, options, report)
    except (PhotoError, ResultFileError) as error:
        return present_failure(error)
    return present(result, engine, options)


def _run_same_person(
    photos: Sequence[PhotoFile], options: Options, engine: Engine, report: Progress, photo_done: PhotoDone
) -> None:
    untold = set(range(len(photos)))

    def failed(index: int, error: PhotoError | ResultFileError) -> None:
        untold.discard(index)
        photo_done(index, present_failure(error))

    try:
        merged = reconstruct_same_person(photos, engine, options, report, failed)
    except NotFitted as failure:
        for index in sorted(untold):
            failed(index, failure)
        return
    if merged is not None:
        photo_done(merged[0], present(merged[1], engine, options))


def present(result: PhotoResult, engine: Engine, options: Options) -> dict[str, Any]:
    """A photo's result, on the body that the options ask for, as the dictionary that leaves the backend
    (docs/result-schema.md).

    Raises UvatarError if that body is not installed.
    """
    started = time.perf_counter()
    registration = engine.registration(options.body)
    people = [on_body(person, registration, result.camera, engine) for person in result.people]
    if registration is not None:
        result = replace(result, timings={**result.timings, "carrying over": time.perf_counter() - started})
    body = engine.body if registration is None else registration.target
    fitted_on = None if registration is None else f"{engine.body.data.name}, {engine.body.data.licence}"
    licences = [Licences(fitted_on, *_networks(person, engine, options)) for person in result.people]
    whole = present_photo(result, people, body, licences, options.turntable)
    problems = (engine.mesh_predictor_problem, engine.texture_predictor_problem, engine.parser_problem)
    whole["devices"] = stage_devices(engine, whole["timings"])
    whole["notes"] += device_notes(engine)
    whole["errors"] += [problem.as_dict() for problem in problems if problem is not None]
    if options.export_npz:
        try:
            whole["romp"] = romp_results(result, [one.fit for one in people], body, engine.models)
        except BodyError as error:
            fix = f"Replace or remove the file in {engine.models}."
            whole["errors"].append(described(error, Code.BAD_WEIGHTS, fix))
    return whole


def on_body(person: PersonResult, registration: Registration | None, camera: Camera, engine: Engine) -> PersonOnBody:
    """A person as the job wants it: as it was fitted, or transferred to the other body."""
    if registration is None:
        offsets = engine.body.with_closed_lips(person.fit.body.betas, person.fit.offsets)
        parts = (*engine.body.parts(person.fit.body.betas, offsets), *person.parts)
        return PersonOnBody(replace(person.fit, offsets=offsets), person.texture, person.outline, parts=parts)
    transferred = transfer_fit(person.fit, registration)
    fit = transferred.fit
    metrics = {"carried_over_mean": transferred.distance_mean, "carried_over_p95": transferred.distance_p95}
    if person.prediction is not None and person.prediction.betas_of == SMPL:
        # It was predicted on this body: nothing is nearer to it.
        fit, metrics = replace(fit, body=person.prediction.bodies(registration.target, camera)[0]), {}
    target = registration.target
    outline = outline_iou(person.person, *dressed_mesh(fit, target), camera)
    parts = parts_on(fit, person.parts, target)
    if not target.data.has_uv:
        return PersonOnBody(replace(fit, notes=(*fit.notes, engine.smpl.no_texture)), None, outline, metrics, parts)
    size = len(person.texture.source)
    texture = transfer_texture(person.texture, registration, size, engine.atlases.at(size).table)
    return PersonOnBody(fit, texture, outline, metrics, parts)


def _networks(person: PersonResult, engine: Engine, options: Options) -> tuple[str | None, str | None]:
    """The licences of the Mesh Predictor and the Texture Predictor, if the avatar used them."""
    mesh = engine.mesh_predictor if estimates(options.given_people) is None and person.fit.start == NAME else None
    return mesh.licence if mesh else None, engine.texture_predictor.licence if engine.texture_predictor else None
