"""Where a material's structure may be copied from: not near other materials, and not from single things."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.photos.colour import DISTANCE_WEIGHTS, colour_distance, perceptual, smoothstep
from uvatar.texturing.pattern.settings import PatternSettings
from uvatar.texturing.pattern.structure_picture import StructurePicture


def of_others(picture: StructurePicture, material: int, settings: PatternSettings) -> NDArray[np.bool_]:
    """Pixels (h, w) near another material that look more like it: borders on the mesh are only as fine as the mesh."""
    other = (picture.label != material) & (picture.label != 255)
    if not other.any():
        return np.zeros(other.shape, bool)
    distance, nearest = cv2.distanceTransformWithLabels(
        (~other).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    colours = np.zeros((int(nearest.max()) + 1, 3), np.float32)
    colours[nearest[other]] = picture.low[other]
    near = (picture.label == material) & (distance < settings.border_reach * picture.metre)
    found = np.zeros(other.shape, bool)
    shown = picture.shown[near]
    theirs, own = colour_distance(shown, colours[nearest[near]]), colour_distance(shown, picture.low[near])
    found[near] = (theirs < settings.more_alike * own) & (own > settings.foreign_colour)
    side = 2 * max(1, round(settings.border_margin * picture.metre)) + 1
    grown = cv2.dilate(found.astype(np.uint8), np.ones((side, side), np.uint8)) > 0
    result: NDArray[np.bool_] = grown | (distance < settings.border_margin * picture.metre)
    return result


def clean_sources(
    values: NDArray[np.float32],
    source: NDArray[np.bool_],
    picture: StructurePicture,
    box: tuple[slice, slice],
    settings: PatternSettings,
) -> tuple[NDArray[np.bool_], float]:
    """The sources (h, w) of a material without single things, and how patterned it is, 0..1."""
    side = 2 * max(1, round(settings.margin * picture.metre)) + 1
    own = values[source]
    light = own.mean(1)
    hue = _hue_step(picture.shown[box][source], picture.low[box][source])
    usual = settings.usual_factor * float(np.quantile(hue, settings.usual))  # single things may be half of it
    off = np.zeros(source.shape, bool)
    off[source] = (hue > max(settings.hue_outlier, settings.hue_spread * usual)) | (
        np.abs(light) > max(settings.light_outlier, settings.light_spread * float(np.median(np.abs(light))))
    )
    row_share = off.sum(1) / np.maximum(source.sum(1), 1)
    off[row_share > settings.row_share] = False
    off = cv2.morphologyEx(off.astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8)) > 0
    off = _single(off, source, picture.metre, settings)
    clean = source & ~(cv2.dilate(off.astype(np.uint8), np.ones((side, side), np.uint8)) > 0)
    # plackets, ties, logos and flies are in the middle
    clean = clean & ~(np.abs(picture.across[box]) < settings.middle)
    run = max(1, round(settings.least_run * picture.metre))
    clean = cv2.morphologyEx(clean.astype(np.uint8), cv2.MORPH_OPEN, np.ones((1, run), np.uint8)) > 0
    return (clean if clean.any() else source), _patterned(values, source, picture, box, settings)


def _patterned(
    values: NDArray[np.float32],
    source: NDArray[np.bool_],
    picture: StructurePicture,
    box: tuple[slice, slice],
    settings: PatternSettings,
) -> float:
    """How patterned, 0..1, a material is, by the hue and the brightness of what is coarser than the photo's noise."""
    deviation = settings.grain * picture.metre
    weight = source.astype(np.float32)
    total = np.asarray(cv2.GaussianBlur(weight, (0, 0), deviation), np.float32)[source, None]
    light, shown = (
        np.asarray(cv2.GaussianBlur(plane * weight[..., None], (0, 0), deviation), np.float32)[source] / total
        for plane in (values, picture.shown[box])
    )
    hue = float(np.median(_hue_step(shown, picture.low[box][source])))
    contrast = float(np.median(np.abs(light.mean(1))))
    coloured, contrasted = (
        smoothstep(np.array(hue), *settings.patterned),
        smoothstep(np.array(contrast), *settings.contrasted),
    )
    return float(max(coloured, contrasted))


def _hue_step(shown: Floats, smooth: Floats) -> NDArray[np.float32]:
    """How far (K,) colours are from the hue of the smooth ones, whatever their brightness, as `colour_distance`.

    Ratios channel by channel would tell of noise alone where a saturated colour has hardly any light.
    """
    own, around = perceptual(shown), perceptual(smooth)
    gain = own[:, :1] / np.maximum(around[:, :1], 0.02)
    step = own[:, 1:] - gain * around[:, 1:]
    step = (step - np.median(step, axis=0)) * DISTANCE_WEIGHTS[1:]
    return np.asarray(np.linalg.norm(step, axis=1), np.float32)


def _single(
    off: NDArray[np.bool_], source: NDArray[np.bool_], metre: float, settings: PatternSettings
) -> NDArray[np.bool_]:
    """What of a material's odd pixels (h, w) are single things, such as a logo, and no pattern all over it."""
    side = 2 * max(1, round(settings.pitch * metre)) + 1
    spread = cv2.dilate(off.astype(np.uint8), np.ones((side, side), np.uint8)) & source.astype(np.uint8)
    count, group, statistics, _ = cv2.connectedComponentsWithStats(spread)
    area = source.sum()
    if count - 1 > settings.pieces and spread.sum() > settings.pattern_share * area:
        return np.zeros(off.shape, bool)
    whole = np.array([np.ptp(np.flatnonzero(source.any(axis))) + 1 for axis in (0, 1)])
    extent = (statistics[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]] / whole).max(1)
    single = (statistics[:, cv2.CC_STAT_AREA] < settings.pattern_share * area) & (extent < settings.single_extent)
    single[0] = False
    things: NDArray[np.bool_] = off & single[group]
    return things
