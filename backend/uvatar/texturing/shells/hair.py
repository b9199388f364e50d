"""The texture of long hair: the photo where it shows hair, strands like those elsewhere.

The layout is that of a shell, so rows run round the head and columns down along the strands.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from uvatar.data.arrays import Floats
from uvatar.data.shell import Hair
from uvatar.data.view import View
from uvatar.photos.colour import LUMA, linear_from_srgb, smoothstep, srgb_from_linear
from uvatar.texturing.seen.foreground import cut_out, push_pull
from uvatar.texturing.shells.texels import footprint_of, shell_texels


@dataclass(frozen=True)
class HairTextureSettings:
    """Tuned numbers of hair's textures, set while looking at 9 heads in photos.

    Attributes:
        grazing: cosine between normal and line of sight from which the photo is sampled.
        rim: pixels of the photo inside the hair's edge, and the person's, that are not sampled, if any others are.
        even: share of the texture's side over which colours that are not seen are smoothed.
        far: distances from what is seen, as shares of the texture's side, over which its mean takes over.
        widths: of strands, as shares of the texture's side.
        length: of strands, as a share of the texture's side.
        wave: how far strands wander sideways, as a share of the texture's side.
        contrast: least and greatest standard deviation of the strands' logarithmic luminance.
        blend: texels over which the photo passes into strands.
        mirrored: from what is seen, as a share of the texture's side, over which its waves and curls go on.
        contour: standard deviation, as a share of the texture's side, that smooths where they are mirrored.
        usual: quantiles of the brightness of hair's pixels between which they tell the colour of a hairstyle: without
            highlights, which are seen on top of the head.
        unknown: sRGB, of a hairstyle where the photo shows nothing of the head.
    """

    grazing: float = 0.35
    rim: float = 1.5
    even: float = 0.06
    far: tuple[float, float] = (0.0, 0.2)
    widths: tuple[float, ...] = (0.0025, 0.006, 0.014)
    length: float = 0.16
    wave: float = 0.004
    contrast: tuple[float, float] = (0.1, 0.3)
    blend: float = 6.0
    mirrored: float = 0.16
    contour: float = 0.02
    usual: tuple[float, float] = (0.1, 0.6)
    unknown: tuple[int, int, int] = (70, 50, 38)


DEFAULT_SETTINGS = HairTextureSettings()


def hair_texture(
    hair: Hair, view: View, size: int, settings: HairTextureSettings = DEFAULT_SETTINGS
) -> NDArray[np.uint8]:
    """The hair's texture (size, size, 3), sRGB, row 0 at v = 1. ``hair`` is in the photo's pose."""
    if not hair.as_seen:
        return _of_its_colour(hair, view, size, settings)
    points, cosine = shell_texels(hair, size)
    pixels = view.camera.project(points.reshape(-1, 3))
    footprint = footprint_of(pixels.reshape(size, size, 2))
    front = cosine > settings.grazing
    if not front.any():
        front = cosine >= cosine.max()
    foreground = cut_out(view.photo, view.person, float(np.percentile(footprint[front], 25)))
    colours = foreground.sample(pixels, footprint.ravel()).reshape(size, size, 3)
    seen = front & (foreground.depth_inside(pixels).reshape(size, size) > settings.rim)
    for rim in (settings.rim, 0):
        within = seen & _within(hair, view, pixels, rim).reshape(size, size)
        if within.any():
            break
    seen = within if within.any() else front
    even = _even(colours, seen, settings)
    detail = np.log((colours @ LUMA + 1e-3) / (even @ LUMA + 1e-3)).astype(np.float32)
    middle = float(np.median(detail[seen]))
    contrast = float(np.clip(1.48 * np.median(np.abs(detail[seen] - middle)), *settings.contrast))
    waves, known = _mirrored(np.clip(detail - middle, -2.5 * contrast, 2.5 * contrast), seen, settings)
    strands = even * np.exp(contrast * _strands(size, settings) * (1 - known) + waves * known)[..., None]
    inside = np.asarray(cv2.distanceTransform(seen.astype(np.uint8), cv2.DIST_L2, 3), np.float32)
    share = smoothstep(inside, 0, settings.blend)[..., None]
    return srgb_from_linear(colours * share + strands * (1 - share))


def _of_its_colour(hair: Hair, view: View, size: int, settings: HairTextureSettings) -> NDArray[np.uint8]:
    """Strands (size, size, 3), sRGB, of the colour and the contrast of the hair that the photo shows, wherever."""
    x0, y0, x1, y1 = view.person.window
    seen = (hair.shown > 127) & (view.person.others < 64)
    inside = np.asarray(cv2.distanceTransform(seen.astype(np.uint8), cv2.DIST_L2, 3)) > settings.rim
    seen = inside if inside.any() else seen
    pixels = view.photo.pixels[y0:y1, x0:x1][seen]
    colours = linear_from_srgb(pixels if len(pixels) else np.array([settings.unknown], np.uint8))
    luma = np.log(colours @ LUMA + 1e-3)
    low, high = np.quantile(luma, settings.usual)
    even = np.median(colours[(luma >= low) & (luma <= high)], 0)
    contrast = float(np.clip(1.48 * np.median(np.abs(luma - np.median(luma))), *settings.contrast))
    return srgb_from_linear(even * np.exp(contrast * _strands(size, settings))[..., None])


def _within(hair: Hair, view: View, pixels: NDArray[np.float32], rim: float) -> NDArray[np.bool_]:
    """Whether pixels (N, 2) of the photo show hair, more than ``rim`` pixels inside its edge."""
    x0, y0, x1, y1 = view.person.window
    column, row = (np.floor(pixels[:, axis] - low).astype(int) for axis, low in ((0, x0), (1, y0)))
    inside = (column >= 0) & (column < x1 - x0) & (row >= 0) & (row < y1 - y0)
    found = np.zeros(len(pixels), bool)
    depth = np.asarray(cv2.distanceTransform((hair.shown > 127).astype(np.uint8), cv2.DIST_L2, 3), np.float32)
    found[inside] = (depth[row[inside], column[inside]] > rim) & (view.person.others[row[inside], column[inside]] < 64)
    return found


def _even(colours: NDArray[np.float32], seen: NDArray[np.bool_], settings: HairTextureSettings) -> NDArray[np.float32]:
    """Colours (N, N, 3) without strands; where hair is not seen, those of hair around it, and of all hair."""
    size = len(seen)
    # Round the head, the texture has no end.
    pad = size // 2
    wrapped = np.concatenate([colours[:, -pad:], colours, colours[:, :pad]], 1)
    weight = np.concatenate([seen[:, -pad:], seen, seen[:, :pad]], 1).astype(np.float32)
    filled = push_pull(wrapped * weight[..., None], weight)[0][:, pad:-pad]
    # Far from what is seen hair has the colour of all of it: what is near may be a rim that the sun lights.
    away = np.asarray(cv2.distanceTransform((weight < 0.5).astype(np.uint8), cv2.DIST_L2, 3), np.float32)
    far = smoothstep(away[:, pad:-pad] / size, *settings.far)[..., None]
    filled = filled * (1 - far) + np.median(colours[seen], 0) * far
    spread = settings.even * size
    even = cv2.GaussianBlur(np.ascontiguousarray(filled), (0, 0), spread, borderType=cv2.BORDER_REFLECT)
    return np.maximum(np.asarray(even, np.float32), 0)


def _mirrored(
    detail: NDArray[np.float32], seen: NDArray[np.bool_], settings: HairTextureSettings
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What is seen of detail (N, N), gone on with beside it as in a mirror, and how much of it counts, 0..1."""
    size = len(seen)
    some = np.flatnonzero(seen.any(1))
    row = np.arange(size)
    ends = [np.interp(row, some, found[some]) for found in (seen.argmax(1), size - 1 - seen[:, ::-1].argmax(1))]
    first, last = (gaussian_filter1d(end, settings.contour * size, mode="nearest")[:, None] for end in ends)
    column = np.broadcast_to(np.arange(size), seen.shape)
    source = np.where(column < first, 2 * first - column, np.where(column > last, 2 * last - column, column))
    away = np.maximum(np.maximum(first - column, column - last), 0) / size
    at = source.astype(np.float32), np.broadcast_to(row[:, None], seen.shape).astype(np.float32)
    inside = cv2.blur(cv2.erode(seen.astype(np.float32), np.ones((3, 3))), (7, 7))
    shown, known = (
        cv2.remap(values, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT) for values in (detail, inside)
    )
    share = np.asarray(known) ** 2 * (1 - smoothstep(away, 0, settings.mirrored))
    return np.asarray(shown, np.float32), np.asarray(share, np.float32)


def _strands(size: int, settings: HairTextureSettings) -> Floats:
    """(N, N) of standard deviation 1: streaks along the columns, of several widths, that wander a little."""
    generator = np.random.default_rng(0)
    total = np.zeros((size, size), np.float32)
    for width in settings.widths:
        total += _blurred_noise(generator, size, max(0.5, width * size), settings.length * size)
    wave = settings.wave * size * _blurred_noise(generator, size, 0.08 * size, 0.08 * size)
    column, row = np.meshgrid(np.arange(size, dtype=np.float32), np.arange(size, dtype=np.float32))
    moved = cv2.remap(total, column + wave, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    strands: Floats = np.clip(np.asarray(moved) / max(float(np.std(moved)), 1e-9), -2.5, 2.5)
    return strands


def _blurred_noise(generator: np.random.Generator, size: int, across: float, along: float) -> NDArray[np.float32]:
    """(N, N) of standard deviation 1, smooth over so many columns and rows."""
    noise = generator.normal(size=(size, size)).astype(np.float32)
    blurred = np.asarray(cv2.GaussianBlur(noise, (0, 0), sigmaX=across, sigmaY=along), np.float32)
    return blurred / max(float(blurred.std()), 1e-9)
