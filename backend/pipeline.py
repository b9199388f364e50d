"""The one place that knows the order of the stages: photo bytes in, people with fitted, clothed, textured bodies out.

    decode_photo -> Perception.people -> fit_people -> clothing_offsets -> texture_person

Two stages have a seat kept for a learned model.  `fit_people` takes further starts beside the landmarks' own (the
Mesh Predictor), and `texture_person` takes a predicted texture in place of the smooth completion (the Texture
Predictor).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from backend import __version__, avatar, preview, wire
from backend.body import load_open_body
from backend.camera import Camera
from backend.evaluation.metrics import mask_iou
from backend.fitting.clothing import clothing_offsets
from backend.fitting.fit import Fit
from backend.fitting.fitter import FitOptions, fit_people
from backend.perception.perception import Perception
from backend.perception.person import Person
from backend.photo import Photo, PhotoError, decode_photo
from backend.raster import rasterize
from backend.texturing import Texture, View, texture_person
from backend.texturing.texture import COMPLETED, MIRRORED, PREDICTED, SEEN
from backend.weights import weights_folder

# stage name, fraction of the photo done (0..1), message in the artist's words
Progress = Callable[[str, float, str], None]
# index of the photo, its result as docs/result-schema.md has it
PhotoDone = Callable[[int, dict[str, Any]], None]


class NobodyFound(PhotoError):
    """There is no person in the photo."""


@dataclass(frozen=True)
class Options:
    """What the artist chooses for a job: `backend.wire.OPTIONS` as fields.

    Attributes:
        texture_size: pixels on a side of the texture.
        fast: fewer fitting steps and no clothing offsets: a first look.
        clothing: shape the body's outline to clothes and hair.
        same_person: all photos show one person: merge them into one avatar.
        max_people: at most this many people of each photo, the most prominent first.
        focal: focal length in pixels where the artist knows better than the photo's EXIF, else None.
        turntable: also render a sheet of views around every person.
    """

    texture_size: int = 1024
    fast: bool = False
    clothing: bool = True
    same_person: bool = False
    max_people: int = 32
    focal: float | None = None
    turntable: bool = False


@dataclass(frozen=True)
class PersonResult:
    """One person of one photo, all stages done.

    Attributes:
        seconds: time spent on this person by stage; the batched stages count their share.
    """

    person: Person
    fit: Fit
    texture: Texture
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class PhotoResult:
    """One photo, all stages done. ``timings``: seconds by stage."""

    photo: Photo
    camera: Camera
    people: list[PersonResult]
    timings: Mapping[str, float]


class Pipeline:
    """Models and body, loaded once; photos go through it one job at a time."""

    def __init__(self, weights: Path | None = None, threads: int | None = None) -> None:
        """``weights``: folder of the shipped weights; ``threads``: CPU threads to use, all cores by default."""
        self.threads = threads or os.cpu_count() or 1
        # Stages run people in parallel, one thread each: libraries that start threads of their own would only get in the way.
        torch.set_num_threads(self.threads)
        cv2.setNumThreads(1)
        weights = weights or weights_folder()
        self.body = load_open_body(weights / "open_body.npz")
        self.perception = Perception(weights / "perception", threads=self.threads)

    @property
    def facts(self) -> dict[str, Any]:
        """What is loaded, for `uvatar status`."""
        return {"body": self.body.data.name, "licence": self.body.data.licence, "threads": self.threads, "torch": torch.__version__}

    def reconstruct(self, photos: list[tuple[str, bytes]], options: Mapping[str, Any], progress: Progress, photo_done: PhotoDone) -> None:
        """A job: names and bytes of photos in; ``photo_done`` is called with each photo's result as soon as it is there.

        A photo that cannot be used gets a result without people that says why in ``errors``; the others go on.
        """
        chosen = Options(**wire.checked_options(options))
        if chosen.same_person and len(photos) > 1:
            best, result = self.reconstruct_same_person(photos, chosen, progress)
            photo_done(best, self.present(result, chosen))
            return
        for index, (name, data) in enumerate(photos):
            try:
                result = self.reconstruct_photo(data, name, chosen, progress)
            except PhotoError as error:
                photo_done(index, {"schema": wire.RESULT_SCHEMA, "people": [], "errors": [_described(error)]})
            else:
                photo_done(index, self.present(result, chosen))

    def present(self, result: PhotoResult, options: Options | None = None) -> dict[str, Any]:
        """A photo's result as the dictionary that leaves the backend (docs/result-schema.md)."""
        options = options or Options()
        started = time.perf_counter()
        data, camera = self.body.data, result.camera
        clothed = [self.body.posed(person.fit.body, person.fit.offsets)[0] for person in result.people]
        people = []
        for number, (person, vertices) in enumerate(zip(result.people, clothed, strict=True)):
            pictures = {
                "texture_png": avatar.encode_png(person.texture.image),
                "source_png": avatar.encode_png(person.texture.source),
                "overlay_jpeg": avatar.encode_jpeg(preview.overlay(result.photo.pixels, camera, [vertices], data.faces, max_side=1280)),
            }
            if options.turntable:
                pictures["turntable_png"] = avatar.encode_png(preview.turntable(vertices, data, person.texture.image))
            metrics = {
                "landmark_error_median": person.fit.landmark_error_median,
                "landmark_error_p95": person.fit.landmark_error_p95,
                "mask_iou": outline_iou(person.person, vertices, data.faces, camera),
                **{f"texels_{name}": share for name, share in source_shares(person.texture.source).items()},
            }
            people.append(avatar.person_entry(f"p{number}", person.fit, self.body, person.person.box, pictures, metrics))
        timings = {**result.timings, "pictures": time.perf_counter() - started}
        return {**avatar.photo_entry(result.photo, camera), "people": people, "timings": timings, "version": __version__, "errors": []}

    def reconstruct_photo(
        self, data: bytes, name: str = "photo", options: Options | None = None, progress: Progress | None = None
    ) -> PhotoResult:
        """All stages for one photo.

        Raises PhotoError where the photo cannot be read or shows nobody.
        """
        options = options or Options()
        report = progress or _ignore
        clock = _Clock()
        report("reading", 0.0, "Reading the photo")
        photo, camera, people = self._look(data, name, options, report, clock)
        report("fitting", 0.3, f"Fitting {_count(people)}")
        fits = fit_people(people, camera, self.body, FitOptions(fast=options.fast))
        clock.lap("fitting")
        results: list[PersonResult] = []
        report("texturing", 0.6, f"Dressing and texturing {_count(people)}")
        with ThreadPoolExecutor(self.threads) as pool:
            dress = [pool.submit(self._dress, photo, camera, person, fit, options) for person, fit in zip(people, fits, strict=True)]
            for number, future in enumerate(dress, 1):
                results.append(future.result())
                report("texturing", 0.6 + 0.4 * number / len(dress), f"Textured person {number} of {len(dress)}")
        clock.lap("clothing and texturing")
        return PhotoResult(photo, camera, results, clock.laps)

    def reconstruct_same_person(
        self, photos: Sequence[tuple[str, bytes]], options: Options | None = None, progress: Progress | None = None
    ) -> tuple[int, PhotoResult]:
        """One avatar from several photos of the same person, the most prominent one of each.

        Shape is the mean of all photos'; every photo's texels are used where it sees best; pose, camera and clothing are
        those of the photo that fits best. Returns that photo's index and its result.
        """
        options = options or Options()
        report = progress or _ignore
        clock = _Clock()
        options = replace(options, max_people=1)
        seen = [
            self._look(data, name, options, _scaled(report, 0.3 * i / len(photos), 0.3 / len(photos)), clock)
            for i, (name, data) in enumerate(photos)
        ]
        report("fitting", 0.3, f"Fitting {len(photos)} photos of one person")
        fits = [fit_people(people, camera, self.body, FitOptions(fast=options.fast))[0] for _, camera, people in seen]
        betas = avatar.merge_betas(fits)
        fits = [fit_people(people, camera, self.body, FitOptions(fast=options.fast, betas=betas))[0] for _, camera, people in seen]
        clock.lap("fitting")
        views = []
        for (photo, camera, people), fit in zip(seen, fits, strict=True):
            report("texturing", 0.6 + 0.2 * len(views) / len(seen), f"Dressing the body in {photo.name}")
            views.append(View(photo, people[0], camera, self._clothed(people[0], camera, fit, options)))
        clock.lap("clothing")
        report("texturing", 0.8, "Merging the photos into one texture")
        texture = texture_person(views, self.body, size=options.texture_size)
        clock.lap("texturing")
        best = max(range(len(views)), key=lambda i: views[i].fit.confidence * float(np.ptp(views[i].person.box[[1, 3]])))
        main = views[best]
        return best, PhotoResult(main.photo, main.camera, [PersonResult(main.person, main.fit, texture)], clock.laps)

    def _look(self, data: bytes, name: str, options: Options, report: Progress, clock: _Clock) -> tuple[Photo, Camera, list[Person]]:
        photo = decode_photo(data, name)
        height, width = photo.pixels.shape[:2]
        camera = Camera.for_photo(width, height, options.focal or photo.focal)
        clock.lap("reading")
        report("finding people", 0.05, "Looking for people")
        people = self.perception.people(photo, max_people=options.max_people)
        clock.lap("finding people")
        if not people:
            raise NobodyFound(
                f"No person was found in {name}. Use a photo that shows a person clearly, at least 100 pixels tall and from the hips up."
            )
        return photo, camera, people

    def _clothed(self, person: Person, camera: Camera, fit: Fit, options: Options) -> Fit:
        if options.fast or not options.clothing:
            return fit
        return replace(fit, offsets=clothing_offsets(fit, person, camera, self.body))

    def _dress(self, photo: Photo, camera: Camera, person: Person, fit: Fit, options: Options) -> PersonResult:
        clock = _Clock()
        fit = self._clothed(person, camera, fit, options)
        clock.lap("clothing")
        texture = texture_person([View(photo, person, camera, fit)], self.body, size=options.texture_size)
        clock.lap("texturing")
        return PersonResult(person, fit, texture, clock.laps)


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
    """Intersection over union of the body's outline and the person's mask, where no other person is; NaN where neither is seen.

    ``vertices`` (V, 3) in the camera frame; compared in a picture of the mask's window at most ``side`` pixels high or wide.
    """
    x0, y0, x1, y1 = person.window
    small = camera.cropped(person.window, min(1.0, side / max(x1 - x0, y1 - y0)))
    mask, others = (
        cv2.resize(image, (small.width, small.height), interpolation=cv2.INTER_AREA) > 127 for image in (person.mask, person.others)
    )
    return mask_iou(rasterize(vertices, faces, small).mask, mask, known=~others)


def source_shares(source: NDArray[np.uint8]) -> dict[str, float]:
    """How much of the texture was seen, mirrored, completed and predicted: shares of the texels inside the islands."""
    counts = np.bincount(source.ravel(), minlength=5).astype(float)
    inside = max(counts[1:].sum(), 1.0)
    names = {SEEN: "seen", MIRRORED: "mirrored", COMPLETED: "completed", PREDICTED: "predicted"}
    return {name: float(counts[label] / inside) for label, name in names.items()}


def _described(error: PhotoError) -> dict[str, str]:
    return {"code": "bad-photo", "message": str(error), "fix": "Choose another photo."}


def _ignore(stage: str, fraction: float, message: str) -> None:
    """Progress that nobody watches."""


def _scaled(report: Progress, start: float, share: float) -> Progress:
    return lambda stage, fraction, message: report(stage, start + share * fraction, message)


def _count(people: Sequence[Person]) -> str:
    return "1 person" if len(people) == 1 else f"{len(people)} people"
