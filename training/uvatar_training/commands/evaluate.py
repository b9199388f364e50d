"""The command that measures the accuracy of networks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from uvatar.runtime.terminal import terminal
from uvatar_training.commands.training_options import OPTIONAL, at_least, tell_skipped


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Measure a Mesh Predictor on held-out pictures, or a Texture Predictor beside simple baselines.

    uvatar-train evaluate --weights runs/mesh/mesh_predictor.safetensors --data data --out scores

    It prints a table, and writes it with a sheet of pictures.

    Attributes:
        weights: mesh_predictor.safetensors, ROMP's checkpoint, or texture_predictor.safetensors.
        out: Folder for table.csv and sheet.jpg.
        data: Folder of shards; without it, a Texture Predictor is measured on painted people.
        split: held_out, or train to measure overfitting.
        limit: Use at most this many pictures or people.
    """

    weights: Path
    out: Path
    data: Annotated[Path | None, OPTIONAL] = None
    split: str = "held_out"
    limit: Annotated[int | None, OPTIONAL] = None

    def __post_init__(self) -> None:
        """Raises ValueError for options that do not go together."""
        at_least(1, limit=self.limit)
        if self.data is None and not self._texture:
            raise ValueError("Evaluating a Mesh Predictor requires --data.")

    @property
    def _texture(self) -> bool:
        return self.weights.name.startswith("texture")

    def run(self) -> None:
        """Measure, print the table and write it."""
        if self._texture:
            from uvatar_training.metrics.evaluation import evaluate_textures

            evaluate_textures(self.limit or (8 if self.data is None else 100), self.weights, self.out, self.data)
            return
        from uvatar_training.data.shards import encoded, open_shards
        from uvatar_training.synthesis.sheets import tiled
        from uvatar_training.trainers.evaluate import evaluate_mesh

        assert self.data is not None
        shards = open_shards(self.data, self.split)
        scores, pictures = evaluate_mesh(self.weights, shards, limit=self.limit, split=self.split)
        scores.write(self.out / "table.csv")
        (self.out / "sheet.jpg").write_bytes(encoded(tiled(pictures), ".jpg", 90))
        terminal().print(scores.table())
        tell_skipped(scores.skipped)
