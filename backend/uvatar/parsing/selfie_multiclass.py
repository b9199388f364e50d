"""Google's parser of selfies, MediaPipe's ``selfie_multiclass_256x256.tflite`` (Apache-2.0), which users may download.

Its sha256 is recorded when it is first used, in a file beside it; another file in its place is refused from then on.
https://ai.google.dev/edge/mediapipe/solutions/vision/image_segmenter names its six classes, in the order of `CLASSES`.
"""

from __future__ import annotations

import hashlib
import os
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.data.parsing import ParseClass

if TYPE_CHECKING:
    from uvatar.parsing.parsers import PersonPicture

FILE = "selfie_multiclass_256x256.tflite"
URL = f"https://storage.googleapis.com/mediapipe-models/image_segmenter/{Path(FILE).stem}/float32/latest/{FILE}"
LARGEST_FILE = 64 * 2**20  # bytes; the model has 16 MB
WAIT = 30.0  # seconds without an answer
LICENCE = "Apache-2.0 (Google)"
# "Others" are accessories, such as bags and glasses.
CLASSES = (
    ParseClass.BACKGROUND,
    ParseClass.HAIR,
    ParseClass.SKIN,
    ParseClass.FACE,
    ParseClass.CLOTHES,
    ParseClass.CARRIED,
)


class SelfieMulticlass:
    """The model, run by LiteRT on the CPU."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        """Load the file, and record its sha256. Raises ValueError if it is no such model, or not the recorded one."""
        if path.stat().st_size > LARGEST_FILE:
            raise ValueError(f"it is larger than {LARGEST_FILE >> 20} MB.")
        content = path.read_bytes()
        self._interpreter, self._lock = _interpreter(content, threads), Lock()
        _check_record(path, content)
        taken, given = self._interpreter.get_input_details()[0], self._interpreter.get_output_details()[0]
        self._input, self._output, self._side = taken["index"], given["index"], int(taken["shape"][1])

    @property
    def classes(self) -> Sequence[ParseClass]:
        """What the model's channels mean."""
        return CLASSES

    def parse(self, person: PersonPicture) -> NDArray[np.float32]:
        """Probabilities (256, 256, 6)."""
        small = cv2.resize(person.pixels, (self._side, self._side), interpolation=cv2.INTER_AREA)
        with self._lock:  # people are parsed side by side
            self._interpreter.set_tensor(self._input, small[None].astype(np.float32) / 255)
            self._interpreter.invoke()
            values = np.asarray(self._interpreter.get_tensor(self._output)[0], np.float32)
        if (values >= 0).all() and np.allclose(values.sum(-1), 1, atol=1e-2):
            return values
        # Files differ in whether the last layer is part of the model.
        exponents = np.exp(values - values.max(-1, keepdims=True))
        return np.asarray(exponents / exponents.sum(-1, keepdims=True), np.float32)


def download(folder: Path, url: str = URL) -> Path:
    """Download the model into a folder, where it appears whole or not at all.

    Raises:
        OSError: it cannot be downloaded or written.
        ValueError: what was downloaded is no such model, or not the one that was used first.
    """
    with urllib.request.urlopen(url, timeout=WAIT) as answer:  # noqa: S310 (only tests give another URL)
        content = answer.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise ValueError(f"it is larger than {LARGEST_FILE >> 20} MB.")
    _interpreter(content)
    folder.mkdir(parents=True, exist_ok=True)
    path, part = folder / FILE, folder / f"{FILE}.part"
    try:
        part.write_bytes(content)
        _check_record(path, content)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return path


def _interpreter(content: bytes, threads: int = 1) -> Any:
    """The model in a file's content, ready to run. Raises ValueError if it is none of the expected form."""
    from ai_edge_litert.interpreter import Interpreter

    try:
        interpreter = Interpreter(model_content=content, num_threads=threads)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"it cannot be loaded ({error}).") from error
    taken, given = (
        tuple(int(side) for side in details[0]["shape"])
        for details in (interpreter.get_input_details(), interpreter.get_output_details())
    )
    square = len(taken) == len(given) == 4 and taken[1] == taken[2]
    if not square or taken[3] != 3 or given[3] != len(CLASSES):
        raise ValueError(f"it takes {taken} and gives {given}, not pictures and {len(CLASSES)} classes.")
    return interpreter


def _check_record(path: Path, content: bytes) -> None:
    """Raise ValueError if a file's content is not that whose sha256 is recorded; record it if none is."""
    digest, record = hashlib.sha256(content).hexdigest(), path.with_name(f"{path.name}.sha256")
    recorded = record.read_text(encoding="ascii").strip() if record.is_file() else ""
    if recorded not in ("", digest):
        raise ValueError(f"it is not the file that was used first. Remove {record.name} to accept the new one.")
    if not recorded:
        with suppress(OSError):  # a folder that others manage
            record.write_text(f"{digest}\n", encoding="ascii")
