"""Nothing that the base package does asks for PyTorch, which is an extra."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from uvatar.runtime.spawn import environment, module_command

pytestmark = pytest.mark.slow

SAMPLES = Path(__file__).resolve().parents[2] / "samples"

# Every Python process of a command finds no PyTorch, and notes who imports it; asking whether it is there is fine.
HOOK = """
import importlib.machinery, os, sys, traceback

class NoTorch(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] not in ("torch", "torchvision", "torchaudio"):
            return super().find_spec(name, path, target)
        stack = traceback.extract_stack()
        if not any("importlib.util" in frame.filename for frame in stack):
            with open(os.environ["UVATAR_TEST_ASKED"], "a") as notes:
                notes.write(f"{name}, by {sys.argv}: {''.join(traceback.format_list(stack[-12:]))}")
        return None

sys.meta_path[sys.meta_path.index(importlib.machinery.PathFinder)] = NoTorch
"""
Command = Callable[..., CompletedProcess[str]]


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    """The file with a note for each time that PyTorch was asked for."""
    return tmp_path / "asked.txt"


@pytest.fixture
def command(tmp_path: Path, asked: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    """Runs `uvatar` commands without PyTorch, with a data folder of their own, and stops their server."""
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(HOOK)
    others = filter(None, [os.environ.get("PYTHONPATH")])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "hook"), *others]))
    monkeypatch.setenv("UVATAR_TEST_ASKED", str(asked))
    monkeypatch.setenv("UVATAR_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("UVATAR_DEVICE", raising=False)
    yield uvatar
    uvatar("stop")


def uvatar(*arguments: str | Path) -> CompletedProcess[str]:
    """Run a command to its end, however long it takes."""
    command = module_command("uvatar", *map(str, arguments))
    return subprocess.run(
        command, env=environment(COLUMNS="200"), stdin=subprocess.DEVNULL, capture_output=True, text=True
    )


def test_the_hook_hides_torch(command: Command, asked: Path, tmp_path: Path) -> None:
    done = command("evaluate", "starts", SAMPLES, "--out", tmp_path, "--weights", SAMPLES / "man.jpg")
    assert done.returncode != 0 and "PyTorch, which is not installed" in done.stdout + done.stderr
    assert not asked.exists(), asked.read_text()
    done = subprocess.run([sys.executable, "-c", "import torch"], env=environment(), capture_output=True, text=True)
    assert "No module named 'torch'" in done.stderr and "torch, by" in asked.read_text()


def test_a_photo_becomes_an_avatar_through_a_server(command: Command, asked: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = command("reconstruct", SAMPLES / "man.jpg", "--out", out, "--no-blend")
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((out / "man_p0" / "result.json").read_text())
    assert set(result["devices"]) == set(result["timings"]) and set(result["devices"].values()) == {"cpu"}
    assert "predicting" in result["timings"] and result["licence"]["texture_predictor"]  # both networks took part
    status = command("status")
    assert "Models: ready" in status.stdout and "processor cores" in status.stdout
    doctor = command("doctor", "--self-test")
    assert doctor.returncode == 0 and "Self-test" in doctor.stdout, doctor.stdout + doctor.stderr
    assert not asked.exists(), asked.read_text()


def test_avatars_are_evaluated(command: Command, asked: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    shutil.copy(SAMPLES / "man.jpg", photos)
    for number, arguments in enumerate((("photos", photos), ("starts", photos), ("synthetic", "--count", "1"))):
        done = command("evaluate", *arguments, "--out", tmp_path / f"out{number}")
        assert done.returncode == 0, done.stdout + done.stderr
    assert not asked.exists(), asked.read_text()
