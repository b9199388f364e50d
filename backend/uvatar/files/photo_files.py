"""Photo files: finds them in folders and lists, and reads their bytes.

Every command that takes photos finds them with this module; docs/files.md describes the rules for users.
"""

from __future__ import annotations

import codecs
import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path

from uvatar.files.avatar_folders import RECORD, SUMMARY, THUMBNAILS, read_avatar
from uvatar.protocol.errors import Code, UvatarError
from uvatar.protocol.framing import LIMITS
from uvatar.protocol.photo_lists import PHOTO_SUFFIXES, shown

MOST_BYTES = LIMITS.frame_bytes  # of a photo; the server takes no more
NO_PHOTOS = f"There are no photos in this folder. Photos are files whose names end in {', '.join(PHOTO_SUFFIXES)}."
MOST_LIST = 64 << 20  # bytes of a list of photos: half a million long paths

# Folders that systems create: macOS in archives, Synology for thumbnails, Windows' recycle bin and index. In lower
# case.
_SYSTEM_FOLDERS = {"__macosx", "@eadir", "$recycle.bin", "system volume information"}

# Byte order marks, the longer ones first, because UTF-32's begins with UTF-16's.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def has_photo_suffix(path: Path) -> bool:
    """Whether the file's name has a photo's suffix."""
    return path.suffix.lower() in PHOTO_SUFFIXES


def photos_in(folder: Path, deep: bool = False) -> list[Path]:
    """The photos in a folder, in the order of their names; with ``deep``, also those in its subfolders.

    Hidden files and folders (such as ``._me.jpg``, which macOS writes beside ``me.jpg`` on foreign disks), system
    folders and the pictures of avatars are left out. Everything else with a photo's suffix is included, so that the
    user is told why it is not a photo; so are folders that cannot be read.

    Raises:
        OSError: ``folder`` itself cannot be read.
    """
    found: list[Path] = []
    waiting = [folder]
    while waiting:
        place = waiting.pop()
        try:
            photos, folders = _inside(place)
        except OSError:
            if place == folder:
                raise
            photos, folders = [place], []
        found += photos
        waiting += folders if deep else []
    return sorted(found)


def _inside(folder: Path) -> tuple[list[Path], list[Path]]:
    """The photos and the subfolders in a folder. Links to folders are not followed, because they may form loops."""
    with os.scandir(folder) as entries:
        inside = {entry.name: entry for entry in entries if not entry.name.startswith(".")}
    avatar = read_avatar(folder) if SUMMARY in inside else None
    ours = set(avatar.files) if avatar else set()
    photos, folders = [], []
    for name, entry in inside.items():
        if not _is_folder(entry):
            if has_photo_suffix(folder / name) and name not in ours:
                photos.append(folder / name)
        elif (
            not entry.is_symlink()
            and name.lower() not in _SYSTEM_FOLDERS
            and not (name == THUMBNAILS and RECORD in inside)
        ):
            folders.append(folder / name)
    return photos, folders


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is a folder or a link to one; false for a broken link or a link to itself."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def gathered(paths: Sequence[Path]) -> tuple[list[tuple[Path, int]], list[tuple[str, str]]]:
    """Collect the photos among these files and folders.

    Returns:
        the photos with their sizes in bytes, and (path, reason) for everything that is not a usable photo.
    """
    photos: list[tuple[Path, int]] = []
    failures: list[tuple[str, str]] = []
    for path in paths:
        try:
            inside = photos_in(path) if path.is_dir() else [path]
        except OSError as error:
            failures.append((shown(str(path)), f"The folder cannot be read: {error.strerror or error}."))
            continue
        if not inside:
            failures.append((shown(str(path)), NO_PHOTOS))
        for file in inside:
            try:
                photos.append((file, photo_size(file)))
            except UvatarError as error:
                failures.append((shown(str(file)), f"{error.message} {error.fix}".strip()))
    return photos, failures


def photo_size(path: Path) -> int:
    """The size of a photo's file in bytes.

    Raises:
        UvatarError: the file cannot be read: it does not exist, is a folder, pipe or device, or is too large.
    """
    try:
        facts = path.stat()
    except (OSError, ValueError) as error:  # ValueError: an impossible file name
        raise _unreadable(error) from error
    if stat.S_ISDIR(facts.st_mode):
        raise UvatarError(
            "This is a folder, or a folder that cannot be read.",
            Code.UNREADABLE,
            "Give photos instead, and check the folder's permissions.",
        )
    if not stat.S_ISREG(facts.st_mode):  # opening a pipe waits for a writer, possibly for ever
        raise UvatarError(
            "This is a pipe, a socket or a device, not a photo.", Code.UNREADABLE, "Copy the photo to a regular file."
        )
    if facts.st_size > MOST_BYTES:
        raise _too_large(facts.st_size)
    return facts.st_size


def read_photo(path: Path) -> bytes:
    """A photo's bytes. Raises UvatarError as `photo_size`."""
    photo_size(path)
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise _unreadable(error) from error
    if len(data) > MOST_BYTES:  # it has grown since
        raise _too_large(len(data))
    return data


def _unreadable(error: Exception) -> UvatarError:
    reason = getattr(error, "strerror", None) or error
    return UvatarError(f"The file cannot be read: {reason}.", Code.UNREADABLE, "Check its name and permissions.")


def _too_large(size: int) -> UvatarError:
    message = f"The file has {size / 1e6:.0f} MB; photos may have at most {MOST_BYTES / 1e6:.0f} MB."
    return UvatarError(message, Code.UNREADABLE, "Save the photo as a JPEG, or make it smaller.")


def read_list(path: Path) -> list[str]:
    """Read the paths in a text file, one per line, without duplicates, empty lines and lines that begin with "#".

    The text is UTF-8, or what the byte order mark says (Windows' "Unicode" is UTF-16). Quotes around a path, which
    Windows adds when copying paths, are removed.

    Raises:
        UvatarError: the file is not such a text ("bad-list").
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        raw = file.read(MOST_LIST + 1)
    if len(raw) > MOST_LIST:
        raise _no_list(path)
    encoding = next((encoding for mark, encoding in _MARKS if raw.startswith(mark)), "utf-8")
    try:
        lines = _lines(raw.decode(encoding))
    except UnicodeDecodeError as error:
        lines = _lines(raw.decode("utf-8", "surrogateescape")) if os.name == "posix" and encoding == "utf-8" else []
        # On these systems file names may be any bytes, so a list of such bytes is valid if the files exist.
        strange = [line for line in lines if shown(line) != line]
        if not any("\0" not in line and os.path.lexists(path.parent / line) for line in strange):
            raise _no_list(path) from error
    if any("\0" in line for line in lines):
        raise _no_list(path)
    return lines


def _lines(text: str) -> list[str]:
    lines = (re.sub(r'^"(.+)"$', r"\1", line.strip(" \t")) for line in re.split(r"\r\n|\r|\n", text))
    return list(dict.fromkeys(line for line in lines if line and not line.startswith("#")))


def _no_list(path: Path) -> UvatarError:
    fix = "Save the list as UTF-8, one path per line (Notepad: Save As, Encoding: UTF-8), or give the folder instead."
    return UvatarError(
        f"{shown(path.name)} is neither a photo nor a list of photos in UTF-8 or UTF-16.", Code.BAD_LIST, fix
    )
