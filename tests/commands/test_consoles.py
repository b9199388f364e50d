"""What people call their files, on consoles that cannot show it, and as words of a markup language."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.commands.test_cli import uvatar
from tests.service.servers import FAKE, PATIENCE, Server, photo
from uvatar.commands.cli import make_app
from uvatar.evaluation.photos import evaluate_photos
from uvatar.evaluation.tables import print_table
from uvatar.photos.decoding import PhotoError
from uvatar.protocol.errors import UvatarError
from uvatar.runtime.spawn import environment, module_command
from uvatar.runtime.terminal import print_anything, terminal
from uvatar.service import client as clients
from uvatar_training import cli as training

NAMES = ["写真 😀.jpg", "x [final].jpg", "[b].jpg", "[red]me.jpg", ":smile:.jpg", "café.jpg", "nobody [bold].jpg"]
ENCODINGS = {"cp1252": "?? ?.jpg", "ascii": "?? ?.jpg", "utf-8": "写真 😀.jpg"}
NOT_UTF8 = os.fsdecode(b"bad\xff.jpg")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Photos with such names, in a folder with such a name."""
    place = tmp_path / "[final] 写真"
    place.mkdir()
    for number, name in enumerate(NAMES):
        (place / name).write_bytes(
            photo(number=number, **({"fail": f"No person was found in {name}."} if "nobody" in name else {}))
        )
    if sys.platform == "linux":
        (place / NOT_UTF8).write_bytes(photo(number=99))
    return place


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_every_command_prints_any_name(tmp_path: Path, folder: Path, server: Server, encoding: str) -> None:
    """Into a pipe or a file, as ``uvatar batch … > log`` on Windows."""
    out, data = tmp_path / "out [b] [final]é", ["--data", str(server.folder)]
    names = [*NAMES, *(["bad\ufffd.jpg"] if sys.platform == "linux" else [])]
    commands: list[tuple[list[str], int, list[str]]] = [
        (
            ["reconstruct", str(folder), str(tmp_path / "gone [b].jpg"), "--out", str(out), "--no-blend", *data],
            1,
            [*names, "gone [b].jpg"],
        ),
        (["batch", str(folder), "--out", str(out / "[batch]"), "--no-blend", *data], 1, names),
        (["batch", str(folder / NAMES[0]), "--out", str(out / NAMES[0] / "out"), "--no-blend", *data], 0, []),
        (
            ["batch", str(folder / NAMES[1]), "--out", str(folder / NAMES[1]), "--no-blend", *data],
            1,
            ["x [final].jpg cannot be a folder"],
        ),
        (
            ["forget", str(folder / NAMES[1]), str(folder / "gone 写.jpg"), "--in", str(out), *data],
            1,
            ["Deleted 1 jobs. Deleted 2 avatars."],
        ),
        (["status", "--data", str(folder / "[data]")], 0, ["No server is running"]),
        (["logs", "--data", str(folder / "[data]")], 0, []),
        (["reconstruct", NAMES[0], "--texture", "[b]写"], 2, []),
    ]
    for arguments, code, expected in commands if encoding == "cp1252" else commands[:2]:  # each takes a second
        command = module_command("uvatar", *arguments)
        env = environment(COLUMNS="200", PYTHONIOENCODING=encoding)
        done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=2 * PATIENCE)
        output = (done.stdout + done.stderr).decode(encoding)
        assert done.returncode == code and "Traceback" not in output, output
        for name in expected:
            assert name.encode(encoding, "replace").decode(encoding) in output, (name, output)


def test_names_are_no_markup_in_any_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for encoding in ENCODINGS:
        stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        monkeypatch.setattr(sys, "stdout", stream)
        print_anything()
        for name in NAMES:
            print_table([{"photo": name, "figure": 1.0}], f"{name} [/b]", terminal())
            terminal().print(f"{name} [/b]", style="red")
        stream.flush()
        output = stream.buffer.getvalue().decode(encoding)
        for name in NAMES:
            assert output.count(name.encode(encoding, "replace").decode(encoding) + " [/b]") >= 2


def test_evaluations_print_any_name(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", stream)
    print_anything()

    def nobody(data: bytes, name: str) -> Any:
        raise PhotoError("No person was found [here].")

    if sys.platform != "win32":
        os.mkfifo(folder / "pipe.jpg")
    assert evaluate_photos(folder, tmp_path / "out", nobody, body=object()) == []  # type: ignore[arg-type]
    stream.flush()
    output = stream.buffer.getvalue().decode("cp1252")
    assert "x [final].jpg: No person was found [here]." in output and "?? ?.jpg: " in output and "bad?.jpg" in output
    assert sys.platform == "win32" or "pipe.jpg: This is a pipe" in output


def test_training_prints_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(
        sys, "argv", ["uvatar-train", "mesh", "--data", str(tmp_path / "写真 [b] [/b]"), "--out", str(tmp_path / "out")]
    )
    with pytest.raises(SystemExit) as ended:
        training.main()
    stream.flush()
    output = stream.buffer.getvalue().decode("ascii")
    assert ended.value.code == 1 and output.startswith("Error: ") and "?? [b] [/b]: " in output


# -- numbers and places ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ["--port", "80000"],
        ["--port", "-1"],
        ["--port", "65536"],
        ["--keep-gb", "inf"],
        ["--keep-days", "nan"],
        ["--memory-gb", "inf"],
        ["--hung-after", "nan"],
        ["--exit-when-idle", "nan"],
        ["--token-file", "."],
    ],
)
def test_numbers_that_mean_nothing_are_refused(tmp_path: Path, arguments: list[str]) -> None:
    done = CliRunner().invoke(make_app(), ["serve", "--data", str(tmp_path / "data"), *arguments])
    assert done.exit_code == 2 and not (tmp_path / "data").exists(), done.output


@pytest.mark.parametrize(
    "address",
    ["localhost:80000", "localhost:0", "localhost:-1", "localhost:²", "localhost:", ":1", "1", "localhost:1e3"],
)
def test_addresses_that_are_none_are_refused(tmp_path: Path, address: str) -> None:
    done = CliRunner().invoke(make_app(), ["serve", "--data", str(tmp_path / "data"), "--network", address])
    assert done.exit_code == 1 and "is not an address" in done.output and not (tmp_path / "data").exists()


@pytest.mark.parametrize("content", [b"", b"short", bytes(range(256)), b"\xff" * 40, "ein geheimes Wörtchen".encode()])
def test_a_token_that_is_no_text_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "token").write_bytes(content)
    done = CliRunner().invoke(
        make_app(), ["serve", "--data", str(tmp_path / "data"), "--token-file", str(tmp_path / "token")]
    )
    assert done.exit_code == 2 and "at least 16" in done.output


@pytest.mark.parametrize(
    "command",
    ["reconstruct", "batch", "evaluate photos", "evaluate starts", "evaluate synthetic", "evaluate-photos"]
    + ["evaluate-starts", "evaluate-synthetic", "evaluate hands", "evaluate predictions"],
)
def test_outputs_are_tried_before_the_work(tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No server is started and no model is loaded for what could not be written."""
    monkeypatch.setattr(clients, "attach", lambda *_: pytest.fail("a server was wanted"))
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(photo())
    (tmp_path / "file").touch()
    source = [] if command.endswith(("synthetic", "hands")) else [str(tmp_path / "photos")]
    known = {name for name in sys.modules if name.startswith("uvatar.evaluation.")}
    data = ["--data", str(tmp_path / "data")] if not command.startswith("evaluate") else []
    done = CliRunner().invoke(make_app(), [*command.split(), *source, "--out", str(tmp_path / "file"), *data])
    assert done.exit_code == 1 and "cannot be a folder" in done.output.replace("\n", " "), done.output
    assert {name for name in sys.modules if name.startswith("uvatar.evaluation.")} == known


def test_a_data_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """As where the home folder is read-only."""
    (tmp_path / "a.jpg").write_bytes(photo())
    (tmp_path / "home").touch()
    arguments: list[str | Path] = [
        "reconstruct",
        tmp_path / "a.jpg",
        "--out",
        tmp_path / "out",
        "--no-blend",
        "--pipeline",
        FAKE,
    ]
    done = uvatar(*arguments, UVATAR_DATA=str(tmp_path / "home" / "uvatar"))
    assert done.returncode == 1 and "Traceback" not in done.stderr and "Errno" not in done.stdout
    assert f"{tmp_path / 'home' / 'uvatar'} cannot be used: " in done.stdout and "UVATAR_DATA" in done.stdout
    served = uvatar("serve", "--data", tmp_path / "home" / "uvatar")
    assert served.returncode == 1 and "Errno" not in served.stderr and "UVATAR_DATA" in served.stderr, served.stderr


def test_a_computer_that_cannot_reach_itself_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: Any, **__: Any) -> None:
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr("socket.create_connection", unreachable)
    with pytest.raises(UvatarError, match=r"cannot reach each other at 127.0.0.1: Network is unreachable") as caught:
        clients.attach(tmp_path / "data")
    assert caught.value.code == "no-loopback" and caught.value.fix and not (tmp_path / "data").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="a pipe called like a photo")
def test_a_pipe_is_not_waited_for(tmp_path: Path, server: Server) -> None:
    os.mkfifo(tmp_path / "x.jpg")
    (tmp_path / "a.jpg").write_bytes(photo())
    commands: list[list[str | Path]] = [["reconstruct", tmp_path], ["batch", tmp_path], ["batch", tmp_path / "x.jpg"]]
    for arguments in commands:
        done = uvatar(*arguments, "--out", tmp_path / "out", "--no-blend", "--data", server.folder)
        assert done.returncode == 1 and "x.jpg: " in done.stdout and "This is a pipe" in done.stdout, (
            done.stdout + done.stderr
        )
    assert (tmp_path / "out" / "a_p0" / "result.json").is_file()
    done = uvatar("forget", tmp_path / "x.jpg", "--data", server.folder)
    assert done.returncode == 1 and "This is a pipe" in done.stdout
    assert json.loads((tmp_path / "out" / "a_p0" / "result.json").read_text())["photo"]["name"] == "a.jpg"
