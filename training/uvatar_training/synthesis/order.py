"""The specification of synthetic pictures to make, and of the shards to write."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SynthesisOrder:
    """What to make.

    Attributes:
        out: Folder of the shards; the contact sheet goes beside them.
        count: How many pictures.
        seed: The same seed makes the same pictures on any machine.
        split: train, or held_out: other bodies, pose clips, garments and backgrounds.
        poses: Pose bank (.npz, aa (N, 24, 3)); by default poses of the prior that ships.
        wardrobe: Folder of tools/bake_wardrobe.py; by default all clothes are procedural.
        hdris: Folder of panoramas; by default Blender's own eight where bpy is installed.
        side: Longer side of the pictures, pixels.
        texture: Side of the textures, texels.
        textures: Store each person's texture.
        cycles: Share of the shards, 0 to 1, that Blender's Cycles renders (slow, realistic).
        per_shard: Pictures per shard: the piece of work that is lost when stopped.
    """

    out: Path
    count: int = 1000
    seed: int = 0
    split: str = "train"
    poses: Path | None = None
    wardrobe: Path | None = None
    hdris: Path | None = None
    side: int = 512
    texture: int = 512
    textures: bool = True
    cycles: float = 0.0
    per_shard: int = 100

    def shards(self) -> list[tuple[int, Path, int]]:
        """Number, file and pictures of each shard."""
        whole = [
            (k, min(self.per_shard, self.count - k * self.per_shard)) for k in range(-(-self.count // self.per_shard))
        ]
        return [(k, self.out / f"{self.split}-{self.seed}-{k:05d}.tar", size) for k, size in whole]

    def by_cycles(self, shard: int) -> bool:
        """Whether Blender renders a shard: spread evenly."""
        return int((shard + 1) * self.cycles + 1e-9) > int(shard * self.cycles + 1e-9)
