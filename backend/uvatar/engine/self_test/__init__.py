"""Self-test of the installation: a small picture is reconstructed and compared with known values.

A library that changes can make avatars wrong without any error; this finds it out before a photo is touched.  The
picture is our own render of ``samples/man.jpg``; ``tools/record_self_test.py`` writes the known values.  The model
process runs it at its start, once for each environment: the data folder keeps the mark of what has passed.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uvatar.data.fit import Fit
from uvatar.data.labels import Label
from uvatar.engine.engine import Engine
from uvatar.engine.placement import in_words
from uvatar.engine.reconstruct import reconstruct
from uvatar.protocol.errors import Code, UvatarError
from uvatar.protocol.options import Options
from uvatar.runtime import constraints, versions
from uvatar.runtime.memory import is_out_of_memory
from uvatar.runtime.weights import recorded_sha256, weights_folder

STAMP = "self-test.json"  # in the data folder
PHOTO = Path(__file__).with_name("photo.jpg")
KNOWN = Path(__file__).with_name("known.npz")

_OPTIONS = Options(fast=True, texture_size=256, texture="combined")
_EVERY = 64  # vertices: one in so many is compared
_CELLS = 32  # cells on a side of the texture whose mean colours are compared
_NAMED = 4  # differing packages that a message names, the likeliest first
# Those whose numbers an avatar is made of, by how often a version of theirs has changed them.
_SUSPECTS = (
    "opencv-python-headless",
    "numpy",
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-directml",
    "torch",
    "ai-edge-litert",
    "scipy",
    "embreex",
    "pillow",
    "safetensors",
)


class SelfTestError(UvatarError):
    """This installation makes wrong avatars; message and fix say what differs and what to do."""

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message, Code.SELF_TEST_FAILED, fix)


@dataclass(frozen=True)
class Observed:
    """The reconstruction of the picture.

    Attributes:
        landmarks: (33, 2) in the photo, fractions of its height.
        vertices: (N, 3) some of the posed body's, metres from their mean, camera axes.
        texture: (32, 32, 3) mean sRGB of its cells, 0..255; NaN in cells without texels.
        seen: share of the texture's texels that the photo shows.
    """

    landmarks: NDArray[np.float32]
    vertices: NDArray[np.float32]
    texture: NDArray[np.float32]
    seen: float


@dataclass(frozen=True)
class Deviation:
    """How far an avatar is from the known one; each has the tolerance of the same name in `TOLERANCE`.

    Attributes:
        landmarks: greatest distance, % of the photo's height.
        vertices: 90th percentile of the distances, millimetres.
        texture: 90th percentile of the cells' colour differences, levels of 255.
        seen: difference of the shares of seen texels, percentage points.
    """

    landmarks: float
    vertices: float
    texture: float
    seen: float

    def __str__(self) -> str:
        return (
            f"landmarks {self.landmarks:.2f} % of the picture's height off, mesh {self.vertices:.1f} mm, "
            f"texture {self.texture:.1f} levels, seen texels {self.seen:.1f} points"
        )


# About three times what the newest packages (Python 3.12, OpenCV 5.0.0, numpy 2.5.5, scipy 1.18.1) differ from the
# tested ones (3.11, 4.11.0, 1.26.4, 1.17.1): 0.31 %, 5.6 mm, 2.8 levels and 0.1 points. A black texture is some hundred
# levels off.
TOLERANCE = Deviation(landmarks=1.0, vertices=16.0, texture=9.0, seen=3.0)


def observe(engine: Engine) -> Observed:
    """Reconstruct the picture. Raises what `reconstruct` raises; arrays may hold numbers that are not finite."""
    done = reconstruct((PHOTO.name, PHOTO.read_bytes()), engine, _OPTIONS)
    result = done.people[0]
    landmarks = result.person.landmarks[:, :2] / done.photo.pixels.shape[0]
    vertices = _vertices(engine, result.fit)
    labels = result.texture.source
    return Observed(
        landmarks.astype(np.float32),
        (vertices - vertices.mean(0)).astype(np.float32),
        _cells(result.texture.image, labels != Label.EMPTY),
        float((labels == Label.SEEN).sum() / max((labels != Label.EMPTY).sum(), 1)),
    )


def deviation(observed: Observed, known: Observed) -> Deviation:
    """The deviation of the observed from the known values; infinite where they are not finite."""
    landmarks = np.linalg.norm(observed.landmarks - known.landmarks, axis=1).max() * 100
    vertices = np.percentile(np.linalg.norm(observed.vertices - known.vertices, axis=1), 90) * 1000
    filled = np.isfinite(known.texture)
    texture = np.percentile(np.abs(observed.texture - known.texture)[filled], 90)
    seen = abs(observed.seen - known.seen) * 100
    return Deviation(
        *(float(value) if np.isfinite(value) else np.inf for value in (landmarks, vertices, texture, seen))
    )


def check(engine: Engine) -> Deviation:
    """Reconstruct the picture and return its deviation. Raises SelfTestError if it is too large."""
    try:
        found = deviation(observe(engine), read_known())
    except Exception as error:  # a library that has changed can raise anything
        if is_out_of_memory(error):
            raise
        raise SelfTestError(f"The self-test failed: {type(error).__name__}: {error}", _advice()) from error
    wrong = [
        what for what in ("landmarks", "vertices", "texture", "seen") if getattr(found, what) > getattr(TOLERANCE, what)
    ]
    if wrong:
        raise SelfTestError(f"The self-test failed: avatars are wrong on this computer ({found}).", _advice())
    return found


def check_once(engine: Engine, folder: Path) -> None:
    """`check`, unless this environment has passed it before: the data folder ``folder`` remembers.

    Raises SelfTestError.
    """
    with suppress(OSError, ValueError, AttributeError):
        if json.loads((folder / STAMP).read_text(encoding="utf-8")).get("passed") == _environment(engine):
            return
    remember(check(engine), engine, folder)


def remember(found: Deviation, engine: Engine, folder: Path) -> None:
    """Note in the data folder ``folder`` that this environment has passed on the engine's devices; a disk that is full
    only means that it is checked again.
    """
    with suppress(OSError):
        part = folder / f"{STAMP}.{os.getpid()}"
        part.write_text(json.dumps({"passed": _environment(engine), "deviation": str(found)}), encoding="utf-8")
        part.replace(folder / STAMP)


def read_known() -> Observed:
    """The values that the tested versions give."""
    with np.load(KNOWN, allow_pickle=False) as known:
        return Observed(
            known["landmarks"], known["vertices"], known["texture"].astype(np.float32), float(known["seen"])
        )


def write_known(observed: Observed) -> None:
    """Store the observed values as the known ones."""
    texture = observed.texture.astype(np.float16)
    np.savez_compressed(
        KNOWN, landmarks=observed.landmarks, vertices=observed.vertices, texture=texture, seen=observed.seen
    )


def _vertices(engine: Engine, fit: Fit) -> NDArray[np.float32]:
    vertices, _ = engine.body.posed(fit.body, fit.offsets)
    return vertices[::_EVERY]


def _cells(image: NDArray[np.uint8], filled: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(N, N, 3) -> (_CELLS, _CELLS, 3) means over the filled pixels; NaN where half a cell or more is not filled."""
    side = image.shape[0] // _CELLS
    weight = filled.reshape(_CELLS, side, _CELLS, side).mean((1, 3), dtype=np.float32)[..., None]
    total = (image * filled[..., None].astype(np.float32)).reshape(_CELLS, side, _CELLS, side, 3).mean((1, 3))
    return np.where(weight > 0.5, total / np.maximum(weight, 1e-6), np.nan).astype(np.float32)


def _environment(engine: Engine) -> str:
    """A digest of all that the outcome depends on."""
    weights = weights_folder()
    files = sorted(path for path in weights.rglob("*") if path.is_file())
    digests = [
        [path.relative_to(weights).as_posix(), path.stat().st_size, recorded_sha256(path)]
        for path in files
        if path.suffix != ".md"
    ]
    known = hashlib.sha256(KNOWN.read_bytes() + PHOTO.read_bytes()).hexdigest()
    facts = [
        versions.installed(),
        in_words(engine),
        digests,
        known,
        [str(difference) for difference in constraints.differences()],
    ]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _advice() -> str:
    """What to do, with the packages whose versions differ."""
    moved = sorted(constraints.differences(), key=_suspicion)
    if not moved:
        return (
            "The packages are the tested ones; install Uvatar again. If that does not help, report the output of "
            "`uvatar doctor`."
        )
    named = "; ".join(map(str, moved[:_NAMED])) + ("; and more" if len(moved) > _NAMED else "")
    remedy = "Set up the backend again in Blender, or install the tested versions (see README)."
    return f"Packages differ from the tested ones: {named}. {remedy}"


def _suspicion(moved: constraints.Difference) -> int:
    return _SUSPECTS.index(moved.name) if moved.name in _SUSPECTS else len(_SUSPECTS)
