"""Scores of textures on people whose whole texture is known, beside baselines: a table and a contact sheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from uvatar.body import BodyModel, load_open_body
from uvatar.evaluation.poses import load_poses
from uvatar.evaluation.tables import markdown, print_table, write_csv
from uvatar.runtime.terminal import terminal
from uvatar.texture_predictor.config import Config
from uvatar.texture_predictor.networks.checkpoint import load_checkpoint
from uvatar.texture_predictor.predictor import changes
from uvatar.texture_predictor.structure import Structure
from uvatar.texturing.layout.atlas import Atlas
from uvatar_training.data.problems import DataError
from uvatar_training.data.shards import encoded, open_shards
from uvatar_training.data.texture_batch import TextureStage
from uvatar_training.losses.features import EfficientNetFeatures, FeatureDistance, FeatureError, Perceptual, lpips
from uvatar_training.metrics.baselines import completed, oracle
from uvatar_training.metrics.frechet import FrechetDistance
from uvatar_training.metrics.pictures import grid
from uvatar_training.metrics.shard_subjects import shard_subjects
from uvatar_training.metrics.subjects import Subject, network_inputs, random_subject
from uvatar_training.metrics.table import Judge, baseline_textures
from uvatar_training.networks.uv_plane import plane_of, uv_plane
from uvatar_training.rendering import UvMesh, paint
from uvatar_training.rendering.unprojection import Texels

SIZE, TRUTH_SIZE = 256, 512  # texels a side of the baselines and of the truth
# Textures that the sheet shows from behind, below the photo and the truth.
SHOWN = ("projection", "the product without weights", "predicted", "the product with them")


def evaluate_textures(
    people: int, checkpoint: Path | None, out: Path, data: Path | None = None, side: int = 256, seed: int = 0
) -> None:
    """Score the baselines and a network; print the table, and write it and a contact sheet.

    Args:
        people: number of people.
        checkpoint: the network's checkpoint; None for the baselines alone.
        out: folder for the table and the sheet.
        data: folder of held-out shards whose people are scored; None for random people in painted outfits.
        side: side of the random people's photos, pixels.
        seed: of the random people.

    Raises:
        CheckpointError: the checkpoint cannot be used.
        DataError: the data cannot be used.
    """
    body, console = load_open_body().in_network_layout(), terminal()
    subjects = _painted(body, people, side, seed) if data is None else _pictured(body, people, side, data)
    textures = baseline_textures(subjects, body, SIZE)
    if checkpoint:
        network = load_checkpoint(checkpoint).eval()
        plane = uv_plane(body, network.config.resolution)
        config = network.config
        photo, structure = network_inputs(subjects, body, plane, config.photo_side, config.materials)
        with torch.inference_mode():
            made = changes(network(photo, structure).texture, structure, network.config.trust)
            textures["predicted"] = _laid_on(made, structure, textures["the product without weights"])
        textures["predicted, at 64"] = [oracle(texture, 64) for texture in textures["predicted"]]
        atlas = Atlas.of(body, SIZE)
        plane, mesh, texels = plane_of(body, atlas), UvMesh.of(body.data), Texels.of(body, SIZE)
        pairs = zip(subjects, textures["predicted"], strict=True)
        textures["the product with them"] = [
            completed(who.partial(mesh, texels), plane, atlas, texture) for who, texture in pairs
        ]
    perceptual: Perceptual
    try:
        perceptual, name = lpips("alex"), "LPIPS"
    except FeatureError as error:
        console.print(f"No LPIPS: {error}", style="dim")
        perceptual, name = FeatureDistance(EfficientNetFeatures()), f"{EfficientNetFeatures.name} distance"
    rows = Judge(body, SIZE, perceptual, name, FrechetDistance()).rows(subjects, textures)
    print_table(rows, f"{len(subjects)} people, {side} pixels", console)
    out.mkdir(parents=True, exist_ok=True)
    write_csv(rows, out / "table.csv")
    (out / "table.md").write_text(markdown(rows), encoding="utf-8")
    (out / "sheet.jpg").write_bytes(encoded(sheet(subjects, textures), ".jpg", 90))


def _laid_on(made: Tensor, structure: Structure[Tensor], whole: Sequence[Tensor]) -> list[Tensor]:
    """Textures as in the product: the network's `changes` (B, 3, R, R) applied to the ``whole`` textures."""
    return [
        ((0 if structure.completed is None else base) + F.interpolate(change, base.shape[-2:], mode="bicubic")).clamp(
            0, 1
        )
        for change, base in zip(made.split(1), whole, strict=True)
    ]


def _painted(body: BodyModel, people: int, side: int, seed: int) -> list[Subject]:
    bank = load_poses(None)
    order = np.random.default_rng(seed).permutation(len(bank))
    return [
        random_subject(body, bank[order[i % len(bank)]], side, TRUTH_SIZE, np.random.default_rng([seed, i]))
        for i in range(people)
    ]


def _pictured(body: BodyModel, people: int, side: int, data: Path) -> list[Subject]:
    stage = TextureStage.of(body, Config(resolution=side), side)
    subjects = list(shard_subjects(open_shards(data, "held_out"), stage, people))
    if len(subjects) < 2:
        raise DataError(
            data, f"shows {len(subjects)} people who are large enough and whom nothing hides: make more pictures"
        )
    return subjects


def sheet(subjects: Sequence[Subject], textures: Mapping[str, Sequence[Tensor]], count: int = 12) -> NDArray[np.uint8]:
    """A contact sheet (H, W, 3), with one person per column, sorted from the worst to the best prediction.

    The rows are the photo, the truth seen from behind, and every texture of `SHOWN` seen from behind.
    """
    order = np.linspace(0, len(subjects) - 1, min(count, len(subjects))).round().astype(int)
    shown = [textures[name] for name in SHOWN if name in textures]
    if "predicted" in textures:
        away = [
            float((paint(s.behind, t) - s.photo_behind).abs().mean())
            for s, t in zip(subjects, textures["predicted"], strict=True)
        ]
        order = np.argsort(away)[::-1][order]
    chosen = [subjects[k] for k in order]
    grids = [torch.cat([subject.photo for subject in chosen]), torch.cat([subject.photo_behind for subject in chosen])]
    for of in shown:
        grids.append(
            torch.cat([torch.where(subjects[k].behind.mask, paint(subjects[k].behind, of[k]), 1.0) for k in order])
        )
    return grid(grids)
