"""Synthetic people: the same from the same seed, labelled as they are seen, dressed, and apart from the
held-out ones.
"""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from uvatar.body import BodyModel
from uvatar.data.parsing import ParseClass
from uvatar.geometry.mesh import vertex_normals
from uvatar.geometry.raster import rasterize
from uvatar_training.data.problems import DataError
from uvatar_training.data.sample import Sample
from uvatar_training.data.shards import open_shards
from uvatar_training.synthesis.anatomy import Canvas
from uvatar_training.synthesis.bank import mirrored
from uvatar_training.synthesis.cycles import Cycles
from uvatar_training.synthesis.dressing import Dressed, dress
from uvatar_training.synthesis.environments import environment_from, hdri_files, procedural_environment
from uvatar_training.synthesis.order import SynthesisOrder
from uvatar_training.synthesis.outfits import paint_over, random_outfit
from uvatar_training.synthesis.poses import SEEDS, PoseSource
from uvatar_training.synthesis.rendering import Rasteriser
from uvatar_training.synthesis.scenes import Cast, Scene, draw_scene
from uvatar_training.synthesis.synthesize import synthesize
from uvatar_training.synthesis.wardrobe import Wardrobe, open_wardrobe


@pytest.fixture(scope="module")
def canvas(body: BodyModel) -> Canvas:
    return Canvas.of(body.data, 64)


@pytest.fixture(scope="module")
def samples(shards: Path) -> list[Sample]:
    found = open_shards(shards)
    return [found.read(k) for k in range(len(found))]


def test_the_same_seed_makes_the_same_files_and_a_stopped_run_goes_on(tmp_path: Path) -> None:
    orders = [SynthesisOrder(tmp_path / name, 4, seed=9, side=64, texture=64, per_shard=2) for name in ("a", "b", "c")]
    for order in orders[:2]:
        assert synthesize(order) == 4
    files = [sorted((tmp_path / name).glob("*.tar")) for name in ("a", "b")]
    assert [path.name for path in files[0]] == ["train-9-00000.tar", "train-9-00001.tar"]
    assert [path.read_bytes() for path in files[0]] == [path.read_bytes() for path in files[1]]
    before = files[1][1].stat().st_mtime_ns
    wanted = files[1][0].read_bytes()
    files[1][0].unlink()
    told: list[int] = []
    synthesize(orders[1], progress=told.append)
    assert files[1][0].read_bytes() == wanted and files[1][1].stat().st_mtime_ns == before and told == [2, 2]
    other = replace(orders[2], seed=10, count=2)
    synthesize(other)
    assert next(other.out.glob("*.tar")).read_bytes() != wanted


def test_labels_are_what_the_picture_shows(samples: list[Sample], body: BodyModel) -> None:
    normals = vertex_normals(body.data.v_template, body.data.faces)
    free = 0
    for sample in samples:
        for number, person in enumerate(sample.people):
            assert person.stand_off is not None
            vertices, joints = body.posed(person.parameters, person.stand_off[:, None] * normals)
            np.testing.assert_allclose(joints, person.joints, atol=2e-3)
            np.testing.assert_allclose(sample.camera.project(person.joints), person.joints_2d, atol=0.01)
            inside = (person.joints_2d >= 0).all(1) & (
                person.joints_2d < [sample.camera.width, sample.camera.height]
            ).all(1)
            assert (inside | ~person.visible).all()
            mask, drawn = sample.mask == number + 1, rasterize(vertices, body.data.faces, sample.camera).mask
            # Less where something stands before the person, never more; and somebody stands free.
            assert (mask & ~drawn).sum() < 0.03 * drawn.sum()
            free += bool((drawn & ~mask).sum() < 0.03 * drawn.sum())
    assert free


def test_everybody_is_dressed_in_both_renderings_of_the_garments(canvas: Canvas) -> None:
    hips = (np.abs(canvas.texels.rest[:, 1] + 0.32) < 0.03) & (canvas.texels.arm < 0.3)
    for number in range(24):
        group = ("male", "female", "child")[number % 3]
        garments = random_outfit(np.random.default_rng(number), group, held_out=number % 2 == 0)
        bare = np.full((len(canvas.texels), 3), -1, np.float32)
        painted = paint_over(canvas.texels, bare.copy(), garments)
        assert (painted[hips] >= 0).all(), [garment.name for garment in garments]
        dressed = dress(canvas, group, Wardrobe({}), np.random.default_rng(number))
        assert dressed.texture.shape == (64, 64, 3) and dressed.texture.std() > 8
        assert (dressed.stand_off >= 0).all() and 0.002 < dressed.stand_off.max() < 0.09


def test_mirrored_poses_are_mirror_images(body: BodyModel) -> None:
    rng = np.random.default_rng(0)
    poses = np.stack([PoseSource().draw(rng).pose for _ in range(8)])
    np.testing.assert_allclose(mirrored(mirrored(poses)), poses)
    one, other = (body(np.zeros((8, 10)), p).vertices for p in (poses, mirrored(poses)))
    np.testing.assert_allclose(other[:, body.data.mirror], one * [-1, 1, 1], atol=0.004)


def test_poses_sit_kneel_lie_and_stand(body: BodyModel) -> None:
    rng = np.random.default_rng(1)
    source = PoseSource()
    drawn = [source.draw(rng) for _ in range(300)]
    assert {posed.support for posed in drawn} == {"feet", "chair", "floor"}
    assert set(SEEDS) <= {posed.kind for posed in drawn} | set(SEEDS)
    for posed in drawn:
        joints = body.joints(np.zeros((1, 10)), posed.pose[None])[0]
        trunk = joints[12] - joints[0]
        if posed.kind == "lying":
            assert abs(trunk[1]) < 0.6 * np.linalg.norm(trunk)
        if posed.support == "chair":
            thighs = joints[[4, 5]] - joints[[1, 2]]
            assert (thighs[:, 1] > -0.75 * np.linalg.norm(thighs, axis=1)).all() and trunk[1] > 0.3


def bank(path: Path, count: int = 2000) -> None:
    """A bank whose poses say their number: joint 23's first angle, which nothing changes but small noise."""
    poses = np.zeros((count, 24, 3))
    poses[:, 22, 0] = poses[:, 23, 0] = np.arange(count)
    np.savez(path, aa=poses)


def test_held_out_people_share_no_pose_garment_background_or_body(tmp_path: Path, samples: list[Sample]) -> None:
    bank(tmp_path / "bank.npz")
    numbers = {}
    for held_out in (False, True):
        source, rng = PoseSource(tmp_path / "bank.npz", held_out), np.random.default_rng(0)
        drawn = [source.draw(rng) for _ in range(600)]
        numbers[held_out] = {round(posed.pose[23, 0]) for posed in drawn if posed.kind == "bank"}
    assert len(numbers[True]) > 50 and not numbers[True] & numbers[False]
    # And no near neighbours either: a clip's poses lie side by side.
    assert min(abs(a - b) for a in numbers[True] for b in numbers[False]) >= 20

    wardrobe = tmp_path / "wardrobe"
    (wardrobe / "labels").mkdir(parents=True)
    for kind in ("outfit_male", "outfit_female", "shoes_any", "skin_male"):
        for number in range(7):
            cv2.imwrite(str(wardrobe / f"{kind}_{number}.png"), np.full((8, 8, 4), 20 * number, np.uint8))
            if kind.startswith("outfit"):
                labels = np.full((8, 8), ParseClass.UPPER, np.uint8)
                cv2.imwrite(str(wardrobe / "labels" / f"{kind}_{number}.png"), labels)
    names = [
        {layer.name for layers in open_wardrobe(wardrobe, 8, split).layers.values() for layer in layers}
        for split in (False, True)
    ]
    assert len(names[0]) + len(names[1]) == 28 and not names[0] & names[1] and len(names[1]) >= 4

    bodies = [
        {tuple(person.betas) for sample in samples if sample.split == split for person in sample.people}
        for split in ("train", "held_out")
    ]
    assert bodies[0] and bodies[1] and not bodies[0] & bodies[1]
    if importlib.util.find_spec("bpy"):
        worlds = [{path.name for path in hdri_files(None, split)} for split in (False, True)]
        assert len(worlds[0]) == 6 and len(worlds[1]) == 2 and not worlds[0] & worlds[1]


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ({"poses": "none.npz"}, r"none\.npz: there is no such pose bank"),
        ({"poses": "bad.npz"}, r"bad\.npz: is not a pose bank"),
        ({"wardrobe": "nothing"}, "nothing: there is no such wardrobe"),
        ({"wardrobe": "empty"}, "empty: holds no layers"),
        ({"hdris": "empty"}, "empty: holds no panoramas"),
        ({"split": "test"}, "no split 'test'"),
    ],
)
def test_bad_inputs_are_named(what: dict[str, Any], message: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.npz").write_bytes(b"nothing")
    changes = {name: value if name == "split" else tmp_path / value for name, value in what.items()}
    with pytest.raises(DataError, match=message):
        synthesize(SynthesisOrder(tmp_path / "out", 1, side=64, texture=64, **changes))


def test_an_even_panorama_lights_evenly_and_a_lamp_is_found() -> None:
    rng = np.random.default_rng(0)
    even = environment_from(np.full((64, 128, 3), 0.5, np.float32), "even", rng)
    normals = rng.normal(size=(50, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    np.testing.assert_allclose(even.irradiance(normals), 0.32, rtol=0.02)
    panorama = np.full((64, 128, 3), 0.2, np.float32)
    panorama[14:18, 40:44] = 300.0
    lamp = environment_from(panorama, "lamp", rng)
    brightest = lamp.seen(normals).mean(1)
    seen = lamp.seen(lamp.key[None])
    assert seen.mean() > 5 * np.median(brightest)  # looking towards the key light is looking at the lamp
    assert lamp.key[1] == pytest.approx(np.cos(np.pi * 16 / 64), abs=0.05)


def _scene(body: BodyModel, canvas: Canvas, seed: int, black: bool = False) -> Scene:
    def looks(rng: np.random.Generator) -> tuple[int, str, Dressed]:
        dressed = dress(canvas, "female", Wardrobe({}), rng)
        return 0, "female", replace(dressed, texture=np.zeros_like(dressed.texture)) if black else dressed

    cast = Cast(body, PoseSource(), looks, procedural_environment, 128)
    return draw_scene("scene", cast, np.random.default_rng(seed))


def test_people_and_what_is_before_them_hide_each_other_by_depth(body: BodyModel, canvas: Canvas) -> None:
    scene = _scene(body, canvas, 3)
    picture = Rasteriser().render([scene], body.data)[0]
    depth = np.full(picture.people.shape, np.inf)
    expected = np.zeros(picture.people.shape, np.uint8)
    # What is worn is its wearer's, what is carried nobody's.
    worn = [0 if p.label == ParseClass.CARRIED else p.wearer + 1 for p in scene.props]
    owners = [*range(1, len(scene.figures) + 1), *worn]
    meshes = [(f.vertices, body.data.faces) for f in scene.figures] + [(p.vertices, p.faces) for p in scene.props]
    for owner, (vertices, faces) in zip(owners, meshes, strict=True):
        seen = rasterize(vertices, faces, scene.camera)
        nearer = seen.mask & (seen.depth < depth)
        depth[nearer] = seen.depth[nearer]
        expected[nearer] = owner
    assert (picture.people != expected).mean() < 0.002
    assert picture.image.shape == (scene.camera.height, scene.camera.width, 3)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_cycles_sees_people_where_the_fast_renderer_does(body: BodyModel, canvas: Canvas) -> None:
    pytest.importorskip("bpy")
    scene = _scene(body, canvas, 5, black=True)
    even = environment_from(np.full((16, 32, 3), 0.5, np.float32), "even", np.random.default_rng(0))
    scene = replace(scene, environment=even, floor_colour=np.full(3, 0.9, np.float32), props=())
    scene = replace(scene, sensor=replace(scene.sensor, exposure=0.7, noise=0.0, vignette=0.0, warmth=0.0))
    picture = Cycles(samples=8).render([scene], body.data)[0]
    people = picture.people > 0
    level = picture.image.mean(2)
    dark = level < (level[people].mean() + np.median(level[~people])) / 2
    assert people.sum() > 500 and (dark & people).sum() / (dark | people).sum() > 0.85
