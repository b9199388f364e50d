"""The people of a photo's result, whichever schema it has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def people_of(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A result's people, each with the arrays of its body.

    Schema 2 has the body once, under "body"; schema 1 had it with every person. Raises KeyError if the result has
    no people, TypeError or ValueError if they are not dictionaries.
    """
    body = result.get("body") or {}
    return [{**body, **person} for person in result["people"]]
