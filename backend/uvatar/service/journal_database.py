"""The journal's SQLite file: its schema, opening it for one server alone, and replacing a damaged one."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from uvatar.protocol.private_files import close_to_others, private_data_folder
from uvatar.service.job_files import JobFiles, disk_error

_NAME = "journal.sqlite"
_VERSION = 2

_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, state TEXT NOT NULL, options TEXT NOT NULL, digest TEXT NOT NULL, owner TEXT NOT NULL,
    created REAL NOT NULL, updated REAL NOT NULL, overdue REAL, turn INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS photos (
    job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE, number INTEGER NOT NULL, name TEXT NOT NULL,
    digest TEXT NOT NULL, bytes INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting', error TEXT, crashes INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (job, number));
CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state);
CREATE INDEX IF NOT EXISTS jobs_by_owner ON jobs (owner, turn);
CREATE INDEX IF NOT EXISTS jobs_by_turn ON jobs (turn);
CREATE INDEX IF NOT EXISTS photos_by_digest ON photos (digest);
"""

log = logging.getLogger("uvatar.service.journal")


class AlreadyServed(RuntimeError):
    """Another server uses this data folder."""


class _Damaged(Exception):
    """The file is not a complete journal of this version."""


def is_open(folder: Path) -> bool:
    """Whether a process has the journal of this data folder open: a server is running or starting."""
    path = Path(folder) / _NAME
    if not path.is_file():
        return False
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=0)) as database:
            database.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        return "locked" in str(error)
    return False


def open_database(folder: Path) -> sqlite3.Connection:
    """Open or create the journal of a data folder, locked until this process ends, however it ends.

    A damaged journal is deleted, and an empty one is opened in its place.

    Raises:
        AlreadyServed: another process has it.
        UvatarError, OSError: it cannot be used ("disk-full", "data-folder").
    """
    private_data_folder(folder)
    JobFiles(folder / "jobs").make(known=(folder / _NAME).exists())
    for old in folder.glob("journal.damaged.sqlite"):  # of earlier versions
        old.unlink()
    with suppress(OSError):  # a folder that cannot be used is reported below
        (folder / _NAME).touch(mode=0o600)
        for ending in ("", "-wal", "-shm"):
            close_to_others(folder / (_NAME + ending))
    try:
        try:
            return _opened(folder / _NAME)
        except _Damaged as error:
            log.error("The journal is damaged (%s); rebuilding it from the jobs' folders", error)
            _delete(folder)
            return _opened(folder / _NAME)
    except (sqlite3.DatabaseError, _Damaged) as error:
        if "locked" in str(error):
            raise AlreadyServed(f"Another Uvatar server already uses {folder}.") from None
        raise disk_error(error) from error


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """All statements within take effect together or not at all."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # a full disk may have rolled it back already
            database.execute("ROLLBACK")
        raise


def _opened(path: Path) -> sqlite3.Connection:
    """The database, with its tables. Raises _Damaged, sqlite3.DatabaseError."""
    # The timeout outlasts a client that is checking whether the folder has a server (`is_open`).
    database = sqlite3.connect(path, timeout=1.0, isolation_level=None, check_same_thread=False)
    try:
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("PRAGMA foreign_keys = ON")
        database.execute("PRAGMA secure_delete = ON")
        # In KiB: rows are small, and the process must not grow with their number.
        database.execute("PRAGMA cache_size = -512")
        [(verdict,), *_] = database.execute("PRAGMA quick_check(1)").fetchall()
        if verdict != "ok":
            raise _Damaged(verdict)
        [(version,)] = database.execute("PRAGMA user_version").fetchall()
        tables = database.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]
        if version > _VERSION:
            raise sqlite3.DatabaseError("it belongs to a newer version of Uvatar")
        if tables and version < _VERSION:
            raise _Damaged("it belongs to an older version")
        database.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;")
        database.execute("SELECT id FROM jobs JOIN photos ON photos.job = jobs.id LIMIT 1").fetchall()
        return database
    except _Damaged:
        database.close()
        raise
    except sqlite3.DatabaseError as error:
        database.close()
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise _Damaged(str(error)) from error
        raise


def _delete(folder: Path) -> None:
    """Delete a damaged journal: the jobs' folders repeat all that is in it, and it holds photos' names."""
    for ending in ("-wal", "-shm", ""):
        (folder / (_NAME + ending)).unlink(missing_ok=True)
