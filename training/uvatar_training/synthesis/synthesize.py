"""Renders synthetic photos into shards, in parallel, everything drawn from a seed.

Shard k of a split depends only on the seed, the split and k. Every machine therefore makes the same people, and a run
that was stopped continues with the missing shards.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from uvatar.body import BodyModel, load_open_body
from uvatar_training.data.problems import DataError
from uvatar_training.data.sample import PersonLabel, Sample
from uvatar_training.data.shards import ShardWriter, open_shards
from uvatar_training.synthesis.anatomy import Canvas
from uvatar_training.synthesis.cycles import Cycles
from uvatar_training.synthesis.dressing import Dressed, dress
from uvatar_training.synthesis.environments import (
    Environment,
    environment_from,
    hdri_files,
    procedural_environment,
    read_panorama,
)
from uvatar_training.synthesis.order import SynthesisOrder
from uvatar_training.synthesis.poses import PoseSource
from uvatar_training.synthesis.rendering import Rasteriser, RenderedPicture, Renderer
from uvatar_training.synthesis.scenes import POPULATION, Cast, Figure, Scene, draw_scene
from uvatar_training.synthesis.wardrobe import Wardrobe, open_wardrobe

SPLITS = ("train", "held_out")
PICTURES_PER_LOOK = 3.0  # average number of figures with the same looks: painting looks takes as long as rendering
HDRI_SHARE = 0.5
SMALLEST_PERSON = 150  # pixels; smaller people get no label


class Studio:
    """What a process keeps between shards: body, canvas, poses, wardrobe and panoramas."""

    def __init__(self, order: SynthesisOrder) -> None:
        """Open what the order names.

        Raises:
            DataError: a file is missing or cannot be used.
        """
        if order.split not in SPLITS:
            raise DataError(str(order.out), f"there is no split {order.split!r}: choose 'train' or 'held_out'")
        held_out = order.split == "held_out"
        self.order = order
        self.body: BodyModel = load_open_body().in_network_layout()
        self.canvas = Canvas.of(self.body.data, order.texture)
        self.poses = PoseSource(order.poses, held_out)
        self.wardrobe: Wardrobe = open_wardrobe(order.wardrobe, order.texture, held_out)
        self.panoramas = [(path.stem, read_panorama(path)) for path in hdri_files(order.hdris, held_out)]

    def samples(self, shard: int, count: int) -> Iterator[Sample]:
        """Render the pictures of one shard."""
        renderer: Renderer = Cycles() if self.order.by_cycles(shard) else Rasteriser()
        looks = _Looks(self, shard, count)
        cast = Cast(self.body, self.poses, looks, self._environment, self.order.side)
        batch = count if isinstance(renderer, Cycles) else 1
        for start in range(0, count, batch):
            scenes = [
                draw_scene(f"{shard:05d}-{k:04d}", cast, self._rng(1, shard, k))
                for k in range(start, min(start + batch, count))
            ]
            for scene, picture in zip(scenes, renderer.render(scenes, self.body.data), strict=True):
                yield self._sample(scene, picture, type(renderer).__name__.lower())

    def _rng(self, *stream: int) -> np.random.Generator:
        return np.random.default_rng([self.order.seed, SPLITS.index(self.order.split), *stream])

    def _environment(self, rng: np.random.Generator) -> Environment:
        if self.panoramas and rng.random() < HDRI_SHARE:
            name, panorama = self.panoramas[rng.integers(len(self.panoramas))]
            return environment_from(panorama, name, rng)
        return procedural_environment(rng)

    def _sample(self, scene: Scene, picture: RenderedPicture, renderer: str) -> Sample:
        counts = np.bincount(picture.people.ravel(), minlength=len(scene.figures) + 1)[1:]
        kept = [k for k, count in enumerate(counts) if count >= SMALLEST_PERSON]
        place = np.zeros(len(scene.figures) + 1, np.uint8)
        for new, old in enumerate(kept):
            place[old + 1] = new + 1
        mask = place[picture.people]
        facts = {"renderer": renderer, "background": scene.environment.name}
        people = tuple(self._label(scene.figures[k], scene, picture.people == k + 1, facts) for k in kept)
        return Sample(
            f"{self.order.split}-{scene.name}",
            "synthetic",
            self.order.split,
            picture.image,
            scene.camera,
            people,
            mask,
            labels=picture.labels,
        )

    def _label(self, figure: Figure, scene: Scene, mask: NDArray[np.bool_], facts: dict[str, str]) -> PersonLabel:
        camera = scene.camera
        pixels = camera.project(figure.joints)
        inside = (pixels >= 0).all(1) & (pixels < [camera.width, camera.height]).all(1)
        # A joint counts as visible if its own person is visible within about the width of a wrist.
        reach = max(3, round(0.04 * camera.focal / max(float(figure.joints[0, 2]), 0.3)))
        near = cv2.dilate(mask.astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0
        cell = np.clip(pixels, 0, [camera.width - 1, camera.height - 1]).astype(int)
        visible = inside & near[cell[:, 1], cell[:, 0]]
        parameters = figure.parameters
        texture = figure.dressed.texture if self.order.textures else None
        more = {**facts, "group": figure.group, "pose": figure.pose, "person": figure.person, "pixels": int(mask.sum())}
        return PersonLabel(
            "open_body", parameters.betas, parameters.global_orient, parameters.body_pose, parameters.transl,
            figure.joints,
            pixels.astype(np.float32), visible, texture, figure.dressed.stand_off, more,
        )  # fmt: skip


class _Looks:
    """The dressed people of one shard, each painted when it is first needed."""

    def __init__(self, studio: Studio, shard: int, count: int) -> None:
        self._studio, self._shard = studio, shard
        self._count = max(1, round(count * 1.9 / PICTURES_PER_LOOK))
        self._made: dict[int, tuple[str, Dressed]] = {}

    def __call__(self, rng: np.random.Generator) -> tuple[int, str, Dressed]:
        number = int(rng.integers(self._count))
        if number not in self._made:
            studio = self._studio
            own = studio._rng(0, self._shard, number)
            group = POPULATION.group(own)
            held_out = studio.order.split == "held_out"
            self._made[number] = group, dress(studio.canvas, group, studio.wardrobe, own, held_out)
        return number + self._shard * 1_000_000, *self._made[number]


def synthesize(order: SynthesisOrder, workers: int = 1, progress: Callable[[int], None] = lambda _: None) -> int:
    """Render the ordered pictures; existing shards are kept.

    Args:
        order: the pictures to render.
        workers: number of processes.
        progress: called with the number of pictures of every finished shard.

    Returns:
        The number of pictures in the folder.

    Raises:
        DataError: an input is missing or cannot be used, or the disk is full.
    """
    missing = [shard for shard in order.shards() if not shard[1].exists()]
    progress(order.count - sum(size for _, _, size in missing))
    if workers <= 1:
        if missing:
            studio = Studio(order)
            for shard in missing:
                progress(_write(studio, shard))
    else:
        context = multiprocessing.get_context("spawn")
        with context.Pool(min(workers, max(len(missing), 1))) as pool:
            for size in pool.imap_unordered(partial(_work, order), missing):
                progress(size)
    return len(open_shards(order.out, order.split))


def _work(order: SynthesisOrder, shard: tuple[int, Path, int]) -> int:
    """Render one shard in a worker process; opening the studio takes a second or two, a shard a minute."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    return _write(Studio(order), shard)


def _write(studio: Studio, shard: tuple[int, Path, int]) -> int:
    number, path, size = shard
    with ShardWriter(path) as writer:
        quality = np.random.default_rng([studio.order.seed, number])
        for sample in studio.samples(number, size):
            writer.add(sample, int(quality.integers(70, 97)))
    return size
