from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.blender_addon.sample import encoded, gradient
from tests.gltf.conftest import HERE, made_person, node_or_skip
from uvatar.body import load_open_body

NO_BROWSER = 3  # what browser.mjs ends with where Chromium does not start
Steps = Sequence[Mapping[str, Any]]


@pytest.fixture(scope="session")
def person() -> dict[str, Any]:
    """A person of a result with everything that a page shows."""
    labels = np.zeros((64, 64), np.uint8)
    labels[:, :32], labels[:, 32:] = 1, 3
    light = np.full((64, 64), 128, np.uint8)
    light[:, :32] = 178  # the texture's left half is in the light
    expression = np.zeros(52, np.float32)
    expression[24] = 0.4
    pose = np.zeros((24, 3), np.float32)
    pose[0], pose[16] = (np.pi, 0, 0), (0, 0, -1.2)  # upright in the camera's frame, the left arm down
    return {
        **made_person(),
        # The layout of older avatars, in which this texture is pale inside the mouth.
        "uv": load_open_body().in_network_layout().data.uv,
        "offsets": np.zeros_like(made_person()["offsets"]),
        "pose": pose,
        "expression": expression,
        "confidence": 0.8,
        "measurements": {"stature": 171.2, "waist": None},
        "source_png": encoded(labels),
        "light_png": encoded(light),
        "materials_png": encoded(labels),
        "material_names": ["skin", "upper", "upper </script> 2"],
    }


@pytest.fixture(scope="session")
def photo() -> bytes:
    return encoded(gradient(300)[:200])


@dataclass(frozen=True)
class Visit:
    """What happened on a page: addresses it asked for, what its console said, texts that were read, screenshots."""

    requests: list[str]
    complaints: list[str]
    read: dict[str, str]
    folder: Path

    def picture(self, name: str) -> NDArray[np.int16]:
        with Image.open(self.folder / f"{name}.png") as picture:
            return np.asarray(picture.convert("RGB"), np.int16)

    def changed(self, one: str, other: str, box: tuple[slice, slice] = (slice(None), slice(None))) -> float:
        """The share of pixels that differ by more than a shade between two screenshots; ``box``: rows and columns."""
        return float((np.abs(self.picture(one)[box] - self.picture(other)[box]).max(-1) > 8).mean())


@pytest.fixture
def visit(tmp_path: Path) -> Callable[..., Visit]:
    """Opens a page in a real browser and uses it (tests/gltf/browser.mjs)."""
    node = node_or_skip()
    if not sys.platform.startswith("linux") and "UVATAR_CHROMIUM" not in os.environ:
        missing = "The Chromium of npm is for Linux: no page is opened. Set UVATAR_CHROMIUM to a Chromium's program."
        warnings.warn(missing, stacklevel=1)
        pytest.skip(missing)

    def visit(page: Path, steps: Steps, **settings: Any) -> Visit:
        request = tmp_path / "request.json"
        request.write_text(json.dumps({"page": str(page), "folder": str(tmp_path), "steps": steps, **settings}))
        command = [node, str(HERE / "browser.mjs"), str(request)]
        # Chromium is unpacked into the folder for temporary files, which other checkouts and users share.
        unpacked = HERE / "node_modules" / ".cache"
        unpacked.mkdir(exist_ok=True)
        environment = {**os.environ, "TMPDIR": os.environ.get("TMPDIR", str(unpacked))}
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)
        if done.returncode == NO_BROWSER:
            warnings.warn(done.stderr, stacklevel=1)
            pytest.skip(done.stderr)
        assert done.returncode == 0, done.stderr
        return Visit(**json.loads(done.stdout.splitlines()[-1]), folder=tmp_path)

    return visit
