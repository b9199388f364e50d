"""What all people share: the triangles, and their places in the texture."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from uvatar.body import BodyData


class RenderError(ValueError):
    """Geometry or texture that cannot be rendered; the message says what is wrong with it.

    Attributes:
        people: indices in the batch of those it is wrong with; empty where it is the mesh itself.
    """

    def __init__(self, message: str, people: tuple[int, ...] = ()) -> None:
        super().__init__(message)
        self.people = people


@dataclass(frozen=True)
class UvMesh:
    """F triangles with a UV layout. The same vertex may lie at several places of the texture.

    Attributes:
        faces: (F, 3) int64 indices of vertices.
        face_uv: (F, 3, 2) where the triangles' corners lie in the texture, origin bottom-left, v up.
    """

    faces: Tensor
    face_uv: Tensor

    @classmethod
    def of(cls, body: BodyData, device: torch.device | str | None = None) -> UvMesh:
        """The triangles of a body. Raises RenderError if it has no UV layout."""
        if not body.has_uv:
            raise RenderError(f"The body '{body.name}' has no UV layout, so it cannot be textured.")
        return cls(
            torch.from_numpy(body.faces).long().to(device), torch.from_numpy(body.uv[body.face_uv]).float().to(device)
        )

    def to(self, device: torch.device | str) -> UvMesh:
        """The same triangles on another device."""
        return UvMesh(self.faces.to(device), self.face_uv.to(device))
