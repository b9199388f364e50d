"""`uvatar weights`: what is installed, whether it is whole, whose it is."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

from uvatar.commands.cli import make_app
from uvatar.commands.weights_report import BROKEN, GOOD, MISSING, UNRECORDED, brought, shipped
from uvatar.mesh_predictor.networks.efficientnet_lite import LightBackbone
from uvatar.mesh_predictor.networks.network import MeshPredictor, romp
from uvatar.runtime.spawn import environment, module_command
from uvatar.runtime.weights import models_folder, weights_folder
from uvatar.texture_predictor.config import small
from uvatar.texture_predictor.networks.checkpoint import save_checkpoint
from uvatar.texture_predictor.networks.network import TextureNetwork


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return shutil.copytree(weights_folder(), tmp_path / "weights")


def states(items: list[Any]) -> dict[str, str]:
    return {item.name: item.state for item in items}


def test_every_shipped_file_is_listed_with_its_licence_and_whole() -> None:
    items = {item.name: item for item in shipped(weights_folder())}
    assert items["open_body.npz"].state == GOOD and items["open_body.npz"].licence == "CC0 1.0"
    listed = json.loads((weights_folder() / "perception" / "sources.json").read_text())["files"]
    for entry in listed:
        item = items[f"perception/{entry['file']}"]
        assert (item.state, item.licence, item.what) == (GOOD, "Apache-2.0", entry["model"])
    assert not [item for item in items.values() if item.state == BROKEN]


def test_altered_files_are_found(weights: Path) -> None:
    with (weights / "open_body.npz").open("ab") as file:
        file.write(b"x")
    (weights / "perception" / "pose_detector.tflite").write_bytes(b"")
    broken = [item for item in shipped(weights) if item.state == BROKEN]
    assert {item.name for item in broken} == {"open_body.npz", "perception/pose_detector.tflite"}
    assert all("Install Uvatar again" in item.remark for item in broken)


def test_light_network_is_checked_by_loading(weights: Path) -> None:
    path = weights / "mesh_predictor.safetensors"
    assert states(shipped(weights))[path.name] in (MISSING, GOOD)
    path.with_suffix(".md").unlink(missing_ok=True)
    save_file(MeshPredictor(LightBackbone()).state_dict(), path)
    assert states(shipped(weights))[path.name] == UNRECORDED
    save_file({"backbone.weight": torch.zeros(3)}, path)
    item = next(item for item in shipped(weights) if item.name == path.name)
    assert item.state == BROKEN and "a different network" in item.remark


def test_texture_predictor_is_listed_and_checked_by_loading(weights: Path) -> None:
    path = weights / "texture_predictor.safetensors"
    assert states(shipped(weights))[path.name] in (MISSING, GOOD)
    path.with_suffix(".md").unlink(missing_ok=True)
    save_checkpoint(TextureNetwork(replace(small(), resolution=64)), path)
    assert states(shipped(weights))[path.name] == UNRECORDED
    assert states(brought(weights))[path.name] == GOOD
    path.write_bytes(path.read_bytes()[:-1000])
    item = next(item for item in shipped(weights) if item.name == path.name)
    assert item.state == BROKEN and "damaged" in item.remark


def test_own_files_missing_good_and_broken(tmp_path: Path) -> None:
    missing = brought(tmp_path / "none")
    names = ("ROMP.pkl", "SMPL_NEUTRAL.pkl", "SMPL_NEUTRAL.pth", "smpl_uv.obj")
    free = ("texture_predictor.safetensors", "selfie_multiclass_256x256.tflite")
    assert states(missing) == dict.fromkeys((*names, *free), MISSING)
    assert all(item.remark and ("commercial" in item.licence or item.name in free) for item in missing)
    torch.save(romp().state_dict(), tmp_path / "ROMP.pkl")
    assert states(brought(tmp_path))["ROMP.pkl"] == GOOD
    state = torch.load(tmp_path / "ROMP.pkl", weights_only=True)
    state["final_layers.4.weight"] = state.pop("final_layers.3.2.weight")
    torch.save(state, tmp_path / "ROMP.pkl")
    (tmp_path / "SMPL_NEUTRAL.npz").write_bytes(b"PK nothing")
    (tmp_path / free[1]).write_bytes(b"nothing")
    items = {item.name: item for item in brought(tmp_path)}
    assert items["ROMP.pkl"].state == BROKEN
    assert (
        "first 'final_layers.3.2.weight'" in items["ROMP.pkl"].remark
        and "first 'final_layers.4.weight'" in items["ROMP.pkl"].remark
    )
    assert items[free[1]].state == BROKEN and "cannot be used" in items[free[1]].remark
    assert items["SMPL_NEUTRAL.npz"].state == BROKEN and "Download" in items["SMPL_NEUTRAL.npz"].remark


def test_models_folder_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UVATAR_MODELS", raising=False)
    monkeypatch.setenv("UVATAR_DATA", str(tmp_path))
    assert models_folder() == tmp_path / "models"
    monkeypatch.setenv("UVATAR_MODELS", str(tmp_path / "mine"))
    assert models_folder() == tmp_path / "mine"


def test_the_command_lists_all_and_fails_where_something_is_broken(tmp_path: Path) -> None:
    def run() -> subprocess.CompletedProcess[str]:
        env = environment(COLUMNS="200", UVATAR_MODELS=str(tmp_path))
        return subprocess.run(module_command("uvatar", "weights"), env=env, capture_output=True, text=True, timeout=120)

    done = run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(word in done.stdout for word in ("open_body.npz", "CC0 1.0", "ROMP.pkl", "not installed", str(tmp_path)))
    (tmp_path / "ROMP.pkl").write_bytes(b"no checkpoint")
    done = run()
    assert done.returncode == 1 and "ROMP.pkl" in done.stdout and "broken" in done.stdout


def test_downloading_the_parser_does_not_depend_on_other_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:  # fmt: skip
    from uvatar.parsing import selfie_multiclass

    monkeypatch.setenv("UVATAR_MODELS", str(tmp_path))
    (tmp_path / "mesh_predictor.safetensors").write_bytes(b"broken")
    monkeypatch.setattr(selfie_multiclass, "download", lambda folder: folder / selfie_multiclass.FILE)
    said = CliRunner().invoke(make_app(), ["weights", "--download-parser"])
    assert said.exit_code == 0 and selfie_multiclass.FILE in said.output

    def refuse(folder: Path) -> Path:
        raise OSError("no network")

    monkeypatch.setattr(selfie_multiclass, "download", refuse)
    said = CliRunner().invoke(make_app(), ["weights", "--download-parser"])
    assert said.exit_code == 1 and "no network" in said.output
