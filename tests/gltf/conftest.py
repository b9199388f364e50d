from __future__ import annotations

import json
import shutil
import subprocess
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.blender_addon.sample import encoded, gradient
from tests.parts import made_part
from uvatar.body import load_open_body
from uvatar.gltf.avatar import glb
from uvatar.gltf.presets import Preset
from uvatar.protocol.parts import part_entry
from uvatar.results.present import body_entry

HERE = Path(__file__).parent


def made_person() -> dict[str, Any]:
    """A person of a result, with teeth."""
    entry, random = body_entry(load_open_body()), np.random.default_rng(5)
    offsets = random.normal(0, 0.002, entry["template"].shape).astype(np.float32)
    return {
        **entry,
        "id": "p0",
        "betas": random.normal(0, 1, 10).astype(np.float32),
        "offsets": offsets,
        "pose": np.zeros((24, 3), np.float32),
        "texture_png": encoded(gradient(64)),
        "parts": [part_entry(made_part())],
    }


def node_or_skip() -> str:
    """The command `node`, where it and its packages are installed; else the test is skipped, loudly."""
    node = shutil.which("node")
    if node is None or not (HERE / "node_modules" / ".package-lock.json").is_file():
        missing = (
            "Node.js or tests/gltf/node_modules (`npm ci --prefix tests/gltf`) is missing: no glTF file is validated, "
            "no page is opened"
        )
        warnings.warn(missing, stacklevel=1)
        pytest.skip(missing)
    return node


@pytest.fixture(scope="session")
def person() -> dict[str, Any]:
    return made_person()


@pytest.fixture(scope="session")
def read(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Any]]:
    """Validates a file, by default the person's at full detail, and loads it in three.js (read.mjs)."""
    node = node_or_skip()
    folder = tmp_path_factory.mktemp("gltf")

    def read(
        person: Mapping[str, Any],
        preset: Preset,
        mesh: str = "Body",
        pose: Mapping[str, Sequence[float]] | None = None,
        weights: Mapping[str, float] | None = None,
        vertices: Sequence[int] = (),
        data: bytes | None = None,
        moment: tuple[str, float] | None = None,
        motion: Sequence[Mapping[str, Sequence[float]]] | None = None,
    ) -> dict[str, Any]:
        file, request = folder / preset.file, folder / "request.json"
        file.write_bytes(glb(person, preset, "Anna") if data is None else data)
        wanted = {"mesh": mesh, "pose": pose or {}, "weights": weights or {}, "vertices": list(vertices),
                  "moment": moment, "motion": motion}  # fmt: skip
        request.write_text(json.dumps(wanted))
        command = [node, str(HERE / "read.mjs"), str(file), str(request)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return answer

    return read
