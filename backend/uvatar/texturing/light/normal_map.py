"""Normal maps of the fine folds that photos show: cloth that stays flat under a moving light looks printed.

Where a garment is a little darker than around, it is taken to lie a little deeper ("dark is deep", Langer and Buelthoff
2000); its light has been divided out before, so that what is left is folds. Prints and checks would be embossed, so
what varies in hue or strongly in brightness counts little, and skin not at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.photos.colour import perceptual, smoothstep
from uvatar.texturing.layout.atlas import Atlas
from uvatar.texturing.light.shading import log_luma
from uvatar.texturing.materials.material_map import MaterialMap

FLAT = (128, 128, 255)  # no slope


@dataclass(frozen=True)
class NormalMapSettings:
    """Tuned numbers of normal maps, set while looking at 5 people in light from the side.

    Attributes:
        side: pixels of the map, at most.
        finest, coarsest: widths, metres, between which structure is folds: below is weave and the sensor's noise.
        depth: metres that something lies deeper per natural log of darkness.
        strongest: difference in natural log of brightness from which it is no fold but a print, a button or a border.
        steepest: slope that is approached and never passed.
        gain: share of the relief by the first word of a material's name; others have none.
        patterned: robust deviations of a material's structure in natural log, and in chroma over luma (`perceptual`),
            from which its relief begins to fade, and from which there is none.
        darkest: luma (`perceptual`) that chroma is measured against at least.
        border: pixels over which the relief fades in from the edge of an island of the layout.
    """

    side: int = 1024
    finest: float = 0.006
    coarsest: float = 0.03
    depth: float = 0.009
    strongest: float = 0.3
    steepest: float = 0.5
    gain: Mapping[str, float] = field(
        default_factory=lambda: {"upper": 1.0, "outer": 1.0, "lower": 1.0, "headwear": 0.7, "shoes": 0.5, "hair": 0.3}
    )
    patterned: tuple[tuple[float, float], tuple[float, float]] = ((0.12, 0.3), (0.025, 0.05))
    darkest: float = 0.1
    border: float = 4.0


DEFAULT_SETTINGS = NormalMapSettings()


def normal_map(
    colours: NDArray[np.float32],
    log_light: NDArray[np.float32],
    materials: MaterialMap,
    atlas: Atlas,
    settings: NormalMapSettings = DEFAULT_SETTINGS,
) -> NDArray[np.uint8]:
    """A tangent-space normal map (M, M, 3), x along u, y along v (OpenGL), as 8-bit vectors.

    Args:
        colours: (T, 3) linear light of the texture.
        log_light: (T,) natural log of the light in it.
        materials: of the texels.
        atlas: of the body.
        settings: tuned numbers.
    """
    side = min(atlas.size, settings.side)
    metres = _metres_per_pixel(atlas, side)
    table = atlas.table
    luma = _reduced(table.picture((log_luma(colours) - log_light).astype(np.float32)), side)
    coded = perceptual(colours)
    hue = _reduced(table.picture(coded[:, 2] / np.maximum(coded[:, 0], settings.darkest)), side)
    labels = cv2.resize(table.picture(materials.labels), (side, side), interpolation=cv2.INTER_NEAREST)
    inside = cv2.resize(table.scatter(np.ones(len(table), np.uint8)), (side, side), interpolation=cv2.INTER_NEAREST)
    height = np.zeros((side, side), np.float32)
    for label, name in enumerate(materials.names):
        gain = settings.gain.get(name.split()[0], 0.0)
        own = (labels == label) & (inside > 0)
        if gain and own.any():
            relief, tint = (_structure(values, own, metres, settings) for values in (luma, hue))
            for values, limits in zip((relief, tint), settings.patterned, strict=True):
                spread = 1.5 * float(np.median(np.abs(values[own])))
                gain *= 1 - float(smoothstep(np.array(spread), *limits))
            # what differs much is no fold
            height += gain * relief * np.exp(-((relief / settings.strongest) ** 2))
    edge = cv2.distanceTransform(inside, cv2.DIST_L2, 3)
    slope = settings.depth / metres * np.clip(edge / settings.border, 0, 1)
    across = -slope * cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
    up = slope * cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)  # rows go down, v goes up
    return _encoded(across, up, settings)


def _metres_per_pixel(atlas: Atlas, side: int) -> float:
    """The usual width of a pixel of the map on the rest body."""
    surface = atlas.surface
    u, v = (surface.uv[surface.face_uv[:, k]] - surface.uv[surface.face_uv[:, 0]] for k in (1, 2))
    area = 0.5 * np.abs(u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]).sum() * side**2
    return float(np.sqrt(0.5 * surface.double_area / max(float(area), 1.0)))


def _reduced(picture: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    return np.asarray(cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA), np.float32)


def _structure(
    values: NDArray[np.float32], own: NDArray[np.bool_], metres: float, settings: NormalMapSettings
) -> NDArray[np.float32]:
    """What of ``values`` (M, M) is as wide as folds, of the pixels ``own`` (M, M) alone; 0 elsewhere."""
    fine, coarse = (_blurred(values, own, width / metres / 2) for width in (settings.finest, settings.coarsest))
    return np.where(own, fine - coarse, 0).astype(np.float32)


def _blurred(values: NDArray[np.float32], own: NDArray[np.bool_], sigma: float) -> NDArray[np.float32]:
    """The mean of ``values`` (M, M) around each pixel over the pixels ``own``; ``sigma`` in pixels."""
    step = max(1, int(sigma / 2))  # wide means are made in a smaller picture
    small = (values.shape[1] // step, values.shape[0] // step)
    both = np.stack([np.where(own, values, 0), own.astype(np.float32)], -1).astype(np.float32)
    both = np.asarray(cv2.resize(both, small, interpolation=cv2.INTER_AREA))
    both = np.asarray(cv2.GaussianBlur(both, (0, 0), max(sigma / step, 0.3)))
    mean = both[..., 0] / np.maximum(both[..., 1], 1e-4)
    return np.asarray(cv2.resize(mean, values.shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def _encoded(across: NDArray[np.float32], up: NDArray[np.float32], settings: NormalMapSettings) -> NDArray[np.uint8]:
    """Slopes as 8-bit unit vectors."""
    size = np.sqrt(across**2 + up**2)
    soft = settings.steepest * np.tanh(size / settings.steepest) / np.maximum(size, 1e-6)
    vectors = np.stack([across * soft, up * soft, np.ones_like(across)], -1)
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(np.rint(128 + 127 * vectors), np.uint8)
