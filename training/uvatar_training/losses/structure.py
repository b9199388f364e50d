"""Loss terms on the structure of textures: statistics of patches, and structure that is there and shall stay.

A mean of colours rates a stripe that lies half a pitch off below plain grey, so a network that is trained on it alone
learns to blur. The statistics of patches do not know where a stripe lies.
"""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from uvatar.evaluation.structure_metrics import cosine_filters

_SCALES = 2  # halvings of the texture whose patches are compared
_SAMPLES = 1000  # patches of a region that are compared, at most
_FEWEST = 100  # texels of a region that is compared
_FLOOR = 0.02  # added to a region's amplitude: plain cloth has no statistics to miss
_LARGEST = 3.0  # of a region's distance
_EPSILON = 1e-6
# sRGB to grey and two opponent colours
_OPPONENT = ((1 / 3, 1 / 3, 1 / 3), (1.0, -1.0, 0.0), (-0.5, -0.5, 1.0))
_BLUR = 7  # texels a side of the box that is applied twice: what it leaves is coarse


def patch_distance(texture: Tensor, truth: Tensor, regions: Tensor, rng: torch.Generator) -> Tensor:
    """Distance of the statistics of small patches: 0 for the same, about 1 for no structure at all.

    The Gram matrices of a fixed filter bank's responses, as `uvatar.evaluation.structure_metrics.patch_distance` has
    them, at random places and with every entry's root in place of the matrix's, whose gradient is not stable.

    Args:
        texture, truth: (B, 3, R, R) sRGB 0..1.
        regions: (B, K, R, R) 0..1, each compared apart, where it is 1.
        rng: of the places.

    Returns the mean over the regions, weighted by their sizes; 0 if none is large enough.
    """
    total, weight = texture.sum() * 0, 0.0
    for scale in range(_SCALES):
        pairs = _opponent(texture), _opponent(truth)
        for person, places, size in _places(regions, rng):
            ours, theirs = (_root(_gram(picture[person], places)) for picture in pairs)
            apart = ((ours - theirs).square().sum() + _EPSILON).sqrt()
            distance = apart / (theirs.square().sum().sqrt() + _FLOOR)
            total, weight = total + size * distance.clamp_max(_LARGEST), weight + size
        if scale + 1 < _SCALES:
            texture, truth, regions = (F.avg_pool2d(part, 2) for part in (texture, truth, regions))
    return total / max(weight, 1.0)


def fine_change(texture: Tensor, completed: Tensor, where: Tensor, inside: Tensor) -> Tensor:
    """Mean absolute fine structure of what is changed in completed textures (B, 3, R, R).

    Args:
        where: (B, 1, R, R) weights.
        inside: (1, 1, R, R) 1 in the UV islands.
    """
    change = (texture - completed) * inside
    coarse = change
    for _ in range(2):
        share = F.avg_pool2d(inside, _BLUR, 1, _BLUR // 2).clamp_min(_EPSILON)
        coarse = F.avg_pool2d(coarse * inside, _BLUR, 1, _BLUR // 2) / share
    return ((change - coarse).abs() * where).sum() / (3 * where.sum()).clamp_min(_EPSILON)


def _places(regions: Tensor, rng: torch.Generator) -> list[tuple[int, Tensor, float]]:
    """Of every region that is large enough: the person, places (N, 2) of patches' middles, the region's size."""
    margin = cosine_filters().shape[-1] // 2
    found = []
    for person, own in enumerate(regions):
        for region in own:
            # patches lie in the region as a whole
            least = -F.max_pool2d(-region[None], 2 * margin + 1, 1)[0]
            whole = (least > 1 - 1e-3).nonzero() + margin
            if len(whole) >= _FEWEST:
                chosen = torch.randperm(len(whole), generator=rng, device=rng.device)[:_SAMPLES].to(whole.device)
                found.append((person, whole[chosen], float(len(whole))))
    return found


def _gram(picture: Tensor, places: Tensor) -> Tensor:
    """(72, 72) of a picture (3, R, R) at places (N, 2)."""
    filters = _filters().to(picture)
    reach = torch.arange(filters.shape[-1], device=picture.device) - filters.shape[-1] // 2
    rows, columns = (places[:, axis, None] + reach for axis in (0, 1))
    patches = picture[:, rows[:, :, None], columns[:, None, :]]
    responses = torch.einsum("cnij,fij->ncf", patches, filters).flatten(1)
    gram: Tensor = responses.T @ responses / len(places)
    return gram


def _root(gram: Tensor) -> Tensor:
    """Amplitudes in place of energies: strong edges must not outvote everything else."""
    root: Tensor = gram.sign() * ((gram.abs() + _EPSILON).sqrt() - _EPSILON**0.5)
    return root


def _opponent(picture: Tensor) -> Tensor:
    return torch.einsum("oc,bchw->bohw", picture.new_tensor(_OPPONENT), picture)


@cache
def _filters() -> Tensor:
    return torch.from_numpy(cosine_filters()).float()
