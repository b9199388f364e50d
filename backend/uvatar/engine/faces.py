"""The form of a person's head, from all photos that show the face: before clothes are fitted and photos projected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from uvatar.data.view import View
from uvatar.fitting.face.identity import face_evidence, face_form, with_face
from uvatar.protocol.options import Options

if TYPE_CHECKING:
    from uvatar.engine.engine import Engine


def with_faces(views: Sequence[View], engine: Engine, options: Options) -> list[View]:
    """The views of one person, of the same betas, with the form of the person's head in their fits.

    They stay as they are where no photo shows the face, and in jobs that are fast or keep the bodies as predicted.
    """
    field = engine.face_field
    if field is None or options.fast or not options.refine:
        return list(views)
    seen = [face_evidence(view.fit, view.person, view.camera, engine.body, field) for view in views]
    evidence = [one for one in seen if one is not None]
    if not evidence:
        return list(views)
    form = face_form(evidence, field)
    scale = float(np.exp(np.mean([np.log(one.head.scale) for one in evidence])))
    return [
        replace(view, fit=with_face(view.fit, one, form, scale, engine.body, field))
        for view, one in zip(views, seen, strict=True)
    ]
