"""`uvatar evaluate predictions`: measures bodies that are not refined against human annotations.

The folder has COCO's annotations of the most prominent person of each photo (``annotations.json``, ``LICENSES.tsv``).
Compared are the annotated keypoints with perception's landmarks, with the Mesh Predictor's bodies as its network gives
them, and with the bodies of ``--no-refine``. Everything is in the picture plane: `uvatar evaluate synthetic` and
`uvatar-train evaluate` measure depth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from uvatar.body import BodyModel, load_open_body
from uvatar.data.camera import Camera
from uvatar.data.fit import BodyParameters
from uvatar.data.landmarks import COCO_LANDMARKS
from uvatar.data.person import Person
from uvatar.data.photo import Photo
from uvatar.evaluation.keypoints import by_group, keypoint_row
from uvatar.evaluation.tables import Row, print_table, write_csv
from uvatar.files.photo_files import read_photo
from uvatar.fitting.blending import blended_bodies
from uvatar.fitting.models import PoseModels
from uvatar.fitting.prepared import FittingModel, prepare_fitting
from uvatar.mesh_predictor.predictor import Predictor
from uvatar.perception.annotated import Annotation, keypoint_errors, match, read_annotations
from uvatar.perception.perception import Perception
from uvatar.photos.decoding import PhotoError, decode_photo
from uvatar.protocol.errors import Code, UvatarError
from uvatar.protocol.photo_lists import shown
from uvatar.runtime.terminal import terminal
from uvatar.runtime.weights import models_folder, weights_folder

ANNOTATIONS = ("annotations.json", "LICENSES.tsv")
LANDMARKS, NETWORK, UNREFINED = "landmarks", "network alone", "not refined"


@dataclass(frozen=True)
class Agreement:
    """One annotated person.

    Attributes:
        file: name of the photo.
        full_body: head to ankle visible, 200 px or taller.
        errors: distances of the visible keypoints as shares of the box side, by what is compared; empty if perception
            did not find the person.
    """

    file: str
    full_body: bool
    errors: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)


@dataclass(frozen=True)
class Measured:
    """What predicts the bodies that are measured."""

    perception: Perception
    predictor: Predictor
    body: BodyModel
    model: FittingModel

    @classmethod
    def load(cls, predictor: Predictor) -> Measured:
        """Perception and fitting as they are installed. Raises ModelError if a model of perception is missing."""
        body = load_open_body()
        model = prepare_fitting(body, PoseModels.load(weights_folder()))
        return cls(Perception(weights_folder() / "perception"), predictor, body, model)

    def agreement(self, photo: Photo, annotation: Annotation) -> Agreement:
        """How well the annotated person of a photo is met."""
        person = match(self.perception.people(photo), annotation)
        if person is None:
            return Agreement(annotation.file, annotation.full_body)
        height, width = photo.pixels.shape[:2]
        camera = Camera.for_photo(width, height, photo.focal)
        points = {LANDMARKS: person.landmarks[COCO_LANDMARKS, :2]}
        for name, parameters in self._bodies(photo, person, camera).items():
            places = self.body.landmarks_of(parameters)[COCO_LANDMARKS]
            places[:, 2] = np.maximum(places[:, 2], 1e-3)  # a prediction may reach behind the camera
            points[name] = camera.project(places)
        return Agreement(
            annotation.file,
            annotation.full_body,
            {name: keypoint_errors(places, annotation) for name, places in points.items()},
        )

    def _bodies(self, photo: Photo, person: Person, camera: Camera) -> dict[str, BodyParameters]:
        prediction = self.predictor.look(photo.pixels).of([person])
        alone = prediction.bodies(self.body, camera)[0]
        blend = blended_bodies([person], prediction.starts(), camera, self.model) if prediction.coarse else []
        return {NETWORK: alone, UNREFINED: blend[0] if blend else alone}


def evaluate_predictions(
    folder: Path, out: Path, weights: Path | None = None, console: Console | None = None
) -> list[Agreement]:
    """Measure the annotated people in a folder of photos; print the table, and write it to out/predictions.csv.

    Photos that cannot be used are reported and left out.

    Args:
        folder: photos with annotations.
        out: where the table is written.
        weights: of the Mesh Predictor, by default the installed one's.
        console: where the table is printed.

    Raises:
        UvatarError: there are no annotations, or no Mesh Predictor.
        CheckpointError, ModelError: a network cannot be used.
    """
    console = console or terminal()
    if not all((folder / name).is_file() for name in ANNOTATIONS):
        raise UvatarError(
            f"There are no annotations in {shown(str(folder))}: {' and '.join(ANNOTATIONS)} are missing.",
            Code.NO_PHOTOS,
            "Choose a folder of photos with COCO's annotations.",
        )
    predictor = Predictor.load(weights) if weights else Predictor.find(weights_folder(), models_folder())
    if predictor is None:
        raise UvatarError("There is no Mesh Predictor.", Code.NO_WEIGHTS, "Name one with --weights.")
    measured = Measured.load(predictor)
    agreements = []
    for annotation in read_annotations(folder):
        try:
            photo = decode_photo(read_photo(folder / annotation.file), annotation.file)
        except (PhotoError, UvatarError) as error:
            console.print(f"{shown(annotation.file)}: {error}")
            continue
        agreements.append(measured.agreement(photo, annotation))
        console.print(f"{shown(annotation.file)}: {'found' if agreements[-1].errors else 'not found'}")
    rows = summary(agreements)
    out.mkdir(parents=True, exist_ok=True)
    write_csv(rows, out / "predictions.csv")
    print_table(rows, "Bodies that are not refined, against human annotations", console)
    return agreements


def summary(agreements: Sequence[Agreement]) -> list[Row]:
    """For each group of people, and each of what is compared: the shares of keypoints that are met (PCK)."""
    rows: list[Row] = []
    for group, members in by_group(agreements):
        found = [one for one in members if one.errors]
        for name in found[0].errors if found else ():
            rows.append(keypoint_row(group, name, len(members), [one.errors[name] for one in found]))
    return rows
