"""Servers with a fake pipeline, as real processes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from uvatar.runtime.spawn import environment, module_command
from uvatar.service.client import Client

FAKE = "tests.service.fake_pipeline:FakePipeline"
PATIENCE = 60.0  # seconds; far longer than anything takes, for machines that do other things too


def wait_until(condition: Callable[[], Any], what: str) -> Any:
    """The condition's value as soon as it is true."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"waited in vain until {what}")


def photo(**orders: Any) -> bytes:
    """A "photo" that tells the fake pipeline what to do."""
    return json.dumps(orders).encode()


@dataclass
class Server:
    """A server process that a test may kill."""

    folder: Path
    process: subprocess.Popen[bytes]
    port: int
    token: str

    def client(self, token: str | None = None) -> Client:
        return Client(self.port, self.token if token is None else token, reply_seconds=PATIENCE)

    def workers(self) -> list[dict[str, Any]]:
        with self.client() as client:
            return client.status()["workers"]


def start(folder: Path, *arguments: str, pipeline: str = FAKE, module: str = "uvatar", **variables: str) -> Server:
    """A server that is ready for requests; its standard input is its life line."""
    command = module_command(
        module, "serve", "--data", str(folder), "--exit-with-parent", "--pipeline", pipeline, *arguments
    )
    process = subprocess.Popen(command, env=environment(**variables), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout
    with process.stdout as output:
        ready = json.loads(output.readline())
    return Server(folder, process, ready["port"], json.loads(Path(ready["runtime"]).read_text())["token"])


def end(server: Server) -> None:
    """Close the life line and see the server go."""
    if server.process.stdin:
        server.process.stdin.close()
    try:
        server.process.wait(PATIENCE)
    finally:
        server.process.kill()
        server.process.wait()


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers for a test to kill, by default all for the same data folder."""
    started: list[Server] = []

    def start_one(*arguments: str, folder: Path = tmp_path / "data", **choices: Any) -> Server:
        started.append(start(folder, *arguments, **choices))
        return started[-1]

    yield start_one
    for server in started:
        end(server)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests of a file that leave it alive."""
    server = start(tmp_path_factory.mktemp("server") / "data")
    yield server
    end(server)


def python(code: str) -> str:
    """What a new interpreter prints when it runs the code."""
    return subprocess.run(
        [sys.executable, "-c", code], env=environment(), check=True, capture_output=True, text=True
    ).stdout


@pytest.fixture
def heeds_ctrl_c() -> Iterator[None]:
    """Ctrl+C means what it means in a terminal, also where the tests run in a shell's background, which ignores it for
    all its children.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
