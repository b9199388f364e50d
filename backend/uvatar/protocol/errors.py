"""The one error that crosses the wire: what is wrong, a code that programs compare, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class UvatarError(ValueError):
    """A message, a stored result or a request that cannot be used; what crosses the wire as an error reply.

    Attributes:
        code: a short name that programs can compare (docs/protocol.md lists them).
        message: what is wrong, in the artist's words.
        fix: what to do about it.
    """

    def __init__(
        self, message: str, code: str = "malformed", fix: str = "Update the add-on and the backend to the same version."
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.fix = fix

    def as_dict(self) -> dict[str, str]:
        """The error as it crosses the wire: code, message, fix."""
        return {"code": self.code, "message": self.message, "fix": self.fix}

    @classmethod
    def from_dict(cls, error: Mapping[str, Any]) -> UvatarError:
        """The error that an error reply, or a photo's entry in a job's status, describes."""
        return cls(
            str(error.get("message", "Unknown error.")), str(error.get("code", "unknown")), str(error.get("fix", ""))
        )
