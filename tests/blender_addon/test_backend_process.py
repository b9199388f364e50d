"""Finding and starting the backend."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from blender_addon.core import backend_process
from blender_addon.core.backend_process import BackendNotFound, BackendProcess, clean_environment, find_command, log_tail
from blender_addon.core.problem import NOT_INSTALLED, Remedy

posix = pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for the program is a shell script")


def program(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@posix
def test_the_program_a_python_or_an_environment_can_be_named(tmp_path, monkeypatch) -> None:
    uvatar = program(tmp_path / "venv" / "bin" / "uvatar", "")
    assert find_command(str(uvatar)) == [str(uvatar)]
    assert find_command(str(tmp_path / "venv")) == [str(uvatar)]
    assert find_command(sys.executable) == [sys.executable, "-m", "backend"]
    monkeypatch.setenv("PATH", str(uvatar.parent))
    assert find_command("") == [str(uvatar)]
    for wrong in (str(tmp_path / "nothing"), str(tmp_path)):
        with pytest.raises(BackendNotFound):
            find_command(wrong)


def test_blenders_python_settings_do_not_reach_the_backend(monkeypatch) -> None:
    monkeypatch.setenv("PYTHONHOME", "/blender/python")
    monkeypatch.setenv("PYTHONPATH", "/blender/scripts")
    environment = clean_environment()
    assert "PYTHONHOME" not in environment and "PYTHONPATH" not in environment
    assert environment["PATH"] == os.environ["PATH"]


@posix
def test_a_backend_that_fails_tells_why(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("UVATAR_DATA", str(tmp_path))
    backend = BackendProcess(str(program(tmp_path / "uvatar", "echo starting; echo 'open_body.npz is missing' >&2; exit 1")))
    assert backend.start() is None
    _wait(backend)
    problem = backend.failure()
    assert "open_body.npz is missing" in problem.message and problem.remedy is Remedy.LOG
    assert "starting" in log_tail()


@posix
def test_a_second_server_that_leaves_the_field_is_no_failure(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("UVATAR_DATA", str(tmp_path))
    backend = BackendProcess(str(program(tmp_path / "uvatar", f"exit {backend_process.EXIT_ALREADY_SERVED}")))
    backend.start()
    _wait(backend)
    assert backend.failure() is None


@posix
def test_it_ends_with_us_and_is_not_started_after_the_end(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("UVATAR_DATA", str(tmp_path))
    backend = BackendProcess(str(program(tmp_path / "uvatar", f"echo run >> '{tmp_path}/runs'; cat")))  # ends when its input does
    backend.start()
    backend.start()
    assert backend.running
    backend.stop()
    _wait(backend)
    assert not backend.running
    late = BackendProcess(str(tmp_path / "uvatar"))
    late.stop()
    assert late.start() is None
    assert (tmp_path / "runs").read_text() == "run\n"


def test_a_place_without_backend_and_a_file_that_is_no_program(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("UVATAR_DATA", str(tmp_path))
    assert BackendProcess(str(tmp_path / "nowhere")).start() == NOT_INSTALLED
    (tmp_path / "notes.txt").write_text("no program")
    assert BackendProcess(str(tmp_path / "notes.txt")).start().remedy is Remedy.PREFERENCES


def _wait(backend: BackendProcess) -> None:
    deadline = time.monotonic() + 20
    while backend._process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
