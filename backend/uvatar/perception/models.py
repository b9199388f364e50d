"""The vendored LiteRT models, checked against their recorded sha256 and loaded on first use."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats

REBUILD_HINT = "rebuild the folder with: python tools/fetch_perception_models.py"


class ModelError(RuntimeError):
    """A model file is missing or differs from the recorded one; the message names it and says how to rebuild it."""


class Model:
    """One tflite file, run by LiteRT on the CPU. It is read on the first call.

    Args:
        folder: the folder that holds the file and ``sources.json``.
        name: file name of the model in it.
        threads: threads for each call.
    """

    def __init__(self, folder: Path, name: str, threads: int = 1) -> None:
        self.path = Path(folder) / name
        self._threads = threads
        self._interpreter: Any = None

    def __call__(self, batch: NDArray[Any]) -> list[NDArray[Any]]:
        """Run on one input tensor (batch of one); returns the outputs in the file's order, float32 or integer.

        Raises:
            ModelError: the file is missing or altered.
        """
        if self._interpreter is None:
            self._interpreter = _load(verified(self.path), self._threads)
        interpreter = self._interpreter
        detail = interpreter.get_input_details()[0]
        interpreter.set_tensor(detail["index"], np.ascontiguousarray(batch, detail["dtype"]))
        interpreter.invoke()
        return [interpreter.get_tensor(output["index"]) for output in interpreter.get_output_details()]


def verified(path: Path) -> bytes:
    """The bytes of a model file, after checking its sha256 against ``sources.json`` beside it.

    Raises:
        ModelError: ``sources.json`` or the file is missing, the file is not listed, or its sha256 differs.
    """
    sources = path.parent / "sources.json"
    try:
        listed = {entry["file"]: entry["sha256"] for entry in json.loads(sources.read_text(encoding="utf-8"))["files"]}
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise ModelError(f"The perception model file {error.filename} is missing; {REBUILD_HINT}") from error
    if path.name not in listed:
        raise ModelError(f"{sources} does not list {path.name}; {REBUILD_HINT}")
    if hashlib.sha256(data).hexdigest() != listed[path.name]:
        raise ModelError(
            f"The perception model file {path} is damaged or was replaced (its sha256 is not as recorded); "
            f"{REBUILD_HINT}"
        )
    return data


def _load(data: bytes, threads: int) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=data, num_threads=threads)
    interpreter.allocate_tensors()
    return interpreter


def sigmoid(x: Floats) -> Floats:
    """Logistic function that does not overflow."""
    probability: Floats = 0.5 * (1.0 + np.tanh(0.5 * x))
    return probability
