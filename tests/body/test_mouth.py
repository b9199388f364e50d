"""Teeth, tongue and lashes of the open body: where they are seen, and what they follow."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from uvatar.body import BodyError, BodyModel, load_open_body
from uvatar.body.mouth import Mouth
from uvatar.data.arrays import Floats
from uvatar.data.fit import BodyParameters
from uvatar.geometry.raster import RayScene
from uvatar.protocol.expressions import EXPRESSIONS, VISEMES
from uvatar.protocol.parts import Part, PartKeys, part_entry, parts_of, triangles_of
from uvatar.runtime.weights import weights_folder

AROUND = [(0, 0.32, 1.2), (0.5, 0.32, 1.1), (-0.5, 0.32, 1.1), (0, 0.6, 1.1), (0, 0.05, 1.1), (1.0, 0.32, 0.7)]
OPENING = {
    "jawForward", "jawOpen", "mouthFunnel", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthShrugUpper",
    "mouthUpperUpLeft", "mouthUpperUpRight",
}  # fmt: skip
FEW = 3  # vertices of more than a thousand, seen from one of six directions through a corner of the mouth


def mouth_of(body: BodyModel) -> Mouth:
    assert body.data.mouth is not None
    return body.data.mouth


def nothing(body: BodyModel) -> NDArray[np.float32]:
    return np.zeros_like(body.data.v_template)


def part(body: BodyModel, name: str, betas: Floats | None = None, offsets: Floats | None = None) -> Part:
    betas = np.zeros(10) if betas is None else betas
    parts = body.parts(betas, nothing(body) if offsets is None else np.asarray(offsets, np.float32))
    return next(one for one in parts if one.name == name)


def skin(body: BodyModel, betas: Floats, expression: dict[str, float]) -> NDArray[np.float32]:
    """The body's rest vertices with an expression."""
    data = body.data
    assert data.face is not None
    weights = np.array([expression.get(name, 0.0) for name in EXPRESSIONS])
    closed = body.with_closed_lips(betas, nothing(body))
    moved = data.face.movement(weights, len(closed))
    return np.asarray(data.v_template + data.shapedirs @ betas + closed + moved, np.float32)


def seen_teeth(body: BodyModel, betas: Floats, expression: dict[str, float]) -> int:
    """How many vertices of the teeth are seen from any side."""
    scene = RayScene(skin(body, betas, expression), body.data.faces)
    teeth = part(body, "Teeth", betas, body.with_closed_lips(betas, nothing(body)))
    points = (teeth.vertices + teeth.moved(expression)).astype(np.float32)
    up = body.data.shapedirs[mouth_of(body).lips].mean(0)[1] @ betas
    seen = np.zeros(len(points), bool)
    for eye in AROUND:
        seen |= scene.visible_from(points, np.array(eye) + (0, up, 0), bias=1e-4)
    return int(seen.sum())


def bodies() -> list[NDArray[np.float64]]:
    random = np.random.default_rng(0)
    short = np.zeros(10)
    short[0] = -4
    return [np.zeros(10), short, *random.normal(0, 1.2, (6, 10))]


def test_parts_are_as_results_must_be(body: BodyModel) -> None:
    parts = body.parts(np.zeros(10), nothing(body))
    back = parts_of({"parts": [part_entry(one) for one in parts]}, 55, 10)
    assert [one.name for one in back] == ["Teeth", "Tongue", "Lashes"]
    assert len(part(body, "Teeth").vertices) < 1300
    for one in parts:
        with Image.open(io.BytesIO(one.texture)) as picture:
            assert picture.mode == ("RGBA" if one.name == "Lashes" else "RGB")
        assert one.keys is not None


def test_surfaces_face_outward(body: BodyModel) -> None:
    for name in ("Teeth", "Tongue"):
        one = part(body, name)
        corners = one.vertices[triangles_of(one.faces)].astype(float)
        if name == "Teeth":  # the crowns alone, which are closed
            corners = corners[(one.uv[triangles_of(one.face_uv)][:, :, 0] < 0.5).all(1)]  # type: ignore[index, arg-type]
        middle = corners.mean((0, 1))
        volume = np.einsum("ij,ij->i", corners[:, 0] - middle, np.cross(corners[:, 1] - middle, corners[:, 2] - middle))
        assert volume.sum() > 0, name


@pytest.mark.parametrize("number", range(8))
def test_closed_lips_hide_the_teeth(body: BodyModel, number: int) -> None:
    assert seen_teeth(body, bodies()[number], {}) <= FEW


def test_only_what_opens_the_mouth_shows_the_teeth(body: BodyModel) -> None:
    seen = {name: seen_teeth(body, np.zeros(10), {name: 1.0}) for name in EXPRESSIONS if name not in OPENING}
    assert {name: count for name, count in seen.items() if count > FEW} == {}
    assert seen_teeth(body, np.zeros(10), dict(VISEMES["viseme_PP"])) <= FEW
    for viseme in ("viseme_aa", "viseme_E", "viseme_SS"):
        assert seen_teeth(body, np.zeros(10), dict(VISEMES[viseme])) > 30, viseme


def test_the_open_jaw_takes_the_lower_teeth_and_the_tongue(body: BodyModel) -> None:
    teeth, tongue = part(body, "Teeth"), part(body, "Tongue")
    moved = teeth.moved({"jawOpen": 1.0})
    upper = teeth.skin_joints[:, 0] == 15
    assert not moved[upper].any()
    front = ~upper & (teeth.vertices[:, 2] > 0.19)
    assert -0.036 < moved[front, 1].mean() < -0.02
    assert tongue.moved({"jawOpen": 1.0})[:, 1].min() < -0.015
    out = tongue.vertices + tongue.moved({"jawOpen": 0.4, "tongueOut": 1.0})
    assert out[:, 2].max() > teeth.vertices[:, 2].max() + 0.006


def test_lashes_stay_on_the_lids(body: BodyModel) -> None:
    lashes = part(body, "Lashes")
    assert lashes.uv is not None
    root = np.isclose(lashes.uv[:, 1] % 0.5, 0.01, atol=1e-3)
    for blink in (0.0, 0.5, 1.0):
        expression = {"eyeBlinkLeft": blink, "eyeBlinkRight": blink}
        vertices = skin(body, np.zeros(10), expression)
        roots = (lashes.vertices + lashes.moved(expression))[root]
        near = np.linalg.norm(roots[:, None] - vertices[None, vertices[:, 1] > 0.34], axis=2).min(1)
        assert near.max() < 0.004, blink


def test_parts_follow_the_shape_of_the_body(body: BodyModel) -> None:
    random = np.random.default_rng(5)
    betas, step = random.normal(0, 1, 10), random.normal(0, 0.3, 10)
    for name in ("Teeth", "Tongue", "Lashes"):
        one, other = part(body, name, betas), part(body, name, betas + step)
        assert one.shapedirs is not None
        moved = one.vertices + one.shapedirs @ step
        apart = other.vertices - moved
        np.testing.assert_allclose(apart - apart.mean(0), 0, atol=2e-6)  # but for what keeps teeth behind the lips
        assert np.abs(apart).max() < 2e-3
    child = np.zeros(10)
    child[0] = -4
    assert np.ptp(part(body, "Teeth", child).vertices[:, 0]) < 0.97 * np.ptp(part(body, "Teeth").vertices[:, 0])


def test_parts_follow_whatever_moves_the_face(body: BodyModel) -> None:
    head = nothing(body)
    head[:] = (0.002, -0.004, 0.003)
    for name in ("Teeth", "Tongue", "Lashes"):
        moved = part(body, name, offsets=head).vertices - part(body, name).vertices
        np.testing.assert_allclose(moved, head[: len(moved)], atol=1e-5)


def test_teeth_give_way_to_the_lips(body: BodyModel) -> None:
    pressed = nothing(body)
    lips = mouth_of(body).lips
    pressed[lips, 2] = -0.003
    foremost = [part(body, "Teeth", offsets=offsets).vertices[:, 2].max() for offsets in (pressed, nothing(body))]
    assert foremost[0] < foremost[1] - 0.0018


def test_lips_close_a_little_and_open_mouths_stay_open(body: BodyModel) -> None:
    data = body.data
    closed = body.with_closed_lips(np.zeros(10), nothing(body))
    assert 0.0003 < np.abs(closed).max() < 0.0015
    np.testing.assert_allclose(closed[data.mirror] * (-1, 1, 1), closed, atol=2e-4)
    assert data.face is not None
    wide = data.face.movement(np.eye(52)[EXPRESSIONS.index("jawOpen")] * 0.5, len(closed))
    middle = np.abs(data.v_template[:, 0]) < 0.012
    np.testing.assert_array_equal(body.with_closed_lips(np.zeros(10), wide)[middle], wide[middle])


def test_parts_are_posed_as_the_body_is(body: BodyModel) -> None:
    random = np.random.default_rng(2)
    data, betas = body.data, random.normal(0, 1, 10)
    assert data.rig is not None and data.face is not None
    rows = mouth_of(body).lips
    joints = np.argsort(-data.rig.weights[rows], axis=1)[:, :4]
    vertices, deltas = data.face.key("jawOpen")
    own = np.flatnonzero(np.isin(vertices, rows))
    skin = Part(
        name="Lips",
        vertices=(data.v_template + data.shapedirs @ betas)[rows].astype(np.float32),
        faces=np.array([[0, 1, 2, -1]], np.int32),
        skin_joints=joints.astype(np.uint8),
        skin_weights=np.take_along_axis(data.rig.weights[rows], joints, 1),
        keys=PartKeys(("jawOpen",), np.array([0, len(own)]), np.searchsorted(rows, vertices[own]), deltas[own]),
    )
    parameters = BodyParameters(
        *(random.normal(0, 0.4, shape).astype(np.float32) for shape in ((10,), (3,), (23, 3), (3,))),
        jaw_pose=np.array([0.2, 0, 0], np.float32),
        expression=0.6 * np.eye(52, dtype=np.float32)[EXPRESSIONS.index("jawOpen")],
    )
    for known in (replace(parameters, betas=betas), replace(parameters, betas=betas, jaw_pose=None, expression=None)):
        expected = body.posed(known)[0][rows]
        np.testing.assert_allclose(body.posed_part(known, skin), expected, atol=2e-5)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    for name in ("open_body.npz", "open_mouth.npz"):
        (tmp_path / name).write_bytes((weights_folder() / name).read_bytes())
    assert load_open_body(tmp_path / "open_body.npz").data.mouth is not None
    (tmp_path / "open_mouth.npz").write_bytes(b"PK")
    with pytest.raises(BodyError, match=r"open_mouth\.npz is damaged"):
        load_open_body(tmp_path / "open_body.npz")
    (tmp_path / "open_mouth.npz").unlink()
    alone = load_open_body(tmp_path / "open_body.npz")
    assert alone.parts(np.zeros(10), nothing(alone)) == ()
