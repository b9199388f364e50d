"""Whether an avatar shows the right material at every place of a rendered person, whatever made its texture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from uvatar.data.arrays import Numbers
from uvatar.photos.colour import DISTANCE_WEIGHTS, linear_from_srgb, perceptual

_AVERAGED = 3.0  # standard deviation, pixels, over which colours are averaged: noise and thin stripes are none
_PALETTE = 300  # colours of a material that others are compared with
_NEARER = 0.5  # share of its distance from its own material's colours below which a colour is another material's
_OFF = 0.06  # least distance from its own, in units of `colour_distance`


def wrong_material(image: Numbers, truth: Numbers, worn: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """The pixels (H, W) of a person at which the avatar looks like another of the person's materials.

    These are the pixels whose colour is at most half as far from a colour that another material has in the true picture
    as from any that their own material has.

    Args:
        image: (H, W, 3) sRGB, 0..255, the avatar.
        truth: (H, W, 3) the person.
        worn: (H, W) the material of every pixel, 255 where there is none to be judged.
    """
    wrong, materials = np.zeros(worn.shape, bool), [int(one) for one in np.unique(worn) if one != 255]
    theirs = {one: _averaged(truth, worn == one) for one in materials}
    ours = {one: _averaged(image, worn == one) for one in materials}
    rng = np.random.default_rng(0)
    palettes = {
        one: cKDTree(colours[rng.choice(len(colours), min(_PALETTE, len(colours)), replace=False)])
        for one, colours in theirs.items()
    }
    for one in materials:
        own = palettes[one].query(ours[one])[0]
        others = [palettes[other].query(ours[one])[0] for other in materials if other != one]
        if others:
            wrong[worn == one] = (own > _OFF) & (np.min(others, 0) < _NEARER * own)
    return wrong


def _averaged(picture: Numbers, inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Colours (K, 3) of the K pixels of a mask (H, W), averaged with others of the mask, as `colour_distance` sees
    them.
    """
    weight = inside.astype(np.float32)
    linear = linear_from_srgb(np.ascontiguousarray(picture, np.uint8)) * weight[..., None]
    total = np.maximum(np.asarray(cv2.GaussianBlur(weight, (0, 0), _AVERAGED)), 1e-6)
    mean = np.asarray(cv2.GaussianBlur(linear, (0, 0), _AVERAGED)) / total[..., None]
    return np.asarray(perceptual(mean[inside]) * DISTANCE_WEIGHTS, np.float32)
