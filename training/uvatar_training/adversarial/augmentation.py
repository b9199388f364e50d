"""Adaptive discriminator augmentation.

Karras et al. 2020b, "Training generative adversarial networks with limited data".

A discriminator soon memorises a few hundred textures. It therefore sees only textures, real and generated, that were
moved and recoloured at random, each change with probability p, which increases while it is too confident about real
ones. Flips and rotations are not symmetries of a UV layout; they are valid here only because real and generated
textures get them alike.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

_SCALE, _BRIGHTNESS, _CONTRAST, _SATURATION, _FRACTION = (
    0.2,
    0.2,
    0.5,
    1.0,
    0.125,
)  # standard deviations, in octaves or in 0..1
_GREY = torch.tensor([1.0, 1.0, 1.0, 0.0]) / math.sqrt(3)


class Strength:
    """The probability p, controlled to keep the discriminator's success on real textures near a target."""

    def __init__(self, target: float = 0.6, textures: float = 500_000, p: float = 0.0) -> None:
        """Start at ``p``.

        Args:
            target: mean sign of the logits of real textures.
            textures: least number of textures over which p can rise from 0 to 1.
            p: initial probability.
        """
        self.target, self.textures, self.p = target, textures, p

    def update(self, real_logits: Tensor) -> float:
        """Update p from the logits (B,) of the real textures since the last update, and return it."""
        surer = float(real_logits.detach().sign().mean()) - self.target
        self.p = min(max(self.p + math.copysign(len(real_logits) / self.textures, surer), 0.0), 1.0)
        return self.p


def augmented(textures: Tensor, p: float, rng: torch.Generator) -> Tensor:
    """Move and recolour textures (B, 3, H, W) in 0..1 at random, each kind of change with probability ``p``.

    The result is twice differentiable by the textures.
    """
    if p <= 0:
        return textures
    moved = _moved(textures, p, rng)
    return _recoloured(moved, p, rng)


def _moved(textures: Tensor, p: float, rng: torch.Generator) -> Tensor:
    """Flip, rotate by multiples of 90 degrees, shift, scale, rotate, stretch and rotate again, in a single look-up.

    The outside is filled with the mirrored texture.
    """
    draw = _Draws(len(textures), p, rng)
    matrix = torch.eye(3, device=rng.device).expand(len(textures), 3, 3)
    mirror = 1 - 2 * draw.one_of(2)
    matrix = _scaling(mirror, torch.ones_like(mirror)) @ matrix
    matrix = _turning(draw.one_of(4) * math.pi / 2) @ matrix
    matrix = _shifting(draw.uniform(-0.25, 0.25), draw.uniform(-0.25, 0.25)) @ matrix
    size = draw.octaves(_SCALE)
    matrix = _scaling(size, size) @ matrix
    matrix = _turning(draw.uniform(-math.pi, math.pi)) @ matrix
    stretch = draw.octaves(_SCALE)
    matrix = _scaling(stretch, 1 / stretch) @ matrix
    matrix = _turning(draw.uniform(-math.pi, math.pi)) @ matrix
    matrix = _shifting(draw.normal(_FRACTION), draw.normal(_FRACTION)) @ matrix
    grid = F.affine_grid(matrix[:, :2].to(textures), list(textures.shape), align_corners=False)
    return F.grid_sample(textures, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def _recoloured(textures: Tensor, p: float, rng: torch.Generator) -> Tensor:
    """Change brightness, contrast, luma (inverted), hue and saturation, by a single matrix on RGB in -1..1."""
    draw = _Draws(len(textures), p, rng)
    grey = _GREY.to(rng.device)
    along = torch.outer(grey, grey)
    identity = torch.eye(4, device=rng.device)
    rgb = torch.diag(torch.tensor([1.0, 1.0, 1.0, 0.0], device=rng.device))
    brightness = identity.repeat(len(textures), 1, 1)
    brightness[:, :3, 3] = draw.normal(_BRIGHTNESS)[:, None]
    contrast = draw.octaves(_CONTRAST)[:, None, None]
    matrix = (identity - rgb + rgb * contrast) @ brightness
    matrix = (identity - 2 * along * draw.one_of(2)[:, None, None]) @ matrix
    matrix = _about(grey, draw.uniform(-math.pi, math.pi)) @ matrix
    saturation = draw.octaves(_SATURATION)[:, None, None]
    matrix = (along + (rgb - along) * saturation + identity - rgb) @ matrix
    matrix = matrix.to(textures)
    mixed = torch.einsum("bij,bjhw->bihw", matrix[:, :3, :3], 2 * textures - 1) + matrix[:, :3, 3, None, None]
    return 0.5 + 0.5 * mixed


class _Draws:
    """Random numbers (B,), each replaced by its neutral value with probability 1 - p."""

    def __init__(self, batch: int, p: float, rng: torch.Generator) -> None:
        self.batch, self.p, self.rng = batch, p, rng

    def _or(self, values: Tensor, neutral: float) -> Tensor:
        return torch.where(self._uniform() < self.p, values, torch.full_like(values, neutral))

    def _uniform(self) -> Tensor:
        return torch.rand(self.batch, generator=self.rng, device=self.rng.device)

    def one_of(self, count: int) -> Tensor:
        return self._or((self._uniform() * count).floor(), 0)

    def uniform(self, low: float, high: float) -> Tensor:
        return self._or(low + (high - low) * self._uniform(), 0)

    def normal(self, deviation: float) -> Tensor:
        return self._or(torch.randn(self.batch, generator=self.rng, device=self.rng.device) * deviation, 0)

    def octaves(self, deviation: float) -> Tensor:
        return torch.exp2(self.normal(deviation))


def _matrices(*rows: tuple[Tensor, ...]) -> Tensor:
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def _scaling(x: Tensor, y: Tensor) -> Tensor:
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    return _matrices((x, zero, zero), (zero, y, zero), (zero, zero, one))


def _turning(angle: Tensor) -> Tensor:
    zero, one, c, s = torch.zeros_like(angle), torch.ones_like(angle), angle.cos(), angle.sin()
    return _matrices((c, -s, zero), (s, c, zero), (zero, zero, one))


def _shifting(x: Tensor, y: Tensor) -> Tensor:
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    return _matrices((one, zero, x), (zero, one, y), (zero, zero, one))


def _about(axis: Tensor, angle: Tensor) -> Tensor:
    """Rotations (B, 4, 4) of RGB about an axis (4,) by ``angle`` (B,), radians (Rodrigues)."""
    x, y, z, _ = axis
    zero = torch.zeros_like(x)
    cross = _matrices((zero, -z, y), (z, zero, -x), (-y, x, zero))
    c, s = angle.cos()[:, None, None], angle.sin()[:, None, None]
    turn = torch.eye(4, device=axis.device).repeat(len(angle), 1, 1)
    turn[:, :3, :3] = c * torch.eye(3, device=axis.device) + s * cross + (1 - c) * torch.outer(axis[:3], axis[:3])
    return turn
