"""Completes a texture that the artist painted over: unmarked texels are filled in again from marked ones."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.data.labels import Label
from uvatar.data.texture import Texture
from uvatar.photos.colour import linear_from_srgb, srgb_from_linear
from uvatar.texturing.completion.lowband import vertex_colours
from uvatar.texturing.completion.smooth import SeenColours, complete
from uvatar.texturing.layout.atlas import LARGEST, SMALLEST, Atlas, TexturingError
from uvatar.texturing.predicted import fill_in
from uvatar.texturing.seen.flesh import DEFAULT_SETTINGS as FLESH_SETTINGS
from uvatar.texturing.seen.flesh import mouth_depth
from uvatar.texturing.seen.skin import DEFAULT_SETTINGS as SKIN_SETTINGS

_LEAST_FACE = 50  # texels that are enough to tell the colour of the skin; how many are is not recorded
_ROUNDING = 1  # of 255: a channel that differs by no more was not painted


def read_painted(texture: bytes, source: bytes, original: bytes | None = None) -> Texture:
    """Read a texture and its labels from PNG files.

    Args:
        texture: sRGB.
        source: a `Label` per pixel, grey.
        original: the texture before it was painted over: the body's texels that differ from it are labelled SEEN.

    Raises TexturingError if a file cannot be read as a picture, or they are not squares of the same size.
    """
    image, labels = _decoded(texture, cv2.IMREAD_COLOR), _decoded(source, cv2.IMREAD_GRAYSCALE)
    if image.shape[:2] != labels.shape or labels.shape[0] != labels.shape[1] or not SMALLEST <= len(labels) <= LARGEST:
        raise TexturingError(
            f"The painted texture and its labels must be squares of the same size, {SMALLEST} to {LARGEST} pixels."
        )
    if original is not None:
        before = _decoded(original, cv2.IMREAD_COLOR)
        if before.shape != image.shape:
            raise TexturingError("The painted texture does not have the size of the original.")
        labels[(cv2.absdiff(image, before).max(2) > _ROUNDING) & (labels != Label.EMPTY)] = Label.SEEN
    return Texture(np.ascontiguousarray(image[..., ::-1]), labels)


def _decoded(png: bytes, kind: int) -> NDArray[np.uint8]:
    """(H, W, 3) BGR or (H, W), as ``kind`` asks. Raises TexturingError if it cannot be read."""
    picture = cv2.imdecode(np.frombuffer(png, np.uint8), kind) if png else None
    if picture is None:
        raise TexturingError("The painted texture or its labels are not PNG pictures.")
    return np.asarray(picture, np.uint8)


def complete_painted(painted: Texture, atlas: Atlas, predicted: NDArray[np.uint8] | None = None) -> Texture:
    """Keep the texels that are labelled SEEN, the eyes and the mouth's inside; fill all others from them as a photo's
    unseen texels are filled.

    Args:
        painted: (N, N) in the body's UV layout.
        atlas: the body's at N x N texels.
        predicted: (N, N, 3) sRGB to fill with instead.

    Raises TexturingError if nothing is labelled SEEN.
    """
    surface, table = atlas.surface, atlas.table
    colours = linear_from_srgb(painted.image.reshape(-1, 3)[table.pixel])
    labels = painted.source.ravel()[table.pixel]
    marked = labels == Label.SEEN
    if not marked.any():
        raise TexturingError(
            "No part of the texture is marked to be kept: paint something, or keep what the photo shows."
        )
    drawn = (atlas.of_first_vertex(surface.eye) > 0) | (mouth_depth(atlas) > FLESH_SETTINGS.lips[1])
    alpha = marked.astype(np.float32)
    nothing = np.zeros(len(table), np.float32)
    known = np.flatnonzero(marked)
    detail_colour, _ = vertex_colours(colours[known], alpha[known], known, atlas)
    seen = SeenColours(colours, alpha, alpha, nothing, detail_colour, _skin(colours, marked, atlas), atlas)
    filled, source = complete(seen) if predicted is None else fill_in(predicted, seen)
    filled[drawn], source[drawn] = colours[drawn], labels[drawn]  # not completed in the first place
    kept = table.scatter(marked | drawn)
    image = np.where(kept[..., None], painted.image, table.picture(srgb_from_linear(filled)))
    return Texture(image, table.scatter(source))


def _skin(colours: NDArray[np.float32], marked: NDArray[np.bool_], atlas: Atlas) -> NDArray[np.float32]:
    """Linear light (3,): the median of what is marked of the face, else a middling tone."""
    face = atlas.of_first_vertex(atlas.surface.face_front) & marked
    if face.sum() < _LEAST_FACE:
        return linear_from_srgb(np.array(SKIN_SETTINGS.unknown, np.uint8))
    median: NDArray[np.float32] = np.median(colours[face], axis=0)
    return median
