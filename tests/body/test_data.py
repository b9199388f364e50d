"""Body files: what is saved comes back, and broken ones are answered with a message."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from uvatar.body import BodyError, BodyModel, load_body, load_open_body, save_body
from uvatar.runtime.weights import weights_folder


def test_a_saved_body_comes_back(tmp_path: Path) -> None:
    body = BodyModel(load_body(weights_folder() / "open_body.npz"))
    save_body(body.data, tmp_path / "body.npz")
    again = load_body(tmp_path / "body.npz")
    assert np.allclose(again.weights, body.data.weights, atol=5e-4)  # stored as float16
    for name in (
        "v_template",
        "shapedirs",
        "quads",
        "faces",
        "uv",
        "face_uv",
        "mirror",
        "part",
        "landmark_template",
        "joint_template",
    ):
        assert np.allclose(getattr(again, name), getattr(body.data, name), atol=1e-6), name
    assert abs(again.J_regressor - body.data.J_regressor).max() == 0
    assert again.beta_names == body.data.beta_names
    assert again.shape_prior.keys() == body.data.shape_prior.keys()


@pytest.mark.parametrize("content", [b"", b"not a zip at all", b"PK\x03\x04 cut off"])
def test_unreadable_files_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "body.npz"
    path.write_bytes(content)
    with pytest.raises(BodyError, match=r"body\.npz"):
        load_open_body(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BodyError, match="nowhere"):
        load_open_body(tmp_path / "nowhere.npz")


def test_an_npz_of_something_else_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(BodyError, match="v_template"):
        load_body(tmp_path / "other.npz")


def test_broken_numbers_are_refused(body: BodyModel) -> None:
    data = body.data
    with pytest.raises(BodyError, match="shapedirs has shape"):
        replace(data, shapedirs=data.shapedirs[:, :, :5])
    with pytest.raises(BodyError, match="not finite"):
        replace(data, v_template=np.full_like(data.v_template, np.nan))
    with pytest.raises(BodyError, match="weights do not sum to 1"):
        replace(data, weights=data.weights * 0.5)
    with pytest.raises(BodyError, match="vertices that do not exist"):
        replace(data, faces=data.faces + len(data.v_template))
    with pytest.raises(BodyError, match="J_regressor do not sum"):
        replace(data, J_regressor=sparse.csr_matrix(data.J_regressor.shape, dtype=np.float32))
    with pytest.raises(BodyError, match="parent"):
        replace(data, parents=data.parents[::-1].copy())
