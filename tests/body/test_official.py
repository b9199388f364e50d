"""Official SMPL files, in files of that format that these tests write themselves; and files that only pretend."""

from __future__ import annotations

import io
import os
import pickle
import pickletools
import sys
import types
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import sparse

from uvatar.body import BodyError, BodyModel, load_smpl
from uvatar.body.safe_pickle import PickleRefused, _Container, as_array, load_pickle
from uvatar.body.torch_body import TorchBody
from uvatar.data.joints import PARENTS

from .reference import pose_body

VERTICES, FACES = 6890, 13776


class Ch:
    """Pickles under the name of chumpy's variable."""

    def __init__(self, x: NDArray[Any]) -> None:
        self.x = x


class Select:
    """Pickles under the name of chumpy's selection of another variable's elements."""

    def __init__(self, a: Ch, idxs: NDArray[Any], preferred_shape: tuple[int, ...]) -> None:
        self.a, self.idxs, self.preferred_shape = a, idxs, preferred_shape


@pytest.fixture
def chumpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package's names, only while the tests write files."""
    for module, cls in (("chumpy.ch", Ch), ("chumpy.reordering", Select)):
        fake = types.ModuleType(module)
        setattr(fake, cls.__name__, cls)
        monkeypatch.setitem(sys.modules, module, fake)
        monkeypatch.setattr(cls, "__module__", module)
    monkeypatch.setitem(sys.modules, "chumpy", types.ModuleType("chumpy"))


@pytest.fixture(scope="module")
def content() -> dict[str, Any]:
    """Arrays of an SMPL file's shapes with random numbers in them."""
    rng = np.random.default_rng(0)
    regressor = np.zeros((24, VERTICES))
    for row in regressor:
        row[rng.integers(0, VERTICES, 20)] = 0.05
    regressor /= regressor.sum(1, keepdims=True)
    weights = rng.random((VERTICES, 24)) ** 8
    return {
        "v_template": rng.normal(size=(VERTICES, 3)),
        "shapedirs": rng.normal(size=(VERTICES, 3, 300)) * 0.01,
        "posedirs": rng.normal(size=(VERTICES, 3, 207)) * 0.01,
        "J_regressor": sparse.csc_matrix(regressor),
        "weights": weights / weights.sum(1, keepdims=True),
        "f": (rng.integers(0, VERTICES, (FACES, 1)) + rng.integers(1, 1000, (FACES, 3)).cumsum(1)).astype(np.uint32)
        % VERTICES,
        "kintree_table": np.stack([np.array(PARENTS) % 2**32, np.arange(24)]).astype(np.uint32),
        "bs_style": "lbs",
        "bs_type": "lrotmin",
    }


@pytest.fixture
def official(content: dict[str, Any], chumpy: None, tmp_path: Path) -> Path:
    """A pickle such as the official ones, with chumpy variables and a scipy matrix, protocol 2."""
    stored = dict(content)
    stored["v_template"], stored["posedirs"] = Ch(content["v_template"]), Ch(np.asfortranarray(content["posedirs"]))
    indices = np.arange(content["shapedirs"].size).reshape(content["shapedirs"].shape)[:, :, :10]
    stored["shapedirs"] = Select(Ch(content["shapedirs"]), indices.ravel(), indices.shape)
    path = tmp_path / "basicModel_f_lbs_10_207_0_v1.0.0.pkl"
    path.write_bytes(pickle.dumps(stored, protocol=2))
    assert any(argument == "chumpy.ch Ch" for _, argument, _ in pickletools.genops(path.read_bytes()))
    return path


def check(body: BodyModel, content: dict[str, Any]) -> None:
    data = body.data
    assert np.allclose(data.v_template, content["v_template"], atol=1e-6)
    assert np.allclose(data.shapedirs, content["shapedirs"][:, :, :10], atol=1e-6)
    assert data.posedirs is not None
    assert np.allclose(data.posedirs, content["posedirs"], atol=1e-6)
    assert abs(data.J_regressor - content["J_regressor"]).max() < 1e-6
    assert np.array_equal(data.faces, content["f"])
    assert data.quads is None
    assert not data.has_uv


def test_loads_a_pickle_with_chumpy_inside(
    official: Path, content: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("chumpy", "chumpy.ch", "chumpy.reordering"):
        monkeypatch.setitem(sys.modules, name, None)  # importing it now fails
    body = load_smpl(official)
    assert body.data.name == "smpl-female"
    check(body, content)


@pytest.mark.parametrize(("file", "name"), [("SMPL_MALE.npz", "smpl-male"), ("SMPL_NEUTRAL.npz", "smpl-neutral")])
def test_loads_an_npz_with_a_sparse_matrix_inside(
    file: str, name: str, content: dict[str, Any], tmp_path: Path
) -> None:
    np.savez(tmp_path / file, **content)  # the sparse matrix becomes a pickled array of objects
    body = load_smpl(tmp_path / file)
    assert body.data.name == name
    check(body, content)


def test_poses_with_the_files_pose_blend_shapes(official: Path) -> None:
    body = load_smpl(official)
    generator = torch.Generator().manual_seed(0)
    betas, pose, transl = (torch.randn(1, *shape, generator=generator) * 0.5 for shape in ((10,), (24, 3), (3,)))
    output = body(betas.numpy(), pose.numpy(), transl.numpy())
    vertices, joints = pose_body(body.data, *(x[0].double().numpy() for x in (betas, pose, transl)))
    assert np.abs(output.vertices[0] - vertices).max() < 2e-5
    assert np.abs(output.joints[0] - joints).max() < 1e-5
    other = TorchBody(body.data)(betas, pose, transl)
    assert np.abs(output.vertices - other.vertices.numpy()).max() < 1e-5


def test_matches_smplx_on_the_same_file(official: Path, content: dict[str, Any]) -> None:
    smplx = pytest.importorskip("smplx", reason="the optional smplx package is not installed")
    from smplx.utils import Struct

    body = load_smpl(official)
    betas, pose, transl = (torch.randn(2, *shape) * 0.5 for shape in ((10,), (24, 3), (3,)))
    ids = {name: 0 for name in smplx.vertex_ids.vertex_ids["smplh"]}
    other = smplx.SMPL(
        "", data_struct=Struct(**{**content, "shapedirs": content["shapedirs"]}), batch_size=2, vertex_ids=ids
    )
    expected = other(betas=betas, global_orient=pose[:, :1], body_pose=pose[:, 1:], transl=transl)
    found = body(betas.numpy(), pose.numpy(), transl.numpy()).vertices
    assert np.abs(found - expected.vertices.numpy()).max() < 2e-5


def test_landmarks_follow_the_body(official: Path, content: dict[str, Any]) -> None:
    body = load_smpl(official)
    shape, zero = np.zeros((1, 10)), np.zeros((1, 24, 3))
    rest = body.landmarks(shape, zero)[0]
    assert rest.shape == (33, 3)
    assert np.allclose(rest[0], content["v_template"][332], atol=1e-5)  # the nose is vertex 332 of SMPL's mesh
    moved = body.landmarks(shape, zero, np.array([[1.0, 2.0, 3.0]]))[0]
    assert np.allclose(moved - rest, (1, 2, 3), atol=1e-5)


def test_uv_map_from_an_obj(official: Path, content: dict[str, Any], tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    uv = rng.random((FACES * 3, 2))
    order = rng.permutation(FACES)  # other face order, other first corner
    lines = [f"vt {u} {v}" for u, v in uv]
    lines += ["f " + " ".join(f"{content['f'][f][c] + 1}/{3 * f + c + 1}" for c in (1, 2, 0)) for f in order]
    (tmp_path / "smpl_uv.obj").write_text("\n".join(lines))
    body = load_smpl(official, uv_obj=tmp_path / "smpl_uv.obj")
    assert body.data.has_uv
    assert np.allclose(body.data.uv[body.data.face_uv].reshape(-1, 2), uv, atol=1e-6)
    (tmp_path / "wrong.obj").write_text("vt 0 0\nf 1/1 2/1 3/1\n")
    with pytest.raises(BodyError, match=r"wrong\.obj is not a UV map"):
        load_smpl(official, uv_obj=tmp_path / "wrong.obj")


class Runs:
    """Calls a function when it is unpickled."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.function, self.arguments


HOSTILE = [
    "os.system",
    "eval",
    "numpy function",
    "numpy.load",
    "getattr",
    "old protocol",
    "reconstructor",
    "nested name",
    "persistent",
]


def hostile(kind: str, flag: Path) -> bytes:
    command = f"touch {flag}"
    if kind == "os.system":
        return pickle.dumps({"v_template": Runs(os.system, command)}, protocol=2)
    if kind == "eval":
        return pickle.dumps(Runs(eval, f"open({str(flag)!r}, 'w')"))
    if kind == "numpy function":
        return pickle.dumps({"v_template": Runs(np.save, str(flag), 1)})
    if kind == "numpy.load":  # would unpickle a second file without limits
        return pickle.dumps(Runs(np.load, str(flag), None, True))
    if kind == "getattr":
        return pickle.dumps(Runs(getattr, "", "format"))
    if kind == "old protocol":
        return f"cposix\nsystem\n(S'{command}'\ntR.".encode()
    if kind == "reconstructor":
        return b"ccopy_reg\n_reconstructor\n(csubprocess\nPopen\nc__builtin__\nobject\nNtR."
    if kind == "nested name":
        return b"\x80\x04\x8c\x05numpy\x8c\x11ndarray.__class__\x93."
    if kind == "persistent":
        return b"Pmodel\n."
    raise AssertionError(kind)


@pytest.mark.parametrize("suffix", ["pkl", "npz"])
@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_pickles_are_refused_and_run_nothing(kind: str, suffix: str, tmp_path: Path) -> None:
    flag = tmp_path / "ran.npy"
    path = tmp_path / f"SMPL_NEUTRAL.{suffix}"
    content = hostile(kind, flag)
    if suffix == "npz":
        array = io.BytesIO()
        np.lib.format.write_array_header_1_0(array, {"descr": "|O", "fortran_order": False, "shape": ()})
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("v_template.npy", array.getvalue() + content)
    else:
        path.write_bytes(content)
    with pytest.raises(BodyError, match=r"was not loaded.*Download"):
        load_smpl(path)
    assert not flag.exists()


def test_arrays_that_lie_about_their_bytes_are_refused(content: dict[str, Any], tmp_path: Path) -> None:
    raw = pickle.dumps(content | {"J_regressor": content["J_regressor"].toarray()}, protocol=2)
    path = tmp_path / "SMPL_NEUTRAL.pkl"
    shape = pickle.dumps((VERTICES, 3), protocol=2)[2:-1].split(b"q")[0]
    assert shape in raw
    path.write_bytes(
        raw.replace(shape, shape.replace(VERTICES.to_bytes(2, "little"), (VERTICES + 1).to_bytes(2, "little")), 1)
    )
    with pytest.raises(BodyError, match="fewer or more bytes"):
        load_smpl(path)


@pytest.mark.parametrize("content_bytes", [b"", b"hello, I am a text file", b"\x80\x02}q\x00", b"\x80\x04K\x01."])
def test_files_that_are_not_smpl_are_refused(content_bytes: bytes, tmp_path: Path) -> None:
    path = tmp_path / "SMPL_MALE.pkl"
    path.write_bytes(content_bytes)
    with pytest.raises(BodyError, match=r"SMPL_MALE\.pkl.*(damaged|not an SMPL)"):
        load_smpl(path)


def test_other_bodies_and_missing_files_are_named(content: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(BodyError, match="cannot be read"):
        load_smpl(tmp_path / "gone.pkl")
    np.savez(tmp_path / "SMPLX_NEUTRAL.npz", **{**content, "v_template": np.zeros((10475, 3))})
    with pytest.raises(BodyError, match="SMPL-X"):
        load_smpl(tmp_path / "SMPLX_NEUTRAL.npz")
    np.savez(tmp_path / "parts.npz", v_template=content["v_template"])
    with pytest.raises(BodyError, match="lacks shapedirs"):
        load_smpl(tmp_path / "parts.npz")


def test_a_variable_that_holds_itself_is_refused(content: dict[str, Any], chumpy: None, tmp_path: Path) -> None:
    loop = Ch(np.zeros(1))
    loop.x = loop  # type: ignore[assignment]
    path = tmp_path / "SMPL_NEUTRAL.pkl"
    path.write_bytes(pickle.dumps(content | {"v_template": loop}, protocol=2))
    with pytest.raises(BodyError, match="not an SMPL body"):
        load_smpl(path)


def test_ten_bytes_of_pickle_take_no_gigabytes() -> None:
    """An index of the memo below which Python would allocate everything; and an array whose bytes are a number."""
    for index in (b"\x0f", b"\x3f"):
        with pytest.raises(PickleRefused, match="gigabytes"):
            load_pickle(io.BytesIO(b"\x80\x02Nr\xff\xff\xff" + index + b"."))
    array, dtype = _Container(), _Container("u1")
    array.kind, dtype.kind = "array", "dtype"
    array.state = (1, (4_000_000_000,), dtype, False, 4_000_000_000)
    with pytest.raises(ValueError, match="no bytes"):
        as_array(array)
