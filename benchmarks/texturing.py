"""How long texturing takes and how close the textured body comes to the photo, by the texture's size and by how what
no photo shows is completed (`uvatar.evaluation.baselines`): smooth filling, what ``--fast`` does, filling by material.

    python -m benchmarks.texturing                           # the samples
    python -m benchmarks.texturing me.jpg --sizes 1024       # your photo

Run it after a change of `uvatar.texturing`. Perception, fitting and clothing come first and are not timed; times are
of one thread's processor. The likeness is the PSNR of the textured body against the photo, where the body and the
person's mask overlap, and over the whole mask (what the body leaves uncovered counts as grey).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import torch

from benchmarks.csv_results import write_csv
from uvatar.body import BodyModel, load_open_body
from uvatar.body.face_points import FILE, load_correspondence
from uvatar.clothing.model import prepare_clothing
from uvatar.clothing.offsets import clothing_offsets
from uvatar.data.camera import Camera
from uvatar.evaluation.baselines import completions
from uvatar.evaluation.metrics import missing_as_grey, psnr
from uvatar.fitting.fitter import FitOptions, fit_people
from uvatar.fitting.models import PoseModels
from uvatar.fitting.prepared import prepare_fitting
from uvatar.perception import Perception
from uvatar.photos.decoding import decode_photo
from uvatar.results.preview import render_textured
from uvatar.runtime.weights import weights_folder
from uvatar.texturing import FaceSpline, Texture, View, face_offsets
from uvatar.texturing.layout.atlas import Atlas, Atlases

ROOT = Path(__file__).resolve().parents[1]
PHOTOS = [ROOT / "samples" / name for name in ("man.jpg", "woman.jpg")]
Result = TypeVar("Result")


def main() -> None:
    """Measure, print the figures and write them as CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "photos", type=Path, nargs="*", default=PHOTOS, metavar="PHOTO", help="of which the first person counts"
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 1024, 2048, 4096], help="of the texture")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    body = load_open_body()
    face, atlases = FaceSpline.load(weights_folder(), body), Atlases(body)
    print("texel table of the open body, once per process:")
    rows: list[dict[str, object]] = []
    for size in arguments.sizes:
        seconds, _ = timed(lambda size=size: Atlas.of(body, size))  # type: ignore[misc]
        print(f"  {size:4}  {seconds:5.2f} s")
        rows.append({"what": "texel table, once per process", "texture, pixels": size, "CPU s": seconds})
    for path in arguments.photos:
        view = prepared(path, body, face)
        print(f"{path.name}, the first person, {np.ptp(view.person.box[[1, 3]]):.0f} pixels tall:")
        for size in arguments.sizes:
            for how, make in completions(atlases.at(size), face=face).items():
                seconds, texture = timed(partial(make, view))
                overlap, whole = likeness(view, texture, body)
                likenesses = f"PSNR {overlap:4.1f} dB in the overlap, {whole:4.1f} dB over the mask"
                print(f"  {size:4}  {how:9}  {seconds:5.2f} s   {likenesses}")
                row = {"what": path.name, "texture, pixels": size, "completion": how, "CPU s": seconds}
                rows.append({**row, "PSNR in the overlap, dB": overlap, "PSNR over the mask, dB": whole})
    write_csv("texturing", rows, ["one thread's processor time; the first person of each photo"])


def timed(call: Callable[[], Result]) -> tuple[float, Result]:
    """The CPU seconds that a call takes, and its result."""
    start = time.process_time()
    result = call()
    return time.process_time() - start, result


def prepared(path: Path, body: BodyModel, face: FaceSpline | None) -> View:
    """The photo's first person, fitted and clothed."""
    photo = decode_photo(path.read_bytes(), path.name)
    height, width = photo.pixels.shape[:2]
    camera = Camera.for_photo(width, height, photo.focal)
    people = Perception(weights_folder() / "perception").people(photo)
    points = load_correspondence(weights_folder() / FILE, body)
    model = prepare_fitting(body, PoseModels.load(weights_folder()), points)
    fit = fit_people(people, camera, model, FitOptions())[0]
    fit = replace(fit, offsets=clothing_offsets(fit, people[0], camera, prepare_clothing(body)))
    fit = replace(fit, offsets=fit.offsets + face_offsets(fit, people[0], camera, body, face))
    return View(photo, people[0], camera, fit)


def likeness(view: View, texture: Texture, body: BodyModel) -> tuple[float, float]:
    """PSNR in the overlap of body and mask, and over the mask, decibels, at most 900 pixels high."""
    x0, y0, x1, y1 = view.person.window
    camera = view.camera.cropped(view.person.window, min(1.0, 900 / (y1 - y0)))
    size = (camera.width, camera.height)
    photo = cv2.resize(view.photo.pixels[y0:y1, x0:x1], size, interpolation=cv2.INTER_AREA)
    mask = cv2.resize(view.person.mask, size, interpolation=cv2.INTER_AREA) >= 128
    vertices, _ = body.posed(view.fit.body, view.fit.offsets)
    picture = render_textured(vertices, body.data, texture.image, camera)
    drawn = picture.coverage > 0.99
    return psnr(picture.image, photo, mask & drawn), psnr(missing_as_grey(picture.image, drawn), photo, mask)


if __name__ == "__main__":
    main()
