"""The triangles that all people share, and their positions in the texture."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from uvatar.body import BodyData


class RenderError(ValueError):
    """A geometry or texture cannot be rendered; the message says why.

    Attributes:
        people: indices in the batch of the people concerned; empty if the mesh itself is invalid.
    """

    def __init__(self, message: str, people: tuple[int, ...] = ()) -> None:
        super().__init__(message)
        self.people = people


@dataclass(frozen=True)
class UvMesh:
    """F triangles with a UV layout, in which a vertex can have several positions.

    Attributes:
        faces: (F, 3) int64 indices of vertices.
        face_uv: (F, 3, 2) positions of the triangles' corners in the texture, origin bottom-left, v up.
    """

    faces: Tensor
    face_uv: Tensor

    @classmethod
    def of(cls, body: BodyData, device: torch.device | str | None = None) -> UvMesh:
        """The triangles of a body.

        Raises:
            RenderError: the body has no UV layout.
        """
        if not body.has_uv:
            raise RenderError(f"The body '{body.name}' has no UV layout, so it cannot be textured.")
        return cls(
            torch.from_numpy(body.faces).long().to(device), torch.from_numpy(body.uv[body.face_uv]).float().to(device)
        )

    def to(self, device: torch.device | str) -> UvMesh:
        """The same triangles on another device."""
        return UvMesh(self.faces.to(device), self.face_uv.to(device))
