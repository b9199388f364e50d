"""What animators rely on in the open body's expressions."""

from __future__ import annotations

import numpy as np
import pytest

from uvatar.body import BODY, BodyModel
from uvatar.body.face import Face
from uvatar.data.arrays import Floats
from uvatar.geometry.mesh import face_normals
from uvatar.protocol.expressions import EXPRESSIONS, MOODS, VISEMES, mirrored_expression


def face_of(body: BodyModel) -> Face:
    assert body.data.face is not None
    return body.data.face


def movement(body: BodyModel, **weights: float) -> Floats:
    values = np.array([weights.get(name, 0.0) for name in EXPRESSIONS])
    return face_of(body).movement(values, len(body.data.v_template))


def opening(body: BodyModel, **weights: float) -> float:
    """How far the lips are apart on the mid-line, metres."""
    vertices = body.data.v_template + movement(body, **weights)
    lower, upper = lips(body)
    return float(vertices[upper, 1] - vertices[lower, 1])


def lips(body: BodyModel) -> tuple[int, int]:
    """The vertices of lower and upper lip that touch on the mid-line: what the jaw moves most, and what it leaves."""
    rest = body.data.v_template
    down = movement(body, jawOpen=1.0)[:, 1]
    front = np.flatnonzero((np.abs(rest[:, 0]) < 1e-4) & (rest[:, 2] > rest[body.data.part != BODY, 2].max() - 0.002))
    falling = front[down[front] < -0.02]
    resting = front[(down[front] > -0.006) & (rest[front, 1] < rest[body.data.part != BODY, 1].min() - 0.03)]
    lower = falling[np.argmax(rest[falling, 1])]
    return int(lower), int(resting[np.argmin(np.abs(rest[resting, 1] - rest[lower, 1]))])


def test_keys_have_arkits_names() -> None:
    assert len(EXPRESSIONS) == len(set(EXPRESSIONS)) == 52
    assert {"jawOpen", "eyeBlinkLeft", "mouthSmileRight", "browInnerUp", "tongueOut", "mouthClose"} <= set(EXPRESSIONS)


def test_every_key_but_the_tongue_moves_the_face(body: BodyModel) -> None:
    head = body.data.weights[:, [12, 15]].sum(1) > 0
    for name in EXPRESSIONS:
        vertices, deltas = face_of(body).key(name)
        reach = np.linalg.norm(deltas, axis=1).max(initial=0)
        assert name == "tongueOut" or 0.0005 < reach < 0.05, name
        assert head[vertices].all()


def test_keys_mirror_each_other(body: BodyModel) -> None:
    for name in EXPRESSIONS:
        one, other = movement(body, **{name: 1.0}), movement(body, **{mirrored_expression(name): 1.0})
        np.testing.assert_allclose(one[body.data.mirror] * [-1, 1, 1], other, atol=2e-5)
    left = movement(body, mouthSmileLeft=1.0)
    assert body.data.v_template[np.linalg.norm(left, axis=1) > 0.01, 0].mean() > 0.01  # the person's own left


def test_eyes_do_not_move(body: BodyModel) -> None:
    for name in EXPRESSIONS:
        assert (body.data.part[face_of(body).key(name)[0]] == BODY).all()


@pytest.mark.parametrize("betas", [np.zeros(10), np.eye(10)[0] * -3 + np.eye(10)[3] * -3.3], ids=["adult", "child"])
def test_no_face_flips(body: BodyModel, betas: Floats) -> None:
    data = body.data
    rest = data.v_template + data.shapedirs @ betas
    before = face_normals(rest, data.faces)
    for name in EXPRESSIONS:
        if name in ("mouthClose", "mouthRollLower", "mouthRollUpper", "tongueOut"):  # they fold the lips; no tongue
            continue
        moved, _ = face_of(body).key(name)
        own = np.isin(data.faces, moved).any(1)
        after = face_normals(rest + movement(body, **{name: 1.0}), data.faces)
        turned = (before * after).sum(1)[own]
        assert (turned > -0.5).all(), name
        assert (turned < 0).mean() < 0.04, name


def test_eyes_close(body: BodyModel) -> None:
    """Rays from the front hit lids, not eyeballs."""
    from uvatar.data.camera import Camera
    from uvatar.geometry.raster import rasterize

    def eye_pixels(**weights: float) -> int:
        vertices = (body.data.v_template + movement(body, **weights)) * (1, -1, -1) + (0, 0.37, 1)
        seen = rasterize(vertices, body.data.faces, Camera(1500.0, (150.0, 150.0), 300, 300))
        corners = body.data.faces[seen.face[seen.mask]]
        return int((body.data.part[corners[:, 0]] != BODY).sum())

    assert eye_pixels() > 300
    assert eye_pixels(eyeBlinkLeft=1.0, eyeBlinkRight=1.0) == 0


def test_mouth_closes_an_open_jaw(body: BodyModel) -> None:
    rest, opened = opening(body), opening(body, jawOpen=1.0)
    assert opened > rest + 0.02
    assert opening(body, jawOpen=1.0, mouthClose=1.0) < rest + 0.004


def test_presets_are_made_of_keys() -> None:
    assert len(VISEMES) == 15
    assert {"neutral", "happy", "sad", "angry", "surprised"} <= set(MOODS)
    for preset in (*VISEMES.values(), *MOODS.values()):
        assert set(preset) <= set(EXPRESSIONS)
        assert all(0 < weight <= 1 for weight in preset.values())


def test_expression_is_posed_with_the_body(body: BodyModel) -> None:
    from tests.body.test_rig import at_rest

    smile = np.zeros(52)
    smile[EXPRESSIONS.index("mouthSmileLeft")] = 0.7
    posed, _ = body.posed(at_rest(expression=smile, transl=(0, 0, 2)))
    expected = body.data.v_template + movement(body, mouthSmileLeft=0.7) + (0, 0, 2)
    np.testing.assert_allclose(posed, expected, atol=1e-5)
