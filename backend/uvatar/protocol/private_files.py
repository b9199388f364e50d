"""Files and folders that only their owner may access: created that way, and restricted again if they were opened.

This applies where files have modes and owners. On Windows a user's folders are closed to other users anyway, and
nothing is done.
"""

from __future__ import annotations

import logging
import os
import re
import stat
import tempfile
from pathlib import Path
from typing import BinaryIO

from .errors import Code, UvatarError
from .photo_lists import shown

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_WRITE_OF_OTHERS = stat.S_IWGRP | stat.S_IWOTH
# What Uvatar puts into its data folder, and hidden files.
_OURS = re.compile(r"\.|journal\.|server\.json|self-test\.json|network-|(jobs|logs|models|environment|photos|blender)$")

log = logging.getLogger("uvatar.private_files")


def private_folder(folder: Path, bits: int = _OTHERS) -> None:
    """Create a folder for this user alone, or close an existing one to others.

    Args:
        folder: its path.
        bits: the permissions that others must not have for an existing one.

    Raises:
        UvatarError: it belongs to another user ("data-folder").
        OSError: it cannot be created.
    """
    try:
        folder.mkdir(mode=0o700, parents=True)
        return
    except FileExistsError:
        if not folder.is_dir():  # a file of this name
            raise
    if os.name == "nt":
        return
    if not _is_ours(folder.stat()):
        fix = "Choose another folder with --data or UVATAR_DATA, or make yourself the owner of this one."
        raise UvatarError(
            f"{folder} belongs to another user, who could read and replace its contents.", Code.DATA_FOLDER, fix
        )
    close_to_others(folder, bits)


def private_data_folder(folder: Path) -> None:
    """Create the data folder, or close an existing one to others, as `private_folder`.

    One that holds other files of the user's stays as readable as it is, but nobody else can change it.
    """
    try:
        foreign = any(not _OURS.match(name) for name in os.listdir(folder))
    except OSError:
        foreign = False
    private_folder(folder, _WRITE_OF_OTHERS if foreign else _OTHERS)


def usable_data_folder(folder: Path) -> None:
    """Create a data folder for this user alone, and check that files can be written into it.

    Raises UvatarError ("data-folder") if it cannot be used.
    """
    try:
        private_data_folder(folder)
        with tempfile.TemporaryDirectory(prefix=".", dir=folder) as trial:
            Path(trial, "trial").write_bytes(bytes(4096))
    except OSError as error:
        message = f"Uvatar's data folder {shown(str(folder))} cannot be used: {error.strerror or error}."
        fix = "Choose a folder that you can write to with --data, or permanently with UVATAR_DATA."
        raise UvatarError(message, Code.DATA_FOLDER, fix) from error


def private_output(path: Path) -> BinaryIO:
    """Open a file to be written anew, which only its owner can read. Raises OSError."""
    close_to_others(path)
    return open(path, "wb", opener=lambda name, flags: os.open(name, flags, 0o600))


def private_file(path: Path, what: str) -> None:
    """Ensure that only its owner can read a file that holds a secret.

    Args:
        path: the file.
        what: the name of the secret in it, for messages: "token".

    Raises:
        UvatarError: other users could have written the file, and so may know the secret ("bad-access").
        OSError: its permissions cannot be read or changed.
    """
    if os.name == "nt":
        return
    entry = path.stat()
    if entry.st_mode & _WRITE_OF_OTHERS or not _is_ours(entry):
        fix = f"Delete it, and a new one is made; or, if you trust its {what}, restrict its permissions: chmod 600."
        raise UvatarError(f"Other users can write to {path}, so they may know its {what}.", Code.BAD_ACCESS, fix)
    close_to_others(path)


def close_to_others(path: Path, bits: int = _OTHERS) -> None:
    """Remove the permissions ``bits`` from a file or folder if it exists and has them. Raises OSError."""
    try:
        entry = path.stat()
    except FileNotFoundError:
        return
    if os.name != "nt" and entry.st_mode & bits:
        log.warning(
            "%s was open to other users of this computer (mode %o): closing it", path, stat.S_IMODE(entry.st_mode)
        )
        os.chmod(path, stat.S_IMODE(entry.st_mode) & ~bits)


def _is_ours(entry: os.stat_result) -> bool:
    """Whether it belongs to this user.

    The administrator may also use what others own, as happens in containers, if nobody else can write to it.
    """
    user = os.geteuid()
    return entry.st_uid == user or (user == 0 and not entry.st_mode & _WRITE_OF_OTHERS)
