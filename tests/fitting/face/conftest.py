from __future__ import annotations

import pytest

from uvatar.body import BodyModel, load_open_body
from uvatar.fitting.face.field import FaceField
from uvatar.runtime.weights import weights_folder


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_open_body()


@pytest.fixture(scope="module")
def field(body: BodyModel) -> FaceField:
    field = FaceField.load(weights_folder(), body)
    assert field is not None
    return field
