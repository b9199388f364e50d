"""Photos as files: what is found in folders and lists, and what is told of files that are none."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from uvatar.files import photo_files
from uvatar.files.photo_files import gathered, photo_size, photos_in, read_list, read_photo
from uvatar.protocol.errors import UvatarError
from uvatar.protocol.photo_lists import PHOTO_SUFFIXES
from uvatar.service.batch.photos import find_photos

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
bytes_as_names = pytest.mark.skipif(sys.platform != "linux", reason="only Linux's file names are any bytes")


# -- folders -----------------------------------------------------------------------------------------------------------

COMPANIONS = (
    "._a.jpg",  # macOS, on disks that are not its own
    ".hidden.png",
    ".DS_Store",
    "Thumbs.db",
    "desktop.ini",
    "__MACOSX/._a.jpg",
    "__MACOSX/a.jpg",
    ".thumbnails/a.jpg",
    "@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg",
    "@eaDir/b.jpg",
    "$RECYCLE.BIN/$RX1.jpg",
    "notes.txt",
    "a.jpg.part",
    "film.mov",
)


def lay(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def test_companions_of_photos_are_no_photos(tmp_path: Path) -> None:
    lay(tmp_path, "a.jpg", "sub/b.png", "sub/._b.png", "photos.jpg/c.jpg", *COMPANIONS)
    assert [path.name for path in photos_in(tmp_path)] == ["a.jpg"]
    assert [photo.key for photo in find_photos(tmp_path)] == ["a.jpg", "photos.jpg/c.jpg", "sub/b.png"]
    photos, failures = gathered([tmp_path])
    assert photos == [(tmp_path / "a.jpg", 1)] and not failures


@pytest.mark.parametrize("suffix", PHOTO_SUFFIXES)
def test_every_suffix_is_found_everywhere(tmp_path: Path, suffix: str) -> None:
    lay(tmp_path, f"small{suffix}", f"LARGE{suffix.upper()}")
    for found in (
        photos_in(tmp_path),
        [photo.path for photo in find_photos(tmp_path)],
        [path for path, _ in gathered([tmp_path])[0]],
    ):
        assert {path.name for path in found} == {f"small{suffix}", f"LARGE{suffix.upper()}"}


def test_a_folder_under_a_hidden_one_is_looked_into(tmp_path: Path) -> None:
    lay(tmp_path, ".cache/photos/a.jpg")
    assert photos_in(tmp_path / ".cache" / "photos") and find_photos(tmp_path / ".cache" / "photos")


def test_our_own_pictures_are_no_photos(tmp_path: Path) -> None:
    """A batch that writes among its photos does not make avatars of avatars when it is run again."""
    lay(tmp_path, "a.jpg", "avatars/a_p0/overlay.jpg", "avatars/a_p0/texture.png", "avatars/a_p0/my own.jpg")
    lay(tmp_path, "avatars/batch.jsonl", "avatars/thumbnails/a_p0.jpg", "thumbnails/b.jpg")
    summary = f'{{"photo": {{"digest": "{"0" * 64}"}}, "files": ["overlay.jpg", "texture.png", "result.json"]}}'
    (tmp_path / "avatars" / "a_p0" / "result.json").write_text(summary)
    assert [photo.key for photo in find_photos(tmp_path)] == ["a.jpg", "avatars/a_p0/my own.jpg", "thumbnails/b.jpg"]
    assert not [path for path in photos_in(tmp_path / "avatars" / "a_p0") if path.name != "my own.jpg"]


@posix
def test_links_that_lead_in_circles_end(tmp_path: Path) -> None:
    lay(tmp_path, "sub/a.jpg")
    (tmp_path / "sub" / "again").symlink_to(tmp_path)
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere")
    assert [photo.key for photo in find_photos(tmp_path)] == ["gone.jpg", "sub/a.jpg"]
    photos, [(name, reason)] = gathered([tmp_path])
    assert not photos and name.endswith("gone.jpg") and "cannot be read" in reason


@posix
def test_a_link_to_itself_keeps_no_other_photo_out(tmp_path: Path) -> None:
    lay(tmp_path, "a.jpg")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    photos, [(name, reason)] = gathered([tmp_path])
    assert [path.name for path, _ in photos] == ["a.jpg"] and name.endswith("loop.jpg") and "cannot be read" in reason


def test_a_folder_that_cannot_be_looked_into_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay(tmp_path, "a.jpg", "locked/b.jpg")
    scan = os.scandir

    def guarded(path: Path) -> object:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", guarded)
    assert [path.name for path in photos_in(tmp_path, deep=True)] == ["a.jpg", "locked"]
    _, [(name, reason)] = gathered([tmp_path / "locked"])
    assert name.endswith("locked") and reason == "The folder cannot be read: Permission denied."


@pytest.mark.parametrize("inside", [(), ("notes.txt", "._a.jpg")])
def test_a_folder_without_photos_is_told(tmp_path: Path, inside: tuple[str, ...]) -> None:
    lay(tmp_path, *inside)
    [(_, reason)] = gathered([tmp_path])[1]
    assert "There are no photos in this folder" in reason and ".avif" in reason
    with pytest.raises(UvatarError, match="no photos") as caught:
        find_photos(tmp_path)
    assert caught.value.code == "no-photos"


# -- files that are no photos ------------------------------------------------------------------------------------------


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(path))  # such names are short


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(300 << 20)


def _folder(path: Path) -> None:
    path.mkdir()


@posix
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_pipe, "a pipe, a socket or a device"),
        (_socket, "a pipe, a socket or a device"),
        (_device, "a pipe, a socket or a device"),
        (_sparse, "315 MB; photos may have at most 268 MB"),
        (_folder, "a folder"),
        (lambda path: None, "No such file"),
    ],
)
def test_what_is_no_file_is_refused_without_opening_it(
    tmp_path: Path, make: Callable[[Path], None], words: str
) -> None:
    """Opening a pipe would wait for ever, reading a device never end."""
    make(tmp_path / "x.jpg")
    for ask in (photo_size, read_photo):
        with pytest.raises(UvatarError, match=words) as caught:
            ask(tmp_path / "x.jpg")
        assert caught.value.code == "unreadable" and caught.value.fix
    assert all(words in reason for _, reason in gathered([tmp_path / "x.jpg"])[1] if make is not _folder)


def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    for name in ("a\0b.jpg", "x" * 5000 + ".jpg"):
        with pytest.raises(UvatarError, match="cannot be read"):
            read_photo(tmp_path / name)


# -- lists -------------------------------------------------------------------------------------------------------------

TWO = ["a.jpg", "写真 é.png"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a.jpg\n写真 é.png\n".encode(), TWO),
        ("a.jpg\r\n写真 é.png\r\n".encode(), TWO),
        ("a.jpg\r写真 é.png".encode(), TWO),
        ("a.jpg\r\n写真 é.png".encode("utf-8-sig"), TWO),  # Notepad
        ("a.jpg\r\n写真 é.png\r\n".encode("utf-16"), TWO),  # PowerShell's >
        ("\ufeffa.jpg\n写真 é.png".encode("utf-16-le"), TWO),
        ("\ufeffa.jpg\n写真 é.png".encode("utf-16-be"), TWO),
        ("\ufeffa.jpg\n写真 é.png".encode("utf-32-le"), TWO),
        ("\ufeffa.jpg\n写真 é.png".encode("utf-32-be"), TWO),
        (b'"C:\\Users\\me\\a b.jpg"\r\n', ["C:\\Users\\me\\a b.jpg"]),  # "Copy as path"
        (b"# mine\n\n  a.jpg\t\na.jpg\n#b.jpg\n", ["a.jpg"]),
        (b'it"s.jpg\n"', ['it"s.jpg', '"']),
        ("one\u2028name.jpg\nanother\u0085.jpg\n".encode(), ["one\u2028name.jpg", "another\u0085.jpg"]),
        (b"~/a.jpg\n$HOME/b.jpg\n", ["~/a.jpg", "$HOME/b.jpg"]),
        (b"", []),
    ],
)
def test_lists_as_people_make_them(tmp_path: Path, content: bytes, expected: list[str]) -> None:
    (tmp_path / "list.txt").write_bytes(content)
    assert read_list(tmp_path / "list.txt") == expected


@pytest.mark.parametrize(
    "content",
    [
        "写真.jpg\n".encode("cp932"),
        "Müller.jpg\n".encode("cp1252"),
        "a.jpg\n".encode("utf-16-le"),  # without its mark
        b"\xff\xfea",  # half a character
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        b"\xff\xd8\xff\xe0\0\x10JFIF\0",
        bytes(100),
    ],
)
def test_what_is_no_list_is_refused_in_a_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "list").write_bytes(content)
    with pytest.raises(UvatarError) as caught:
        find_photos(tmp_path / "list")
    assert caught.value.code == "bad-list" and "UTF-8" in caught.value.message and "Notepad" in caught.value.fix


def test_a_film_is_no_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo_files, "MOST_LIST", 10)
    (tmp_path / "film.mov").write_bytes(b"a" * 11)
    with pytest.raises(UvatarError, match="neither a photo nor a list"):
        read_list(tmp_path / "film.mov")


def test_a_list_of_nothing_is_told(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(b"# nothing yet\n")
    with pytest.raises(UvatarError, match="lists no photos"):
        find_photos(tmp_path / "list.txt")


def test_a_photo_can_stand_for_a_list_of_itself(tmp_path: Path) -> None:
    lay(tmp_path, "me.AVIF")
    [photo] = find_photos(tmp_path / "me.AVIF")
    assert (photo.key, photo.path) == ("me.AVIF", tmp_path / "me.AVIF")


@bytes_as_names
def test_a_list_of_names_that_are_not_utf8(tmp_path: Path) -> None:
    """Made with ``ls > list.txt`` where the names are any bytes."""
    name = os.fsencode(tmp_path) + b"/bad\xff.jpg"
    with open(name, "wb"):
        pass
    (tmp_path / "list.txt").write_bytes(b"bad\xff.jpg\n")
    [photo] = find_photos(tmp_path / "list.txt")
    assert read_photo(photo.path) == b""
