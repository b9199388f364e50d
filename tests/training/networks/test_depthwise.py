"""Quick gradients of depthwise convolutions are the gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from uvatar_training.networks.depthwise import QuickDepthwise


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 1, 1), (3, 2, 0), (5, 1, 2), (5, 2, 0), (5, 2, 2)])
def test_they_are_those_of_double_precision_but_for_rounding(
    kernel: int, stride: int, padding: int, bias: bool
) -> None:
    torch.manual_seed(0)
    features, weight, offset = torch.randn(2, 12, 17, 13), torch.randn(12, 1, kernel, kernel), torch.randn(12)
    found = [
        gradients(features, weight, offset if bias else None, stride, padding, torch.bfloat16, quick)
        for quick in (False, True)
    ]
    exact = gradients(features, weight, offset if bias else None, stride, padding, torch.float64, False)
    for slow, quick, true in zip(*found, exact, strict=True):
        assert quick.dtype == torch.bfloat16
        assert (quick - true).norm() < 0.012 * true.norm()
        assert (quick - true).norm() < 2 * (slow - true).norm() + 1e-6


def test_others_are_left_alone() -> None:
    torch.manual_seed(0)
    for groups, dtype in ((1, torch.bfloat16), (2, torch.bfloat16), (4, torch.float32)):
        features, weight = torch.randn(2, 4, 9, 9), torch.randn(4, 4 // groups, 5, 5)
        plain, quick = (gradients(features, weight, None, 1, 2, dtype, quick, groups) for quick in (False, True))
        assert all(torch.equal(one, other) for one, other in zip(plain, quick, strict=True))


def gradients(
    features: torch.Tensor,
    weight: torch.Tensor,
    offset: torch.Tensor | None,
    stride: int,
    padding: int,
    dtype: torch.dtype,
    quick: bool,
    groups: int | None = None,
) -> list[Any]:
    """Of a convolution's product with a fixed tensor, in features, weight and offset."""
    given = [part.bfloat16().to(dtype).requires_grad_() for part in (features, weight, offset) if part is not None]
    bias = None if offset is None else given[2]
    result = F.conv2d(given[0], given[1], bias, stride=stride, padding=padding, groups=groups or features.shape[1])
    pull = torch.randn(result.shape, generator=torch.Generator().manual_seed(1)).bfloat16().to(dtype)
    if quick:
        with QuickDepthwise():
            result.backward(pull)
    else:
        result.backward(pull)
    return [part.grad for part in given]
