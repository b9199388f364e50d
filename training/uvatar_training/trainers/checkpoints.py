"""Checkpoints that survive a kill at any moment."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import torch

from uvatar.protocol.errors import first_line

LAST, PREVIOUS = "last.ckpt", "previous.ckpt"


class CheckpointProblem(RuntimeError):
    """A run's checkpoint cannot be written or read; the message names the file."""


def save(folder: Path, state: dict[str, Any]) -> None:
    """Write ``folder``/last.ckpt whole or not at all, keeping the one before as previous.ckpt.

    Raises CheckpointProblem (disk full).
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, part = folder / LAST, folder / f"{LAST}.part"
    try:
        with part.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            os.replace(path, folder / PREVIOUS)
        os.replace(part, path)
    except (OSError, RuntimeError) as error:
        part.unlink(missing_ok=True)
        raise CheckpointProblem(
            f"{path} cannot be written ({error}). Free some space and run the command again to continue from the "
            "previous checkpoint."
        ) from error


def load(folder: Path) -> dict[str, Any] | None:
    """The newest whole checkpoint of ``folder`` on the CPU, None if there is none.

    Raises CheckpointProblem if all are damaged.
    """
    problems = []
    for name in (LAST, PREVIOUS):
        path = folder / name
        if not path.exists():
            continue
        try:
            state: dict[str, Any] | None = torch.load(path, map_location="cpu", weights_only=True)
            return state
        except (RuntimeError, EOFError, OSError, ValueError, KeyError, pickle.UnpicklingError) as error:
            problems.append(f"{path}: {first_line(error)}")
    if problems:
        raise CheckpointProblem(
            f"No checkpoint of this run can be read: {'; '.join(problems)}. Remove them to start over."
        )
    return None
