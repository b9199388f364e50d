"""`uvatar evaluate starts`: measures whether the learned predictors' starts make the fit better or faster.

Every person in every photo is fitted from the landmarks' own pose alone, and again with the pose lifter's, the Mesh
Predictor's and all of them as further starts. The objectives at the end of the fits are compared, in nats; less is
better. The evidence is the same for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from uvatar.body import load_open_body
from uvatar.body.face_points import FILE, load_correspondence
from uvatar.data.camera import Camera
from uvatar.evaluation.tables import Row, print_table, write_csv
from uvatar.files.photo_files import photos_in, read_photo
from uvatar.fitting.blending import starts_of
from uvatar.fitting.fitter import FitOptions, fit_people
from uvatar.fitting.models import PoseModels
from uvatar.fitting.prepared import prepare_fitting
from uvatar.fitting.starts import LANDMARKS
from uvatar.mesh_predictor.prediction import NAME as MESH
from uvatar.mesh_predictor.predictor import Predictor
from uvatar.perception.perception import Perception
from uvatar.photos.decoding import PhotoError, decode_photo
from uvatar.protocol.errors import UvatarError
from uvatar.protocol.photo_lists import shown
from uvatar.runtime.terminal import terminal
from uvatar.runtime.weights import models_folder, weights_folder

LIFTER = "lifter"
# Name in the table, the starts, and whether the fit has half the steps.
WAYS: tuple[tuple[str, frozenset[str], bool], ...] = (
    ("landmarks", frozenset({LANDMARKS}), False),
    ("and lifter", frozenset({LANDMARKS, LIFTER}), False),
    ("and mesh predictor", frozenset({LANDMARKS, MESH}), False),
    ("all", frozenset({LANDMARKS, LIFTER, MESH}), False),
    ("landmarks, half the steps", frozenset({LANDMARKS}), True),
    ("all, half the steps", frozenset({LANDMARKS, LIFTER, MESH}), True),
)
LESS = 1.0  # nats that count as a difference


@dataclass(frozen=True)
class Ends:
    """One person's fits.

    Attributes:
        photo, person: the photo's name and the person's number.
        costs: objective at the end for each of `WAYS`, nats.
        starts: the start that each fit continued from.
    """

    photo: str
    person: int
    costs: tuple[float, ...]
    starts: tuple[str, ...]

    def row(self) -> Row:
        """The person's row in the table."""
        names = [name for name, _, _ in WAYS]
        return {
            "photo": self.photo,
            "person": self.person,
            **dict(zip(names, self.costs, strict=True)),
            "won by": self.starts[3],
        }


def evaluate_starts(
    folder: Path, out: Path, predictor: Predictor | None = None, console: Console | None = None
) -> list[Ends]:
    """Fit the people in a folder of photos from each set of starts; print the summary and write out/starts.csv.

    Args:
        folder: the photos.
        out: where the table is written, with one row per person.
        predictor: the Mesh Predictor, by default the installed one.
        console: where the summary is printed.

    Raises:
        ModelError: a model of perception is missing.
    """
    console = console or terminal()
    body, perception = load_open_body(), Perception(weights_folder() / "perception")
    face = load_correspondence(weights_folder() / FILE, body)
    model = prepare_fitting(body, PoseModels.load(weights_folder()), face)
    predictor = predictor or Predictor.find(weights_folder(), models_folder())
    ends: list[Ends] = []
    for path in photos_in(folder):
        try:
            photo = decode_photo(read_photo(path), path.name)
        except (PhotoError, UvatarError) as error:
            console.print(f"{shown(path.name)}: {error}")
            continue
        height, width = photo.pixels.shape[:2]
        camera = Camera.for_photo(width, height, photo.focal)
        people = perception.people(photo)
        if not people:
            continue
        starts = None
        if predictor:
            predicted = predictor.look(photo.pixels).of(people)
            starts = [[start] for start in starts_of(predicted, people, camera, model)]
        fits = [fit_people(people, camera, model, FitOptions(fast=fast, only=names), starts) for _, names, fast in WAYS]
        for number, one in enumerate(zip(*fits, strict=True)):
            ends.append(Ends(path.name, number, tuple(fit.cost for fit in one), tuple(fit.start for fit in one)))
        console.print(f"{shown(path.name)}: {len(people)} found")
    if ends:
        out.mkdir(parents=True, exist_ok=True)
        write_csv([one.row() for one in ends], out / "starts.csv")
        print_table(
            summary(ends), f"Where the fits of {len(ends)} people end, against landmarks alone with all steps", console
        )
    return ends


def summary(ends: Sequence[Ends]) -> list[Row]:
    """For each of `WAYS`, how its fits compare with those of the first."""
    costs = np.array([one.costs for one in ends])
    rows: list[Row] = []
    for column, (name, _, _) in enumerate(WAYS):
        change = costs[:, column] - costs[:, 0]
        rows.append(
            {
                "starts": name, "lower": int((change < -LESS).sum()), "higher": int((change > LESS).sum()),
                "mean change (nats)": float(change.mean()), "median (nats)": float(np.median(change)),
                "best (nats)": float(change.min()),
                "won by another": sum(one.starts[column] != LANDMARKS for one in ends),
            }
        )  # fmt: skip
    return rows
