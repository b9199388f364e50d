from __future__ import annotations

import os
import shutil
import sys
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


_status = pytest.StashKey[int]()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    session.config.stash[_status] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """End this process at once: after Rigify has generated a rig, Blender 4.5's module waits for ever in its own
    clean-up.
    """
    if "bpy" in sys.modules and _status in config.stash:
        shutil.rmtree(sys.modules["bpy"].app.tempdir, ignore_errors=True)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(config.stash[_status])
