"""Finding a running server: the data folder, and the file in it that names the port."""

from __future__ import annotations

import errno
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from .atomic_files import write_atomically
from .errors import Code, UvatarError
from .framing import MAGIC, PROTOCOL_VERSION
from .private_files import private_data_folder, private_folder


@dataclass(frozen=True)
class Runtime:
    """How to reach the server that uses a data folder.

    Attributes:
        port: on 127.0.0.1.
        token: what every request must carry.
        pid: process id of the server.
        version: version of the backend.
    """

    port: int
    token: str
    pid: int
    version: str


def data_folder() -> Path:
    """Folder of jobs, results and logs: UVATAR_DATA, or where this system keeps an application's data.

    It may not exist.

    Raises UvatarError ("data-folder") where the system knows no home of this user (a container's user without a name).
    """
    if sys.platform == "win32":
        own = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        own = "~/Library/Application Support"
    else:
        own = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    try:
        return Path(os.environ.get("UVATAR_DATA") or Path(own) / "uvatar").expanduser()
    except RuntimeError:
        message = "Your home folder cannot be determined, so there is no folder for Uvatar's data."
        raise UvatarError(
            message, Code.DATA_FOLDER, "Set the environment variable UVATAR_DATA to a folder that you can write to."
        ) from None


def private_subfolder(name: str) -> Path:
    """A folder in the data folder; both are created for this user alone, or closed to others. Raises OSError."""
    folder = data_folder() / name
    try:
        private_data_folder(folder.parent)
        private_folder(folder)
    except UvatarError as error:
        raise PermissionError(errno.EACCES, error.message) from error
    return folder


def runtime_file(folder: Path) -> Path:
    """The file in the data folder by which a running server is found."""
    return Path(folder) / "server.json"


def write_runtime(folder: Path, runtime: Runtime) -> None:
    """Write the server's address; only this user can read the file, because it holds the token."""
    fields = {"magic": MAGIC, "protocol": PROTOCOL_VERSION, **vars(runtime)}
    write_atomically(runtime_file(folder), [json.dumps(fields, indent=1).encode("ascii")])


def read_runtime(folder: Path) -> Runtime | None:
    """Read what `write_runtime` wrote; None if there is nothing usable.

    The server may have died since: say hello to be sure.
    """
    try:
        fields = json.loads(runtime_file(folder).read_bytes())
        if fields["magic"] != MAGIC or not 0 < int(fields["port"]) < 65536:
            return None
        return Runtime(int(fields["port"]), str(fields["token"]), int(fields["pid"]), str(fields["version"]))
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
