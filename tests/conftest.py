"""Fixtures that several packages' tests share."""

from __future__ import annotations

import os
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("UVATAR_SHARED", Path(__file__).resolve().parents[2] / "shared"))


def pytest_configure(config: pytest.Config) -> None:
    """Tests are about this checkout's protocol, not about a copy from before its last change."""
    if not hasattr(config, "workerinput"):
        runpy.run_path(str(ROOT / "blender_addon" / "copy_protocol.py"), run_name="__main__")


def _shared_folder(name: str) -> Path:
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(
            f"{folder} is missing: this test needs files that are not part of the repository (set UVATAR_SHARED)"
        )
    return folder


@pytest.fixture(scope="session")
def shared_photos() -> Path:
    """Folder of real photos for tests, beside the repository."""
    return _shared_folder("photos")


@pytest.fixture(scope="session")
def shared_assets() -> Path:
    """Folder of CC0 MakeHuman clothes, hair, skins and poses, beside the repository."""
    return _shared_folder("assets")


@pytest.fixture(scope="session")
def shared_faults() -> Path:
    """Folder of inputs that broke earlier versions, beside the repository."""
    return _shared_folder("faults")
