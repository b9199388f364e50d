from __future__ import annotations

from typing import Any

import pytest

from tests.blender_addon.sample import sample_result


@pytest.fixture(scope="session")
def result() -> dict[str, Any]:
    """A photo of one person."""
    return sample_result()


@pytest.fixture(scope="session")
def two_people() -> dict[str, Any]:
    return sample_result(people=2, seed=1)


@pytest.fixture
def scene() -> Any:
    """The scene of an empty file."""
    import bpy

    bpy.ops.wm.read_factory_settings(use_empty=True)
    return bpy.context.scene
