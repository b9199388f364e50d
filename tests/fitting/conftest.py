"""The open body, loaded once."""

from __future__ import annotations

import pytest

from uvatar.body import BodyModel, load_open_body


@pytest.fixture(scope="session")
def body() -> BodyModel:
    return load_open_body()
