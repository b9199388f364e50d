from __future__ import annotations

from pathlib import Path

import pytest

from tests.transfer.smpl_like import Other, other_body, write_files
from uvatar.body import BodyModel, load_open_body, load_smpl
from uvatar.transfer import Registration, register


@pytest.fixture(scope="session")
def body() -> BodyModel:
    return load_open_body()


@pytest.fixture(scope="session")
def other(body: BodyModel) -> Other:
    return other_body(body)


@pytest.fixture(scope="session")
def models(other: Other, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with a file in SMPL's format and its UV map."""
    return write_files(other, tmp_path_factory.mktemp("models")).parent


@pytest.fixture(scope="session")
def smpl(models: Path) -> BodyModel:
    return load_smpl(models / "SMPL_NEUTRAL.pkl", models / "smpl_uv.obj")


@pytest.fixture(scope="session")
def registration(body: BodyModel, smpl: BodyModel) -> Registration:
    return register(body, smpl)
