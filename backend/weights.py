"""Where the files that the default path needs are found, and where a user's own files go."""

from __future__ import annotations

import os
from pathlib import Path

from backend.wire import data_folder


class WeightsError(RuntimeError):
    """A file of the weights folder is missing or is not the one that was shipped; the message says what to do."""


def weights_folder() -> Path:
    """Folder of the shipped weights: UVATAR_WEIGHTS, or inside the installed package, or beside it in a source checkout.

    Raises WeightsError where there is none.
    """
    package = Path(__file__).resolve().parent
    chosen = os.environ.get("UVATAR_WEIGHTS")
    candidates = [Path(chosen)] if chosen else [package / "_weights", package.parent / "weights"]
    for folder in candidates:
        if (folder / "open_body.npz").is_file():
            return folder
    raise WeightsError(
        f"Uvatar's weights were not found in {candidates[-1]}. "
        "Install Uvatar again, or set UVATAR_WEIGHTS to the folder that holds open_body.npz."
    )


def models_folder() -> Path:
    """Folder of model files that users bring: UVATAR_MODELS, or ``models`` in Uvatar's data folder. It may not exist."""
    chosen = os.environ.get("UVATAR_MODELS")
    return Path(chosen).expanduser() if chosen else data_folder() / "models"
