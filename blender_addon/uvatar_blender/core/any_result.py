# SPDX-License-Identifier: GPL-3.0-or-later
"""The results of all kinds of jobs, checked and typed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .found_people import FoundPeople, parse_found
from .result import AvatarsResult, TextureResult, parse_result, parse_texture

Result = AvatarsResult | TextureResult | FoundPeople


def parse_any(result: Mapping[str, Any]) -> Result:
    """Check a result as it comes from the backend, whatever its job was.

    Raises:
        ResultError: it is damaged, or has an unknown format.
    """
    if "texture" in result:
        return parse_texture(result)
    return parse_found(result) if "found" in result else parse_result(result)
