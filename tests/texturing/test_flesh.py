"""The inside of the mouth is flesh, whatever the photo's skin is painted with."""

from __future__ import annotations

import numpy as np

from tests.atlases import atlas_of
from tests.texturing.conftest import Studio
from uvatar.data.labels import Label
from uvatar.data.texture import Texture
from uvatar.texturing.painted import complete_painted
from uvatar.texturing.seen.flesh import mouth_depth, paint_flesh

SIZE = 256


def test_the_mouth_is_dark_red_inside_and_darker_towards_the_throat(studio: Studio) -> None:
    atlas = atlas_of(studio.body, SIZE)
    depth = mouth_depth(atlas)
    colours = np.full((len(atlas.table), 3), 0.5, np.float32)
    source = np.full(len(colours), Label.SEEN, np.uint8)
    paint_flesh(colours, source, np.array([0.5, 0.35, 0.3], np.float32), atlas)
    outside, inside, throat = depth == 0, depth > 0.01, depth > 0.06
    assert outside.mean() > 0.95 and throat.sum() > 20
    np.testing.assert_array_equal(colours[outside], 0.5)
    assert (source[outside] == Label.SEEN).all() and (source[inside] == Label.COMPLETED).all()
    assert (colours[inside, 0] > 2.5 * colours[inside, 1]).all()
    assert 0 < colours[throat].mean() < 0.6 * colours[inside & (depth < 0.02)].mean()


def test_completing_a_painted_texture_leaves_the_flesh(studio: Studio) -> None:
    atlas = atlas_of(studio.body, SIZE)
    table, depth = atlas.table, mouth_depth(atlas)
    colours = np.full((len(table), 3), 0.5, np.float32)
    source = np.where(np.arange(len(table)) % 2, Label.SEEN, Label.COMPLETED).astype(np.uint8)
    paint_flesh(colours, source, np.array([0.5, 0.35, 0.3], np.float32), atlas)
    image = table.picture((colours * 255).astype(np.uint8))
    done = complete_painted(Texture(image, table.scatter(source)), atlas)
    deep = table.scatter(depth > 0.01)
    np.testing.assert_array_equal(done.image[deep], image[deep])
