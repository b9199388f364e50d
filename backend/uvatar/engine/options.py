"""The options of a job as the stages read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from uvatar.mesh_predictor.prediction import OPEN_BODY


@dataclass(frozen=True)
class Options:
    """What the artist chooses for a job: `uvatar.protocol.options.OPTIONS` as fields.

    Attributes:
        body: "open_body", or "smpl" for avatars on the SMPL body of the user's own files.
        texture_size: pixels on a side of the texture.
        texture: "projected" (the photo, and what completes it), "predicted" (that, changed by the Texture Predictor all
            over), "combined" (changed where the photo shows nothing), or None for combined; with ``fast``, or without
            the predictor's weights, projected.
        texture_seed: 0 for the most likely prediction; other numbers give variations of it.
        fast: fewer fitting steps and no clothing offsets: a first look.
        clothing: shape the body's outline to clothes and hair.
        same_person: all photos show one person: merge them into one avatar; a photo alone may show several views of the
            person.
        max_people: at most this many people of each photo, the most prominent first.
        uncertain: also make avatars of who may be no person, or stand otherwise than it seems.
        focal: focal length in pixels where the artist knows better than the photo's EXIF, else None.
        turntable: also render a sheet of views around every person.
        refine: fit the predicted people to the photo; without, the Mesh Predictor's prediction alone is the result.
        given_people: people of ROMP or another estimator for each photo (docs/protocol.md), used in place of
            predicting; or None.
        complete_texture: the job's pictures are a painted texture, its labels and, perhaps, what it was: complete it,
            looking for nobody.
        export_npz: also give the people in the keys of ROMP's result files.
    """

    body: str = OPEN_BODY
    texture_size: int = 1024
    texture: str | None = None
    texture_seed: int = 0
    fast: bool = False
    clothing: bool = True
    same_person: bool = False
    max_people: int = 32
    uncertain: bool = False
    focal: float | None = None
    turntable: bool = False
    refine: bool = True
    given_people: Sequence[Mapping[str, Any]] | None = None
    complete_texture: bool = False
    export_npz: bool = False
