"""Folders of avatars, ``<photo>_p<number>``: what they are called, which photo they are of, how they are replaced and
deleted.

Of what lies in somebody's folders only that is touched which a ``result.json`` of ours lists. docs/files.md says so to
people.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import tempfile
import time
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path, PureWindowsPath

from uvatar.protocol import message_files
from uvatar.protocol.errors import Code, UvatarError
from uvatar.protocol.photo_lists import shown

SUMMARY = "result.json"
RECORD, THUMBNAILS = "batch.jsonl", "thumbnails"  # of a batch, beside the folders

TEMPORARY_PREFIX = ".uvatar-"  # how the folders begin in which avatars are made before they are put in their place
STORED_RESULT = "photo.uvatar"
# Seconds without a change after which nobody works there any more; Blender has five minutes for a person.
ABANDONED = 3600.0

MOST_SUMMARY = 16 << 20  # bytes; one has some 10 kB
LONGEST = 160  # bytes of a stem in UTF-8: with number and suffix well below the 255 that file systems hold
# Bytes that have to be free for a start: one person's files take 5 to 20 MB, and as much while they are made.
ROOM = 64 << 20

# Faults of the disk rather than of one file: what comes after would fail in the same way.
_DISK_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)

_COUNTED = re.compile(r"(.+)-(\d{1,9})", re.DOTALL)
_NUMBERED = re.compile(r"([^\\/:\0]*)_p\d+", re.DOTALL)


@dataclass(frozen=True)
class AvatarFolder:
    """The facts in a folder's ``result.json``.

    Attributes:
        folder: that it lies in.
        digest: sha256 of the photo, hexadecimal.
        files: names of the files that were written into the folder.
        beside: of those that were written beside it.
        made_of: sha256 of all photos, where several make this avatar.
    """

    folder: Path
    digest: str
    files: tuple[str, ...]
    beside: tuple[str, ...] = ()
    made_of: tuple[str, ...] = ()

    def shows(self, digests: Collection[str]) -> bool:
        """Whether one of these photos went into it."""
        return self.digest in digests or any(digest in digests for digest in self.made_of)


def read_avatar(folder: Path) -> AvatarFolder | None:
    """The avatar in a folder.

    None if there is none, or a ``result.json`` that is not ours or names files elsewhere.
    """
    try:
        with (folder / SUMMARY).open("rb") as file:
            summary = json.loads(file.read(MOST_SUMMARY))
        lists = [tuple(summary["files"]), tuple(summary.get("beside", ())), tuple(summary.get("made_of", ()))]
        avatar = AvatarFolder(folder, summary["photo"]["digest"], *lists)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    digests = (avatar.digest, *avatar.made_of)
    usable = all(isinstance(digest, str) for digest in digests) and all(map(_is_plain, (*avatar.files, *avatar.beside)))
    return avatar if usable else None


def _is_plain(name: object) -> bool:
    """Whether this is a file's name and not a way to somewhere else, on any system."""
    return isinstance(name, str) and not re.search(r"[\\/:\0]", name) and name not in ("", ".", "..")


def delete_avatar(avatar: AvatarFolder) -> bool:
    """Delete exactly the files that were written, then the folder if nothing else is in it; whether it has gone.

    ``result.json`` goes last: what cannot be deleted now can be found again. Raises OSError.
    """
    for path in (
        *(avatar.folder.parent / name for name in avatar.beside),
        *(avatar.folder / name for name in avatar.files),
    ):
        if path.name != SUMMARY and not path.is_dir():
            path.unlink(missing_ok=True)
    (avatar.folder / SUMMARY).unlink(missing_ok=True)
    with suppress(OSError):
        avatar.folder.rmdir()
    return not avatar.folder.exists()


def put_in_place(source: Path, files: Sequence[str], target: Path) -> None:
    """Move a folder of an avatar's files to its place; where there is an older avatar, its files are replaced.

    Raises OSError.

    A new avatar is there as a whole or not at all. An old one's ``result.json`` is replaced last, so the folder is
    known for what it is.
    """
    if _is_free(target):
        with suppress(FileNotFoundError):
            target.rmdir()  # Windows moves folders to new names only
        source.rename(target)
        return
    older = read_avatar(target)
    for name in older.files if older else ():
        if name not in files and not (target / name).is_dir():
            (target / name).unlink(missing_ok=True)
    for name in sorted(files, key=lambda name: name == SUMMARY):
        os.replace(source / name, target / name)


def _is_free(folder: Path) -> bool:
    """Whether there is nothing of this name, or an empty folder."""
    try:
        return not os.listdir(folder)
    except FileNotFoundError:
        return not folder.is_symlink()
    except NotADirectoryError:
        return False


# -- names ------------------------------------------------------------------------------------------------------------


def stem_of(text: str, keep_end: bool = False) -> str:
    """What the folders of a photo are called by default: of its name what every file system can hold.

    ``keep_end``: of long names, for paths.
    """
    stem = re.sub(r"[^\w.-]+", "_", unicodedata.normalize("NFC", text)).strip("._").encode("utf-8")
    stem = stem[-LONGEST:] if keep_end else stem[:LONGEST]
    name = stem.decode("utf-8", "ignore").strip("._") or "photo"
    return f"photo_{name}" if PureWindowsPath(f"{name}_").is_reserved() or PureWindowsPath(name).is_reserved() else name


def is_avatar_name(name: str) -> bool:
    """Whether folders of avatars are called so."""
    return _NUMBERED.fullmatch(name) is not None


def same_name(stem: str) -> str:
    """A key by which two names are one for some file system.

    Windows and macOS make no difference of case, macOS none of composition.
    """
    return unicodedata.normalize("NFC", stem).casefold()


class FolderNames:
    """Who has which name in an output folder, from earlier runs and in this one."""

    def __init__(self, out: Path) -> None:
        """Raises OSError."""
        self._out = out
        self._given: set[str] = set()  # in this run; these and all others as `same_name` has them
        self._names: set[str] = set()
        self._folders: dict[str, list[str]] = defaultdict(list)  # by stem
        self._numbers: dict[str, set[int]] = defaultdict(set)  # with which somebody has a stem too
        for name in os.listdir(out):
            self._names.add(same_name(name))
            if folder := _NUMBERED.fullmatch(name):
                self._folders[same_name(folder[1])].append(name)
                if stem := _COUNTED.fullmatch(folder[1]):
                    self._numbers[same_name(stem[1])].add(int(stem[2]))

    def give(
        self, wanted: str, digest: str, own: Collection[str] = (), beside: str = ""
    ) -> tuple[str, list[AvatarFolder]]:
        """A stem for a photo's folders, and the avatars that an earlier run made of the photo under it.

        It is the one that the photo has already; else ``wanted``, with a number where others have that.

        Args:
            digest: of the photo.
            own: folders that are known to be this photo's, though its content was another then.
            beside: suffix of a file that will lie beside the folders, and must not replace somebody else's.
        """
        known = (f"{wanted}-{number}" for number in sorted(self._numbers.get(same_name(wanted), ())))
        further = (f"{wanted}-{number}" for number in count(2))
        options = ((stem, self._of(stem, digest, own, beside)) for stem in (wanted, *known))
        chosen = next(((stem, ours) for stem, ours in options if ours), None)
        options = ((stem, self._of(stem, digest, own, beside)) for stem in chain([wanted], further))
        stem, ours = chosen or next((stem, ours) for stem, ours in options if ours is not None)
        self._given.add(same_name(stem))
        return stem, ours or []

    def _of(self, stem: str, digest: str, own: Collection[str], beside: str) -> list[AvatarFolder] | None:
        """The avatars of the photo under this stem; None if it is another's."""
        if same_name(stem) in self._given:
            return None
        ours = []
        for name in self._folders.get(same_name(stem), ()):
            avatar = read_avatar(self._out / name)
            if avatar and (avatar.digest == digest or name in own):
                ours.append(avatar)
            elif name not in own and not _is_free(self._out / name):
                return None
        taken = (
            bool(beside)
            and same_name(stem + beside) in self._names
            and not any(stem + beside in one.beside for one in ours)
        )
        return None if taken else ours


# -- before and after the work ----------------------------------------------------------------------------------------


def prepare(out: Path) -> None:
    """Make an output folder and try whether files can be written into it, before hours of work. Raises UvatarError."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX, dir=out) as trial:
            Path(trial, STORED_RESULT).write_bytes(
                bytes(4096)
            )  # called so that a killed run's is found by `delete_abandoned`
        free = shutil.disk_usage(out).free
    except OSError as error:
        raise output_error(out, error) from error
    if free < ROOM:
        raise output_error(out, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))


def output_error(out: Path, error: OSError) -> UvatarError:
    """The error for files that cannot be written: "disk-full" or "unwritable"."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        fix = "Free some space on it or choose another folder with --out, then run the same command again."
        return UvatarError(f"The disk with {shown(str(out))} is full.", Code.DISK_FULL, fix)
    if isinstance(error, (FileExistsError, NotADirectoryError)):
        words = f"{shown(str(out))} cannot be a folder: a file has this name or the name of one of its parent folders."
        return UvatarError(words, Code.UNWRITABLE, "Choose another folder with --out.")
    fix = "Choose another folder with --out, or change this folder's permissions."
    return UvatarError(f"{shown(str(out))} cannot be written to: {error.strerror or error}.", Code.UNWRITABLE, fix)


def is_disk_fault(error: OSError) -> bool:
    """Whether the disk is at fault, so that there is no point in going on."""
    return error.errno in _DISK_FAULTS


def delete_abandoned(folder: Path, digests: Collection[str] = ()) -> int:
    """Delete what killed runs left in a folder, their temporary folders; how many.

    Only those in which nobody works any more, and those of the photos with these sha256.
    """
    deleted = 0
    for place in folder.glob(f"{TEMPORARY_PREFIX}*"):
        with suppress(OSError):
            newest = max(path.lstat().st_mtime for path in (place, *place.rglob("*")))
            if _is_temporary_folder(place) and (
                time.time() - newest > ABANDONED or _digest(place / STORED_RESULT) in digests
            ):
                shutil.rmtree(place)
                deleted += 1
    return deleted


def _is_temporary_folder(place: Path) -> bool:
    """Whether nothing but what we put there lies in it: the photo's result, whole or in part, and a folder for each
    person.
    """
    return place.is_dir() and all(
        re.fullmatch(rf"\d+|\.?{re.escape(STORED_RESULT)}(\..*)?", name) for name in os.listdir(place)
    )


def _digest(stored: Path) -> str:
    try:
        return str(message_files.load(stored)["photo"]["digest"])
    except (OSError, UvatarError, TypeError, KeyError):
        return ""
