"""The one place that knows the order of the stages: photo bytes in, people with fitted, clothed, textured bodies out.

    decode_photo -> Perception.people -> Predictor.look -> fit_people -> clothing_offsets -> texture_person

The Mesh Predictor runs where its weights are installed: its people are further starts for `fit_people` beside the
landmarks' own, and without refinement they are the result.  A result file of ROMP or another estimator can take its
place. The Texture Predictor runs inside `texture_person`, where its weights are installed: it is given what the photos
show of the texture, and what it makes of that takes the place of the smooth completion. People are fitted and textured
on the open body. Where the job asks for SMPL, the finished ones are carried over to it (`uvatar.transfer`).
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from uvatar import __version__
from uvatar.body import BodyError, BodyModel, load_open_body
from uvatar.clothing.offsets import clothing_offsets
from uvatar.data.camera import Camera
from uvatar.data.fit import Fit
from uvatar.data.labels import Label
from uvatar.data.person import Person
from uvatar.data.photo import Photo
from uvatar.engine.likeness import appearance
from uvatar.engine.same_person import CANDIDATES, Sighting, choose_views, facing
from uvatar.evaluation.metrics import mask_iou
from uvatar.fitting.fitter import FitOptions, fit_people
from uvatar.fitting.models import PoseModels
from uvatar.fitting.report import LEAST_SEEN, finished
from uvatar.fitting.shape import AGE_NOTES
from uvatar.geometry.raster import rasterize
from uvatar.mesh_predictor.checkpoint import CheckpointError
from uvatar.mesh_predictor.prediction import NAME, OPEN_BODY, SMPL, Prediction, fit_as_predicted, match_people
from uvatar.mesh_predictor.predictor import LIGHT_FILE, ROMP_FILE, Predictor
from uvatar.mesh_predictor.result_file import GivenPeople, ResultFileError
from uvatar.mesh_predictor.romp_format import fitted_results, predicted_results
from uvatar.mesh_predictor.smpl_files import neutral_smpl, packed_regressors
from uvatar.perception.evidence import LIKELY
from uvatar.perception.perception import Perception
from uvatar.photos.decoding import PhotoError, decode_photo
from uvatar.protocol.errors import Code, UvatarError
from uvatar.protocol.framing import RESULT_SCHEMA
from uvatar.protocol.options import Options, declared, read_options
from uvatar.results import preview, record
from uvatar.runtime.weights import check_shipped, models_folder, weights_folder
from uvatar.texture_predictor.predictor import FILE as TEXTURE_FILE
from uvatar.texture_predictor.predictor import PredictionError, TexturePredictor
from uvatar.texturing import FaceSpline, Texture, View, face_offsets, texture_person
from uvatar.texturing.atlas import TexturingError
from uvatar.texturing.painted import complete_painted, read_painted
from uvatar.transfer import Registration, UserSmpl, carried_texture, carry_over

# stage name, fraction of the photo done (0..1), message in the artist's words
Progress = Callable[[str, float, str], None]
# index of the photo, its result as docs/result-schema.md has it
PhotoDone = Callable[[int, dict[str, Any]], None]


class NobodyFound(PhotoError):
    """There is no person in the photo."""


class NotFitted(PhotoError):
    """A person was found, but no avatar could be made of them."""


class NobodyAlike(PhotoError):
    """The photo shows nobody who looks like the person of the other photos."""


@dataclass(frozen=True)
class PersonResult:
    """One person of one photo, all stages done, on the open body.

    Attributes:
        outline: overlap (IoU) of the body, clothing included, with the person's mask; NaN where neither is seen.
        prediction: where it is the result as it is, not refined.
        seconds: time spent on this person by stage; the batched stages count their share.
    """

    person: Person
    fit: Fit
    texture: Texture
    outline: float = float("nan")
    prediction: Prediction | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class PhotoResult:
    """One photo, all stages done.

    Attributes:
        timings: seconds by stage.
        prediction: everybody whom the Mesh Predictor, or the given file, found in it; None where there was neither.
        notes: what to know about the photo as a whole, in sentences.
        failures: people of whom no avatar could be made, and why.
    """

    photo: Photo
    camera: Camera
    people: list[PersonResult]
    timings: Mapping[str, float]
    prediction: Prediction | None = None
    notes: tuple[str, ...] = ()
    failures: tuple[NotFitted, ...] = ()


@dataclass(frozen=True)
class _Shown:
    """A person on the body that the job asks for.

    Attributes:
        texture: None where that body has no UV layout.
        metrics: how far the body is from the one that was fitted; empty where it is the same.
    """

    fit: Fit
    texture: Texture | None
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class _Seen:
    """A photo after perception and prediction.

    Attributes:
        predictions: one for each of ``people``, or None where there is none.
        everybody: whom the Mesh Predictor found by itself, or whom the file holds.
        found: how many people perception found; perhaps more than there may be in ``people``.
        uncertain: how many more were left out because it is not certain enough that they are people.
    """

    photo: Photo
    camera: Camera
    people: list[Person]
    predictions: list[Prediction | None]
    everybody: Prediction | None
    found: int
    uncertain: int = 0

    def only(self, numbers: Sequence[int]) -> _Seen:
        """The same photo with these of its people."""
        return replace(
            self, people=[self.people[i] for i in numbers], predictions=[self.predictions[i] for i in numbers]
        )


class Pipeline:
    """Models and body, loaded once; photos go through it one job at a time."""

    def __init__(self, weights: Path | None = None, threads: int | None = None) -> None:
        """``weights``: folder of the shipped weights; ``threads``: CPU threads to use, all cores by default."""
        self.threads = threads or os.cpu_count() or 1
        # Stages run people in parallel, one thread each: libraries that start threads of their own would only get in
        # the way.
        torch.set_num_threads(self.threads)
        cv2.setNumThreads(1)
        weights = weights or weights_folder()
        check_shipped(weights)
        self.body = load_open_body(weights / "open_body.npz")
        self.pose_models = PoseModels.load(weights)
        self.face = FaceSpline.load(weights, self.body)
        self.perception = Perception(weights / "perception", threads=self.threads)
        self.models = models_folder()
        self.smpl = UserSmpl(self.body, self.models)
        self.predictor, self.problems = _find_predictor(weights, self.models)
        self.texture_predictor, self.texture_problems = _find_texture_predictor(weights, self.models, self.body)

    @property
    def facts(self) -> dict[str, Any]:
        """What is loaded, for `uvatar status`."""
        return {
            "body": self.body.data.name,
            "licence": self.body.data.licence,
            "mesh_predictor": self.predictor.name if self.predictor else None,
            "texture_predictor": self.texture_predictor.resolution if self.texture_predictor else None,
            "threads": self.threads,
            "torch": torch.__version__,
        }

    def reconstruct(
        self, photos: list[tuple[str, bytes]], options: Mapping[str, Any], progress: Progress, photo_done: PhotoDone
    ) -> None:
        """A job: names and bytes of photos in.

        ``photo_done`` is called with each photo's result as soon as it is there.

        A photo that cannot be used gets a result without people that says why in ``errors``; the others go on.

        Raises UvatarError where the options ask for what is not installed.
        """
        chosen = read_options(options)
        if not chosen.refine and self.predictor is None and chosen.given_people is None:
            raise _no_predictor(self.models, self.problems)
        if chosen.texture in ("predicted", "combined") and self.texture_predictor is None:
            raise _no_texture_predictor(self.models, self.texture_problems)
        if chosen.body == SMPL:
            progress("reading", 0.0, "Getting the SMPL body ready")
            self._registration(chosen)

        untold = set(range(len(photos)))

        def failed(index: int, error: PhotoError | ResultFileError) -> None:
            untold.discard(index)
            photo_done(index, {"schema": RESULT_SCHEMA, "people": [], "errors": [_described(error)]})

        if chosen.complete_texture:
            photo_done(0, self.complete_texture(photos, chosen))
            return
        if chosen.same_person:
            try:
                merged = self.reconstruct_same_person(photos, chosen, progress, failed)
            except NotFitted as failure:
                for index in sorted(untold):
                    failed(index, failure)
                return
            if merged is not None:
                photo_done(merged[0], self.present(merged[1], chosen))
            return
        for index, (name, data) in enumerate(photos):
            try:
                result = self.reconstruct_photo(data, name, chosen, progress)
            except (PhotoError, ResultFileError) as error:
                failed(index, error)
            else:
                photo_done(index, self.present(result, chosen))

    def _registration(self, options: Options) -> Registration | None:
        """The other body that the job asks for, in agreement with the open one; None where it asks for that.

        Raises UvatarError.
        """
        if options.body == OPEN_BODY:
            return None
        try:
            return self.smpl.registration()
        except BodyError as error:
            raise UvatarError(str(error), Code.NO_BODY, "Or choose the open body. See `uvatar weights`.") from error

    def complete_texture(self, pictures: Sequence[tuple[str, bytes]], options: Options | None = None) -> dict[str, Any]:
        """A texture that the artist has painted over, its labels and, perhaps, what it was before, as PNG files -> the
        completed one.
        """
        whole: dict[str, Any] = {"schema": RESULT_SCHEMA, "people": [], "version": __version__, "errors": []}
        registration = self._registration(options or Options())
        body = self.body if registration is None else registration.target
        try:
            if len(pictures) not in (2, 3):
                raise TexturingError(
                    "A texture is completed from two or three pictures: as painted, its labels, and as it was before."
                )
            done = complete_painted(read_painted(*(data for _, data in pictures)), body)
        except TexturingError as error:
            return {**whole, "errors": [{"code": Code.BAD_PHOTO.value, "message": str(error), "fix": ""}]}
        pngs = {"texture_png": record.encode_png(done.image), "source_png": record.encode_png(done.source)}
        return {**whole, "texture": {"name": pictures[0][0], "body_model": body.data.name, **pngs}}

    def present(self, result: PhotoResult, options: Options | None = None) -> dict[str, Any]:
        """A photo's result as the dictionary that leaves the backend (docs/result-schema.md)."""
        options = options or Options()
        started = time.perf_counter()
        registration = self._registration(options)
        body, camera = self.body if registration is None else registration.target, result.camera
        data = body.data
        people, shown = [], [self._shown(person, registration, camera) for person in result.people]
        timings = {
            **result.timings,
            **({} if registration is None else {"carrying over": time.perf_counter() - started}),
        }
        started = time.perf_counter()
        for number, (person, one) in enumerate(zip(result.people, shown, strict=True)):
            vertices = body.posed(one.fit.body, one.fit.offsets)[0]
            pictures = {
                "texture_png": record.encode_png(one.texture.image) if one.texture else b"",
                "source_png": record.encode_png(one.texture.source) if one.texture else b"",
                "overlay_jpeg": record.encode_jpeg(
                    preview.overlay(result.photo.pixels, camera, [vertices], data.faces, max_side=1280)
                ),
            }
            if options.turntable and one.texture:
                pictures["turntable_png"] = record.encode_png(preview.turntable(vertices, data, one.texture.image))
            metrics = {
                "landmark_error_median": person.fit.landmark_error_median,
                "landmark_error_p95": person.fit.landmark_error_p95,
                "mask_iou": person.outline
                if registration is None
                else outline_iou(person.person, vertices, data.faces, camera),
                **{f"texels_{name}": share for name, share in source_shares(person.texture.source).items()},
                **one.metrics,
            }
            entry = record.person_entry(f"p{number}", one.fit, body, person.person.box, pictures, metrics)
            if registration is not None:
                entry["licence"]["fitted_on"] = f"{self.body.data.name}, {self.body.data.licence}"
            if self.predictor and options.given_people is None and person.fit.start == NAME:
                entry["licence"]["mesh_predictor"] = self.predictor.licence
            if self.texture_predictor and metrics["texels_predicted"] > 0:
                entry["licence"]["texture_predictor"] = self.texture_predictor.licence
            people.append(entry)
        timings["pictures"] = time.perf_counter() - started
        whole = {
            **record.photo_entry(result.photo, camera),
            "people": people,
            "timings": timings,
            "version": __version__,
        }
        whole["notes"] = list(result.notes)
        errors = [*(_described(failure) for failure in result.failures), *self.problems, *self.texture_problems]
        if options.export_npz:
            try:
                whole["romp"] = self._romp_results(result, [one.fit for one in shown], body)
            except BodyError as error:
                errors.append(
                    {
                        "code": Code.BAD_WEIGHTS.value,
                        "message": str(error),
                        "fix": f"Replace or remove the file in {self.models}.",
                    }
                )
        return {**whole, "errors": errors}

    def _shown(self, person: PersonResult, registration: Registration | None, camera: Camera) -> _Shown:
        """A person as the job wants it: as it was fitted, or on the other body."""
        if registration is None:
            return _Shown(person.fit, person.texture, {})
        carried = carry_over(person.fit, registration)
        fit, metrics = (
            carried.fit,
            {"carried_over_mean": carried.distance_mean, "carried_over_p95": carried.distance_p95},
        )
        if (
            person.prediction is not None and person.prediction.betas_of == SMPL
        ):  # this body's own: nothing is nearer to it
            fit, metrics = replace(fit, body=person.prediction.bodies(registration.target, camera)[0]), {}
        if not registration.target.data.has_uv:
            return _Shown(replace(fit, notes=(*fit.notes, self.smpl.no_texture)), None, metrics)
        return _Shown(fit, carried_texture(person.texture, registration, len(person.texture.source)), metrics)

    def _romp_results(self, result: PhotoResult, fits: Sequence[Fit], body: BodyModel) -> dict[str, Any]:
        """The people in ROMP's keys:

        ROMP's own, with its weights and the user's neutral SMPL body; else the bodies of the result.
        """
        everybody = result.prediction
        if everybody is not None and everybody.betas_of == SMPL and (smpl := neutral_smpl(self.models)) is not None:
            return {"body": smpl.data.name, **predicted_results(everybody, smpl, packed_regressors(self.models))}
        return {
            "body": body.data.name,
            **fitted_results([(fit.body, fit.confidence) for fit in fits], body, result.camera),
        }

    def reconstruct_photo(
        self, data: bytes, name: str = "photo", options: Options | None = None, progress: Progress | None = None
    ) -> PhotoResult:
        """All stages for one photo.

        Raises PhotoError where the photo cannot be read or shows nobody, NotFitted where none of its people becomes an
        avatar.
        """
        options = options or Options()
        report = progress or _ignore
        clock = _Clock()
        report("reading", 0.0, "Reading the photo")
        seen = self._look(data, name, options, report, clock)
        report("fitting", 0.3, f"Fitting {_count(seen.people)}")
        fits = self._fit(seen, options)
        clock.lap("fitting")
        return self._dressed(seen, fits, _left_out(seen, options.max_people), options, report, clock)

    def reconstruct_same_person(
        self,
        photos: Sequence[tuple[str, bytes]],
        options: Options | None = None,
        progress: Progress | None = None,
        failed: Callable[[int, PhotoError | ResultFileError], None] | None = None,
    ) -> tuple[int, PhotoResult] | None:
        """One avatar from several photos of the same person, or from several views in one photo
        (`uvatar.engine.same_person` chooses whom).

        Shape is the mean of all views'; every view's texels are used where it sees best; pose, camera and clothing are
        those of the view that fits best. Returns that view's photo's index and its result; where there is one photo
        alone and its people look unlike, each has an avatar.  ``failed`` is told of photos that cannot be used or show
        nobody who looks like the person, by index; the others are merged without them. None where no photo is left.
        """
        options = options or Options()
        report = progress or _ignore
        clock = _Clock()
        if len(photos) > 1:
            options = replace(options, max_people=min(options.max_people, CANDIDATES))
        seen: dict[int, _Seen] = {}
        for i, (name, data) in enumerate(photos):
            try:
                seen[i] = self._look(
                    data, name, options, _scaled(report, 0.3 * i / len(photos), 0.3 / len(photos)), clock
                )
            except (PhotoError, ResultFileError) as error:
                if failed is None:
                    raise
                failed(i, error)
        if not seen:
            return None
        fits: dict[int, list[Fit]] = {}
        for i, one in seen.items():
            report("fitting", 0.3 + 0.2 * len(fits) / len(seen), f"Fitting {_count(one.people)} in {one.photo.name}")
            fits[i] = self._fit(one, options)
        choice = choose_views(self._sightings(seen, fits), {i: one.photo.name for i, one in seen.items()})
        clock.lap("fitting")
        if choice.separate:
            [(index, one)] = seen.items()
            return index, self._dressed(
                one, fits[index], choice.notes + _left_out(one, options.max_people), options, report, clock
            )
        for index, why in choice.left_out.items():
            if failed is not None:
                failed(index, NobodyAlike(why))
        crowds = [one for one in seen.values() if one.found > len(one.people)]
        compared = (
            f"Of {one.found} people in {one.photo.name} the {len(one.people)} most prominent were compared."
            for one in crowds
        )
        notes = (*choice.notes, *compared)
        chosen = [seen[view.photo].only([view.number]) for view in choice.views]
        if len(chosen) == 1:
            [view] = choice.views
            return view.photo, self._dressed(chosen[0], [fits[view.photo][view.number]], notes, options, report, clock)
        index, result = self._merged(
            chosen, [fits[view.photo][view.number] for view in choice.views], options, report, clock
        )
        return choice.views[index].photo, replace(result, notes=notes)

    def _sightings(self, seen: Mapping[int, _Seen], fits: Mapping[int, Sequence[Fit]]) -> list[Sighting]:
        """Everybody in all photos, as candidates for the one person."""
        return [
            Sighting(index, number, person, appearance(one.photo, person, one.camera, fit, self.body), facing(fit.body))
            for index, one in seen.items()
            for number, (person, fit) in enumerate(zip(one.people, fits[index], strict=True))
        ]

    def _merged(
        self, seen: Sequence[_Seen], fits: Sequence[Fit], options: Options, report: Progress, clock: _Clock
    ) -> tuple[int, PhotoResult]:
        """One avatar from views of one person, each alone in its ``seen``; and the number of the view that pose and
        camera are from.
        """
        report("fitting", 0.5, f"Fitting one body to {len(seen)} views of a person")
        agreed = record.of_one_age(fits)
        betas = record.merge_betas(agreed)
        age = tuple(note for note in AGE_NOTES if any(note in fit.notes for fit in agreed))
        fits = [self._fit(one, options, betas)[0] for one in seen]
        clock.lap("fitting")
        views: list[View] = []
        for one, fit in zip(seen, fits, strict=True):
            report("texturing", 0.6 + 0.2 * len(views) / len(seen), f"Dressing the body in {one.photo.name}")
            with _sound_numbers(one.people[0], one.photo):
                views.append(
                    View(one.photo, one.people[0], one.camera, self._clothed(one.people[0], one.camera, fit, options))
                )
        clock.lap("clothing")
        report("texturing", 0.8, "Merging the views into one texture")
        # Eyes and missing detail come from the first view: one with a face, the one that fits best.
        order = sorted(range(len(views)), key=lambda i: (views[i].person.face is None, -_worth(views[i])))
        best = max(range(len(views)), key=lambda i: _worth(views[i]))
        main = views[best]
        with _sound_numbers(main.person, main.photo):
            texture, notes = self._textured([views[i] for i in order], options)
        clock.lap("texturing")
        person = PersonResult(main.person, replace(main.fit, notes=main.fit.notes + age + notes), texture)
        person = self._judged(person, main.photo, main.camera)
        return best, PhotoResult(main.photo, main.camera, [person], clock.laps, seen[best].everybody)

    def _look(self, data: bytes, name: str, options: Options, report: Progress, clock: _Clock) -> _Seen:
        photo = decode_photo(data, name)
        height, width = photo.pixels.shape[:2]
        camera = Camera.for_photo(width, height, options.focal or photo.focal)
        clock.lap("reading")
        report("finding people", 0.05, "Looking for people")
        found = self.perception.found(photo, least=0.0 if options.uncertain else LIKELY)
        people = found.people[: options.max_people]
        clock.lap("finding people")
        if not people:
            raise NobodyFound(
                f"No person was found in {name}. Use a photo that shows a person clearly, at least 100 pixels tall "
                "and from the hips up."
                + (" If something in it is a person after all, turn the option uncertain on." if found.left_out else "")
            )
        report("predicting", 0.25, "Predicting bodies")
        predictions, everybody = self._predict(photo, people, options)
        clock.lap("predicting")
        seen = _Seen(photo, camera, people, predictions, everybody, len(found.people), found.left_out)
        if not options.refine:
            known = [i for i, prediction in enumerate(predictions) if prediction is not None]
            if not known:
                raise ResultFileError(
                    f"None of the people given for {name} is in it: was the result file made from this photo?"
                )
            return seen.only(known)
        return seen

    def _dressed(
        self,
        seen: _Seen,
        fits: Sequence[Fit],
        notes: tuple[str, ...],
        options: Options,
        report: Progress,
        clock: _Clock,
    ) -> PhotoResult:
        """The photo's people, fitted already, with clothes and textures.

        Raises NotFitted where none of them becomes an avatar.
        """
        results: list[PersonResult] = []
        failures: list[NotFitted] = []
        report("texturing", 0.6, f"Dressing and texturing {_count(seen.people)}")
        with ThreadPoolExecutor(self.threads) as pool:
            everyone = zip(seen.people, fits, seen.predictions, strict=True)
            dress = [pool.submit(self._dress, seen.photo, seen.camera, *one, options) for one in everyone]
            for number, future in enumerate(dress, 1):
                try:
                    results.append(future.result())
                except NotFitted as failure:
                    failures.append(failure)
                report("texturing", 0.6 + 0.4 * number / len(dress), f"Textured person {number} of {len(dress)}")
        clock.lap("clothing and texturing")
        if not results:
            raise failures[0]
        return PhotoResult(seen.photo, seen.camera, results, clock.laps, seen.everybody, notes, tuple(failures))

    def _predict(
        self, photo: Photo, people: list[Person], options: Options
    ) -> tuple[list[Prediction | None], Prediction | None]:
        """A prediction for each person where there is one, and everybody who was predicted."""
        if options.given_people is not None:
            numbers = next((one for one in options.given_people if one["photo"] == photo.name), None)
            if numbers is None:
                raise ResultFileError(f"No people are given for {photo.name}.")
            height, width = photo.pixels.shape[:2]
            given = GivenPeople.from_numbers(numbers).prediction(width, height)
            return [given.rows([i]) if i >= 0 else None for i in match_people(given, people)], given
        if self.predictor is None:
            return [None] * len(people), None
        look = self.predictor.look(photo.pixels)
        every = look.of(people)
        return [every.rows([i]) for i in range(len(people))], look.found

    def _fit(self, seen: _Seen, options: Options, betas: NDArray[np.float32] | None = None) -> list[Fit]:
        """The bodies of a photo's people: predictions and landmarks refined, or the predictions as they are.

        ``betas`` where known.
        """
        if options.refine:
            starts = [[] if prediction is None else prediction.starts() for prediction in seen.predictions]
            how = FitOptions(fast=options.fast, betas=betas)
            return fit_people(seen.people, seen.camera, self.body, self.pose_models, how, starts)
        fits = []
        for person, prediction in zip(seen.people, seen.predictions, strict=True):
            assert prediction is not None  # `_look` has left the others out
            parameters = prediction.bodies(self.body, seen.camera)[0]
            if prediction.betas_of == SMPL and (registration := self._registration(options)) is not None:
                parameters = replace(parameters, betas=registration.source_betas(prediction.betas[0]))
            parameters = parameters if betas is None else replace(parameters, betas=betas)
            fits.append(fit_as_predicted(parameters, person, self.body, seen.camera))
        return fits

    def _clothed(self, person: Person, camera: Camera, fit: Fit, options: Options) -> Fit:
        """The fit with what clothes and hair add. Raises FloatingPointError where its vertices are not finite."""
        if not options.fast and options.clothing and options.refine:
            fit = replace(fit, offsets=clothing_offsets(fit, person, camera, self.body))
            fit = replace(fit, offsets=fit.offsets + face_offsets(fit, person, camera, self.body, self.face))
        if not np.isfinite(self.body.posed(fit.body, fit.offsets)[0]).all():
            raise FloatingPointError("The body's vertices are not finite.")
        return fit

    def _dress(
        self, photo: Photo, camera: Camera, person: Person, fit: Fit, prediction: Prediction | None, options: Options
    ) -> PersonResult:
        clock = _Clock()
        with _sound_numbers(person, photo):
            fit = self._clothed(person, camera, fit, options)
            clock.lap("clothing")
            texture, notes = self._textured([View(photo, person, camera, fit)], options)
        clock.lap("texturing")
        as_is = None if options.refine else prediction
        done = self._judged(
            PersonResult(person, replace(fit, notes=fit.notes + notes), texture, prediction=as_is), photo, camera
        )
        return replace(done, seconds=clock.laps)

    def _judged(self, person: PersonResult, photo: Photo, camera: Camera) -> PersonResult:
        """The person with outline and confidence as the finished avatar has them.

        Raises NotFitted where (next to) nothing of the photo is on the avatar.
        """
        vertices = self.body.posed(person.fit.body, person.fit.offsets)[0]
        if not person.texture.seen >= LEAST_SEEN:
            raise NotFitted(_not_fitted(person.person, photo, "nothing of the photo reached the texture"))
        outline = outline_iou(person.person, vertices, self.body.data.faces, camera)
        return replace(person, outline=outline, fit=finished(person.fit, outline, person.texture.seen))

    def _textured(self, views: Sequence[View], options: Options) -> tuple[Texture, tuple[str, ...]]:
        """A person's texture, and what to know about it."""
        predictor = self.texture_predictor
        chosen = options.texture or ("projected" if options.fast else "combined")
        if predictor is None or chosen == "projected":
            return texture_person(views, self.body, options.texture_size, face=self.face), ()
        predict = functools.partial(predictor.predict, views[0], seed=options.texture_seed or None)
        try:
            keep = chosen != "predicted"
            return texture_person(views, self.body, options.texture_size, predict, keep, self.face), ()
        except PredictionError as error:
            return texture_person(views, self.body, options.texture_size, face=self.face), (
                f"{error} It was completed without the Texture Predictor.",
            )


class _Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.laps[stage] = self.laps.get(stage, 0.0) + now - self._last
        self._last = now


def outline_iou(person: Person, vertices: NDArray, faces: NDArray, camera: Camera, side: int = 400) -> float:
    """Intersection over union of the body's outline and the person's mask, where no other person is.

    NaN where neither is seen.

    ``vertices`` (V, 3) in the camera frame; compared in a picture of the mask's window at most ``side`` pixels high or
    wide.
    """
    x0, y0, x1, y1 = person.window
    small = camera.cropped(person.window, min(1.0, side / max(x1 - x0, y1 - y0)))
    mask, others = (
        cv2.resize(image, (small.width, small.height), interpolation=cv2.INTER_AREA) > 127
        for image in (person.mask, person.others)
    )
    return mask_iou(rasterize(vertices, faces, small).mask, mask, known=~others)


@contextmanager
def _sound_numbers(person: Person, photo: Photo) -> Iterator[None]:
    """Raise NotFitted where the numbers of a person are not finite, or a system of equations has no solution."""
    try:
        yield
    except (np.linalg.LinAlgError, FloatingPointError) as error:
        raise NotFitted(_not_fitted(person, photo, "the numbers do not add up")) from error
    except RuntimeError as error:
        if "singular" not in str(error):  # scipy's word for a system of equations without a solution
            raise
        raise NotFitted(_not_fitted(person, photo, "the numbers do not add up")) from error


def _not_fitted(person: Person, photo: Photo, why: str) -> str:
    x, y = (person.box[:2] + person.box[2:]) / 2
    return (
        f"No avatar could be made of the person at {x:.0f}, {y:.0f} of {photo.name}: {why}. "
        "Try another photo, or one where the person is larger; if it happens with every photo, run `uvatar doctor`."
    )


def source_shares(source: NDArray[np.uint8]) -> dict[str, float]:
    """How much of the texture was seen, mirrored, completed and predicted: shares of the texels inside the islands."""
    counts = np.bincount(source.ravel(), minlength=5).astype(float)
    inside = max(counts[1:].sum(), 1.0)
    names = {Label.SEEN: "seen", Label.MIRRORED: "mirrored", Label.COMPLETED: "completed", Label.PREDICTED: "predicted"}
    return {name: float(counts[label] / inside) for label, name in names.items()}


def _find_predictor(weights: Path, models: Path) -> tuple[Predictor | None, list[dict[str, str]]]:
    """The Mesh Predictor, where there are weights, and what is wrong with a file of the user's that cannot be used."""
    try:
        return Predictor.find(weights, models), []
    except CheckpointError as error:
        fix = f"Replace the file in {models}, or remove it; until then the Mesh Predictor is left out."
        return None, [{"code": Code.BAD_WEIGHTS.value, "message": str(error), "fix": fix}]


def _find_texture_predictor(
    weights: Path, models: Path, body: BodyModel
) -> tuple[TexturePredictor | None, list[dict[str, str]]]:
    """The Texture Predictor, where there are weights, and what is wrong with a file that cannot be used."""
    try:
        return TexturePredictor.find(weights, models, body), []
    except CheckpointError as error:
        fix = (
            f"Replace the file in {models}, or remove it; until then textures are completed without the Texture "
            "Predictor."
        )
        return None, [{"code": Code.BAD_WEIGHTS.value, "message": str(error), "fix": fix}]


def _no_texture_predictor(models: Path, problems: Sequence[Mapping[str, str]]) -> UvatarError:
    why = problems[0]["message"] if problems else f"{TEXTURE_FILE} is neither among Uvatar's weights nor in {models}."
    message = f"A predicted texture needs the Texture Predictor, and it has no weights: {why}"
    return UvatarError(message, Code.NO_WEIGHTS, "Choose the projected texture, or see `uvatar weights`.")


def _no_predictor(models: Path, problems: Sequence[Mapping[str, str]]) -> UvatarError:
    why = (
        problems[0]["message"]
        if problems
        else f"neither {LIGHT_FILE} among Uvatar's weights nor {ROMP_FILE} in {models} is there."
    )
    message = f"Without refinement the Mesh Predictor alone makes the result, and it has no weights: {why}"
    fix = (
        f"Put {ROMP_FILE} into {models}, give a result file with --from-npz, or leave refinement on. See `uvatar "
        "weights`."
    )
    return UvatarError(message, Code.NO_WEIGHTS, fix)


def _described(error: PhotoError | ResultFileError) -> dict[str, str]:
    if isinstance(error, ResultFileError):
        return {"code": Code.BAD_NPZ.value, "message": str(error), "fix": "Choose another file, or let Uvatar predict."}
    return {"code": Code.BAD_PHOTO.value, "message": str(error), "fix": ""}  # the message says what to do


def _left_out(seen: _Seen, made: int) -> tuple[str, ...]:
    """Sentences about people who were found and not made, where there are any."""
    notes = []
    if seen.found > made:
        who = (
            "an avatar was made of the most prominent one"
            if made == 1
            else f"avatars were made of the {made} most prominent ones"
        )
        most = declared()["max_people"].high or made
        more = (
            "Cut the photo into parts for the others"
            if made >= most
            else f"Raise the option max_people (at most {most:g}) for more"
        )
        notes.append(f"{seen.found} people were found, and {who}. {more}.")
    if seen.uncertain:
        who = (
            "One more may be a person and was"
            if seen.uncertain == 1
            else f"{seen.uncertain} more may be people and were"
        )
        notes.append(f"{who} left out, because it is not certain: turn the option uncertain on to make avatars of all.")
    return tuple(notes)


def _worth(view: View) -> float:
    """How much a view says of the person: how well it fits, and how large it is."""
    return view.fit.confidence * float(np.ptp(view.person.box[[1, 3]]))


def _ignore(stage: str, fraction: float, message: str) -> None:
    """Progress that nobody watches."""


def _scaled(report: Progress, start: float, share: float) -> Progress:
    return lambda stage, fraction, message: report(stage, start + share * fraction, message)


def _count(people: Sequence[Person]) -> str:
    return "1 person" if len(people) == 1 else f"{len(people)} people"
