"""A person's full texture from one or more photos: the order of texturing's steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from uvatar.data.labels import Label
from uvatar.data.texture import Texture
from uvatar.data.view import View
from uvatar.photos.colour import srgb_from_linear
from uvatar.texturing.completion.smooth import SeenColours, shown_over, smooth_fill
from uvatar.texturing.face import FaceSpline, face_shift
from uvatar.texturing.generators.painting import Painter, paint_unseen
from uvatar.texturing.layout.atlas import Atlas, TexturingError
from uvatar.texturing.light.even_light import light_map, light_picture
from uvatar.texturing.light.normal_map import normal_map
from uvatar.texturing.materials.labels import HAIR
from uvatar.texturing.materials.material_map import MaterialMap, with_eyes
from uvatar.texturing.outfit import dressed_fill, tell_outfit
from uvatar.texturing.pattern.detail import unseen_detail
from uvatar.texturing.predicted import Predict, fill_in
from uvatar.texturing.seen.contamination import without_foreign
from uvatar.texturing.seen.ears import bare_ears, paint_ears
from uvatar.texturing.seen.eyes import paint_eyes
from uvatar.texturing.seen.flesh import paint_flesh
from uvatar.texturing.seen.merging import best_cosine, merge
from uvatar.texturing.seen.mouth import with_open_mouth
from uvatar.texturing.seen.projection import ProjectedView, Projection, project, projected_view
from uvatar.texturing.seen.skin import skin_colour
from uvatar.texturing.seen.visibility import compute_visibility
from uvatar.texturing.settings import TexturingSettings

DEFAULT_SETTINGS = TexturingSettings()


def texture_person(
    views: Sequence[View],
    atlas: Atlas,
    predicted: NDArray[np.uint8] | Predict | None = None,
    keep_photo: bool = True,
    face: FaceSpline | None = None,
    fast: bool = False,
    painter: Painter | None = None,
    settings: TexturingSettings = DEFAULT_SETTINGS,
) -> Texture:
    """Project the photos onto the body and complete what they do not show.

    Args:
        views: one or more photos of the same person, each with its own fit; the first is the one that colours follow.
        atlas: the fitted body's, at N x N texels, the size of the texture.
        predicted: (N, N, 3) uint8 sRGB texture of the same UV layout to complete with; or a function that makes one
            from the smoothly completed texture; or None for the smoothly completed texture itself.
        keep_photo: False gives the prediction as it is, also where the photos show something.
        face: lays the photo's face on the body's; None leaves it where the fit puts it.
        fast: complete what no photo shows without materials: smooth colours, the front's structure straight through.
        painter: a texture generator that paints over the completion; may raise GeneratorError.
        settings: tuned numbers.

    Raises:
        TexturingError: there are no views, or the prediction has another size.
        ValueError: the whole body lies behind the camera.
        FloatingPointError: the colours are not finite.
        RuntimeError: the colours of what is not seen have no solution ("singular").
    """
    if not views:
        raise TexturingError("At least one photo is needed to make a texture.")
    table = atlas.table
    projected_views = [_projected_view(view, atlas, face, settings) for view in views]
    projections = [_projection(view, atlas, face, settings) for view in projected_views]
    skin = skin_colour(projected_views, *merge(projections, len(table), settings.merging)[:2], atlas, settings.skin)
    pairs = zip(projections, projected_views, strict=True)
    projections = [without_foreign(seen_by, view, skin, atlas, settings.contamination) for seen_by, view in pairs]
    colours, alpha, certain = merge(projections, len(table), settings.merging)
    detail = unseen_detail(projected_views[0], alpha, atlas, settings.detail)
    seen = SeenColours(colours, alpha, certain, *detail, skin, atlas)
    cosine = None if fast else best_cosine(projections, len(table))
    fill, source, materials, seen = _completed(seen, cosine, projected_views[0], settings)
    colours, source = shown_over(fill, source, seen)
    if callable(predicted):
        completed = table.picture(srgb_from_linear(colours))
        predicted = predicted(_texture(completed, source, seen.alpha, materials, atlas))
    if predicted is not None:
        if predicted.shape != (expected := (atlas.size, atlas.size, 3)):
            raise TexturingError(f"The predicted texture has shape {predicted.shape}, expected {expected}.")
        if not keep_photo:
            return _all_predicted(predicted, seen.alpha, materials, atlas)
        plain = None if materials is None else (materials.invented, colours, source)
        colours, source = fill_in(predicted, seen, plain, settings.prediction)
    if painter is not None:
        colours, source = paint_unseen(colours, source, seen.alpha, projected_views[0], painter, atlas)
    _paint_known(colours, source, seen, projected_views[0], materials, settings)
    made = _texture(table.picture(srgb_from_linear(colours)), source, seen.alpha, materials, atlas)
    return _with_light(made, colours, projected_views, projections, materials, atlas, settings)


def _completed(
    seen: SeenColours, cosine: NDArray[np.float32] | None, view: ProjectedView, settings: TexturingSettings
) -> tuple[NDArray[np.float32], NDArray[np.uint8], MaterialMap | None, SeenColours]:
    """What to lay under what the photos show: colours (T, 3), labels (T,), materials, and what the photos show without
    what belongs to another material; ``cosine`` (T,) as `tell_outfit`, None to complete without materials.
    """
    outfit = None
    if cosine is not None:
        bare = bare_ears(seen, settings.contamination.ears)
        outfit, seen = tell_outfit(seen, cosine, view, bare, settings.outfit)
    fill = smooth_fill(seen, settings.completion, None if outfit is None else outfit.garments)
    if outfit is None:
        return fill.colours, fill.labels, None, seen
    return dressed_fill(fill, outfit, seen, view, settings.outfit), fill.labels, outfit.map, seen


def _paint_known(
    colours: NDArray[np.float32],
    source: NDArray[np.uint8],
    seen: SeenColours,
    view: ProjectedView,
    materials: MaterialMap | None,
    settings: TexturingSettings,
) -> None:
    """Write ears, eyes and the mouth's inside, of which is known what they look like, into ``colours`` (T, 3), linear
    light, and ``source`` (T,), labels.
    """
    worn = None if materials is None else materials.labels > HAIR
    paint_ears(colours, source, seen, worn, settings.contamination.ears)
    paint_eyes(colours, source, view, seen.skin, seen.atlas, settings.eyes)
    paint_flesh(colours, source, seen.skin, seen.atlas, settings.flesh)


def _with_light(
    texture: Texture,
    colours: NDArray[np.float32],
    views: Sequence[ProjectedView],
    projections: Sequence[Projection],
    materials: MaterialMap | None,
    atlas: Atlas,
    settings: TexturingSettings,
) -> Texture:
    """The texture with the light in it and, where materials were told apart, its folds; ``colours`` (T, 3).

    Raises FloatingPointError if these are not finite.
    """
    if not np.isfinite(colours).all():
        raise FloatingPointError("The texture's colours are not finite.")
    light = light_map(views, projections, colours, materials, atlas, settings.light)
    normals = None if materials is None else normal_map(colours, light, materials, atlas, settings.normals)
    return replace(texture, light=light_picture(light, atlas.table), normals=normals)


def _all_predicted(
    predicted: NDArray[np.uint8], alpha: NDArray[np.float32], materials: MaterialMap | None, atlas: Atlas
) -> Texture:
    """A prediction (N, N, 3) as it is; its light is not the photo's."""
    table = atlas.table
    whole = table.picture(np.take(predicted.reshape(-1, 3), table.pixel, axis=0))
    return _texture(whole, np.full(len(table), Label.PREDICTED, np.uint8), alpha, materials, atlas)


def _texture(
    image: NDArray[np.uint8],
    source: NDArray[np.uint8],
    alpha: NDArray[np.float32],
    materials: MaterialMap | None,
    atlas: Atlas,
) -> Texture:
    """The texture with its maps; ``source`` (T,), ``alpha`` (T,) the photos' share."""
    table, share = atlas.table, float(np.mean(alpha >= 0.5))
    if materials is None:
        return Texture(image, table.scatter(source), share)
    materials = with_eyes(materials, atlas)
    labels = table.scatter((materials.labels + 1).astype(np.uint8))
    return Texture(image, table.scatter(source), share, labels, materials.names)


def _projected_view(view: View, atlas: Atlas, face: FaceSpline | None, settings: TexturingSettings) -> ProjectedView:
    vertices, _ = atlas.body.posed(view.fit.body, view.fit.offsets)
    visibility = compute_visibility(vertices, atlas.surface, view.person, view.camera, settings.visibility)
    shift = face_shift(view.person, visibility, face)
    return projected_view(view, visibility, shift, atlas, settings.projection, settings.foreground)


def _projection(view: ProjectedView, atlas: Atlas, face: FaceSpline | None, settings: TexturingSettings) -> Projection:
    projection = project(view, atlas, settings.projection, settings.foreground)
    return with_open_mouth(projection, view, None if face is None else face.mouth, atlas, settings.mouth)
