"""Servers with a fake pipeline, as real processes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from backend.client import Client
from backend.spawn import environment, module_command

FAKE = "tests.backend_process.fake_pipeline:FakePipeline"
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


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers, by default all for the same data folder; ends them after the test."""
    started: list[Server] = []

    def start(*arguments: str, pipeline: str = FAKE, folder: Path = tmp_path / "data") -> Server:
        command = module_command("backend", "serve", "--data", str(folder), "--exit-with-parent", "--pipeline", pipeline, *arguments)
        process = subprocess.Popen(command, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdout
        ready = json.loads(process.stdout.readline())
        server = Server(folder, process, ready["port"], json.loads(Path(ready["runtime"]).read_text())["token"])
        started.append(server)
        return server

    yield start
    for server in started:
        if server.process.stdin:
            server.process.stdin.close()
        try:
            server.process.wait(PATIENCE)
        finally:
            server.process.kill()
            server.process.wait()
            if server.process.stdout:
                server.process.stdout.close()


def python(code: str) -> str:
    """What a new interpreter prints when it runs the code."""
    return subprocess.run([sys.executable, "-c", code], env=environment(), check=True, capture_output=True, text=True).stdout
