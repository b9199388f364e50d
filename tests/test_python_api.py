"""What a script sees of Uvatar: imports, avatars as arrays and files, errors. The examples have tests of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import uvatar
from tests.blender_addon.sample import (
    encoded,
    gradient,
    joints,
    posed_vertices,
    rest_vertices,
    sample_result,
    with_body_once,
)
from uvatar.data.fit import BodyParameters
from uvatar.engine.engine import Engine
from uvatar.files.avatar import Avatar, avatars_of
from uvatar.files.given_photos import GivenPhoto, photo_files

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
QUICK = uvatar.Options(fast=True, texture_size=512)


@pytest.fixture(params=["schema 1", "schema 2"])
def avatar(request: pytest.FixtureRequest) -> Avatar:
    result = sample_result(people=2)
    return avatars_of(result if request.param == "schema 1" else with_body_once(result))[1]


def test_importing_the_package_imports_neither_torch_nor_numpy() -> None:
    words = "import sys, uvatar; print(sorted({'torch', 'numpy', 'cv2', 'zmq'} & set(sys.modules)), dir(uvatar))"
    said = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True).stdout
    assert said.startswith("[]") and all(name in said for name in uvatar.__all__)


def test_every_name_is_there_and_others_are_not() -> None:
    assert all(getattr(uvatar, name) is not None for name in uvatar.__all__)
    with pytest.raises(AttributeError, match="Enginee"):
        uvatar.Enginee  # noqa: B018


def test_vertices_and_joints_are_those_of_linear_blend_skinning(avatar: Avatar) -> None:
    person = avatar.person
    np.testing.assert_allclose(avatar.vertices("rest"), rest_vertices(person), atol=1e-5)
    np.testing.assert_allclose(avatar.vertices("photo"), posed_vertices(person), atol=1e-5)
    np.testing.assert_allclose(avatar.joints_in("rest"), joints(person), atol=1e-5)
    assert avatar.joints.shape == (24, 3) and avatar.faces.shape == avatar.face_uv.shape
    pelvis = joints(person)[0] + person["transl"]  # the first joint turns about itself
    np.testing.assert_allclose(avatar.joints[0], pelvis, atol=1e-5)
    with pytest.raises(ValueError, match="rest"):
        avatar.vertices("standing")  # type: ignore[arg-type]


def test_the_texture_is_an_array(avatar: Avatar) -> None:
    assert avatar.texture is not None and avatar.texture_source is not None
    np.testing.assert_array_equal(avatar.texture, gradient(64))
    assert (avatar.texture_source == 1).all()


def test_an_avatar_saves_itself_beside_the_others_of_its_photo(avatar: Avatar, tmp_path: Path) -> None:
    other = Avatar(avatar.result, 0)
    for one in (other, avatar, avatar):
        files = one.save(tmp_path, blender=False)
        assert files.folder == tmp_path / f"me_p{one.number}" and files.problem is None
    assert {path.name for path in tmp_path.iterdir()} == {"me_p0", "me_p1"}
    assert (tmp_path / "me_p1" / "texture.png").read_bytes() == avatar.person["texture_png"]


def test_photos_are_paths_bytes_or_bytes_with_a_name(tmp_path: Path) -> None:
    path, data = tmp_path / "a.png", encoded(gradient(8))
    path.write_bytes(data)
    assert photo_files(path) == photo_files(str(path)) == photo_files([path]) == [("a.png", data)]
    assert photo_files(("b.png", data)) == [("b.png", data)]
    assert photo_files([path, data, ("b.png", data)]) == [("a.png", data), ("photo-2", data), ("b.png", data)]
    with pytest.raises(uvatar.UvatarError):
        photo_files(tmp_path / "missing.png")


@pytest.fixture(scope="module")
def engine() -> Engine:
    return uvatar.Engine.load(threads=2)


def test_an_engine_makes_avatars_of_a_photo(engine: Engine) -> None:
    told: list[float] = []
    photo = SAMPLES / "portrait.jpg"
    (avatar,) = engine.reconstruct(photo, QUICK, progress=lambda stage, fraction, message: told.append(fraction))
    assert avatar.photo_name == "portrait.jpg" and 0 < avatar.confidence < 1
    assert told == sorted(told) and any(0.3 < fraction < 0.6 for fraction in told), "fitting reports its progress"
    assert avatar.texture is not None and avatar.texture.shape == (512, 512, 3)
    posed, _ = engine.body.posed(parameters_of(avatar), np.asarray(avatar.person["offsets"], np.float32))
    np.testing.assert_allclose(avatar.vertices("photo"), posed, atol=1e-4)


def parameters_of(avatar: Avatar) -> BodyParameters:
    return BodyParameters(avatar.betas, avatar.pose[0], avatar.pose[1:], avatar.transl, avatar.hand_pose)


def test_a_photo_that_cannot_be_used_is_an_error_or_is_told_of(engine: Engine) -> None:
    with pytest.raises(uvatar.UvatarError, match=r"broken.jpg") as raised:
        list(engine.reconstruct(("broken.jpg", b"nothing"), QUICK))
    assert raised.value.code == uvatar.Code.BAD_PHOTO
    failed: list[str] = []
    photos: list[GivenPhoto] = [("broken.jpg", b"nothing"), SAMPLES / "portrait.jpg"]
    avatars = list(engine.reconstruct(photos, QUICK, failed=lambda name, error: failed.append(name)))
    assert failed == ["broken.jpg"] and [avatar.photo_name for avatar in avatars] == ["portrait.jpg"]
    with pytest.raises(uvatar.UvatarError, match="texture_size"):
        list(engine.reconstruct(SAMPLES / "portrait.jpg", uvatar.Options(texture_size=3)))


def test_an_engine_without_its_weights_is_an_error_of_uvatar_s(tmp_path: Path) -> None:
    with pytest.raises(uvatar.UvatarError):
        uvatar.Engine.load(tmp_path)
