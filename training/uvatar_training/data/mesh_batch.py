"""Prepares samples for training the Mesh Predictor: padded squares with random variations, and labels of people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor

from uvatar.body import BodyModel
from uvatar.data.arrays import Floats
from uvatar.data.joints import OTHER_SIDE_JOINTS
from uvatar.fitting.lifter import FLIP
from uvatar.mesh_predictor.maps import INPUT_SIDE
from uvatar_training.data.batch import Batch
from uvatar_training.data.mesh_labels import MeshLabels
from uvatar_training.data.problems import DataError
from uvatar_training.data.sample import PersonLabel, Sample

PEOPLE_KEYS = ("pose", "pose_known", "betas", "betas_known", "joints", "joints_known", "joints_2d", "visible")


@dataclass(frozen=True)
class MeshItem:
    """One picture.

    Attributes:
        image: (3, S, S) uint8; S = 512 unless it becomes a tile of another picture.
        rows: fields of `MeshLabels`, with a row per person.
        labelled: whether every person of the picture has a row.
    """

    image: Tensor
    rows: dict[str, Tensor]
    labelled: bool


@dataclass(frozen=True)
class MeshBatch(Batch):
    """B pictures (B, 3, 512, 512) uint8, and the labels of their people."""

    images: Tensor
    labels: MeshLabels

    def pixels(self) -> Tensor:
        """The pictures (B, 3, 512, 512) as floats in [0, 1]."""
        return self.images.float() / 255


@dataclass(frozen=True)
class Shaking:
    """Random variations of training pictures (ROMP section 3.5).

    Attributes:
        turned, mirrored, coloured: shares of pictures that are rotated, mirrored and recoloured.
        turn: largest angle of a rotation, degrees.
        scale: range of the factor on the size.
        shift: largest shift, relative to the picture's side.
    """

    turned: float = 0.2
    turn: float = 30.0
    scale: tuple[float, float] = (0.75, 1.15)
    shift: float = 0.08
    mirrored: float = 0.5
    coloured: float = 0.5


@dataclass(frozen=True)
class PicturePart:
    """The part of a picture that a square shows.

    Attributes:
        middle: x and y of its middle, pixels of the picture.
        extent: its side, pixels of the picture.
        side: side of the square, pixels.
        enough: least number of a person's 24 joints that it must show for the person to count.
    """

    middle: tuple[float, float]
    extent: float
    side: int = INPUT_SIDE
    enough: int = 1


def prepare_mesh(
    sample: Sample,
    rng: np.random.Generator,
    body: BodyModel,
    shaking: Shaking | None = None,
    part: PicturePart | None = None,
) -> MeshItem:
    """Pad a sample to the network's square, and express its labels for ``body``.

    Args:
        sample: the picture.
        rng: source of all randomness.
        body: the body; betas of other bodies count as unknown.
        shaking: random variations; None for evaluation.
        part: the part of the picture to show; None for the whole picture.

    Raises:
        DataError: no person is visible.
    """
    height, width = sample.image.shape[:2]
    part = part or PicturePart((width / 2, height / 2), max(height, width))
    matrix, turn = _placement(part, rng, shaking)
    image = _shown(sample.image, matrix, part.side)
    if shaking is not None and rng.random() < shaking.coloured:
        image = _recoloured(image, rng)
    rows = [_row(person, matrix, turn, body, part.side) for person in sample.people]
    rows = [row for row in rows if row["visible"].sum() >= part.enough]
    if shaking is not None and rng.random() < shaking.mirrored:
        image, rows = image[:, ::-1], [_mirrored(row) for row in rows]
    if not rows:
        raise DataError(sample.name, "shows nobody")
    stacked = {key: torch.from_numpy(np.stack([row[key] for row in rows])) for key in PEOPLE_KEYS}
    return MeshItem(torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1), stacked, sample.labelled)


def collate_mesh(items: Sequence[MeshItem]) -> MeshBatch:
    """Join prepared pictures in a batch."""
    counts = torch.tensor([len(item.rows["pose"]) for item in items])
    rows = {key: torch.cat([item.rows[key] for item in items]) for key in PEOPLE_KEYS}
    labels = MeshLabels(
        picture=torch.repeat_interleave(torch.arange(len(items)), counts),
        labelled=torch.tensor([item.labelled for item in items]),
        **rows,
    )
    return MeshBatch(torch.stack([item.image for item in items]).contiguous(memory_format=torch.channels_last), labels)


def _mirrored(row: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """`_row` for the picture's mirror image. The body is symmetric, so betas are unchanged."""
    swapped = {
        key: row[key][OTHER_SIDE_JOINTS]
        for key in ("pose", "pose_known", "joints", "joints_known", "joints_2d", "visible")
    }
    flip = FLIP.astype(np.float32)
    swapped["pose"] = flip @ swapped["pose"] @ flip
    swapped["joints"] = swapped["joints"] @ flip
    swapped["joints_2d"] = swapped["joints_2d"] @ flip[:2, :2]
    return {**row, **swapped}


def _placement(
    part: PicturePart, rng: np.random.Generator, shaking: Shaking | None
) -> tuple[NDArray[np.float64], float]:
    """The (2, 3) map from the picture's pixel centres to the square's, and the angle of its rotation, radians."""
    scale, turn, shift = part.side / part.extent, 0.0, np.zeros(2)
    if shaking is not None:
        scale *= float(np.exp(rng.uniform(*np.log(shaking.scale))))
        turn = float(np.radians(rng.uniform(-shaking.turn, shaking.turn))) if rng.random() < shaking.turned else 0.0
        shift = rng.uniform(-shaking.shift, shaking.shift, 2) * part.side
    rotation = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    offset = part.side / 2 + shift - rotation @ np.array(part.middle)
    # In continuous pixels, x' = R x + offset; OpenCV's origin is the first pixel's centre.
    return np.column_stack([rotation, offset + rotation @ [0.5, 0.5] - 0.5]), turn


def _shown(image: NDArray[np.uint8], matrix: NDArray[np.float64], side: int) -> NDArray[np.uint8]:
    """The square's picture under `_placement`'s map; when shrinking, a larger picture is drawn first and averaged."""
    times = max(1, round(1 / float(np.hypot(*matrix[:, 0]))))
    larger = np.column_stack([times * matrix[:, :2], times * (matrix[:, 2] + 0.5) - 0.5])
    drawn = cv2.warpAffine(
        image, larger, (side * times, side * times), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
    )
    return np.asarray(cv2.resize(drawn, (side, side), interpolation=cv2.INTER_AREA) if times > 1 else drawn, np.uint8)


def _row(person: PersonLabel, matrix: Floats, turn: float, body: BodyModel, side: int) -> dict[str, NDArray[Any]]:
    """One person's labels in the coordinates of the square."""
    pixels = np.nan_to_num(person.joints_2d.astype(np.float64)) - 0.5
    square = (pixels @ matrix[:, :2].T + matrix[:, 2] + 0.5) / (side / 2) - 1
    visible = person.visible & (np.abs(square) < 1).all(1)
    about = Rotation.from_rotvec([0, 0, turn])
    pose_known = np.isfinite(person.global_orient).all() and np.isfinite(person.body_pose).all()
    pose = np.tile(np.eye(3), (24, 1, 1))
    if pose_known:
        pose[0] = (about * Rotation.from_rotvec(person.global_orient)).as_matrix()
        pose[1:] = Rotation.from_rotvec(person.body_pose).as_matrix()
    same = person.body == ("open_body" if body.data.name == "open_body" else body.data.name)
    betas_known = bool(np.isfinite(person.betas).all()) and same
    betas = person.betas[:10] if betas_known else np.zeros(10)
    joints_known = np.isfinite(person.joints).all(1)
    # Without translation: the loss compares joints relative to the hips, and the weak-perspective camera the rest.
    placed = np.nan_to_num(person.joints.astype(np.float64) - np.nan_to_num(person.transl))
    joints = about.apply(placed)
    if betas_known and pose_known:
        joints = body.joints(betas[None], pose[None])[0]
        joints_known = np.ones(24, bool)
    return {
        "pose": pose.astype(np.float32), "pose_known": np.full(24, pose_known), "betas": np.asarray(betas, np.float32),
        "betas_known": np.array(betas_known), "joints": joints.astype(np.float32), "joints_known": joints_known,
        "joints_2d": square.astype(np.float32), "visible": visible,
    }  # fmt: skip


def _recoloured(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Change brightness, contrast and saturation at random; sometimes make the picture grey or coarse."""
    pixels = image.astype(np.float32)
    grey = pixels.mean(2, keepdims=True)
    pixels = grey + (pixels - grey) * np.float32(0.0 if rng.random() < 0.04 else rng.uniform(0.6, 1.3))
    pixels = (pixels - 128) * np.float32(rng.uniform(0.75, 1.25)) + 128 + np.float32(rng.uniform(-25, 25))
    pixels *= rng.uniform(0.92, 1.08, 3).astype(np.float32)
    out: NDArray[np.uint8] = np.clip(pixels, 0, 255).astype(np.uint8)
    if rng.random() < 0.15:
        small = cv2.resize(out, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        out = np.asarray(cv2.resize(small, out.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.uint8)
    return out
