"""What Uvatar says of itself; and that it writes photos nowhere else and calls nobody."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.commands.test_cli import data, uvatar  # noqa: F401  (a fixture)
from tests.service.servers import FAKE, photo, wait_until
from uvatar.commands.doctor_checks import GOOD, PROBLEM, examine
from uvatar.runtime.weights import weights_folder
from uvatar.service.client import find

SAMPLE = Path(__file__).resolve().parents[2] / "samples" / "man.jpg"

# Notes what every Python process of a command opens for writing and connects to.
AUDITOR = """
import os, sys
notes = os.open(os.environ["UVATAR_TEST_AUDIT"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def hook(event, arguments):
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        if not isinstance(arguments[0], int):
            os.write(notes, f"write\\t{os.path.abspath(os.fsdecode(arguments[0]))}\\n".encode())
    elif event in ("socket.connect", "socket.sendto"):
        os.write(notes, f"call\\t{arguments[1]}\\n".encode())
    elif event == "socket.getaddrinfo":
        os.write(notes, f"call\\t{arguments[:2]}\\n".encode())
sys.addaudithook(hook)
"""


@pytest.mark.parametrize("pipeline", [FAKE, pytest.param("uvatar.engine.pipeline:Pipeline", marks=pytest.mark.slow)])
def test_photos_are_written_only_where_the_user_said_and_nobody_is_called(
    tmp_path: Path,
    data: Path,  # noqa: F811
    pipeline: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(AUDITOR)
    (tmp_path / "photos").mkdir()
    picture = tmp_path / "photos" / "a.jpg"
    picture.write_bytes(photo() if pipeline == FAKE else SAMPLE.read_bytes())
    notes, out = tmp_path / "notes", tmp_path / "out"
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "hook"))
    variables = {"UVATAR_TEST_AUDIT": str(notes), "PYTHONDONTWRITEBYTECODE": "1"}
    common: list[str | Path] = ["--out", out, "--data", data, "--pipeline", pipeline]
    done = uvatar("reconstruct", picture, "--fast", *common, "--no-blend", **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    assert uvatar("batch", tmp_path / "photos", "--fast", *common, "--no-blend", **variables).returncode == 0
    seen = [line.split("\t") for line in notes.read_text().splitlines()]
    written = {Path(what) for kind, what in seen if kind == "write"}
    assert any(data in path.parents for path in written) and any(out in path.parents for path in written)
    assert (data / "self-test.json").exists() == (pipeline != FAKE)  # the model process has tried itself first
    elsewhere = {
        path
        for path in written
        if data not in path.parents and out not in path.parents and path not in (Path(os.devnull), notes)
    }
    assert not elsewhere, f"written outside the data and the output folder: {elsewhere}"
    called = {what for kind, what in seen if kind == "call"}
    assert called and all("127.0.0.1" in what for what in called), called


def test_the_doctor_finds_what_is_wrong_and_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    healthy = {finding.subject: finding for finding in examine(tmp_path)}
    assert {"Python", "Packages", "GPU", "Memory", "Weights", "Data folder", "Ports", "Server", "Blender"} <= set(
        healthy
    )
    assert all(finding.state != PROBLEM for finding in healthy.values()), healthy

    shutil.copytree(weights_folder(), tmp_path / "weights")
    with (tmp_path / "weights" / "open_body.npz").open("r+b") as file:
        file.write(b"damage")
    (tmp_path / "file").touch()
    monkeypatch.setenv("UVATAR_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("UVATAR_BLENDER", str(tmp_path / "no blender"))
    monkeypatch.setattr("sys.version_info", (3, 9, 1))
    monkeypatch.setattr("uvatar.commands.doctor_checks._MODULES", ("numpy", "no_such_package"))
    ill = {finding.subject: finding for finding in examine(tmp_path / "file" / "data") if finding.state != GOOD}
    assert {"Python", "Packages", "Weights", "Data folder", "Blender"} <= set(ill)
    assert "open_body.npz" in ill["Weights"].words and "no_such_package" in ill["Packages"].words
    assert all(finding.fix for finding in ill.values())


def test_the_doctors_command(tmp_path: Path) -> None:
    done = uvatar("doctor", "--json", "--data", tmp_path / "data")
    assert done.returncode == 0 and {entry["state"] for entry in json.loads(done.stdout)} <= {"ok", "warning"}
    assert not (tmp_path / "data").exists()
    ill = uvatar("doctor", "--data", tmp_path / "data", UVATAR_WEIGHTS=str(tmp_path))
    assert ill.returncode == 1 and "Install Uvatar again" in ill.stdout


def test_logs_know_jobs_by_id_and_no_names(tmp_path: Path, data: Path) -> None:  # noqa: F811
    """And `uvatar forget` leaves nothing of the person, with a server and without."""
    for name, content in (
        ("mrs jones.jpg", photo(n=1)),
        ("mr jones.jpg", photo(n=2)),
        ("ms jones.jpg", photo(nan=True)),
    ):
        (tmp_path / name).write_bytes(content)
    arguments: list[str | Path] = ["--out", tmp_path / "out", "--no-blend", "--data", data, "--pipeline", FAKE]
    assert uvatar("reconstruct", tmp_path / "mrs jones.jpg", tmp_path / "ms jones.jpg", *arguments).returncode == 1
    assert uvatar("reconstruct", tmp_path / "mr jones.jpg", *arguments).returncode == 0
    client = find(data)
    assert client
    with client:
        second, first = [job["job"] for job in client.status()["jobs"]]
    lines: list[dict[str, Any]] = [
        json.loads(line) for line in uvatar("logs", "--data", data, "--job", first).stdout.splitlines()
    ]
    assert {line["job"] for line in lines} == {first}
    assert {"Photo done", "Job finished"} <= {line["message"] for line in lines}
    [done] = [line for line in lines if line["message"] == "Photo done"]
    assert done["photo"] == 0 and done["seconds"] >= 0 and done["timings"] == {"fitting": 0.1}
    assert any("traceback" in line for line in lines)  # of the model process, with the job's id
    shown = uvatar("status", "--data", data).stdout
    for word in ("Queue: 0 photos", "Device:", "Model process", "Memory", "Versions", "pyzmq", "GB free", second):
        assert word in shown, shown

    assert (
        "Deleted 1 jobs. Deleted 1 avatars."
        in uvatar("forget", tmp_path / "mrs jones.jpg", "--in", tmp_path / "out", "--data", data).stdout
    )
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"mr_jones_p0"}
    uvatar("stop", "--data", data)
    wait_until(lambda: find(data) is None, "the server has ended")
    assert "Deleted 1 jobs" in uvatar("forget", tmp_path / "mr jones.jpg", "--data", data).stdout
    for path in (path for path in data.rglob("*") if path.is_file()):
        assert b"jones" not in path.read_bytes(), path
    assert uvatar("forget", "--data", data).returncode == 2
