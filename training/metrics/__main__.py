"""Scores of textures on made-up people, beside the baselines.

    python -m training.metrics [--people 8] [--side 256] [--size 256] [--checkpoint texture_predictor.safetensors] [--out FOLDER]

Prints the table; with ``--out`` also writes table.csv and table.md there.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from backend.body import load_open_body
from backend.evaluation.poses import load_poses
from backend.evaluation.tables import markdown, print_table, write_csv
from backend.texture_predictor.checkpoint import load_checkpoint
from backend.texture_predictor.inputs import uv_plane
from training.losses.features import EfficientNetFeatures, FeatureDistance, FeatureError, Perceptual, lpips
from training.metrics.frechet import FrechetDistance
from training.metrics.subjects import network_inputs, random_subject
from training.metrics.table import Judge, baseline_textures

TRUTH_SIZE = 512


def evaluate(people: int, side: int, size: int, checkpoint: Path | None, out: Path | None, seed: int) -> None:
    """Print, and with ``out`` write, the table of baselines and of the network in ``checkpoint``. Raises CheckpointError."""
    body, bank, console = load_open_body(), load_poses(None), Console()
    order = np.random.default_rng(seed).permutation(len(bank))
    subjects = [
        random_subject(body, bank[order[i % len(bank)]], side, TRUTH_SIZE, np.random.default_rng([seed, i])) for i in range(people)
    ]
    textures = baseline_textures(subjects, body, size)
    if checkpoint:
        network = load_checkpoint(checkpoint).eval()
        photo, structure = network_inputs(subjects, body, uv_plane(body, network.config.resolution), network.config.photo_side)
        with torch.inference_mode():
            textures["predicted"] = list(network(photo, structure).texture.clamp(0, 1).split(1))
    perceptual: Perceptual
    try:
        perceptual, name = lpips("alex"), "LPIPS"
    except FeatureError as error:
        console.print(f"No LPIPS: {error}", style="dim")
        perceptual, name = FeatureDistance(EfficientNetFeatures()), f"{EfficientNetFeatures.name} distance"
    rows = Judge(body, size, perceptual, name, FrechetDistance()).rows(subjects, textures)
    print_table(rows, f"{people} people, {side} pixels", console)
    if out:
        out.mkdir(parents=True, exist_ok=True)
        write_csv(rows, out / "table.csv")
        (out / "table.md").write_text(markdown(rows), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=8)
    parser.add_argument("--side", type=int, default=256, help="pixels of the photos")
    parser.add_argument("--size", type=int, default=256, help="texels of the baselines")
    parser.add_argument("--checkpoint", type=Path, help="a Texture Predictor to score too")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    evaluate(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()
