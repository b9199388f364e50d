"""StyleGAN2's layers, written from the papers' formulas.

Karras et al. 2018, "Progressive growing of GANs" (equalised learning rate); Karras et al. 2020, "Analyzing and
improving the image quality of StyleGAN" (modulated convolution, equations 1 to 3).  PyTorch's own operations alone, so
that every gradient of a gradient exists (R1, path length) and CPUs are as welcome as GPUs.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_EPSILON = 1e-8
# Activations of half precision are kept within this; a trained network's stay far below.
_LARGEST = 256.0


def leaky_relu(x: Tensor) -> Tensor:
    """max(x, 0.2 x) times the square root of 2, which keeps the variance about the same."""
    return F.leaky_relu(x, 0.2) * math.sqrt(2)


def at_least_single(x: Tensor) -> Tensor:
    """Float32 for half precision, all else as it is."""
    return x.float() if is_half(x) else x


def is_half(x: Tensor) -> bool:
    """Whether a tensor is of a 16-bit floating type."""
    return x.dtype in (torch.float16, torch.bfloat16)


def normalised(x: Tensor) -> Tensor:
    """(B, C) vectors divided by the root mean square of their entries, in float32 at least."""
    x = at_least_single(x)
    return x * torch.rsqrt(x.square().mean(1, keepdim=True) + _EPSILON)


class Linear(nn.Module):
    """A fully connected layer with equalised learning rate: weights of unit variance, scaled as they are used."""

    def __init__(self, inputs: int, outputs: int, bias: float = 0.0, rate: float = 1.0) -> None:
        """``bias``: initial value; ``rate``: learning rate relative to the other layers'."""
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))
        self.scale, self.rate = rate / math.sqrt(inputs), rate

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs) -> (B, outputs)."""
        return F.linear(x, self.weight * self.scale, self.bias * self.rate)


class Conv2d(nn.Module):
    """A convolution with equalised learning rate that keeps the size, or halves it after a low-pass filter
    (``down``).
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, down: bool = False, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.scale, self.down = 1 / math.sqrt(inputs * kernel**2), down

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H, W) or (B, outputs, H/2, W/2)."""
        weight = (self.weight * self.scale).to(x.dtype)
        bias = None if self.bias is None else self.bias.to(x.dtype)
        margin = weight.shape[-1] // 2
        if self.down:
            return F.conv2d(blur(x, margin + 1), weight, bias, stride=2)
        return F.conv2d(x, weight, bias, padding=margin)


def blur(x: Tensor, padding: int) -> Tensor:
    """(B, C, H, W) filtered with [1, 3, 3, 1] x [1, 3, 3, 1] / 64 after zero padding.

    3 - 2 * padding rows and columns fewer.
    """
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=x.dtype, device=x.device) / 8
    kernel = torch.outer(taps, taps).expand(x.shape[1], 1, 4, 4)
    return F.conv2d(x, kernel, padding=padding, groups=x.shape[1])


def upsample(image: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C, 2H, 2W): zeros inserted and the [1, 3, 3, 1] filter, which is linear interpolation;
    borders go on.
    """
    return F.interpolate(image, scale_factor=2, mode="bilinear", align_corners=False)


def modulated_convolution(
    x: Tensor, weight: Tensor, style: Tensor, demodulate: bool = True, up: bool = False
) -> Tensor:
    """A convolution whose weights are scaled per sample and input channel, and normalised per output channel.

    The style scales the activations in place of the weights, and the normalisation the result: the same numbers without
    one copy of the weights per sample.

    Args:
        x: (B, I, H, W), of any floating type; the result has the same.
        weight: (O, I, k, k) float32.
        style: (B, I) float32.
        demodulate: give every output channel unit variance, were the inputs independent and of unit variance.
        up: double the size: a transposed convolution with stride 2, then the [1, 3, 3, 1] filter.

    Returns:
        (B, O, H, W), or (B, O, 2H, 2W) with ``up``.
    """
    weight, style = at_least_single(weight), at_least_single(style)
    demodulation = None
    if demodulate:
        if is_half(x):
            # Demodulation undoes any scale: with weights and styles of unit size no sum can overflow half precision.
            weight = weight / weight.square().sum((1, 2, 3), keepdim=True).add(_EPSILON).sqrt()
            style = style / style.abs().amax(1, keepdim=True).clamp_min(_EPSILON)
        demodulation = torch.rsqrt(style.square() @ weight.square().sum((2, 3)).T + _EPSILON)[:, :, None, None].to(
            x.dtype
        )
    x, weight = x * style[:, :, None, None].to(x.dtype), weight.to(x.dtype)
    if up:
        x = 4 * blur(F.conv_transpose2d(x, weight.transpose(0, 1), stride=2), padding=1)
    else:
        x = F.conv2d(x, weight, padding=weight.shape[-1] // 2)
    return x if demodulation is None else x * demodulation


class ModulatedConv2d(nn.Module):
    """`modulated_convolution` with its weights, and the affine map from the style code to the scales."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, code: int, demodulate: bool = True, up: bool = False
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.affine = Linear(code, inputs, bias=1.0)
        self.scale, self.demodulate, self.up = 1 / math.sqrt(inputs * kernel**2), demodulate, up

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        """(B, inputs, H, W) and style codes (B, code) -> (B, outputs, H, W), twice the size with ``up``."""
        return modulated_convolution(x, self.weight * self.scale, self.affine(code), self.demodulate, self.up)


class StyledLayer(nn.Module):
    """A modulated convolution, noise, bias and leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, code: int, up: bool = False) -> None:
        super().__init__()
        self.convolution = ModulatedConv2d(inputs, outputs, 3, code, up=up)
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor, code: Tensor, noise: Tensor | None = None) -> Tensor:
        """(B, inputs, H, W), codes (B, code), noise (B, 1, H', W') or None -> (B, outputs, H', W')."""
        x = self.convolution(x, code)
        if noise is not None:
            x = x + (noise * self.noise_strength).to(x.dtype)
        x = leaky_relu(x + self.bias[:, None, None].to(x.dtype))
        return x.clamp(-_LARGEST, _LARGEST) if is_half(x) else x
