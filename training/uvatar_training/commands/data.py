"""Commands that make training data or convert it to shards."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from uvatar.runtime.terminal import terminal
from uvatar_training.commands.training_options import OPTIONAL, at_least, progress, tell_skipped
from uvatar_training.synthesis.order import SynthesisOrder

_SHEET = 24  # pictures on the contact sheet


@dataclass(frozen=True, kw_only=True)
class Synthesize(SynthesisOrder):
    """Make synthetic photos of people, with their bodies and textures, to train on.

    uvatar-train synthesize --out data --count 20000

    uvatar-train synthesize --out data --count 1000 --split held_out

    The pictures are written as shards (.tar files). Held-out pictures show other people in other clothes and places;
    they are for `evaluate`.

    Attributes:
        workers: Number of processes.
    """

    workers: int = field(default_factory=lambda: max(1, (os.cpu_count() or 2) - 1))

    def __post_init__(self) -> None:
        """Raises ValueError for numbers that make no sense."""
        at_least(1, count=self.count, per_shard=self.per_shard, workers=self.workers)
        at_least(64, side=self.side, texture=self.texture)
        if not 0 <= self.cycles <= 1:
            raise ValueError(f"--cycles must be from 0 to 1, not {self.cycles}.")

    def run(self) -> None:
        """Make the pictures, and a contact sheet of some of them."""
        import cv2

        from uvatar_training.data.shards import open_shards
        from uvatar_training.synthesis.sheets import contact_sheet
        from uvatar_training.synthesis.synthesize import synthesize

        with progress() as bar:
            task = bar.add_task("pictures", total=self.count)
            synthesize(self, self.workers, lambda done: bar.advance(task, done))
        shards = open_shards(self.out, self.split)
        step = max(1, len(shards) // _SHEET)
        sheet = contact_sheet([shards.read(k) for k in range(0, len(shards), step)][:_SHEET])
        path = self.out / f"{self.split}.jpg"
        cv2.imwrite(str(path), sheet[..., ::-1])
        terminal().print(f"{len(shards)} pictures in {self.out}; see {path} for some of them")


@dataclass(frozen=True, kw_only=True)
class LifterPictures:
    """Make the data of the pose lifter: rendered people, and what perception finds of them.

    uvatar-train lifter-data --poses bank.npz --out lifter

    uvatar-train lifter-data --poses bank.npz --out lifter-validation --count 400 --validation

    Attributes:
        out: Folder for the shards.
        poses: Pose bank (.npz, aa (N, 24, 3)).
        count: Number of people.
        seed: Random seed; runs with different seeds may write to the same folder at the same time.
        textures: Folder of clothed UV textures; by default all clothes are procedural.
        validation: Use the bank's held-out poses.
    """

    out: Path
    poses: Path
    count: int = 12_000
    seed: int = 1
    textures: Annotated[Path | None, OPTIONAL] = None
    validation: bool = False

    def __post_init__(self) -> None:
        """Raises ValueError for numbers that make no sense."""
        at_least(1, count=self.count)

    def run(self) -> None:
        """Render the people."""
        from uvatar_training.lifter.make import make_lifter_data

        with progress() as bar:
            task = bar.add_task("people", total=self.count)

            def show(done: int) -> None:
                bar.update(task, completed=done)

            lost = make_lifter_data(
                self.out, self.poses, self.count, self.seed, self.textures, self.validation, progress=show
            )
        terminal().print(f"{self.count} people in {self.out}; {lost} more were not found or hardly visible")


@dataclass(frozen=True, kw_only=True)
class ImportAgora:
    """Convert the data set AGORA (for non-commercial research only) to shards for `mesh`, `texture` and `joint`.

    uvatar-train import-agora --images AGORA/train --fits AGORA --frames AGORA/SMPL --masks AGORA/masks --out agora

    Attributes:
        images: Folder of the images.
        fits: Folder that gt_path_smpl is relative to.
        frames: Folder of the dataframes (*_withjv.pkl, or *.pkl with --smpl).
        out: Folder for the shards.
        masks: Folder of the person masks.
        smpl: Neutral SMPL file, used to compute where people stand.
        kid_template: The file smpl_kid_template.npy.
        cut_out: One person per sample, cut out on white.
        split: train or held_out; scans belong to one of them.
        occlusion: Leave out people who are hidden by more than this percentage.
    """

    images: Path
    fits: Path
    frames: Path
    out: Path
    masks: Annotated[Path | None, OPTIONAL] = None
    smpl: Annotated[Path | None, OPTIONAL] = None
    kid_template: Annotated[Path | None, OPTIONAL] = None
    cut_out: bool = False
    split: str = "train"
    occlusion: float = 70.0

    def run(self) -> None:
        """Read the data set and write the shards."""
        import numpy as np

        from uvatar.body import load_smpl
        from uvatar_training.data.agora import Agora
        from uvatar_training.data.importing import write_shards

        kid = self.kid_template
        template = None if kid is None else np.load(kid, allow_pickle=False).astype(np.float32)
        body = None if self.smpl is None else load_smpl(self.smpl)
        agora = Agora(
            self.images, self.fits, self.frames, self.masks, body, template, self.cut_out, self.split, self.occlusion
        )
        with progress() as bar:
            task = bar.add_task("samples", total=None)
            count = write_shards(
                agora.samples(), self.out, self.split, "agora", progress=lambda done: bar.advance(task, done)
            )
        terminal().print(f"{count} samples in {self.out}")
        tell_skipped(agora.skipped)


@dataclass(frozen=True, kw_only=True)
class ParserCrops:
    """Cut people out of synthetic pictures, and compute the features that the parser's decoder is trained on.

    uvatar-train parser-data --data data --out crops

    uvatar-train parser-data --data data --out crops --split held_out

    Attributes:
        data: Folder of shards (uvatar-train synthesize).
        out: Folder for the crops.
        split: train or held_out.
        variants: How often each person is cut out, each time varied in another way.
        seed: Random seed of the variations.
    """

    data: Path
    out: Path
    split: str = "train"
    variants: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises ValueError for numbers that make no sense."""
        at_least(1, variants=self.variants)

    def run(self) -> None:
        """Make the crops."""
        from uvatar_training.parsing.features import make_parser_data

        with progress() as bar:
            task = bar.add_task("files of crops", total=None)
            made = make_parser_data(
                self.data, self.out, self.split, self.variants, self.seed, lambda done: bar.advance(task, done)
            )
        terminal().print(f"{made} files in {self.out}")
