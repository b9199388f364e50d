"""People of synthetic pictures (`uvatar-train synthesize`) as subjects: in many clothes and lights, before and behind
other things.

Their true textures are unlit and are compared in the picture's light (`uvatar_training.data.texture_batch`): one factor
per channel, so that the photo's shading is no part of the truth. What a figure behind is worth is told by the
baselines, which have the same fault.
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

SMALLEST = 110  # pixels: people whose mask covers less than a square of this are no test of a texture
# share of the body's silhouette in the crop that must be the person's own pixels; people may be cut off by the frame
UNHIDDEN = 0.85


def shard_subjects(samples: Samples[Sample], stage: TextureStage, limit: int) -> Iterator[Subject]:
    """The first ``limit`` people whom nothing hides; at most one of each picture, so that no two wear the same."""
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
    """The sample's person ``number``, None where something hides too much of it, or its texture is unknown."""
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
