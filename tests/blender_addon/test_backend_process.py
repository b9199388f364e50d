"""Finding and starting the backend."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
import zmq

from uvatar_blender.core import backend_process
from uvatar_blender.core.backend_process import (
    BackendNotFound,
    BackendOutdated,
    BackendProcess,
    clean_environment,
    environment_folder,
    environment_python,
    find_command,
    log_tail,
    outdated_version,
    stop_running,
)
from uvatar_blender.core.environment_stamp import write_stamp
from uvatar_blender.core.problem import NOT_INSTALLED, Remedy
from uvatar_blender.protocol import discovery, framing
from uvatar_blender.protocol.discovery import Runtime

posix = pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for the program is a shell script")


def program(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@posix
def test_the_program_a_python_or_an_environment_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uvatar = program(tmp_path / "venv" / "bin" / "uvatar", "")
    assert find_command(str(uvatar)) == [str(uvatar)]
    assert find_command(str(tmp_path / "venv")) == [str(uvatar)]
    assert find_command(sys.executable) == [sys.executable, "-m", "uvatar"]
    monkeypatch.setenv("PATH", str(uvatar.parent))
    assert find_command("") == [str(uvatar)]
    for wrong in (str(tmp_path / "nothing"), str(tmp_path)):
        with pytest.raises(BackendNotFound):
            find_command(wrong)


def environment_of(version: str | None, folder: Path) -> Path:
    """What the set-up of an add-on with that version left, without the packages."""
    python = environment_python(folder)
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    write_stamp(folder, {"complete": True, "version": version})
    return folder


@posix
@pytest.mark.parametrize("version", ["0.1.0", "0.1.9rc1"])
def test_an_environment_of_an_older_add_on_is_offered_to_be_updated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.setenv("UVATAR_DATA", str(tmp_path))
    environment_of(version, environment_folder())
    for location in ("", str(environment_folder())):
        with pytest.raises(BackendOutdated) as raised:
            find_command(location)
        assert raised.value.version == version
        problem = BackendProcess(location).start()
        assert problem is not None and problem.remedy is Remedy.UPDATE
        assert version in problem.message and "too old" in problem.message and "Update it" in problem.fix
    assert not log_tail()  # nothing was started


@posix
@pytest.mark.parametrize("version", ["0.2.0", "1.0", "7.7", "unknown", None])
def test_environments_of_this_and_later_versions_are_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str | None
) -> None:
    monkeypatch.setenv("UVATAR_DATA", str(tmp_path))
    environment_of(version, environment_folder())
    assert find_command("") == [str(environment_python(environment_folder())), "-P", "-m", "uvatar"]
    assert outdated_version(environment_folder()) == ""


@posix
def test_a_python_without_uvatar_is_said_with_what_helps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UVATAR_DATA", str(tmp_path))
    python = program(tmp_path / "python3", f"echo '{tmp_path}/python3: No module named uvatar' >&2; exit 1")
    backend = BackendProcess(str(python))
    assert backend.start() is None
    _wait(backend)
    problem = backend.failure()
    assert "not installed" in problem.message and str(python) in problem.message
    assert problem.remedy is Remedy.PREFERENCES


def test_blenders_python_settings_do_not_reach_the_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHOME", "/blender/python")
    monkeypatch.setenv("PYTHONPATH", "/blender/scripts")
    environment = clean_environment()
    assert "PYTHONHOME" not in environment and "PYTHONPATH" not in environment
    assert environment["PATH"] == os.environ["PATH"]


@posix
def test_a_backend_that_fails_tells_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UVATAR_DATA", str(tmp_path))
    backend = BackendProcess(
        str(program(tmp_path / "uvatar", "echo starting; echo 'open_body.npz is missing' >&2; exit 1"))
    )
    assert backend.start() is None
    _wait(backend)
    problem = backend.failure()
    assert "open_body.npz is missing" in problem.message and problem.remedy is Remedy.LOG
    assert "starting" in log_tail()


@posix
def test_a_second_server_that_leaves_the_field_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UVATAR_DATA", str(tmp_path))
    backend = BackendProcess(str(program(tmp_path / "uvatar", f"exit {backend_process.EXIT_ALREADY_SERVED}")))
    backend.start()
    _wait(backend)
    assert backend.failure() is None


@posix
def test_it_ends_with_us_and_is_not_started_after_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UVATAR_DATA", str(tmp_path))
    backend = BackendProcess(
        str(program(tmp_path / "uvatar", f"echo run >> '{tmp_path}/runs'; cat"))
    )  # ends when its input does
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


def test_a_place_without_backend_and_a_file_that_is_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UVATAR_DATA", str(tmp_path))
    assert BackendProcess(str(tmp_path / "nowhere")).start() == NOT_INSTALLED
    (tmp_path / "notes.txt").write_text("no program")
    assert BackendProcess(str(tmp_path / "notes.txt")).start().remedy is Remedy.PREFERENCES


def _wait(backend: BackendProcess) -> None:
    deadline = time.monotonic() + 20
    while backend._process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_running_backend_is_asked_to_end_in_its_own_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UVATAR_DATA", str(tmp_path))
    assert not stop_running()  # there is none
    command = [
        sys.executable,
        "-m",
        "uvatar",
        "serve",
        "--pipeline",
        "tests.service.fake_pipeline:FakePipeline",
    ]
    with subprocess.Popen(command, cwd=Path(__file__).resolve().parents[2], stdout=subprocess.PIPE) as server:
        assert server.stdout and server.stdout.readline()
        assert stop_running()
        server.wait(60)
    assert server.returncode == 0 and not discovery.runtime_file(tmp_path).exists()


@pytest.mark.parametrize(
    "listener", ["nobody", "a program that says nothing", "a program that talks", "another Uvatar's server"]
)
def test_an_innocent_process_is_not_ended(listener: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that was killed leaves its file behind; then its process id and its port become those of other
    programs.
    """
    monkeypatch.setenv("UVATAR_DATA", str(tmp_path))
    monkeypatch.setattr(backend_process, "_STOP_SECONDS", 0.3)
    received: list[bytes] = []
    innocent = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    context, stop, context_port = zmq.Context(), threading.Event(), 0
    with socket.create_server(("127.0.0.1", 0)) as plain:
        port = plain.getsockname()[1]

        def talk() -> None:
            with suppress(OSError):
                connection, _ = plain.accept()
                with connection:
                    connection.sendall(b"220 mail.example ready\r\n" * 20)
                    received.append(connection.recv(1000))

        def refuse() -> None:
            with context.socket(zmq.ROUTER) as router:
                nonlocal context_port
                context_port = router.bind_to_random_port("tcp://127.0.0.1")
                while not stop.is_set():
                    if router.poll(20):
                        name, frame = router.recv_multipart()
                        received.append(frame)
                        answer = {"kind": "error", "code": "wrong-token", "message": "no", "fix": "", "request": "stop"}
                        router.send_multipart([name, *framing.pack(answer)])

        thread = threading.Thread(
            target={"a program that talks": talk, "another Uvatar's server": refuse}.get(listener, stop.set)
        )
        thread.start()
        if listener == "another Uvatar's server":
            while not context_port:
                time.sleep(0.01)
            port = context_port
        if listener == "nobody":
            plain.close()
        discovery.write_runtime(tmp_path, Runtime(port, "x" * 20, innocent.pid, "0.1.0"))
        try:
            assert not stop_running()
            assert innocent.poll() is None
        finally:
            stop.set()
            plain.close()
            thread.join(60)
            innocent.kill()
            innocent.wait()
            context.destroy(linger=0)
    assert bool(received) == (listener in ("a program that talks", "another Uvatar's server"))


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b'{"port": 99999999, "token": "t", "protocol": 1}', b'{"port": "a"}', b"[" * 100_000, b"\xff"],
)
def test_a_damaged_runtime_file_ends_nothing(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UVATAR_DATA", str(tmp_path))
    discovery.runtime_file(tmp_path).write_bytes(content)
    assert not stop_running()
