"""A body and its parts as one textured mesh, for pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.protocol.parts import BLEND, MASK, Part, triangles_of

_CELLS = 4  # at least; the parts' pictures are squares in a column beside the body's


class TexturedFaces(Protocol):
    """Triangles (F, 3), texture coordinates (T, 2), and the triangles' corners in them (F, 3)."""

    @property
    def faces(self) -> NDArray[np.int32]:
        """(F, 3)."""

    @property
    def uv(self) -> NDArray[np.float32]:
        """(T, 2)."""

    @property
    def face_uv(self) -> NDArray[np.int32]:
        """(F, 3)."""


@dataclass(frozen=True)
class JoinedFaces:
    """`TexturedFaces` of several meshes."""

    faces: NDArray[np.int32]
    uv: NDArray[np.float32]
    face_uv: NDArray[np.int32]


def joined(
    vertices: Floats, body: TexturedFaces, texture: NDArray[np.uint8], parts: Sequence[tuple[Part, Floats]]
) -> tuple[Floats, TexturedFaces, NDArray[np.uint8]]:
    """A body with its parts. Transparent parts, such as lashes, are left out: pictures are too coarse for them.

    Args:
        vertices: (V, 3) of the body.
        body: its faces.
        texture: (N, N, 3) sRGB.
        parts: each with its vertices where the body's are.

    Returns:
        vertices, faces, and a texture for both: (N, M, 3), or (N, M, 4) where a part has holes, as hair between its
        strands.
    """
    shown = [(part, placed) for part, placed in parts if part.alpha != BLEND]
    if not shown:
        return vertices, body, texture
    size = len(texture)
    cell = max(1, size // max(_CELLS, len(shown)))
    wide = size + cell
    image = np.zeros((size, wide, 4), np.uint8)
    image[:, :size, :3], image[..., 3] = texture, 255
    scale = np.array([size / wide, 1], np.float32)
    points, faces, uv, face_uv = [vertices], [body.faces], [body.uv * scale], [body.face_uv]
    corners, coordinates = len(vertices), len(body.uv)
    for number, (part, placed) in enumerate(shown):
        own, own_uv = part.uv, part.face_uv
        if own is None or own_uv is None:
            own, own_uv = np.full((1, 2), 0.5, np.float32), np.where(part.faces >= 0, 0, -1)
        if part.body_texture:
            own = own * scale
        else:
            low = number * cell
            image[low : low + cell, size:] = cv2.resize(_picture(part), (cell, cell), interpolation=cv2.INTER_AREA)
            own = np.stack([(size + cell * (own[:, 0] % 1.0001)) / wide, 1 - (low + cell * (1 - own[:, 1])) / size], -1)
        points.append(placed)
        faces.append(triangles_of(part.faces) + corners)
        uv.append(own.astype(np.float32))
        face_uv.append(triangles_of(own_uv) + coordinates)
        corners, coordinates = corners + len(placed), coordinates + len(own)
    everything = JoinedFaces(
        np.concatenate(faces).astype(np.int32), np.concatenate(uv), np.concatenate(face_uv).astype(np.int32)
    )
    holes = any(part.alpha == MASK and part.texture for part, _ in shown)
    return np.concatenate(points), everything, image if holes else np.ascontiguousarray(image[..., :3])


def _picture(part: Part) -> NDArray[np.uint8]:
    """The part's texture (H, W, 4), sRGB and how solid it is, or a texel of its colour."""
    if not part.texture:
        texel: NDArray[np.uint8] = np.round(255 * np.array([[(*part.colour, 1)]])).astype(np.uint8)
        return texel
    kind = cv2.IMREAD_UNCHANGED if part.alpha == MASK else cv2.IMREAD_COLOR
    picture = cv2.imdecode(np.frombuffer(part.texture, np.uint8), kind)
    if picture is None:
        raise ValueError(f"The texture of the part {part.name} cannot be read.")
    code = cv2.COLOR_BGRA2RGBA if picture.shape[-1] == 4 else cv2.COLOR_BGR2RGBA
    return np.asarray(cv2.cvtColor(picture, code), np.uint8)
