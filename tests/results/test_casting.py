"""Pictures cast with few rays, against many rays through every pixel."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from uvatar.body import load_open_body
from uvatar.data.arrays import Floats
from uvatar.data.camera import Camera
from uvatar.geometry.mesh import unit, vertex_normals
from uvatar.geometry.raster import Fragments, RayScene
from uvatar.results.preview import casting

CAMERA = Camera(480.0, (110.0, 190.0), 220, 380)


@pytest.fixture(scope="module")
def person() -> tuple[RayScene, casting.Paint]:
    """A body three metres away, lit from the camera."""
    data = load_open_body().data
    vertices = data.v_template * np.array([1, -1, -1], np.float32) + np.array([0, 0, 3], np.float32)
    normals = vertex_normals(vertices, data.faces)

    def lit(fragments: Fragments) -> Floats:
        shade: Floats = np.abs(unit(fragments.interpolate(normals, data.faces))[..., 2:]) * np.array(
            [1, 0.8, 0.5], np.float32
        )
        return shade

    return RayScene(vertices, data.faces), lit


def cast_plainly(person: tuple[RayScene, casting.Paint], supersample: int) -> tuple[Floats, Floats]:
    """Everything painted, what is not on the mesh taken out, the mean of the samples in each pixel."""
    scene, paint = person
    fragments = scene.render(CAMERA.cropped((0, 0, CAMERA.width, CAMERA.height), supersample))
    face = np.maximum(fragments.face, 0)
    colour = np.where(fragments.mask[..., None], paint(Fragments(face, fragments.barycentric, fragments.depth)), 0)
    shape = CAMERA.height, supersample, CAMERA.width, supersample, -1
    coverage = fragments.mask.astype(np.float32)
    return colour.reshape(shape).mean((1, 3)), coverage.reshape(shape).mean((1, 3))[..., 0]


@pytest.mark.parametrize("supersample", [1, 2, 3])
@pytest.mark.parametrize("strip", [1_000_000, 5_000])
def test_only_the_mesh_is_painted_with_the_same_result(
    person: tuple[RayScene, casting.Paint], supersample: int, strip: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(casting, "STRIP_SAMPLES", strip)
    colour, coverage = casting.cast(person[0], CAMERA, supersample, person[1])
    plain_colour, plain_coverage = cast_plainly(person, supersample)
    assert 0.1 < coverage.mean() < 0.5
    assert_close(coverage, plain_coverage, 1e-6)
    assert_close(colour, plain_colour, 1e-5)


@pytest.mark.parametrize("strip", [1_000_000, 5_000])
def test_more_rays_at_edges_alone_look_the_same(
    person: tuple[RayScene, casting.Paint], strip: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(casting, "STRIP_SAMPLES", strip)
    colour, coverage = casting.cast(person[0], CAMERA, 2, person[1], smooth=True)
    plain_colour, plain_coverage = cast_plainly(person, 2)
    # The outline is the same but for what no ray through the middle of a pixel or of one beside it hits.
    assert (np.abs(coverage - plain_coverage) > 1e-6).mean() < 0.001
    on = plain_coverage > 0
    difference = np.abs(colour - plain_colour).max(-1)[on]
    assert np.percentile(difference, 99) < 0.03
    assert difference.mean() < 0.003


def assert_close(found: NDArray[np.float32], expected: Floats, within: float) -> None:
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() <= within
