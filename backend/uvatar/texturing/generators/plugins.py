"""Texture generators: plug-ins that paint a picture of a side that no photo shows (docs/texture-generators.md).

A plug-in is a package with an entry point in the group `GROUP`: something that, called without arguments, returns a
`TextureGenerator`. What it paints is laid on the texture by `uvatar.texturing.generators.painting`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from threading import Lock
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

GROUP = "uvatar.texture_generators"
COMPLETION = "completion"  # Uvatar's own completion alone: no generator
# Those that come with Uvatar, by name: module and attribute.
SHIPPED: Mapping[str, str] = {"diffusers": "uvatar.texturing.generators.diffusers:DiffusersGenerator"}
_ONE_AT_A_TIME = Lock()  # people are textured side by side, and a generator may fill the memory
# Degrees by which somebody who faces the camera is turned to show it.
SIDES: Mapping[str, float] = {"back": 180.0, "left": 90.0, "right": -90.0}


class GeneratorError(Exception):
    """A generator is not installed, cannot be loaded, failed or returned something unusable; the message says why."""


@dataclass(frozen=True)
class UnseenView:
    """What a generator is given: the avatar as completed so far, from a side, and the photo.

    Attributes:
        side: of `SIDES`: what is seen of the person, whose pose is the photo's: their back, left or right side.
        photo: (h, w, 3) uint8 sRGB, the photo around the person.
        photo_mask: (h, w) uint8, 255 where the photo shows the person.
        render: (H, W, 3) uint8 sRGB, the avatar, as photographed, before grey.
        depth: (H, W) float32 metres along the line of sight, inf beside the avatar.
        normals: (H, W, 3) float32 unit vectors, x right, y down, z away from the camera; zeros beside the avatar.
        mask: (H, W) bool, where the avatar is.
        unseen: (H, W) float32 0..1: 1 what no photo shows and is to be painted, 0 what stays the photo's, and all that
            is beside the avatar.
        seed: 0, or the variation that the job asks for.
    """

    side: str
    photo: NDArray[np.uint8]
    photo_mask: NDArray[np.uint8]
    render: NDArray[np.uint8]
    depth: NDArray[np.float32]
    normals: NDArray[np.float32]
    mask: NDArray[np.bool_]
    unseen: NDArray[np.float32]
    seed: int = 0


@runtime_checkable
class TextureGenerator(Protocol):
    """Paints sides that no photo shows."""

    @property
    def sides(self) -> Sequence[str]:
        """Which, of `SIDES`, one after the other; a later one gets what the earlier ones painted."""
        ...

    def paint(self, view: UnseenView) -> NDArray[np.uint8]:
        """A picture (H, W, 3) uint8 sRGB of the person in the outline of ``view.render``."""
        ...


def generator_names() -> list[str]:
    """The names that a job may give: `COMPLETION`, those that come with Uvatar, and installed plug-ins."""
    return [COMPLETION, *sorted({*SHIPPED, *(point.name for point in entry_points(group=GROUP))})]


def load_generator(name: str) -> TextureGenerator | None:
    """The generator with this name; None for `COMPLETION`. An installed plug-in precedes a shipped one of its name.

    Raises GeneratorError.
    """
    if name == COMPLETION:
        return None
    make = _maker(name)
    try:
        generator = make()
        usable = isinstance(generator, TextureGenerator) and set(generator.sides) <= set(SIDES)
    except GeneratorError:
        raise
    except Exception as error:  # a plug-in can raise anything
        raise GeneratorError(f"The texture generator {name} cannot be loaded: {_in_short(error)}.") from error
    if not isinstance(generator, TextureGenerator) or not usable:
        raise GeneratorError(
            f"The texture generator {name} is none: it needs `paint` and `sides`, some of {', '.join(SIDES)}."
        )
    return generator


def check_generator(name: str) -> None:
    """Raise GeneratorError if a generator's code cannot be imported; it is not started, which may take long."""
    if name != COMPLETION:
        _maker(name)


def _maker(name: str) -> Callable[[], object]:
    points: list[EntryPoint] = [point for point in entry_points(group=GROUP) if point.name == name]
    if not points and name not in SHIPPED:
        raise GeneratorError(f"There is no texture generator {name!r}. Installed are: {', '.join(generator_names())}.")
    point = points[0] if points else EntryPoint(name, SHIPPED[name], GROUP)
    try:
        make: Callable[[], object] = point.load()
    except Exception as error:  # a plug-in can raise anything
        raise GeneratorError(f"The texture generator {name} cannot be imported: {_in_short(error)}.") from error
    return make


def painted(generator: TextureGenerator, view: UnseenView, name: str) -> NDArray[np.uint8]:
    """The generator's picture, checked. Raises GeneratorError."""
    try:
        with _ONE_AT_A_TIME:
            picture = np.asarray(generator.paint(view))
    except Exception as error:  # a plug-in can raise anything
        raise GeneratorError(f"The texture generator {name} failed: {_in_short(error)}.") from error
    if picture.shape != view.render.shape or picture.dtype != np.uint8:
        raise GeneratorError(
            f"The texture generator {name} returned {picture.dtype} of shape {picture.shape} instead of uint8 of "
            f"shape {view.render.shape}."
        )
    return picture


def _in_short(error: Exception) -> str:
    first = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {first[:200]}".rstrip(": .")
