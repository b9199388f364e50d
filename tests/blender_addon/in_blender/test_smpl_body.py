"""Avatars on the SMPL body: the choice in the panel, and the person in the scene."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import bpy
import numpy as np
import pytest

from tests.blender_addon.in_blender.test_panels import Layout, addon  # noqa: F401 (a fixture)
from tests.blender_addon.sample import world_of
from uvatar.protocol.message_files import load
from uvatar.protocol.people import people_of
from uvatar_blender.core.result import parse_result
from uvatar_blender.core.session import Link
from uvatar_blender.scene import rig as rigs
from uvatar_blender.scene.avatar import import_people
from uvatar_blender.scene.material import avatar_material, texture_image
from uvatar_blender.scene.mesh import CLOTHING_KEY, evaluated_vertices
from uvatar_blender.ui import panels


def drawn(settings: Any) -> Any:
    layout = Layout()
    panels._draw_body(layout, settings)
    return layout.page


def test_the_panel_offers_smpl_where_the_backend_has_its_file(addon: Any) -> None:  # noqa: F811
    settings, session = bpy.context.scene.uvatar, addon.session()
    assert settings.job_options()["body"] == "open_body"
    assert drawn(settings).labels == []  # no backend yet: nothing is known
    session.link, session.bodies, session.models_folder = Link.ON, frozenset({"open_body"}), "/home/ada/models"
    page = drawn(settings)
    assert (
        page.labels == [] and page.buttons == [] and page.properties == ["body"]
    )  # nobody reads about SMPL who has not chosen it
    settings.body = "smpl"
    page = drawn(settings)
    assert page.buttons == ["uvatar.connect"]
    assert "SMPL_NEUTRAL.pkl" in page.labels[0] and "/home/ada/models" in page.labels[0]
    assert settings.job_options()["body"] == "smpl"
    session.bodies = frozenset({"open_body", "smpl"})
    assert drawn(settings).labels == [] and drawn(settings).buttons == []


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Any]:
    """A result as it comes over the wire, and what is to be seen of it: made by a Python that has the backend."""
    folder = tmp_path_factory.mktemp("made")
    python = os.environ.get("UVATAR_BACKEND_PYTHON", sys.executable)
    done = subprocess.run(
        [python, "-m", "tests.transfer.made_person", str(folder)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return load(folder / "result.uvatar"), np.load(folder / "expected.npz")


def test_the_person_arrives_with_smpl_s_mesh_rig_weights_uv_and_texture(
    made: tuple[dict[str, Any], Any], scene: Any
) -> None:
    result, expected = made
    rig = import_people(parse_result(result), scene).rigs[0]
    body = rigs.find_body(rig)
    assert len(body.data.vertices) == 6890 and len(body.data.polygons) == 13776
    assert (
        rig["uvatar_body_model"] == "smpl-neutral" and "Max Planck" in json.loads(rig["uvatar_licence"])["body_model"]
    )
    names = people_of(result)[0]["joint_names"]
    assert len(rig.data.bones) == 24 and [group.name for group in body.vertex_groups] == names
    for index in range(0, 6890, 131):
        groups = {group.group: group.weight for group in body.data.vertices[index].groups}
        strongest = np.argsort(-expected["weights"][index])[:4]
        kept = expected["weights"][index][strongest] / expected["weights"][index][strongest].sum()
        assert groups == pytest.approx(
            {int(j): float(w) for j, w in zip(strongest, kept, strict=True) if w > 0}, abs=1e-5
        )
    uv = np.empty(13776 * 3 * 2, np.float32)
    body.data.uv_layers[0].uv.foreach_get("vector", uv)
    np.testing.assert_allclose(uv.reshape(-1, 3, 2), expected["uv"], atol=1e-6)
    image = texture_image(avatar_material(body))
    pixels = np.array(image.pixels).reshape(128, 128, 4)
    column, row = (expected["uv"].mean(1) * 128).astype(int).clip(0, 127).T
    assert np.abs(pixels[row, column, :3] * 255 - (10, 200, 30)).max() < 3
    assert CLOTHING_KEY in body.data.shape_keys.key_blocks


def test_it_stands_as_the_backend_says_pose_correctives_included(made: tuple[dict[str, Any], Any], scene: Any) -> None:
    result, expected = made
    imported = import_people(parse_result(result), scene)
    body = rigs.find_body(imported.rigs[0])
    bpy.context.view_layer.update()
    apart = np.linalg.norm(
        evaluated_vertices(body) - world_of(expected["vertices"]) - (0, 0, imported.camera.location.z), axis=1
    )
    assert apart.mean() < 5e-4 and apart.max() < 5e-3  # a vertex here keeps the strongest four of its joints
