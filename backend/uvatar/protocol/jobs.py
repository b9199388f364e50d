"""The kinds of jobs. On the wire each of them is a request ``reconstruct`` with options (docs/protocol.md)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from .errors import UvatarError
from .options import COMPLETE_TEXTURE, FIND_PEOPLE, Options, checked_options, from_checked


@dataclass(frozen=True)
class Reconstruct:
    """Make avatars of the people in photos."""

    options: Options


@dataclass(frozen=True)
class CompleteTexture:
    """Complete a painted texture.

    Its pictures are PNG files: the texture as it was painted, its labels and, perhaps, the texture as it was before.

    Attributes:
        body: whose UV layout the texture has, one of `BODIES`.
    """

    body: str


@dataclass(frozen=True)
class FindPeople:
    """Find the people in photos, for somebody who then chooses among them."""


Job = Reconstruct | CompleteTexture | FindPeople


def read_job(options: Any) -> Job:
    """The job that a request's options ask for. Raises UvatarError ("bad-option")."""
    checked = checked_options(options)
    if checked[COMPLETE_TEXTURE]:
        return CompleteTexture(checked["body"])
    if checked[FIND_PEOPLE]:
        return FindPeople()
    return Reconstruct(from_checked(checked))


def has_one_result(options: Mapping[str, Any]) -> bool:
    """Whether all pictures of a job with these options, checked already, become one result, and so are not shared out.

    The other pictures then end as ``merged``.
    """
    return bool(options.get("same_person") or options.get(COMPLETE_TEXTURE))


def is_id(name: Any) -> bool:
    """Whether this is the text of a UUID, as a job's id is."""
    with suppress(ValueError, AttributeError, TypeError):
        return name in (str(parsed := uuid.UUID(name)), parsed.hex)
    return False


def checked_id(identifier: Any) -> str:
    """The id; since it names a folder, anything but the text of a UUID raises UvatarError."""
    if not is_id(identifier):
        raise UvatarError("A job's id must be a UUID, such as 6b1f7c52-6f0e-4a0e-9a55-0d6b6f1c8a11.")
    return str(identifier)
