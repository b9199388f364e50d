"""The ``uvatar`` command, end to end with a fake pipeline."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from rich.console import Console

from tests.service.fake_pipeline import result
from tests.service.servers import FAKE, PATIENCE, Server, photo, python, wait_until
from uvatar.commands import evaluate
from uvatar.commands.reconstruct import report
from uvatar.files.export import Exporter, readable_json, summarise
from uvatar.protocol import discovery
from uvatar.runtime.spawn import environment, module_command
from uvatar.service.client import find


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """A data folder whose server, if one was started, is stopped after the test."""
    folder = tmp_path / "data"
    yield folder
    client = find(folder)
    if client:
        with client:
            pid = client.status()["pid"]
            client.shutdown()
        wait_until(lambda: not psutil.pid_exists(pid), "the server has ended")


def uvatar(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    command = module_command("uvatar", *map(str, arguments))
    env = environment(COLUMNS="200", **variables)
    return subprocess.run(
        command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=2 * PATIENCE
    )


def test_documents_name_commands_that_there_are() -> None:
    root = Path(__file__).parents[2]
    texts = "".join(path.read_text(encoding="utf-8") for path in (root / "README.md", *sorted(root.glob("docs/*.md"))))
    measuring = {command.__name__.replace("_", "-") for command in evaluate.COMMANDS}
    assert set(re.findall(r"uvatar evaluate ([a-z-]+)", texts)) <= measuring


def test_photos_to_folders_and_back_again(tmp_path: Path, data: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "two people.jpg").write_bytes(photo(people=2))
    (photos / "nobody.jpg").write_bytes(photo(fail="No person was found in nobody.jpg."))
    (photos / "notes.txt").write_text("not a photo")
    (tmp_path / "two people.png").write_bytes(photo())
    out = tmp_path / "out"
    arguments: list[str | Path] = [
        "reconstruct",
        photos,
        tmp_path / "two people.png",
        tmp_path / "missing.jpg",
        "--out",
        out,
        "--no-blend",
        "--data",
        data,
    ]
    done = uvatar(*arguments, "--pipeline", FAKE)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "No person was found in nobody.jpg." in done.stdout and "missing.jpg" in done.stdout
    assert {folder.name for folder in out.iterdir()} == {"two_people_p0", "two_people_p1", "two_people-2_p0"}
    folder = out / "two_people_p1"
    summary = json.loads((folder / "result.json").read_text())
    assert set(summary["files"]) == {path.name for path in folder.iterdir()}
    pictures = {"texture.png", "texture_source.png", "overlay.jpg", "turntable.png"}
    assert set(summary["files"]) == {*pictures, "avatar.glb", "avatar.html", "result.json"}
    assert summary["person"]["id"] == "p1" and summary["person"]["metrics"]["mask_iou"] == 0.9

    status = uvatar("status", "--data", data)
    assert status.returncode == 0 and "ready" in status.stdout and "finished" in status.stdout

    again = uvatar("reconstruct", tmp_path / "two people.png", "--out", out, "--no-blend", "--data", data)
    assert again.returncode == 0 and "Starting" not in again.stdout, again.stdout + again.stderr

    assert "Stopped" in uvatar("stop", "--data", data).stdout
    wait_until(lambda: find(data) is None, "the server has ended")
    assert "No server is running" in uvatar("stop", "--data", data).stdout
    assert "No server is running" in uvatar("status", "--data", data).stdout


def test_people_of_result_files_cross_as_numbers_and_no_path_does(tmp_path: Path, data: Path) -> None:
    results = tmp_path / "results"
    results.mkdir()
    content = np.empty((), object)
    content[()] = {"smpl_thetas": np.full((1, 72), 0.25), "cam": np.ones((1, 3))}
    np.savez(results / "a.npz", results=content)
    (results / "b.npz").write_bytes(b"nothing")
    for name in "abc":
        (tmp_path / f"{name}.jpg").write_bytes(photo())
    photos = [tmp_path / f"{name}.jpg" for name in "abc"]
    done = uvatar(
        "reconstruct",
        *photos,
        "--from-npz",
        results,
        "--out",
        tmp_path / "out",
        "--no-blend",
        "--data",
        data,
        "--pipeline",
        FAKE,
    )
    assert done.returncode == 1 and (tmp_path / "out" / "a_p0" / "result.json").is_file(), done.stdout + done.stderr
    assert "b.jpg: b.npz is damaged" in done.stdout and "c.npz does not exist" in done.stdout
    client = find(data)
    assert client
    with client:
        [job] = client.status()["jobs"]
        assert [item["name"] for item in client.status(job["job"])["photos"]] == ["a.jpg"]
        client.shutdown()
    wait_until(lambda: find(data) is None, "the server has ended")
    with closing(sqlite3.connect(data / "journal.sqlite")) as journal:
        [(options,)] = journal.execute("SELECT options FROM jobs").fetchall()
    [given] = json.loads(options)["given_people"]
    assert given["photo"] == "a.jpg" and given["thetas"] == [[0.25] * 72] and given["camera"] == [[1.0] * 3]
    assert str(results) not in options and ".npz" not in options


def test_a_server_killed_under_the_command_is_started_again(tmp_path: Path, data: Path) -> None:
    log, go = tmp_path / "log", tmp_path / "go"
    (tmp_path / "a.jpg").write_bytes(photo(log=str(log), wait_for=str(go)))
    command = module_command(
        "uvatar",
        "reconstruct",
        str(tmp_path / "a.jpg"),
        "--out",
        str(tmp_path / "out"),
        "--no-blend",
        "--data",
        str(data),
    )
    process = subprocess.Popen(
        [*command, "--pipeline", FAKE], env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )
    wait_until(log.exists, "the photo is begun")
    runtime = discovery.read_runtime(data)
    assert runtime
    psutil.Process(runtime.pid).kill()
    go.touch()
    output, _ = process.communicate(timeout=2 * PATIENCE)
    assert process.returncode == 0, output
    assert (tmp_path / "out" / "a_p0" / "result.json").is_file()


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal to send on Windows")
@pytest.mark.usefixtures("heeds_ctrl_c")
def test_ctrl_c_cancels_the_job_and_keeps_the_server(tmp_path: Path, data: Path) -> None:
    log = tmp_path / "log"
    (tmp_path / "a.jpg").write_bytes(photo())
    (tmp_path / "b.jpg").write_bytes(photo(log=str(log), wait_for=str(tmp_path / "never")))
    arguments = [
        str(tmp_path / "a.jpg"),
        str(tmp_path / "b.jpg"),
        "--out",
        str(tmp_path / "out"),
        "--no-blend",
        "--data",
        str(data),
    ]
    command = module_command("uvatar", "reconstruct", *arguments, "--pipeline", FAKE)
    process = subprocess.Popen(
        command, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    wait_until(
        lambda: log.exists() and (tmp_path / "out" / "a_p0" / "result.json").exists(),
        "the first photo is written, the second begun",
    )
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=2 * PATIENCE)
    assert process.returncode == 130 and b"Traceback" not in output, output
    client = find(data)
    assert client
    with client:
        assert client.status()["jobs"][0]["state"] == "cancelled"


def test_avatars_that_cannot_be_written_are_told(tmp_path: Path, data: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(photo())
    summary = {"photo": {"digest": hashlib.sha256(photo()).hexdigest()}, "files": ["texture.png"]}
    (tmp_path / "out" / "a_p0" / "texture.png" / "in the way").mkdir(parents=True)
    (tmp_path / "out" / "a_p0" / "result.json").write_text(json.dumps(summary))
    (tmp_path / "b.jpg").write_bytes(photo(other=True))
    done = uvatar(
        "reconstruct",
        tmp_path / "a.jpg",
        tmp_path / "b.jpg",
        "--out",
        tmp_path / "out",
        "--no-blend",
        "--data",
        data,
        "--pipeline",
        FAKE,
    )
    assert (
        done.returncode == 1
        and "a.jpg: The avatars cannot be written" in done.stdout
        and "Traceback" not in done.stderr
    )
    assert (tmp_path / "out" / "b_p0" / "result.json").is_file()


@pytest.mark.parametrize(
    "arguments",
    [
        ["reconstruct"],
        ["reconstruct", "a.jpg", "--texture-size", "1000"],
        ["reconstruct", "a.jpg", "--nonsense"],
        ["dance"],
    ],
)
def test_a_misspelt_command_ends_with_two(arguments: list[str]) -> None:
    done = uvatar(*arguments)
    assert done.returncode == 2 and done.stderr and "Traceback" not in done.stderr


def test_without_a_readable_photo_no_server_is_started(tmp_path: Path) -> None:
    done = uvatar("reconstruct", tmp_path / "missing.jpg", tmp_path, "--data", tmp_path / "data")
    assert done.returncode == 1 and "missing.jpg" in done.stdout and "no photos" in done.stdout
    assert not (tmp_path / "data").exists()


def test_a_token_can_be_handed_over_in_a_file(start_server: Any, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("a token that the parent chose\n")
    server: Server = start_server("--token-file", str(tmp_path / "token"))
    assert server.token == "a token that the parent chose"
    other: Server = start_server("--token-file", str(tmp_path / "made"), folder=tmp_path / "other")
    assert other.token == (tmp_path / "made").read_text() and len(other.token) > 30


def test_help_needs_nothing_heavy() -> None:
    code = "import sys; from uvatar.commands import cli; print(*sorted(sys.modules))"
    assert not {"numpy", "zmq", "torch", "PIL", "rich.console"} & set(python(code).split())
    done = uvatar("--help")
    assert done.returncode == 0 and all(
        command in done.stdout for command in ("reconstruct", "serve", "status", "stop", "evaluate")
    )


def test_photos_are_sent_without_the_models_libraries() -> None:
    code = """import sys
from pathlib import Path
from uvatar.commands import forgetting, reconstruct
from uvatar.files import export
reconstruct.pending_photos([(Path("a.jpg"), 1)], None)
print(*sys.modules)"""
    assert not {"torch", "cv2", "scipy"} & set(python(code).split())


# -- export ------------------------------------------------------------------------------------------------------------

WRITER = """
import sys
from pathlib import Path
from uvatar.protocol import message_files
stored, *options = sys.argv[1:]
given = dict(zip(options[::2], options[1::2]))
person = message_files.load(Path(stored))["people"][int(given["--person"])]
if person["id"] == "p1":
    sys.exit("no space in the scene")
Path(given["--blend"]).write_text("blend of " + person["id"])
"""


def test_blender_gets_each_person_and_its_failure_is_told(tmp_path: Path) -> None:
    (tmp_path / "blender.py").write_text(WRITER)
    exporter = Exporter(tmp_path / "out", [sys.executable, str(tmp_path / "blender.py")])
    first, second = exporter.write(result("me.jpg", b"", people=2))
    assert (first.folder / "avatar.blend").read_text() == "blend of p0"
    assert first.problem is None and "avatar.blend" in first.summary["files"]
    assert second.problem and "no space in the scene" in second.problem
    assert "avatar.blend" not in second.summary["files"] and (second.folder / "texture.png").is_file()


def test_a_blender_that_is_not_there_is_told(tmp_path: Path) -> None:
    [person] = Exporter(tmp_path, [str(tmp_path / "nowhere")]).write(result("me.jpg", b""))
    assert person.problem and (person.folder / "result.json").is_file()
    assert person.problem.startswith("Blender cannot be started: ") and "Errno" not in person.problem


def test_a_blender_that_hangs_is_told_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uvatar.files.export.BLENDER_SECONDS", 1.0)
    [person] = Exporter(tmp_path / "out", [sys.executable, "-c", "import time; time.sleep(60)"]).write(
        result("me.jpg", b"")
    )
    assert person.problem == "Blender did not finish within 1 seconds."


def test_what_is_about_a_photo_is_said_once_and_names_it_once(tmp_path: Path) -> None:
    crowd = {**result("crowd.jpg", b"", people=3), "notes": ["4 people were found."]}
    crowd["people"][1]["notes"] = ["Small in the photo."]
    people = Exporter(tmp_path / "out").write(crowd)
    assert all("4 people were found." in person.summary["notes"] for person in people)  # each folder speaks for itself
    console = Console(file=io.StringIO(), width=200, markup=False)
    failures = [
        ("b.jpg", "b.jpg shows nobody who looks like the person of a.jpg."),
        ("c.jpg", "The file cannot be read."),
    ]
    report(console, people, failures)
    assert isinstance(console.file, io.StringIO)
    said = console.file.getvalue()
    assert (
        said.count("Small in the photo.") == 1
        and said.count("crowd.jpg: 4 people were found.") == said.count("4 people") == 1
    )
    assert said.count("b.jpg") == 1 and "c.jpg: The file cannot be read." in said


@pytest.mark.parametrize("name", ["../../me.jpg", "con:|?*.jpg", ".jpg", "ü" * 300, "..", "me.jpg"])
def test_any_photo_name_makes_a_folder_inside(tmp_path: Path, name: str) -> None:
    exporter = Exporter(tmp_path / "out")
    for _ in range(2):
        [person] = exporter.write(result(name, b""))
        assert person.folder.parent == tmp_path / "out" and person.folder.is_dir()
    assert len(os.listdir(tmp_path / "out")) == 2


def test_the_summary_is_plain_json_with_short_numbers() -> None:
    sent = result("me.jpg", b"")
    sent["people"][0]["betas"] = np.array([0.1] * 10, np.float32)
    sent["people"][0]["notes"] = ["It is [not\n {sure}].", "é  "]
    sent["errors"] = [{"code": "x", "message": "One person was too small."}]
    summary = summarise(sent, 0, [])
    text = readable_json(summary)
    assert json.loads(text) == summary
    assert '"betas": [0.1, 0.1' in text and "One person was too small." in text
    assert not any(key in text for key in ("texture_png", "template", "jpeg"))
