"""What is below the chin lies between the jaw and the neck in colour too."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.atlases import atlas_of
from tests.texturing.conftest import SIZE, Studio
from tests.texturing.test_face import spline_of, with_face
from tests.texturing.test_mouth import whole_face
from uvatar.data.joints import Joint
from uvatar.data.labels import Label
from uvatar.texturing import texture_person

CHEEKS, JAW, NECK = 240.0, 150.0, 80.0


def test_no_pale_band_below_the_chin(studio: Studio) -> None:
    """A face lit from above: the cheeks' colour, which stands for all skin, does not come back below the chin."""
    atlas = atlas_of(studio.body, SIZE)
    template = studio.body.data.v_template
    chin = float(template[atlas.surface.face_front, 1].min())

    def lit(rest: NDArray[Any]) -> NDArray[Any]:
        grey = np.where(rest[:, 1] > chin + 0.045, CHEEKS, np.where(rest[:, 1] > chin - 0.005, JAW, NECK))
        return grey[:, None] * np.array([1.0, 0.8, 0.7])

    view = studio.photograph(lit, pose={Joint.HEAD: (0.45, 0.0, 0.0)}, side=1200)
    texture = texture_person([with_face(view, whole_face(studio, view))], atlas, face=spline_of(studio), fast=True)
    corners = atlas.surface.faces[atlas.table.face]
    rest = atlas.interpolate(template.astype(np.float32), np.arange(len(atlas.table)))
    below = (rest[:, 1] < chin + 0.02) & (rest[:, 1] > chin - 0.01) & atlas.surface.face_front[corners].any(1)
    unseen = texture.source.reshape(-1)[atlas.table.pixel] != Label.SEEN
    red = texture.image.reshape(-1, 3)[atlas.table.pixel, 0]
    assert (below & unseen).sum() > 50
    assert np.quantile(red[below & unseen], 0.95) < JAW + 12  # a few texels belong to the inside of the mouth
