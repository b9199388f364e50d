"""The architecture of a Texture Predictor: one frozen record, stored in every checkpoint."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from uvatar.texture_predictor.structure import MATERIALS

SMALLEST, LARGEST = 64, 1024


class ConfigError(ValueError):
    """The configuration does not describe a valid network; the message says which entry is wrong."""


@dataclass(frozen=True)
class Config:
    """The sizes of a Texture Predictor.

    Attributes:
        resolution: texels on a side of the texture, a power of two from 64 to 1024.
        photo_side: pixels on a side of the square crop that the style encoder sees.
        latent: entries of the style latent that the photo gives (mean and log-variance).
        structure: entries of the vector that pose, shape, camera and UV geometry give.
        style: entries of the style code w that modulates every convolution.
        mapping_layers: fully connected layers from latent and structure to the style code.
        channel_base, channel_max: a synthesis layer at r x r has min(channel_base / r, channel_max) channels.
        spatial_base, spatial_max: likewise for the UV encoder whose features condition the layers of the same size;
            both 0: no spatial conditioning, and the structure is pose, shape and camera alone.
        materials: maps of materials that a spatially conditioned network is given beside the textures, one for each of
            `uvatar.texture_predictor.structure.MATERIALS`, or 0.
        trust: 0..1, the share of what a spatially conditioned network changes in a completed texture that is laid on
            that texture.
    """

    resolution: int = 256
    photo_side: int = 224
    latent: int = 128
    structure: int = 128
    style: int = 256
    mapping_layers: int = 4
    channel_base: int = 8192
    channel_max: int = 256
    spatial_base: int = 4096
    spatial_max: int = 64
    materials: int = 0
    trust: float = 1.0

    def __post_init__(self) -> None:
        """Raises ConfigError."""
        if type(self.trust) is not float or not 0 <= self.trust <= 1:
            raise ConfigError(f"trust must be a fraction from 0.0 to 1.0, not {self.trust!r}.")
        for entry in fields(self):
            value = getattr(self, entry.name)
            if entry.name != "trust" and (type(value) is not int or value < 0):
                raise ConfigError(f"{entry.name} must be a whole number, not {value!r}.")
        size = self.resolution
        if not SMALLEST <= size <= LARGEST or size & (size - 1):
            raise ConfigError(
                f"The texture's resolution must be a power of two from {SMALLEST} to {LARGEST}, not {size}."
            )
        if self.photo_side < 32:
            raise ConfigError(f"The photo's crop must have at least 32 pixels a side, not {self.photo_side}.")
        for name in ("latent", "structure", "style", "mapping_layers"):
            if not getattr(self, name):
                raise ConfigError(f"{name} must be at least 1.")
        if min(self.channels(size), self.channel_max) < 1:
            raise ConfigError(f"channel_base {self.channel_base} leaves no channels at {size} x {size}.")
        if (self.spatial_base == 0) != (self.spatial_max == 0) or (self.spatial and self.spatial_channels(size) < 1):
            raise ConfigError(
                f"spatial_base {self.spatial_base} and spatial_max {self.spatial_max} leave no channels at {size} x "
                f"{size}."
            )
        if self.materials not in (0, len(MATERIALS) * self.spatial):
            raise ConfigError(
                f"materials must be 0 or, with spatial conditioning, {len(MATERIALS)}, not {self.materials}."
            )

    @property
    def spatial(self) -> bool:
        """Whether UV geometry and partial texture condition the synthesis."""
        return self.spatial_max > 0

    @property
    def sizes(self) -> tuple[int, ...]:
        """Texels on a side of every synthesis block: 4, 8, ..., resolution."""
        return tuple(1 << k for k in range(2, self.resolution.bit_length()))

    @property
    def codes(self) -> int:
        """How many style codes the synthesis takes: one per convolution, and one for the last conversion to RGB."""
        return 2 * len(self.sizes)

    def channels(self, size: int) -> int:
        """Channels of the synthesis layers at ``size`` x ``size``."""
        return min(self.channel_base // size, self.channel_max)

    def spatial_channels(self, size: int) -> int:
        """Channels of the UV encoder's features at ``size`` x ``size``."""
        return min(self.spatial_base // size, self.spatial_max)

    def as_dict(self) -> dict[str, int | float]:
        """The entries by name, for a checkpoint's metadata."""
        return asdict(self)

    @classmethod
    def from_dict(cls, entries: dict[str, Any]) -> Config:
        """The inverse of `as_dict`; networks older than the entry ``materials`` are given none.

        Raises ConfigError for missing, unknown or unusable entries.
        """
        known = {entry.name for entry in fields(cls)}
        if not isinstance(entries, dict) or {*entries, "materials"} != known:
            wrong = sorted(known.symmetric_difference(entries)) if isinstance(entries, dict) else "all"
            raise ConfigError(f"The configuration's entries are not those of this version: {wrong}.")
        return cls(**entries)


def default() -> Config:
    """256 x 256, spatially conditioned, for a GPU."""
    return Config()


def light() -> Config:
    """256 x 256 and slim, so that two CPU cores can train it; its ``trust`` is the one measured for the weights that
    ship.
    """
    return Config(photo_side=112, channel_base=3072, channel_max=192, spatial_base=2048, trust=0.6)


def paper() -> Config:
    """The original paper's own sizes.

    64 x 64, style and structure vectors alone, the channels of StyleGAN2's 64 x 64 generator.
    """
    return Config(
        resolution=64,
        latent=512,
        structure=512,
        style=512,
        mapping_layers=8,
        channel_base=16384,
        channel_max=512,
        spatial_base=0,
        spatial_max=0,
    )


def small() -> Config:
    """128 x 128 and narrow: trains in minutes on a CPU, for tests and first experiments."""
    return Config(
        resolution=128,
        photo_side=128,
        latent=64,
        structure=64,
        style=128,
        mapping_layers=2,
        channel_base=4096,
        channel_max=96,
        spatial_base=2048,
        spatial_max=32,
    )


CONFIGS = {"default": default, "light": light, "paper": paper, "small": small}
