"""Statistics of patches do not ask where a stripe lies, and a coarse change is no change of structure."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from uvatar_training.losses.structure import fine_change, patch_distance

SIZE = 64


def striped(shift: int = 0) -> Tensor:
    """(1, 3, 64, 64), eight texels from stripe to stripe."""
    rows = (torch.arange(SIZE) + shift) % 8 < 4
    return (0.3 + 0.4 * rows.float())[None, None, :, None].expand(1, 3, SIZE, SIZE).clone()


def distance(texture: Tensor, truth: Tensor, region: Tensor | None = None) -> float:
    where = torch.ones(1, 1, SIZE, SIZE) if region is None else region
    return float(patch_distance(texture, truth, where, torch.Generator().manual_seed(0)))


def test_stripes_elsewhere_are_nearer_than_grey() -> None:
    truth, grey = striped(), torch.full((1, 3, SIZE, SIZE), 0.5)
    blurred = F.avg_pool2d(F.pad(truth, (2, 2, 2, 2), mode="replicate"), 5, 1)
    shifted = distance(striped(4), truth)
    assert distance(truth, truth) < 2e-3 and shifted < 0.2
    assert shifted < 0.5 * distance(blurred, truth) < 0.5 * distance(grey, truth)
    assert float((striped(4) - truth).abs().mean()) > 1.9 * float((grey - truth).abs().mean())  # what a mean says
    turned = distance(truth.transpose(2, 3), truth)
    assert turned > 0.5


def test_only_the_regions_count() -> None:
    left = torch.zeros(1, 1, SIZE, SIZE)
    left[..., : SIZE // 2] = 1
    texture = striped()
    texture[..., SIZE // 2 :] = 0.5
    assert distance(texture, striped(), left) < 2e-3
    assert distance(texture, striped(), 1 - left) > 0.5
    assert distance(texture, striped(), torch.zeros(1, 2, SIZE, SIZE)) == 0


def test_more_contrast_brings_faint_stripes_nearer() -> None:
    contrast = torch.tensor(0.3, requires_grad=True)
    texture = 0.5 + contrast * (striped(2) - 0.5)
    term = patch_distance(texture, striped(), torch.ones(1, 1, SIZE, SIZE), torch.Generator().manual_seed(0))
    term.backward()
    assert contrast.grad is not None and float(contrast.grad) < -0.1


@pytest.mark.parametrize("where", [slice(0, SIZE), slice(20, 40)])
def test_light_is_no_structure_and_stripes_are(where: slice) -> None:
    inside = torch.zeros(1, 1, SIZE, SIZE)
    inside[..., where, :] = 1
    completed = torch.full((1, 3, SIZE, SIZE), 0.4)
    slope = completed + torch.linspace(-0.2, 0.2, SIZE)
    outside = torch.where(inside > 0, slope, 9.0)
    assert float(fine_change(completed + 0.1, completed, inside, inside)) < 1e-5
    assert float(fine_change(slope, completed, inside, inside)) < 0.005
    assert float(fine_change(outside, completed, inside, inside)) < 0.005
    assert float(fine_change(striped(), completed, inside, inside)) > 0.1
