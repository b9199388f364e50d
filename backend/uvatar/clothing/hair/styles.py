"""Hairstyles that an artist chooses: the same meshes as those of photos, from drawn outlines of hair.

They are made on the person standing upright before a camera of their own, and then follow the head of the photo.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from uvatar.body import BodyModel
from uvatar.clothing.hair.meshes import curtain, tube
from uvatar.clothing.hair.pixels import HairPixels
from uvatar.clothing.hair.rings import hair_plane
from uvatar.clothing.hair.tail import bun, hanging_tail
from uvatar.clothing.plane import BodyPlane
from uvatar.clothing.shells import at_rest, in_pose
from uvatar.data.arrays import Floats
from uvatar.data.camera import Camera
from uvatar.data.fit import BodyParameters, Fit
from uvatar.data.landmarks import EYES, MOUTH
from uvatar.data.shell import Hair
from uvatar.photos.colour import smoothstep


@dataclass(frozen=True)
class LooseStyle:
    """The outline of loose hair, as somebody standing before it sees it; lengths in metres on a person of 1.7 m.

    Attributes:
        hem: below the mouth, to which hair reaches.
        wide: half the width beside the jaw, and at the hem.
        parting: half the width of the face that is free at the height of the mouth.
        below: the same at the hem: between the strands that lie before the shoulders.
    """

    hem: float
    wide: tuple[float, float]
    parting: float
    below: float


LOOSE = {
    "bob": LooseStyle(0.045, (0.1, 0.1), 0.068, 0.075),
    "long": LooseStyle(0.28, (0.1, 0.13), 0.068, 0.075),
}
TAILS = {"ponytail": 0.24}  # how far it hangs below its root
BUNS = ("bun",)
STYLES = (*LOOSE, *TAILS, *BUNS)


@dataclass(frozen=True)
class HairstyleSettings:
    """Tuned numbers of drawn hair; lengths in metres on a person of 1.7 m, set while looking at five heads.

    Attributes:
        away: of the camera.
        pixel: side of a pixel, at the head.
        side, up, down: reach of the picture around the middle between the ears.
        top: of the hair, over the eyes.
        dome: height of the crown over which it narrows to its top.
        forehead: height over the eyes at which the hairline is.
        temples: half the width between the temples.
    """

    away: float = 4.0
    pixel: float = 0.002
    side: float = 0.2
    up: float = 0.25
    down: float = 0.55
    top: float = 0.13
    dome: float = 0.11
    forehead: float = 0.058
    temples: float = 0.062


DEFAULT_SETTINGS = HairstyleSettings()


def styled(
    style: str, fit: Fit, body: BodyModel, ears: NDArray[np.int64], settings: HairstyleSettings = DEFAULT_SETTINGS
) -> Hair | None:
    """Hair of a style (one of `STYLES`) on a dressed person, in the photo's pose; None where it cannot be built.

    ``ears``: which vertices are the ears'.
    """
    upright = BodyParameters(
        fit.body.betas,
        np.array([np.pi, 0, 0], np.float32),
        np.zeros_like(fit.body.body_pose),
        np.array([0, 0, settings.away], np.float32),
    )
    standing = replace(fit, body=upright)
    vertices = body.posed(upright, fit.offsets)[0]
    if style in LOOSE:
        made = curtain(_drawn(LOOSE[style], standing, body, settings), standing, body, vertices, ears)
    elif style in TAILS:
        made = tube(hanging_tail(TAILS[style], standing, body, vertices))
    else:
        made = tube(bun(standing, body, vertices))
    if made is None:
        return None
    joints = made.weights.shape[1]
    rest = at_rest(made, body.transforms_of(upright)[:joints])
    return replace(made, vertices=in_pose(made, rest, body.transforms_of(fit.body)[:joints]))


def _drawn(style: LooseStyle, standing: Fit, body: BodyModel, settings: HairstyleSettings) -> HairPixels:
    """The picture of hair that somebody standing upright would wear."""
    plane = hair_plane(standing, body)
    size = plane.size
    marks = plane.coordinates(body.landmarks_of(standing.body))
    eyes, mouth = float(marks[EYES, 2].mean()) / size, float(marks[MOUTH, 2].mean()) / size
    middle = float(marks[EYES, 0].mean()) / size
    camera = _camera(plane, settings)
    u, s = _places(camera, plane)
    u, s = np.abs(u / size - middle), s / size
    hem = mouth + style.hem
    down = smoothstep(s, mouth, max(hem, mouth + 0.05))
    wide = style.wide[0] + (style.wide[1] - style.wide[0]) * down
    dome = np.clip((s - (eyes - settings.top)) / settings.dome, 0, 1)
    outside = u < wide * np.sqrt(1 - (1 - dome) ** 2)
    # The hairline is an arch over the eyes; below them the face opens a little, down to the hem.
    arch = np.clip((eyes - s) / settings.forehead, 0, 1)
    opening = style.parting + (style.below - style.parting) * down
    opening = settings.temples + (opening - settings.temples) * smoothstep(s, eyes, mouth)
    face = (u < opening * np.sqrt(1 - arch**2)) & (s > eyes - settings.forehead)
    hair = outside & ~face & (s < hem)
    return HairPixels(camera, hair, np.zeros_like(hair))


def _camera(plane: BodyPlane, settings: HairstyleSettings) -> Camera:
    """The camera that sees the head."""
    pixel = settings.pixel * plane.size
    side, up, down = (round(reach / settings.pixel) for reach in (settings.side, settings.up, settings.down))
    focal = float(np.linalg.norm(plane.origin)) / pixel
    x, y = focal * plane.origin[:2] / plane.origin[2]
    return Camera(focal, (side - x, up - y), 2 * side, up + down)


def _places(camera: Camera, plane: BodyPlane) -> tuple[Floats, Floats]:
    """(H, W) u and s of the plane that the camera's pixels show."""
    column, row = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    rays = camera.rays(np.stack([column, row], -1))
    normal = plane.axes[1]
    on_plane = plane.coordinates(rays * ((plane.origin @ normal) / (rays @ normal))[..., None])
    return on_plane[..., 0], on_plane[..., 2]
