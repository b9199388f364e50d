"""People of synthetic pictures (`uvatar-train synthesize`) as subjects, in varied clothes, light and scenes.

Their true textures are unlit, and are adapted to the picture's light by one factor per channel
(`uvatar_training.data.texture_batch`), so the truth lacks the photo's shading. Compare scores with those of the
baselines, which have the same bias.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from uvatar.evaluation.sitters import Sitter
from uvatar.texture_predictor.inputs import Crop
from uvatar_training.data.problems import DataError
from uvatar_training.data.sample import Sample
from uvatar_training.data.stream import Samples
from uvatar_training.data.texture_batch import TextureStage, in_its_light, usable_pixels
from uvatar_training.metrics.subjects import Subject, turned
from uvatar_training.rendering import Cameras, RenderError, paint, see

SMALLEST = 110  # pixels: people whose mask is smaller than a square of this side are not scored
# Least share of the body's silhouette in the crop that must be the person's own pixels; the frame may cut people off.
UNHIDDEN = 0.85


def shard_subjects(samples: Samples[Sample], stage: TextureStage, limit: int) -> Iterator[Subject]:
    """Yield the first ``limit`` people who are not hidden, at most one per picture to avoid identical clothes."""
    found = 0
    for number in range(len(samples)):
        if found == limit:
            return
        try:
            sample = samples.read(number)
            pixels = usable_pixels(sample, stage.body)
        except DataError:
            continue
        for person in np.argsort(-pixels).tolist():
            if pixels[person] < SMALLEST**2:
                break
            subject = shard_subject(sample, person, stage)
            if subject is not None:
                found += 1
                yield subject
                break


def shard_subject(sample: Sample, number: int, stage: TextureStage) -> Subject | None:
    """The sample's person ``number``, or None if too much of the person is hidden or the texture is unknown."""
    person, side = sample.people[number], stage.side
    assert sample.mask is not None
    mask = (sample.mask == number + 1).astype(np.uint8) * np.uint8(255)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    around = Crop.around(np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]))
    crop = Crop(round(around.left), round(around.top), round(around.side))
    left, top, width = int(crop.left), int(crop.top), int(crop.side)
    camera = sample.camera.cropped((left, top, left + width, top + width), side / width)
    offsets = None if person.stand_off is None else person.stand_off[:, None] * stage.normals
    posed, joints = stage.body.posed(person.parameters, offsets)
    if person.texture is None or joints[0, 2] <= 0:
        return None
    vertices = torch.from_numpy(posed)[None]
    cameras = Cameras.of([camera])
    try:
        view, behind = see(vertices, stage.mesh, cameras), see(turned(vertices), stage.mesh, cameras)
    except RenderError:
        return None
    own = torch.from_numpy(crop.cut(mask, side) > 127)[None, None]
    if float((view.mask & own).sum() / view.mask.sum().clamp_min(1)) < UNHIDDEN:
        return None
    photo = torch.from_numpy(crop.cut(sample.image, side)).permute(2, 0, 1)[None].float() / 255
    photo = torch.where(view.mask & own, photo, 1.0)
    sitter = Sitter(f"{sample.name}/{number}", "", 0.0, person.parameters, camera)
    lit = Subject(sitter, vertices, camera, cameras, view, photo, photo, behind, photo, view.mask & own)
    texture = in_its_light(person, lit.partial(stage.mesh, stage.texels)[0], person.texture.shape[0])
    if not texture.isfinite().all():
        return None
    return replace(lit, texture=texture, photo_behind=torch.where(behind.mask, paint(behind, texture).clamp(0, 1), 1.0))
