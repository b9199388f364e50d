"""Files are written as the library that makes their objects would write them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pygltflib
import pytest

from uvatar.gltf import document
from uvatar.gltf.avatar import glb
from uvatar.gltf.presets import PRESETS


@pytest.mark.parametrize("preset", PRESETS.values(), ids=list(PRESETS))
def test_files_are_those_of_the_library(person: dict[str, Any], monkeypatch: pytest.MonkeyPatch, preset: Any) -> None:
    preset = replace(preset, clips=not preset.vrm)

    def by_the_library(content: pygltflib.GLTF2, data: bytearray) -> bytes:
        content.buffers = [pygltflib.Buffer(byteLength=len(data))]
        content.set_binary_blob(bytes(data))
        return b"".join(content.save_to_bytes())

    ours = glb(person, preset, "Zoë")
    monkeypatch.setattr(document, "to_glb", by_the_library)
    assert ours == glb(person, preset, "Zoë")
