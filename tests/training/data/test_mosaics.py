"""Mosaics and close-ups: every person is where its tile is, as large as there, and in the same pose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import product

import numpy as np
import torch
from torch import Tensor

from uvatar.body import BodyModel
from uvatar.mesh_predictor.maps import INPUT_SIDE
from uvatar_training.data.mesh_batch import Shaking, collate_mesh, prepare_mesh
from uvatar_training.data.mosaics import collate_tiles, prepare_tiles
from uvatar_training.data.sample import PersonLabel, Sample

Dotted = Callable[[Sample, PersonLabel, int], Sample]


def test_a_mosaic_shows_four_pictures_people_each_in_its_quarter(samples: list[Sample], body: BodyModel) -> None:
    items = [prepare_mesh(sample, np.random.default_rng(1), body) for sample in samples[:5]]
    plain, batch = collate_mesh(items), collate_tiles([[item] for item in items], mosaics=1)
    assert len(batch.images) == 2 and torch.equal(batch.images[1], items[4].image)
    half = INPUT_SIDE // 2
    for number, (top, left) in enumerate([(0, 0), (0, half), (half, 0), (half, half)]):
        quarter = batch.images[0, :, top : top + half, left : left + half].float()
        small = items[number].image.float().unflatten(1, (half, 2)).unflatten(3, (half, 2)).mean((2, 4))
        assert (quarter - small).abs().max() <= 0.5
    labels = batch.labels
    assert labels.picture.tolist() == [0 if picture < 4 else 1 for picture in plain.labels.picture.tolist()]
    assert torch.equal(labels.pose, plain.labels.pose)
    for quarter, place, whole in zip(
        plain.labels.picture.tolist(), labels.joints_2d, plain.labels.joints_2d, strict=True
    ):
        pixels, before = (place + 1) * half, (whole + 1) * half
        offset = torch.tensor([quarter % 2, quarter // 2]) * half if quarter < 4 else 0
        assert torch.allclose(pixels, before / 2 + offset if quarter < 4 else before, atol=1e-3)


def test_close_ups_are_tiles_of_one_picture_and_labels_stay_on_them(
    samples: list[Sample], body: BodyModel, dotted: Dotted, middle_of: Callable[[Tensor], Tensor]
) -> None:
    checked: Counter[int] = Counter()
    for number, (sample, again) in enumerate(product(samples, range(3))):
        for person in sample.people:
            if person.visible.sum() < 12:
                continue
            x, y = person.joints_2d[joint := int(np.flatnonzero(person.visible)[0])]
            marked = dotted(sample, person, joint)
            rng, shaking = np.random.default_rng([number, again]), Shaking(mirrored=0.0, coloured=0.0)
            (item,) = prepare_tiles(marked, rng, body, shaking, close_ups=1.0)
            side = item.image.shape[-1]
            across = INPUT_SIDE // side
            if side == INPUT_SIDE or not item.rows["visible"][0, joint]:
                continue  # too small for one, or shaken out of it
            known = item.rows["joints_2d"][0][item.rows["visible"][0]]
            assert 0.6 < float((known.amax(0) - known.amin(0)).max()) < 2  # the person fills it
            batch = collate_tiles([[item]] * (count := across**2 - 1))
            (image,), labels = batch.images, batch.labels
            assert len(labels.picture) == count and not image[:, -side:, -side:].any()
            for tile in {0, count // 2, count - 1}:
                found = (labels.joints_2d[tile, joint].double() + 1) * INPUT_SIDE / 2
                top, left = side * (tile // across), side * (tile % across)
                centre = middle_of(image[:, top : top + side, left : left + side])
                inside = ((found - torch.tensor([left, top])) / side - 0.5).abs().max() < 0.4
                if inside and 3 < x < sample.camera.width - 3 and 3 < y < sample.camera.height - 3:
                    assert (centre + torch.tensor([left, top]) - found).abs().max() < 0.6
                    checked[across] += 1
            assert torch.equal(labels.pose[1], item.rows["pose"][0])
    assert checked[4] >= 12 and checked[2] >= 3, checked


def test_people_are_as_large_as_the_tile_they_are_given_and_both_sizes_come(
    samples: list[Sample], body: BodyModel
) -> None:
    sides: Counter[int] = Counter()
    rng = np.random.default_rng(3)
    for sample in samples:
        for person in sample.people:
            seen = person.joints_2d[person.visible]
            if len(seen) < 12:
                continue
            extent = float((seen.max(0) - seen.min(0)).max())
            alone = replace(sample, people=(person,))
            for _ in range(12):
                (item,) = prepare_tiles(alone, rng, body, None, close_ups=1.0)
                side = item.image.shape[-1]
                sides[side] += 1
                shown = item.rows["joints_2d"][0][item.rows["visible"][0]] * side / 2
                if side < INPUT_SIDE:
                    size = float((shown.amax(0) - shown.amin(0)).max())
                    np.testing.assert_allclose(size, side / 1.35, rtol=1e-3)
                    assert size < 2.5 * extent
    assert sides[128] > 2 * sides[256] > 0


def test_no_close_up_of_who_is_a_speck(samples: list[Sample], body: BodyModel) -> None:
    sample = samples[0]
    middle = sample.camera.center
    small = tuple(replace(person, joints_2d=middle + (person.joints_2d - middle) / 40) for person in sample.people)
    items = prepare_tiles(replace(sample, people=small), np.random.default_rng(0), body, close_ups=1.0)
    assert [item.image.shape[-1] for item in items] == [INPUT_SIDE]
