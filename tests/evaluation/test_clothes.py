"""People in clothes whose form is known: garments, hanging cloth, and what forms are compared by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from uvatar.body import BodyModel, load_open_body
from uvatar.clothing.limbs import limbs
from uvatar.data.arrays import Floats
from uvatar.data.camera import Camera
from uvatar.data.joints import HIP_JOINTS, Joint
from uvatar.evaluation.clothes import AVATAR, NAKED, WAYS, dressed_people, evaluate_clothes, summary
from uvatar.evaluation.draping import Cut, drape
from uvatar.evaluation.dressed_people import KINDS, OUTFITS
from uvatar.evaluation.forms import SIDES, Form, form_errors, outer_surface
from uvatar.evaluation.garments import carried, load_garments
from uvatar.evaluation.sampling import parameters_of
from uvatar.geometry.mesh import vertex_normals

CAMERA = Camera(400.0, (100.0, 100.0), 200, 200)
UP = np.array([0.0, -1.0, 0.0])


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_open_body()


def ball(radius: float, centre: tuple[float, float, float] = (0, 0, 3)) -> tuple[Floats, NDArray[np.int32]]:
    """A sphere of 40 x 80 quads."""
    down, round_ = np.meshgrid(np.linspace(0, np.pi, 41), np.linspace(0, 2 * np.pi, 80, endpoint=False), indexing="ij")
    points = np.stack([np.sin(down) * np.cos(round_), np.cos(down), np.sin(down) * np.sin(round_)], -1).reshape(-1, 3)
    row, column = (one.ravel() for one in np.meshgrid(np.arange(40), np.arange(80), indexing="ij"))
    a, b = row * 80 + column, row * 80 + (column + 1) % 80
    faces = np.concatenate([np.stack([a, b, b + 80], 1), np.stack([a, b + 80, a + 80], 1)])
    return radius * points + centre, faces.astype(np.int32)


def test_the_distance_of_two_balls_is_the_difference_of_their_radii() -> None:
    pelvis = np.array([0.0, 0.0, 3.0])
    small, large = (Form.of(*ball(radius), pelvis, CAMERA, UP) for radius in (0.3, 0.32))
    errors = form_errors(small, large)
    assert errors.to_surface == pytest.approx(2, abs=0.05)
    assert errors.chamfer == pytest.approx(2, abs=0.05)
    assert errors.normals > 0.99
    assert errors.iou == pytest.approx([(0.3 / 0.32) ** 2] * len(SIDES), abs=0.02)


def test_what_is_inside_does_not_count() -> None:
    (outside, faces), (inside, _) = ball(0.3), ball(0.2)
    both = np.concatenate([outside, inside]), np.concatenate([faces, faces + len(outside)])
    radius = np.linalg.norm(outer_surface(*both).points - (0, 0, 3), axis=1)
    assert radius.min() > 0.29


def test_garments_move_with_the_skin(body: BodyModel) -> None:
    garment = load_garments(body.data)["male_casualsuit03"]
    rest = carried(garment.attachment, body.data.v_template, body.data)
    assert np.abs(rest - garment.attachment.places).max() < 1e-3
    pose = np.zeros((24, 3))
    pose[0] = (0, 1.2, 0)
    turned, joints = body.posed(parameters_of(np.zeros(10), pose, np.zeros(3)))
    pelvis = body.data.joint_template[Joint.PELVIS]
    cosine, sine = np.cos(1.2), np.sin(1.2)
    turn = np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]])
    expected = (garment.attachment.places - pelvis) @ turn.T + joints[Joint.PELVIS]
    assert np.abs(carried(garment.attachment, turned, body.data) - expected).max() < 2e-3


@pytest.mark.parametrize("opening", [0.0, 0.2])
def test_cloth_hangs_round_the_legs_and_keeps_its_length(body: BodyModel, opening: float) -> None:
    data = body.data
    vertices = np.asarray(data.v_template, np.float64)
    trunk, normals = ~limbs(data)[0], np.asarray(vertex_normals(vertices, data.faces), np.float64)
    cut = Cut(0.05, 0.5, 0.012, 1.0, opening=opening, rows=20, columns=64)
    pelvis = np.asarray(data.joint_template[Joint.PELVIS], np.float64)
    cloth = drape(cut, vertices[trunk], normals[trunk], pelvis, np.array([0.0, 0.0, 1.0]), np.random.default_rng(0))
    rows = cloth.vertices.reshape(cut.rows, -1, 3)
    assert rows[0, :, 1] == pytest.approx(pelvis[1] + cut.top)
    lengths = np.linalg.norm(np.diff(rows, axis=0), axis=-1).sum(0)
    assert np.abs(lengths / cut.length - 1).max() < 0.04
    assert rows[-1, :, 1].max() < pelvis[1] + cut.top - 0.85 * cut.length
    hips = data.joint_template[HIP_JOINTS]
    assert rows[-1, :, 0].min() < hips[:, 0].min() and rows[-1, :, 0].max() > hips[:, 0].max()
    front = rows[0, np.abs(rows[0, :, 0] - pelvis[0]) < opening / 2 - 0.02]
    assert (front[:, 2] > pelvis[2]).sum() == (0 if opening else len(front[front[:, 2] > pelvis[2]]))


def test_held_out_outfits_share_nothing_with_the_others() -> None:
    for what in ("garment", "shoes", "hair", "cut"):
        tuning, final = ({getattr(outfit, what) for outfit in OUTFITS[split]} - {None} for split in ("tuning", "final"))
        assert not tuning & final, what
    for outfits in OUTFITS.values():
        assert {outfit.kind for outfit in outfits} == set(KINDS)


def test_people_can_be_drawn_again(body: BodyModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OUTFITS, "tuning", OUTFITS["tuning"][:1])
    first, second = (next(dressed_people(body, 1, 0, "tuning"))[0] for _ in range(2))
    assert np.array_equal(first.vertices, second.vertices) and np.array_equal(first.colours, second.colours)
    assert first.faces.max() == len(first.vertices) - 1


@pytest.mark.slow
def test_avatars_are_nearer_than_the_bare_body(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loose = [outfit for outfit in OUTFITS["tuning"] if outfit.kind == "loose"][:1]
    monkeypatch.setitem(OUTFITS, "tuning", loose)
    rows = evaluate_clothes(tmp_path, split="tuning")
    assert {row["way"] for row in rows} == set(WAYS)
    [avatar], [naked] = ([row for row in summary(rows) if row["way"] == way][:1] for way in (AVATAR, NAKED))
    assert float(avatar["to surface cm"]) < 0.7 * float(naked["to surface cm"])
    assert float(avatar["IoU 0"]) > 0.95
    assert (tmp_path / "table.csv").is_file() and list(tmp_path.glob("*.jpg"))
