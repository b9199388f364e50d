"""Logs of a run: scalars and pictures for TensorBoard, and a progress bar."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from uvatar_training.data.shards import encoded


class RunLog:
    """Scalars and pictures for TensorBoard, pictures also as files."""

    def __init__(self, out: Path, first: int, active: bool) -> None:
        self._out, self._first, self._active = out, first, active
        self._writer: Any = None

    def __enter__(self) -> RunLog:
        if self._active:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(self._out / "tensorboard"), purge_step=self._first or None)
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Log numbers by name."""
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(name, value, step)

    def picture(self, step: int, image: NDArray[np.uint8]) -> None:
        """Log a picture (H, W, 3), which is also written as a file."""
        if self._writer is not None:
            self._writer.add_image("pictures", image, step, dataformats="HWC")
            folder = self._out / "pictures"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{step:07d}.jpg").write_bytes(encoded(image, ".jpg", 90))


def progress_bar(active: bool) -> Progress:
    """Steps and losses in the terminal; nothing if not ``active``."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[losses]}"),
    )
    return Progress(*columns, disable=not active)
