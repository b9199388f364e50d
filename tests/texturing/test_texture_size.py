"""The automatic size of a texture."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.texturing.conftest import Studio, plain
from uvatar.engine.texture_size import enough_texels, with_texture_size
from uvatar.protocol.options import Options
from uvatar.texturing import Atlases


@pytest.mark.parametrize(
    ("pixels", "size"), [(0.0, 1024), (0.95, 1024), (1.05, 2048), (1.9, 2048), (2.1, 4096), (9, 4096)]
)
def test_the_smallest_that_is_enough(pixels: float, size: int) -> None:
    assert enough_texels(pixels) == size


def test_it_grows_with_the_photo(studio: Studio) -> None:
    engine: Any = SimpleNamespace(body=studio.body, atlases=Atlases(studio.body))
    small, large = (studio.photograph(plain, side=side) for side in (400, 2000))
    sizes = [with_texture_size([view], Options(texture_size="auto"), engine).texture_size for view in (small, large)]
    assert sizes[0] == 1024 and sizes[1] in (2048, 4096)
    assert with_texture_size([small, large], Options(texture_size="auto"), engine).texture_size == sizes[1]
    assert with_texture_size([large], Options(texture_size=512), engine).texture_size == 512
