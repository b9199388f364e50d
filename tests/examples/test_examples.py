"""The examples of docs/python-api.md run as they are."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import pytest

from uvatar.service import client

HERE = Path(__file__).resolve().parent
SAMPLES = HERE.parents[1] / "samples"

pytestmark = pytest.mark.slow


def run(monkeypatch: pytest.MonkeyPatch, name: str, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    runpy.run_path(str(HERE / name), run_name="__main__")


def written(folder: Path) -> set[str]:
    """Names of the files of the one avatar in the folder."""
    (avatar,) = (path for path in folder.iterdir() if path.is_dir())
    return {path.name for path in avatar.iterdir()}


def test_one_photo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(monkeypatch, "one_photo.py", SAMPLES / "portrait.jpg", tmp_path)
    assert "portrait.jpg, person 0" in capsys.readouterr().out
    files = written(tmp_path)
    assert {"texture.png", "texture_source.png", "overlay.jpg", "avatar.glb", "result.json"} <= files
    assert "avatar.blend" not in files


def test_several_photos(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos = [SAMPLES / "man.jpg", SAMPLES / "woman.jpg", SAMPLES / "man_back.jpg"]
    run(monkeypatch, "several_photos.py", tmp_path, *photos)
    out = capsys.readouterr().out
    assert "Looking for people" in out and "woman.jpg: Nobody in woman.jpg looks like the person" in out
    (avatar,) = tmp_path.iterdir()
    assert json.loads((avatar / "result.json").read_text())["photo"]["name"] in ("man.jpg", "man_back.jpg")


def test_running_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("UVATAR_DATA", str(tmp_path / "data"))
    try:
        run(monkeypatch, "running_server.py", tmp_path / "out", SAMPLES / "portrait.jpg")
    finally:
        server = client.find(tmp_path / "data")
        assert server is not None
        with server:
            server.shutdown()
    assert "portrait_p0" in capsys.readouterr().out and "texture.png" in written(tmp_path / "out")
