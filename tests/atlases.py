"""Atlases of bodies, each made once for all tests."""

from __future__ import annotations

from functools import cache

from uvatar.body import BodyModel
from uvatar.texturing.layout.atlas import Atlas


@cache
def atlas_of(body: BodyModel, size: int) -> Atlas:
    """The body's atlas at (size, size)."""
    return Atlas.of(body, size)
