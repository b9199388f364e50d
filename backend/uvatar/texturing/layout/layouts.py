"""Pictures between two texture layouts of one body: that of its avatars, and that of networks and older textures."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.body import BodyModel
from uvatar.data.labels import Label
from uvatar.data.texture import Texture
from uvatar.texturing.layout.atlas import Atlas, Atlases, texels_of


@dataclass(frozen=True)
class LayoutChange:
    """Takes pictures of one layout, N pixels on a side, into another of the same size.

    Attributes:
        places: (N, N, 2) float32, x and y in the first layout's picture, in pixels from the middle of the first one, of
            what every pixel of the second shows; in the gutters those of the nearest texel.
        inside: (N, N) bool, the second layout's texels.
    """

    places: NDArray[np.float32]
    inside: NDArray[np.bool_]

    @classmethod
    def between(cls, source: BodyModel, target: BodyModel, size: int) -> LayoutChange:
        """From the layout of one body to that of the same body with another layout, at ``size`` pixels.

        Raises TexturingError if there is no layout.
        """
        table, data = texels_of(target, size), source.data
        uv = table.interpolate_corners(data.uv[data.face_uv])
        places = np.column_stack([uv[:, 0], 1 - uv[:, 1]]) * np.float32(size) - np.float32(0.5)
        return cls(table.picture(places.astype(np.float32)), table.scatter(np.ones(len(table), bool)))

    def picture(self, picture: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, N, C) interpolated linearly."""
        x, y = self.places[..., 0], self.places[..., 1]
        return np.asarray(cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)


def atlas_for(texture: Texture, atlases: Atlases) -> Atlas:
    """The body's atlas in the layout that a texture has: that of its avatars, or of those of older versions.

    The labels tell: they are empty outside a layout's texels. Raises TexturingError if the size is unusable or the body
    has no layout.
    """
    size = len(texture.source)
    own = atlases.at(size)
    older = atlases.body.in_network_layout()
    if older is atlases.body:
        return own
    older_table = texels_of(older, size)
    labelled = texture.source != Label.EMPTY

    def fit(pixels: NDArray[np.int32]) -> int:
        return int(2 * labelled.ravel()[pixels].sum() - len(pixels))

    return own if fit(own.table.pixel) >= fit(older_table.pixel) else Atlas.of(older, size)
