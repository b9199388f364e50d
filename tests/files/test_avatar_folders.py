"""Avatars' folders: what is replaced, what is never touched, what forgetting deletes, and what is tried before the
work.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.service.fake_pipeline import result
from uvatar.commands.forgetting import forget_avatars
from uvatar.files import avatar_folders
from uvatar.files.avatar_folders import FolderNames, prepare, read_avatar, stem_of
from uvatar.files.export import Exporter
from uvatar.gltf.presets import PRESETS
from uvatar.protocol import message_files, photo_lists
from uvatar.protocol.errors import UvatarError
from uvatar.service.batch.photos import BatchPhoto
from uvatar.service.batch.record import BatchRecord
from uvatar.service.batch.run import run_batch


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def folders(out: Path) -> list[str]:
    return sorted(path.name for path in out.iterdir() if path.is_dir())


def digest(name: str, data: bytes) -> str:
    return str(result(name, data)["photo"]["digest"])


# -- another run -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("earlier", "later", "expected"),
    [
        ([("me.jpg", b"1", 3)], [("me.jpg", b"1", 1)], ["me_p0"]),  # found two people too many the first time
        ([("me.jpg", b"1", 1)], [("me.jpg", b"1", 2)], ["me_p0", "me_p1"]),
        ([("me.jpg", b"1", 2)], [("me.jpg", b"2", 1)], ["me-2_p0", "me_p0", "me_p1"]),  # another photo of this name
        ([("me.jpg", b"1", 2)], [("me.png", b"2", 1)], ["me-2_p0", "me_p0", "me_p1"]),
        (
            [("me.jpg", b"1", 1), ("me.jpg", b"2", 2)],
            [("me.jpg", b"2", 1)],
            ["me-2_p0", "me_p0"],
        ),  # now only the second
        (
            [("me.jpg", b"1", 1), ("me.jpg", b"2", 1), ("me.jpg", b"3", 2)],
            [("me.jpg", b"3", 1)],
            ["me-2_p0", "me-3_p0", "me_p0"],
        ),
        ([("me.jpg", b"1", 1), ("me.jpg", b"2", 2)], [("me.jpg", b"2", 1), ("me.jpg", b"1", 1)], ["me-2_p0", "me_p0"]),
        ([("me.jpg", b"1", 1)], [("ME.jpg", b"2", 1)], ["ME-2_p0", "me_p0"]),  # one name on Windows and macOS
        ([("me.jpg", b"1", 1)], [("you.jpg", b"1", 1)], ["me_p0", "you_p0"]),  # a copy
        ([("me.jpg", b"1", 1)] * 2, [("me.jpg", b"1", 1)] * 2, ["me-2_p0", "me_p0"]),
    ],
)
def test_a_run_replaces_what_it_made_of_the_same_photo_and_nothing_else(
    tmp_path: Path, earlier: list[tuple[str, bytes, int]], later: list[tuple[str, bytes, int]], expected: list[str]
) -> None:
    for run in (earlier, later):
        exporter = Exporter(tmp_path)
        written = [person for photo in run for person in exporter.write(result(*photo))]
    assert folders(tmp_path) == expected
    for person, (name, data) in zip(
        written, [(name, data) for name, data, people in later for _ in range(people)], strict=True
    ):
        assert json.loads((person.folder / "result.json").read_text())["photo"]["digest"] == digest(name, data)
    kept = {data for _, data, _ in earlier} | {data for _, data, _ in later}
    assert {json.loads(path.read_text())["photo"]["digest"] for path in tmp_path.glob("*/result.json")} == {
        digest("", d) for d in kept
    }


@pytest.mark.parametrize(
    ("theirs", "expected"),
    [
        ({"me_p0/holiday.jpg": ""}, "me-2_p0"),
        ({"me_p7/holiday.jpg": ""}, "me-2_p0"),
        ({"me_p0/result.json": "{}"}, "me-2_p0"),
        ({"me_p0/result.json": "[" * 100_000}, "me-2_p0"),
        ({"me_p0": "a file"}, "me-2_p0"),
        ({"me_p0x/holiday.jpg": "", "me.txt": ""}, "me_p0"),
    ],
)
def test_what_is_not_ours_is_never_written_into(tmp_path: Path, theirs: dict[str, str], expected: str) -> None:
    for name, text in theirs.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    [person] = Exporter(tmp_path).write(result("me.jpg", b"1"))
    assert person.folder.name == expected
    assert all((tmp_path / name).read_text() == text for name, text in theirs.items())


def test_a_photo_keeps_its_name_when_another_goes(tmp_path: Path) -> None:
    exporter = Exporter(tmp_path)
    for data in (b"1", b"2"):
        exporter.write(result("me.jpg", data))
    forget_avatars(tmp_path, [digest("", b"1")])
    Exporter(tmp_path).write(result("me.jpg", b"2"))
    assert folders(tmp_path) == ["me-2_p0"]


def test_own_files_in_an_avatars_folder_stay(tmp_path: Path) -> None:
    """Also where the avatar is replaced, or there is no such person any more."""
    for person in Exporter(tmp_path).write(result("me.jpg", b"1", people=2)):
        (person.folder / "my edit.blend").write_text("mine")
    Exporter(tmp_path).write(
        {**result("me.jpg", b"1"), "people": [{**result("me.jpg", b"1")["people"][0], "turntable_png": b""}]}
    )
    assert "me_p0/turntable.png" not in names(tmp_path) and "me_p0/texture.png" in names(tmp_path)
    assert {name for name in names(tmp_path) if name.startswith("me_p1")} == {"me_p1/my edit.blend"}
    assert (tmp_path / "me_p0" / "my edit.blend").read_text() == "mine"


def test_an_empty_folder_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / "me_p0").mkdir()
    [person] = Exporter(tmp_path).write(result("me.jpg", b"1"))
    assert person.folder.name == "me_p0"


def test_a_run_that_is_killed_leaves_no_half_avatar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are made elsewhere; what a killed run leaves there, its photo too, is deleted by a later run."""
    exporter = Exporter(tmp_path)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("uvatar.files.export.put_in_place", killed)
        patch.setattr("tempfile.TemporaryDirectory.cleanup", lambda self: self._finalizer.detach())
        with pytest.raises(KeyboardInterrupt):
            exporter.write(result("me.jpg", b"1"))
    [left] = tmp_path.iterdir()
    assert (left / "photo.uvatar").is_file()
    for path in (left, *left.rglob("*")):
        os.utime(path, (1e9, 1e9))
    (tmp_path / ".uvatar-notes").mkdir()
    (tmp_path / ".uvatar-notes" / "mine.txt").touch()
    os.utime(tmp_path / ".uvatar-notes" / "mine.txt", (1e9, 1e9))
    os.utime(tmp_path / ".uvatar-notes", (1e9, 1e9))
    Exporter(tmp_path).write(result("you.jpg", b"2"))
    assert folders(tmp_path) == [".uvatar-notes", "you_p0"]


def test_result_files_of_others_are_not_replaced(tmp_path: Path) -> None:
    romp = {"cam": np.ones((1, 3), np.float32), "body": "open_body"}
    (tmp_path / "me.npz").write_bytes(b"theirs")
    for _ in range(2):  # the second run knows its own
        [person] = Exporter(tmp_path).write({**result("me.jpg", b"1"), "romp": romp})
        assert person.folder.name == "me-2_p0" and person.summary["beside"] == ["me-2.npz"]
    assert (tmp_path / "me.npz").read_bytes() == b"theirs" and (tmp_path / "me-2.npz").is_file()
    [person] = Exporter(tmp_path).write(result("me.jpg", b"1"))  # without: it is still there, and still listed
    assert person.folder.name == "me-2_p0" and person.summary["beside"] == ["me-2.npz"]


@pytest.mark.parametrize(
    "name",
    [
        "写" * 300,
        "𠀀" * 300,
        "e\u0301" * 300,
        "con",
        "CON.a",
        "nul",
        "COM1",
        ".",
        "..",
        "",
        " ",
        "\udcff",
        "a/b",
        "x [final]",
        "-rf",
        "a" * 300,
    ],
)
def test_every_name_makes_a_stem_that_every_file_system_holds(tmp_path: Path, name: str) -> None:
    for stem in (stem_of(name), stem_of(name, keep_end=True)):
        assert stem and stem.isprintable() and not set(stem) & set('\\/:*?"<>| []') and not stem.startswith(".")
        folder = tmp_path / f"{stem}-99_p31"
        folder.mkdir()
        folder.rmdir()
        assert stem.split(".")[0].upper() not in ("CON", "NUL", "COM1")
        assert stem_of(stem) == stem


def test_two_ways_to_write_a_name_are_one(tmp_path: Path) -> None:
    """macOS takes é for e and an accent."""
    exporter = Exporter(tmp_path)
    written = [
        exporter.write(result(name, name.encode()))[0].folder.name
        for name in ("caf\u00e9.jpg", "cafe\u0301.jpg", "CAFÉ.jpg")
    ]
    assert written == ["café_p0", "café-2_p0", "CAFÉ-3_p0"]


# -- batches -----------------------------------------------------------------------------------------------------------


def batch(photos: Path, out: Path, people: int = 1) -> list[str]:
    """Runs a batch; the keys of the photos that were made."""
    made = []

    def engine(todo: Any, _last: Any) -> Any:
        for photo, data in todo:
            made.append(photo.key)
            yield photo, result(photo_lists.photo_name(photo.path.name), data, people)

    run_batch(photos, engine, Exporter(out), lambda *_: None)
    return made


def test_a_photo_of_a_batch_that_changed_is_replaced(tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    (photos / "a.jpg").write_bytes(b"first")
    batch(photos, out, people=3)
    assert len(list((out / "thumbnails").iterdir())) == 3
    (photos / "a.jpg").write_bytes(b"second one")
    assert batch(photos, out) == ["a.jpg"]
    assert folders(out) == ["a_p0", "thumbnails"] and [path.name for path in (out / "thumbnails").iterdir()] == [
        "a_p0.jpg"
    ]
    assert json.loads((out / "a_p0" / "result.json").read_text())["photo"]["digest"] == digest("", b"second one")


def test_a_batch_into_somebody_elses_folder_replaces_nothing(tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    (photos / "a.jpg").write_bytes(b"mine")
    Exporter(out).write(result("a.jpg", b"another"))
    batch(photos, out)
    assert folders(out) == ["a-2_p0", "a_p0", "thumbnails"]
    assert batch(photos, out) == []
    (photos / "a.jpg").write_bytes(b"mine, changed")
    batch(photos, out)
    assert folders(out) == ["a-2_p0", "a_p0", "thumbnails"]


def test_a_photo_that_changes_while_it_is_read_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    (photos / "a.jpg").write_bytes(b"first")

    def exchanged(path: Path) -> bytes:
        data = path.read_bytes()
        path.write_bytes(b"second one")
        return data

    monkeypatch.setattr("uvatar.service.batch.run.read_photo", exchanged)
    batch(photos, out)
    monkeypatch.undo()
    assert batch(photos, out) == ["a.jpg"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux's file names are any bytes")
def test_a_batch_goes_on_past_names_that_are_no_text(tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    for name in (b"bad\xff\xfe.jpg", b"good.jpg", "写真 [b].jpg".encode()):
        Path(os.fsdecode(os.fsencode(photos) + b"/" + name)).write_bytes(name)
    assert len(batch(photos, out)) == 3
    assert batch(photos, out) == []  # at every further run, too
    assert "bad��.jpg" in (out / "report.html").read_text(encoding="utf-8")
    assert {json.loads(path.read_text("utf-8"))["photo"]["name"] for path in out.glob("*/result.json")} == {
        "bad��.jpg",
        "good.jpg",
        "写真 [b].jpg",
    }


def test_a_report_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    (photos / "a.jpg").write_bytes(b"a")
    (out / "report.html").mkdir(parents=True)
    with pytest.raises((IsADirectoryError, PermissionError)):
        batch(photos, out)
    (out / "report.html").rmdir()
    assert batch(photos, out) == [] and (out / "report.html").is_file()


def test_a_batch_stops_at_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Further photos would be worked on in vain."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in "abc":
        (photos / f"{name}.jpg").write_bytes(name.encode())

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("uvatar.files.export.put_in_place", full)
    with pytest.raises(UvatarError, match="is full") as caught:
        batch(photos, tmp_path / "out")
    assert caught.value.code == "disk-full" and "same command again" in caught.value.fix
    monkeypatch.undo()
    assert batch(photos, tmp_path / "out") == ["a.jpg", "b.jpg", "c.jpg"]


# -- forgetting --------------------------------------------------------------------------------------------------------


def test_forgetting_deletes_exactly_what_was_written(tmp_path: Path) -> None:
    """A copy of a result.json in a project's root is no reason to delete the project."""
    out = tmp_path / "project" / "avatars"
    romp = {"cam": np.ones((1, 3), np.float32), "body": "open_body"}
    first, second = Exporter(out).write({**result("anna.jpg", b"anna", people=2), "romp": romp})
    Exporter(out).write(result("bert.jpg", b"bert"))
    (second.folder / "my edit.blend").write_text("mine")
    (tmp_path / "project" / "result.json").write_bytes((first.folder / "result.json").read_bytes())
    for name in ("thesis.txt", "src/main.py", "avatars/anna_p0.txt"):
        (tmp_path / "project" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "project" / name).write_text("mine")
    gone = forget_avatars(tmp_path / "project", [digest("", b"anna")])
    assert not gone.failed and set(gone.kept) == {second.folder, tmp_path / "project"}
    left = {name for name in names(tmp_path / "project") if "bert" not in name}
    assert left == {"thesis.txt", "src/main.py", "avatars/anna_p0.txt", "avatars/anna_p1/my edit.blend"}
    assert not first.folder.exists() and len(names(out / "bert_p0")) == 5


@pytest.mark.parametrize(
    "file", ["../thesis.txt", "..", "/etc/passwd", "C:\\thesis.txt", "sub/thesis.txt", "a\0b", "", 7, None, ["x"]]
)
@pytest.mark.parametrize("key", ["files", "beside"])
def test_a_result_that_lists_files_elsewhere_is_not_ours(tmp_path: Path, file: Any, key: str) -> None:
    [person] = Exporter(tmp_path / "out").write(result("a.jpg", b"a"))
    (tmp_path / "thesis.txt").write_text("mine")
    summary = json.loads((person.folder / "result.json").read_text())
    (person.folder / "result.json").write_text(json.dumps({**summary, key: [*summary["files"], file]}))
    before = names(tmp_path)
    assert read_avatar(person.folder) is None
    assert not forget_avatars(tmp_path, [digest("", b"a")]).deleted and names(tmp_path) == before


@pytest.mark.skipif(sys.platform == "win32", reason="needs links")
def test_forgetting_follows_no_links(tmp_path: Path) -> None:
    [person] = Exporter(tmp_path / "out").write(result("a.jpg", b"a"))
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "texture.png").write_text("mine")
    (person.folder / "texture.png").unlink()
    (person.folder / "texture.png").symlink_to(tmp_path / "thesis" / "texture.png")
    (person.folder / "overlay.jpg").unlink()
    (person.folder / "overlay.jpg").symlink_to(tmp_path / "thesis")
    forget_avatars(tmp_path / "out", [digest("", b"a")])
    assert (tmp_path / "thesis" / "texture.png").read_text() == "mine"


def test_forgetting_takes_a_photo_out_of_a_batch(tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    for name in ("anna", "bert"):
        (photos / f"{name}.jpg").write_bytes(name.encode())
    batch(photos, out)
    assert len(forget_avatars(out, [digest("", b"anna")]).deleted) == 1
    assert folders(out) == ["bert_p0", "thumbnails"]
    for path in out.rglob("*"):
        assert "anna" not in path.name and (path.is_dir() or b"anna" not in path.read_bytes())
    record = BatchRecord(out)
    record.close()
    assert list(record.outcomes) == ["bert.jpg"] and record.is_done(BatchPhoto("bert.jpg", photos / "bert.jpg"))


def test_forgetting_finds_thumbnails_whose_report_has_gone(tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    (photos / "anna.jpg").write_bytes(b"anna")
    batch(photos, out)
    (out / "report.html").unlink()
    forget_avatars(out, [digest("", b"anna")])
    assert not list((out / "thumbnails").iterdir())


def test_forgetting_one_photo_of_a_person_deletes_the_avatar_that_it_went_into(tmp_path: Path) -> None:
    both = [digest("", b"front"), digest("", b"back")]
    Exporter(tmp_path).write(result("front.jpg", b"front"), made_of=both)
    assert not forget_avatars(tmp_path, [digest("", b"side")]).deleted
    assert len(forget_avatars(tmp_path, both[1:]).deleted) == 1 and not names(tmp_path)


def test_forgetting_finds_what_a_killed_run_left(tmp_path: Path) -> None:
    workshop = tmp_path / "out" / ".uvatar-k1ll3d"
    (workshop / "0").mkdir(parents=True)
    (workshop / "0" / "texture.png").touch()
    message_files.dump(result("a.jpg", b"a"), workshop / "photo.uvatar")
    forget_avatars(tmp_path, [digest("", b"b")])
    assert workshop.is_dir()  # somebody may be at work there
    forget_avatars(tmp_path, [digest("", b"a")])
    assert not workshop.exists()


# -- before the work ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["file", "file/below", "file/far/below"])
def test_a_file_is_no_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UvatarError, match="a file has this name") as caught:
        prepare(tmp_path / name)
    assert caught.value.code == "unwritable" and "--out" in caught.value.fix


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [
        (errno.EACCES, "unwritable", "Permission denied"),
        (errno.EROFS, "unwritable", "Read-only file system"),
        (errno.ENOSPC, "disk-full", "is full"),
        (errno.EDQUOT, "disk-full", "is full"),
    ],
)
def test_a_folder_is_written_to_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: str, words: str
) -> None:
    def refused(**_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("tempfile.TemporaryDirectory", refused)
    with pytest.raises(UvatarError, match=words) as caught:
        prepare(tmp_path)
    assert caught.value.code == code


def test_a_nearly_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(tmp_path / "new" / "folder")
    assert not list((tmp_path / "new" / "folder").iterdir())
    monkeypatch.setattr(avatar_folders, "ROOM", 1 << 60)
    with pytest.raises(UvatarError, match="is full"):
        prepare(tmp_path)


def test_stems_of_many_folders_are_looked_up_once(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"a_p{number}").mkdir()
    stems = FolderNames(tmp_path)
    assert stems.give("a", "0" * 64)[0] == "a"
    assert [stems.give("a", "0" * 64)[0] for _ in range(2)] == ["a-2", "a-3"]


def test_the_files_for_engines_that_are_asked_for_are_written(tmp_path: Path) -> None:
    presets = [PRESETS["gltf"], PRESETS["ready-player-me"]]
    [person] = Exporter(tmp_path, glb=presets).write(result("me.jpg", b"1"))
    assert {"avatar.glb", "avatar_rpm.glb"} <= set(person.summary["files"]) and person.problem is None
    assert (person.folder / "avatar_rpm.glb").read_bytes()[:4] == b"glTF"
    [person] = Exporter(tmp_path).write(result("me.jpg", b"1"))
    assert not list(person.folder.glob("*.glb"))  # another run without them takes them away


def test_a_damaged_result_costs_only_the_files_for_engines(tmp_path: Path) -> None:
    damaged = result("me.jpg", b"1")
    damaged["body"]["triangles"] = damaged["body"]["triangles"] + 1000
    [person] = Exporter(tmp_path, glb=[PRESETS["gltf"]]).write(damaged)
    assert person.problem and "damaged" in person.problem
    assert "texture.png" in person.summary["files"] and not list(person.folder.glob("*.glb"))
