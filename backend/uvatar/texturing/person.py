"""A person's full texture from one or more photos: the order of texturing's steps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from uvatar.body import BodyModel
from uvatar.data.labels import Label
from uvatar.data.texture import Texture
from uvatar.data.view import View
from uvatar.photos.colour import srgb_from_linear
from uvatar.texturing.atlas import TexturingError, atlas_of
from uvatar.texturing.completion import SeenColours, complete
from uvatar.texturing.detail import borrowed_detail
from uvatar.texturing.eyes import paint_eyes
from uvatar.texturing.face import FaceSpline, face_shift
from uvatar.texturing.merging import merge
from uvatar.texturing.predicted import Predict, fill_in
from uvatar.texturing.projection import Glimpse, glimpse, project
from uvatar.texturing.sight import look
from uvatar.texturing.skin import skin_colour
from uvatar.texturing.surface import Surface

SMALLEST, LARGEST = 64, 4096


def texture_person(
    views: Sequence[View],
    body: BodyModel,
    size: int = 1024,
    predicted: NDArray[np.uint8] | Predict | None = None,
    keep_photo: bool = True,
    face: FaceSpline | None = None,
) -> Texture:
    """Project the photos onto the body and complete what they do not show.

    Args:
        views: one or more photos of the same person, each with its own fit; the first is the one that colours follow.
        body: the body that was fitted; its texel table is made on the first call and kept.
        size: pixels on a side of the texture.
        predicted: (size, size, 3) uint8 sRGB texture of the same UV layout to complete with, or what makes one of the
            smoothly completed texture, or None for that.
        keep_photo: False gives the prediction as it is, also where the photos show something.
        face: lays the photo's face on the body's; None leaves it where the fit puts it.

    Raises:
        TexturingError: no views, an unusable size, a body without UV layout, or a prediction of another size.
        ValueError: a body that is wholly behind the camera.
        FloatingPointError: colours came out that are no numbers.
    """
    if not views:
        raise TexturingError("At least one photo is needed to make a texture.")
    if not SMALLEST <= size <= LARGEST:
        raise TexturingError(f"The texture's size must be between {SMALLEST} and {LARGEST} pixels, not {size}.")
    atlas = atlas_of(body, size)
    surface, table = atlas.surface, atlas.table
    glimpses = [_glimpse(view, body, surface, size, face) for view in views]
    colours, alpha, certain = merge([project(glimpse, surface, table) for glimpse in glimpses], len(table))
    skin = skin_colour(glimpses, colours, alpha, surface, table)
    detail, lender = borrowed_detail(glimpses[0], alpha, surface, table)
    seen = SeenColours(colours, alpha, certain, detail, lender, skin)
    share = float(np.mean(alpha >= 0.5))
    colours, source = complete(seen, surface, table)
    if callable(predicted):
        predicted = predicted(Texture(table.picture(srgb_from_linear(colours)), table.scatter(source)))
    if predicted is not None:
        if predicted.shape != (size, size, 3):
            raise TexturingError(f"The predicted texture has shape {predicted.shape}, expected {(size, size, 3)}.")
        if not keep_photo:
            everywhere = np.full(len(table), Label.PREDICTED, np.uint8)
            return Texture(table.picture(predicted.reshape(-1, 3)[table.pixel]), table.scatter(everywhere), share)
        colours, source = fill_in(predicted, seen, surface, table)
    paint_eyes(colours, source, glimpses[0], skin, surface, table)
    if not np.isfinite(colours).all():
        raise FloatingPointError("The texture's colours are not finite.")
    return Texture(table.picture(srgb_from_linear(colours)), table.scatter(source), share)


def _glimpse(view: View, body: BodyModel, surface: Surface, size: int, face: FaceSpline | None) -> Glimpse:
    vertices, _ = body.posed(view.fit.body, view.fit.offsets)
    sight = look(vertices, surface, view.person, view.camera)
    return glimpse(view, sight, face_shift(view.person, sight, face), surface, size)
