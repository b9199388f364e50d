"""A painted texture, completed: what is marked stays to the bit, the rest follows it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.atlases import atlas_of
from uvatar.body import BodyModel, load_open_body
from uvatar.data.labels import Label
from uvatar.data.texture import Texture
from uvatar.photos.encoding import encode_png
from uvatar.texturing.layout.atlas import Atlases, TexturingError
from uvatar.texturing.painted import complete_painted, read_painted

SIZE = 256


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_open_body(Path(__file__).resolve().parents[2] / "weights" / "open_body.npz")


@pytest.fixture(scope="module")
def painted(body: BodyModel) -> Texture:
    """A body in noise of one green, whose left arm and front of the trunk alone are marked."""
    table, surface = atlas_of(body, SIZE).table, atlas_of(body, SIZE).surface
    place = surface.template[surface.faces[table.face, 0]]
    marked = (place[:, 0] > 0.25) | ((place[:, 2] > 0.05) & (place[:, 1] < 0.2) & (place[:, 0] > -0.25))
    source = table.scatter(np.where(marked, Label.SEEN, Label.COMPLETED).astype(np.uint8))
    noise = np.random.default_rng(0).integers(-10, 10, (SIZE, SIZE, 3))
    image = np.where(source[..., None] == Label.SEEN, np.array([40, 160, 80]) + noise, 255).astype(np.uint8)
    return Texture(image, source)


def test_marked_texels_stay_and_the_others_follow_them(body: BodyModel, painted: Texture) -> None:
    done = complete_painted(painted, atlas_of(body, SIZE))
    marked = painted.source == Label.SEEN
    assert np.array_equal(done.image[marked], painted.image[marked])
    table, surface = atlas_of(body, SIZE).table, atlas_of(body, SIZE).surface
    right_arm = table.scatter(surface.template[surface.faces[table.face, 0], 0] < -0.3)
    assert np.abs(np.median(done.image[right_arm], axis=0) - (40, 160, 80)).max() < 12  # mirrored from the painted one
    assert (done.source[right_arm] == Label.MIRRORED).mean() > 0.8
    back = table.scatter(
        (surface.template[surface.faces[table.face, 0], 2] < -0.04) & (surface.eye[surface.faces[table.face, 0]] == 0)
    )
    assert np.abs(np.median(done.image[back], axis=0) - (40, 160, 80)).max() < 25  # and nothing of the white is left
    assert set(np.unique(done.source)) <= {Label.EMPTY, Label.SEEN, Label.MIRRORED, Label.COMPLETED}


def test_the_backends_result_is_what_the_add_on_reads(body: BodyModel, painted: Texture) -> None:
    from uvatar.engine.complete import complete_texture
    from uvatar_blender.core.any_result import parse_any
    from uvatar_blender.core.result import TextureResult

    pictures = [
        (f"avatar{suffix}.png", encode_png(picture))
        for suffix, picture in (("", painted.image), (" labels", painted.source))
    ]
    result = parse_any(complete_texture(pictures, Atlases(body)))
    assert isinstance(result, TextureResult) and result.name == "avatar.png" and result.body_model == "open_body"
    assert read_painted(result.texture_png, result.source_png).image.shape == (SIZE, SIZE, 3)
    (error,) = complete_texture(pictures[:1], Atlases(body))["errors"]
    assert "two or three pictures" in error["message"]


def test_what_differs_from_the_original_is_kept_too(body: BodyModel, painted: Texture) -> None:
    change, labels = painted.image.copy(), painted.source
    change[::2] = np.clip(change[::2], 1, None) - 1  # rounding
    other = np.argwhere(labels == Label.COMPLETED)
    rows, columns = other[: len(other) // 3].T
    change[rows, columns, 1] ^= 2
    change[0, 0] ^= 255
    assert labels[0, 0] == Label.EMPTY
    read = read_painted(encode_png(change), encode_png(labels), encode_png(painted.image))
    expected = labels.copy()
    expected[rows, columns] = Label.SEEN
    assert np.array_equal(read.source, expected) and np.array_equal(read.image, change)
    with pytest.raises(TexturingError, match="does not have the size"):
        read_painted(encode_png(change), encode_png(labels), encode_png(painted.image[:64, :64]))
    with pytest.raises(TexturingError, match="not PNG"):
        read_painted(encode_png(change), encode_png(labels), b"x")


def test_pngs_are_read_and_nonsense_is_refused(body: BodyModel, painted: Texture) -> None:
    read = read_painted(encode_png(painted.image), encode_png(painted.source))
    assert np.array_equal(read.image, painted.image) and np.array_equal(read.source, painted.source)
    with pytest.raises(TexturingError, match="not PNG"):
        read_painted(b"x", encode_png(painted.source))
    with pytest.raises(TexturingError, match="same size"):
        read_painted(encode_png(painted.image), encode_png(painted.source[:64, :64]))
    with pytest.raises(TexturingError, match="No part of the texture is marked"):
        complete_painted(Texture(painted.image, np.zeros_like(painted.source)), atlas_of(body, SIZE))
