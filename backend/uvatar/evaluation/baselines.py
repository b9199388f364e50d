"""The completions that `uvatar evaluate around` compares: the product's, and simpler ones as baselines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from uvatar.body import BodyModel
from uvatar.data.texture import Texture
from uvatar.data.view import View
from uvatar.runtime.weights import models_folder, weights_folder
from uvatar.texture_predictor.predictor import TexturePredictor
from uvatar.texturing import FaceSpline, texture_person
from uvatar.texturing.layout.atlas import Atlas
from uvatar.texturing.pattern.detail import DetailSettings
from uvatar.texturing.settings import TexturingSettings

MakeTexture = Callable[[View], Texture]

SMOOTH, BORROWED, FAST, MATERIALS, PREDICTED = "smooth", "borrowed", "fast", "materials", "predictor"
# Brightness finer than 12 mm, clipped to what is usual, straight through the body: all that the product had before
# materials and patterns.
_BORROWED = DetailSettings(coarsest=0.012, deviations=1.5, strongest=0.15)
_NO_DETAIL = replace(_BORROWED, strongest=0.0, strand_contrast=(0.0, 0.0))


def completions(
    atlas: Atlas, body: BodyModel | None = None, face: FaceSpline | None = None
) -> Mapping[str, MakeTexture]:
    """Ways to texture a view, by name: smooth filling, that with borrowed detail, what ``fast`` does, and filling by
    material, which is what the product does without the Texture Predictor; and with it, if ``body`` is given and its
    weights are there.
    """

    def by(fast: bool, detail: DetailSettings | None = None) -> MakeTexture:
        settings = TexturingSettings() if detail is None else TexturingSettings(detail=detail)
        return lambda view: texture_person([view], atlas, face=face, fast=fast, settings=settings)

    made = {SMOOTH: by(True, _NO_DETAIL), BORROWED: by(True, _BORROWED), FAST: by(True), MATERIALS: by(False)}
    predictor = None if body is None else TexturePredictor.find(weights_folder(), models_folder(), body)
    if predictor is not None:
        network = predictor

        def predicted(view: View) -> Texture:
            return texture_person([view], atlas, partial(network.predict, view), face=face)

        made[PREDICTED] = predicted
    return made
