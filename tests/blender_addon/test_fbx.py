"""Folders in FBX files, without Blender: files are put together here, record by record."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from uvatar_blender.core.fbx import hide_folders

Node = tuple[bytes, list[bytes], list[Any]]  # name, properties, children
FOLDERS = ["/home/anna/exports", "/", "C:\\Users\\anna\\exports", "D:/anna", "\\\\server\\anna", "/home/安娜/写真"]


def text(value: str) -> bytes:
    return b"S" + struct.pack("<I", len(value.encode())) + value.encode()


def record(
    name: bytes, properties: list[bytes], children: Sequence[Node] = (), start: int = 0, long: bool = False
) -> bytes:
    """A record that begins at ``start`` in the file; children are (name, properties, children)."""
    number = "<QQQB" if long else "<IIIB"
    body = b"".join(properties)
    head = struct.calcsize(number) + len(name)
    inner = b""
    for child, of_child, below in children:
        inner += record(child, of_child, below, start=start + head + len(body) + len(inner), long=long)
    if children:
        inner += bytes(struct.calcsize(number))
    end = start + head + len(body) + len(inner)
    return struct.pack(number, end, len(properties), len(body), len(name)) + name + body + inner


def fbx(folder: str, long: bool) -> bytes:
    separator = "\\" if "\\" in folder else "/"
    image, blend = (
        f"{folder.rstrip(separator)}{separator}me texture.png",
        f"{folder.rstrip(separator)}{separator}secret.blend",
    )
    data = b"Kaydara FBX Binary  \x00\x1a\x00" + struct.pack("<I", 7700 if long else 7400)
    native: Node = (
        b"P",
        [text("Original|ApplicationNativeFile"), text("KString"), text(""), text(""), text(blend)],
        [],
    )
    array = b"d" + struct.pack("<III", 2, 0, 16) + struct.pack("<dd", 1.0, 2.0)
    tree: list[Node] = [
        (
            b"FBXHeaderExtension",
            [],
            [(b"SceneInfo", [b"R" + struct.pack("<I", 3) + b"abc"], [(b"Properties70", [], [native])])],
        ),
        (
            b"Objects",
            [],
            [
                (
                    b"Geometry",
                    [b"L" + struct.pack("<q", 1), array, b"I" + bytes(4), b"D" + bytes(8), b"C\x01", b"Y\x00\x00"],
                    [],
                ),
                (
                    b"Video",
                    [text("me")],
                    [
                        (
                            b"Properties70",
                            [],
                            [(b"P", [text("Path"), text("KString"), text("XRefUrl"), text(""), text(image)], [])],
                        ),
                        (b"Filename", [text(image)], []),
                        (b"RelativeFilename", [text("me texture.png")], []),
                        (b"Content", [text(f"{folder} kept")], []),
                    ],
                ),
            ],
        ),
    ]
    for name, properties, children in tree:
        data += record(name, properties, children, len(data), long)
    return data + bytes(25 if long else 13) + b"footer"


@pytest.mark.parametrize("long", [False, True])
@pytest.mark.parametrize("folder", FOLDERS)
def test_folders_go_and_everything_else_stays_in_its_place(tmp_path: Path, folder: str, long: bool) -> None:
    path = tmp_path / "a.fbx"
    before = fbx(folder, long)
    path.write_bytes(before)
    hide_folders(path)
    after = path.read_bytes()
    assert len(after) == len(before)
    assert after.count(b"anna") == before.count(b"anna") // 4 and b"secret" not in after
    assert after.count(b"me texture.png") == 3 and f"{folder} kept".encode() in after
    assert all(a == b or b in b"./ " for a, b in zip(before, after, strict=True))
    hide_folders(path)
    assert path.read_bytes() == after  # nothing absolute is left


@pytest.mark.parametrize("content", [b"", b"; FBX 7.3.0 project file", b"Kaydara"])
def test_another_file_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.fbx").write_bytes(content)
    with pytest.raises(ValueError, match="not a binary FBX"):
        hide_folders(tmp_path / "a.fbx")
    assert (tmp_path / "a.fbx").read_bytes() == content
