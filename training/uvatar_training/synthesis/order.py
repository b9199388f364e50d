"""The specification of synthetic pictures to render, and of the shards to write."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

_OPTIONAL = tyro.conf.arg(help_behavior_hint="(optional)")  # on the command line


@dataclass(frozen=True)
class SynthesisOrder:
    """The pictures to render.

    Attributes:
        out: Folder of the shards; the contact sheet goes beside them.
        count: Number of pictures.
        seed: The same seed gives the same pictures on any machine.
        split: train, or held_out with other bodies, pose clips, garments and backgrounds.
        poses: Pose bank (.npz, aa (N, 24, 3)); by default poses from the shipped prior.
        wardrobe: Folder made by tools/bake_wardrobe.py; by default all clothes are procedural.
        hdris: Folder of panoramas; by default Blender's own eight where bpy is installed.
        side: Longer side of the pictures, pixels.
        texture: Side of the textures, texels.
        textures: Store each person's texture.
        cycles: Share of the shards, 0 to 1, that Blender's Cycles renders (slow, realistic).
        per_shard: Pictures per shard. A shard that is unfinished when the run stops is lost.
    """

    out: Path
    count: int = 1000
    seed: int = 0
    split: str = "train"
    poses: Annotated[Path | None, _OPTIONAL] = None
    wardrobe: Annotated[Path | None, _OPTIONAL] = None
    hdris: Annotated[Path | None, _OPTIONAL] = None
    side: int = 512
    texture: int = 512
    textures: bool = True
    cycles: float = 0.0
    per_shard: int = 100

    def shards(self) -> list[tuple[int, Path, int]]:
        """Number, path and picture count of each shard."""
        whole = [
            (k, min(self.per_shard, self.count - k * self.per_shard)) for k in range(-(-self.count // self.per_shard))
        ]
        return [(k, self.out / f"{self.split}-{self.seed}-{k:05d}.tar", size) for k, size in whole]

    def by_cycles(self, shard: int) -> bool:
        """Whether Cycles renders a shard; these shards are spread evenly."""
        return int((shard + 1) * self.cycles + 1e-9) > int(shard * self.cycles + 1e-9)
