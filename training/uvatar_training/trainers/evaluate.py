"""Measures a Mesh Predictor on people it was not trained on: who is found, and how large the errors are."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.table import Table
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from uvatar.body import BodyModel, load_open_body
from uvatar.body.torch_body import TorchBody, TorchBodyOutput
from uvatar.evaluation.pose_metrics import BODY_JOINTS, mpjpe, pa_mpjpe
from uvatar.evaluation.synthetic import standing_joints
from uvatar.mesh_predictor.maps import INPUT_SIDE, MAP_SIDE, Maps, PredictedBodies
from uvatar.mesh_predictor.predictor import Predictor
from uvatar_training.data.mesh_batch import MeshBatch, collate_mesh, prepare_mesh
from uvatar_training.data.mesh_labels import MeshLabels
from uvatar_training.data.problems import Skipped
from uvatar_training.data.sample import Sample
from uvatar_training.data.stream import Plan, Samples, stream
from uvatar_training.losses.targets import center_cells, extents
from uvatar_training.networks.decoding import find_centers, sample
from uvatar_training.networks.weak_perspective import project_weakly
from uvatar_training.trainers.mesh import draw_skeleton

NEAR, NEAR_SHARE = (
    4.0,
    0.125,
)  # map cells, or share of the person's size if that is more: a peak farther from a person's centre is not theirs
FEWEST_JOINTS = 6  # people with fewer visible joints count neither as found nor as missed
COLUMNS = ("mpjpe", "pa_mpjpe", "pve")


@dataclass(frozen=True)
class MeshScores:
    """Results over a set of pictures.

    Attributes:
        people: number of people who should be found.
        found: number of those who were found.
        false_alarms: number of peaks that belong to nobody.
        errors: (found, 3) centimetres: MPJPE over 20 joints, pelvis-aligned; PA-MPJPE; and PVE, pelvis-aligned, NaN if
            the person's betas belong to another body.
        standing: (found, 2) MPJPE and PA-MPJPE of the baseline: the mean person, standing and facing the camera.
        names: names of the found people's pictures.
        skipped: samples that could not be used.
    """

    people: int
    found: int
    false_alarms: int
    errors: NDArray[np.float64]
    standing: NDArray[np.float64]
    names: Sequence[str]
    skipped: Skipped

    @property
    def recall(self) -> float:
        """Share of the people who are found."""
        return self.found / max(self.people, 1)

    @property
    def precision(self) -> float:
        """Share of the peaks that are people."""
        return self.found / max(self.found + self.false_alarms, 1)

    def table(self) -> Table:
        """The scores as a table for the terminal."""
        table = Table("", "mean", "median", "90th percentile", title=f"Mesh Predictor on {self.people} people")
        table.add_row("recall, precision", f"{100 * self.recall:.1f} %", f"{100 * self.precision:.1f} %", "")
        titles = [name.upper().replace("_", "-") for name in COLUMNS]
        rows = [(f"{title} (cm)", column) for title, column in zip(titles, self.errors.T, strict=True)]
        rows += [
            (f"... if all just stood (cm), {title}", column)
            for title, column in zip(titles, self.standing.T, strict=False)
        ]
        for label, column in rows:
            known = column[np.isfinite(column)]
            figures = (known.mean(), *np.percentile(known, (50, 90))) if len(known) else (np.nan,) * 3
            table.add_row(label, *(f"{value:.2f}" for value in figures))
        return table

    def write(self, path: Path) -> None:
        """One row per found person."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("picture", *COLUMNS))
            writer.writerows((name, *row) for name, row in zip(self.names, self.errors.round(3).tolist(), strict=True))


def evaluate_mesh(
    weights: Path,
    samples: Samples[Sample],
    body: BodyModel | None = None,
    batch: int = 4,
    limit: int | None = None,
    split: str | None = "held_out",
) -> tuple[MeshScores, list[NDArray[np.uint8]]]:
    """Measure the network in ``weights`` on the first ``limit`` samples.

    Returns the scores, and up to 24 pictures (H, W, 3) with skeletons. Raises CheckpointError for weights, and
    DataError for data, that cannot be used.
    """
    body = body or load_open_body()
    predictor = Predictor.load(weights)
    count = min(len(samples), limit or len(samples))
    plan = Plan(count, min(batch, count), 0)
    people = found_count = alarms = 0
    errors: list[tuple[float, float, float]] = []
    standing: list[tuple[float, float]] = []
    posing = TorchBody(body.data)
    still = standing_joints(body)[BODY_JOINTS]
    names: list[str] = []
    pictures: list[NDArray[np.uint8]] = []
    skipped = Skipped()
    steps = count // plan.batch
    with stream(samples, partial(prepare_mesh, body=body), collate_mesh, plan, 0, steps, split=split) as deliveries:
        for delivery in deliveries:
            for problem in delivery.skipped:
                skipped.add(problem)
            labels = delivery.batch.labels
            with torch.inference_mode():
                outputs = predictor.network({"image": delivery.batch.pixels().numpy()})
                maps = Maps(**{name: torch.from_numpy(values) for name, values in outputs.items()})
                found = find_centers(maps.center, predictor.threshold)
                bodies = sample(maps, found)
                predicted = posing(bodies.betas, bodies.pose)
                true = posing(labels.betas, labels.pose)
            countable = (labels.visible.sum(1) >= FEWEST_JOINTS).numpy()
            centers = center_cells(labels.centers()[0]).float()
            pairs, unmatched = paired(centers, labels.picture, reach(labels), found.xy.float(), found.picture)
            people += int(countable.sum())
            alarms += unmatched
            for person, peak in pairs:
                if not countable[person]:
                    continue
                found_count += 1
                known = bool(labels.betas_known[person])
                truth = labels.joints[person].numpy()[BODY_JOINTS]
                joints = predicted.joints[peak].numpy()[BODY_JOINTS]
                pve = _vertex_error(predicted, peak, true, person) if known else np.nan
                errors.append((mpjpe(joints, truth), pa_mpjpe(joints, truth), pve))
                standing.append((mpjpe(still, truth), pa_mpjpe(still, truth)))
                names.append(delivery.names[int(labels.picture[person])])
            if len(pictures) < 24:
                pictures += _drawn(delivery.batch, bodies, predicted.joints, found.picture)
    table = 100 * np.array(errors, np.float64).reshape(-1, len(COLUMNS))
    still_standing = 100 * np.array(standing, np.float64).reshape(-1, 2)
    return MeshScores(people, found_count, alarms, table, still_standing, names, skipped), pictures[:24]


def _vertex_error(predicted: TorchBodyOutput, peak: int, true: TorchBodyOutput, person: int) -> float:
    """Mean distance of a body's vertices from the true ones, metres, pelvis-aligned."""
    ours = predicted.vertices[peak] - predicted.joints[peak, :1]
    theirs = true.vertices[person] - true.joints[person, :1]
    return float((ours - theirs).norm(dim=-1).mean())


def reach(labels: MeshLabels) -> Tensor:
    """(N,) largest distance, in map cells, of a peak from each person's centre at which it is still theirs."""
    return (NEAR_SHARE * MAP_SIDE / 2 * extents(labels.joints_2d, labels.visible).amax(1)).clamp_min(NEAR)


def paired(
    true: Tensor, picture: Tensor, near: Tensor, peaks: Tensor, peak_picture: Tensor
) -> tuple[list[tuple[int, int]], int]:
    """Match people to peaks, each at most once, with the smallest total distance.

    ``near`` (N,) is the largest distance of each person's peak, in map cells.

    Returns:
        (person, peak) pairs, and the number of peaks that belong to nobody.
    """
    if not len(peaks) or not len(true):
        return [], len(peaks)
    apart = (
        (torch.cdist(true, peaks) / near[:, None])
        .masked_fill(picture[:, None] != peak_picture[None], torch.inf)
        .numpy()
    )
    rows, columns = linear_sum_assignment(np.minimum(apart, 1))
    pairs = [(int(row), int(column)) for row, column in zip(rows, columns, strict=True) if apart[row, column] < 1]
    return pairs, len(peaks) - len(pairs)


def _drawn(batch: MeshBatch, bodies: PredictedBodies[Tensor], joints: Tensor, found: Tensor) -> list[NDArray[np.uint8]]:
    """The pictures with true skeletons in green, and predicted ones in red; ``found`` (N,) is each body's picture."""
    out = [np.ascontiguousarray(image) for image in batch.images.permute(0, 2, 3, 1).numpy()]
    true, predicted = batch.labels.joints_2d, project_weakly(joints, bodies.camera)
    for points, numbers, colour in ((true, batch.labels.picture, (60, 220, 60)), (predicted, found, (230, 40, 40))):
        for skeleton, number in zip(((points + 1) * INPUT_SIDE / 2).numpy(), numbers.tolist(), strict=True):
            draw_skeleton(out[number], skeleton, colour)
    return out
