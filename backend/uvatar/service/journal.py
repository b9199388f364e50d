"""The journal: which jobs there are and how far they have come, so that no death of any process loses one.

Everything lies in one data folder: ``journal.sqlite`` has jobs and photos with their states, `uvatar.service.job_files`
the rest.

A job is in the journal only when its photos are safe on disk, and a photo is `done` only when its result is.  States
only move forward: a job from queued to running to finished or cancelled, a photo from waiting to done, failed or
merged.  Only opening a journal may take a photo back: from done to waiting, where its result was lost and the photo is
still there.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import time
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uvatar.protocol.errors import Code, UvatarError
from uvatar.protocol.framing import LIMITS
from uvatar.service.job_files import JobFiles, Manifest, disk_error
from uvatar.service.private import close_to_others, private_folder

ACTIVE = ("queued", "running")
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

_LOST = UvatarError(
    "The disk lost what was noted about this photo, and the photo as it was sent.",
    Code.LOST,
    "Send the photo again, in a new job.",
)

log = logging.getLogger("uvatar.service.journal")


class AlreadyServed(RuntimeError):
    """Another server uses this data folder."""


@dataclass(frozen=True)
class PhotoState:
    """How far one photo of a job has come.

    Attributes:
        index: place in the job, from 0.
        state: "waiting", "done", "failed" or "merged" (into another photo's avatar).
        error: code, message, fix of a failed photo.
        crashes: times that the model process died on it.
    """

    index: int
    name: str
    state: str
    error: dict[str, str] | None
    crashes: int


@dataclass(frozen=True)
class Job:
    """A job as the journal has it.

    Attributes:
        state: "queued", "running", "finished" or "cancelled".
        created, updated: seconds since the epoch.
    """

    id: str
    state: str
    options: dict[str, Any]
    created: float
    updated: float
    photos: tuple[PhotoState, ...]

    @property
    def active(self) -> bool:
        """Whether there is still work to do."""
        return self.state in ACTIVE

    def waiting(self) -> list[int]:
        """Indices of the photos that nobody has finished yet."""
        return [photo.index for photo in self.photos if photo.state == "waiting"]

    def as_dict(self) -> dict[str, Any]:
        """The job's status as it crosses the wire."""
        photos = [{"index": p.index, "name": p.name, "state": p.state, "error": p.error} for p in self.photos]
        return {"job": self.id, "state": self.state, "created": self.created, "photos": photos}

    def summary(self) -> dict[str, Any]:
        """The job among others: how many photos are in which state.

        Of a size that does not depend on their number and names.
        """
        states = Counter(photo.state for photo in self.photos)
        counts = {state: states[state] for state in ("waiting", "done", "failed", "merged")}
        return {"job": self.id, "state": self.state, "created": self.created, "photos": len(self.photos), **counts}


@dataclass(frozen=True)
class Unit:
    """The photos of a job that the model process takes at once: one, or all where they show the same person."""

    job: str
    indices: tuple[int, ...]
    options: dict[str, Any]


@dataclass(frozen=True)
class Load:
    """What waits to be done: jobs that are not over, and their photos that nobody has finished."""

    jobs: int
    photos: int
    bytes: int


def checked_id(identifier: Any) -> str:
    """The id if it is the text of a UUID (it names a folder, so nothing else will do). Raises UvatarError."""
    if isinstance(identifier, str):
        with suppress(ValueError):
            if identifier in (str(parsed := uuid.UUID(identifier)), parsed.hex):
                return identifier
    raise UvatarError("A job's id is the text of a UUID, such as 6b1f7c52-6f0e-4a0e-9a55-0d6b6f1c8a11.")


def is_open(folder: Path) -> bool:
    """Whether a process has the journal of this data folder: a server runs, or begins to."""
    path = Path(folder) / _NAME
    if not path.is_file():
        return False
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=0)) as database:
            database.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        return "locked" in str(error)
    return False


class Journal:
    """The jobs of one data folder. One journal at a time has the folder; a killed process lets go of it."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        """Open or create the journal, and bring it and the jobs' folders to agree, whatever ended the last server.

        Jobs that were running are queued again. A damaged journal is set aside and made anew from the folders.

        Args:
            clock: seconds since the epoch.

        Raises AlreadyServed where another process has it, UvatarError ("disk-full", "data-folder") and OSError where it
        cannot be used.
        """
        self.folder = Path(folder)
        self.clock = clock
        private_folder(self.folder, whole=False)
        with suppress(OSError):  # what cannot be used is told below
            (self.folder / _NAME).touch(mode=0o600)
            for ending in ("", "-wal", "-shm"):
                close_to_others(self.folder / (_NAME + ending))
        try:
            try:
                self._database = _opened(self.folder / _NAME)
            except _Damaged as error:
                log.error("The journal is damaged (%s): making it anew from the jobs' folders", error)
                _set_aside(self.folder)
                self._database = _opened(self.folder / _NAME)
        except (sqlite3.DatabaseError, _Damaged) as error:
            if "locked" in str(error):
                raise AlreadyServed(f"Another Uvatar server already uses {self.folder}.") from None
            raise disk_error(error) from error
        try:
            self.files = JobFiles(self.folder / "jobs")
            self._reconcile()
        except (sqlite3.Error, OSError) as error:
            self._database.close()
            raise disk_error(error) from error

    def close(self) -> None:
        """Let go of the folder."""
        self._database.close()

    # -- jobs ---------------------------------------------------------------------------------------------------------

    def add(self, job: str, photos: Sequence[tuple[str, bytes]], options: dict[str, Any], owner: str = "") -> Job:
        """Store a new job: photos (name, bytes) first, then its entry. The same job again changes nothing.

        Raises UvatarError: "job-id-taken" where the id has other photos or options, "disk-full".
        """
        manifest = Manifest.of(photos, options, self.clock())
        if not self.knows(job):
            self.files.store(job, manifest, [data for _, data in photos])
        return self.enter(job, manifest, owner)

    def knows(self, job: str) -> bool:
        """Whether there is a job of this id."""
        return self._database.execute("SELECT 1 FROM jobs WHERE id = ?", (job,)).fetchone() is not None

    def enter(self, job: str, manifest: Manifest, owner: str = "") -> Job:
        """Note a job whose folder is stored. One that is known stays as it is.

        Args:
            owner: whoever sent it; those who send many jobs share their turns among them.

        Raises UvatarError: "job-id-taken" where the id has other photos or options, "disk-full"; then the new folder is
        deleted.
        """
        known = self._database.execute("SELECT digest FROM jobs WHERE id = ?", (job,)).fetchone()
        if known and known[0] != manifest.digest:
            raise UvatarError(
                "This job id belongs to other photos or options.", Code.JOB_ID_TAKEN, "Send the job with a new id."
            )
        if not known:
            try:
                self._insert(job, manifest, owner)
            except sqlite3.Error as error:
                self.files.delete(job)
                raise disk_error(error) from error
        return self.job(job)

    def job(self, job: str) -> Job:
        """The job of this id. Raises UvatarError ("unknown-job")."""
        row = self._database.execute(
            "SELECT id, state, options, created, updated FROM jobs WHERE id = ?", (job,)
        ).fetchone()
        if row is None:
            raise UvatarError(
                "There is no job with this id.",
                Code.UNKNOWN_JOB,
                "Reconstruct the photos again; old results are cleaned up.",
            )
        photos = self._database.execute(
            "SELECT number, name, state, error, crashes FROM photos WHERE job = ? ORDER BY number", (job,)
        ).fetchall()
        states = (
            PhotoState(n, name, state, json.loads(error) if error else None, crashes)
            for n, name, state, error, crashes in photos
        )
        return Job(row[0], row[1], json.loads(row[2]), row[3], row[4], tuple(states))

    def jobs(self, states: Collection[str] = (), limit: int = 100) -> list[Job]:
        """The newest jobs, newest first; only those in ``states`` where given."""
        where = f"WHERE state IN ({', '.join('?' * len(states))})" if states else ""
        query = f"SELECT id FROM jobs {where} ORDER BY rowid DESC LIMIT ?"
        return [self.job(job) for (job,) in self._database.execute(query, (*states, limit)).fetchall()]

    def jobs_with(self, digest: str) -> list[str]:
        """Ids of all jobs that hold the photo with this sha256."""
        return [job for (job,) in self._database.execute("SELECT DISTINCT job FROM photos WHERE digest = ?", (digest,))]

    def load(self) -> Load:
        """What waits to be done."""
        jobs = self._database.execute("SELECT COUNT(*) FROM jobs WHERE state IN (?, ?)", ACTIVE).fetchone()[0]
        photos, size = self._database.execute(
            "SELECT COUNT(*), TOTAL(bytes) FROM photos JOIN jobs ON jobs.id = photos.job"
            " WHERE jobs.state IN (?, ?) AND photos.state = 'waiting'",
            ACTIVE,
        ).fetchone()
        return Load(jobs, photos, int(size))

    def cancel(self, job: str) -> Job:
        """Work on the job no more; it keeps the results it has. A job that is over stays as it is.

        Raises UvatarError ("unknown-job").
        """
        with self._transaction():
            self._set_state(job, "cancelled", ACTIVE)
        self._delete_photos_of_ended(job)
        return self.job(job)

    def delete(self, job: str) -> None:
        """Delete a job with its photos and results, for good: not even a crash in the middle brings it back.

        Files go first, which makes room for the journal's own words on a full disk.
        """
        self.files.disown(job)
        self.files.delete(job)
        with self._transaction():
            self._database.execute("DELETE FROM jobs WHERE id = ?", (job,))

    def scrub(self) -> None:
        """Leave nothing of deleted entries in the journal's files, which keep them for a while otherwise."""
        with suppress(sqlite3.Error):
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    # -- work ---------------------------------------------------------------------------------------------------------

    def next_unit(self, in_flight: Collection[tuple[str, int]]) -> Unit | None:
        """The next photos to work on, and note that their job had its turn; None where there is nothing to do.

        Owners take turns photo by photo, and so do the jobs of each, so that one photo need not wait for a hundred of
        somebody else.

        Args:
            in_flight: (job, photo index) that model processes are at.
        """
        rows = self._database.execute(
            "SELECT id FROM jobs WHERE state IN (?, ?)"
            " ORDER BY (SELECT MAX(turn) FROM jobs AS others WHERE others.owner = jobs.owner), turn, rowid",
            ACTIVE,
        ).fetchall()
        for (identifier,) in rows:
            job = self.job(identifier)
            unit = _unit(job, in_flight)
            if unit:
                with self._transaction():
                    self._database.execute(
                        "UPDATE jobs SET turn = (SELECT MAX(turn) + 1 FROM jobs) WHERE id = ?", (identifier,)
                    )
                    self._set_state(identifier, "running", ACTIVE)
                return unit
        return None

    def photo(self, job: str, index: int) -> tuple[str, bytes]:
        """Name and bytes of a photo that waits. Raises OSError where the file has gone."""
        name = self._database.execute("SELECT name FROM photos WHERE job = ? AND number = ?", (job, index)).fetchone()[
            0
        ]
        return name, self.files.photo(job, index)

    def finish_photo(self, job: str, index: int, result: dict[str, Any], merged: Iterable[int] = ()) -> bool:
        """Store a photo's result. False where nobody wants it any more (cancelled, failed before).

        Args:
            merged: further photos of the same person that went into this one's avatar; they end with it or not at all.

        Raises UvatarError where the result cannot be stored ("disk-full") or packed.
        """
        if not self._wants(job, index):
            return False
        self.files.store_result(job, index, result)
        try:
            return self._end_photos(job, {index: "done", **dict.fromkeys(merged, "merged")})
        except sqlite3.Error as error:
            raise disk_error(error) from error

    def fail_photo(self, job: str, index: int, error: UvatarError) -> bool:
        """Note why a photo has no result. False where nobody waits for it."""
        return self._end_photos(job, {index: "failed"}, json.dumps(error.as_dict()))

    def count_crash(self, job: str, index: int) -> int:
        """Note that the model process died on this photo; how often it has by now."""
        with self._transaction():
            self._database.execute("UPDATE photos SET crashes = crashes + 1 WHERE job = ? AND number = ?", (job, index))
        return self._database.execute(
            "SELECT crashes FROM photos WHERE job = ? AND number = ?", (job, index)
        ).fetchone()[0]

    def result(self, job: str, index: int) -> dict[str, Any]:
        """A photo's stored result. Raises UvatarError: "unknown-job", "no-result", "result-damaged"."""
        photos = self.job(job).photos
        if not 0 <= index < len(photos):
            raise UvatarError(
                f"The job has {len(photos)} photos; there is no number {index}.",
                Code.NO_RESULT,
                "Ask for the job's status.",
            )
        if photos[index].state != "done":
            raise UvatarError(
                f"{photos[index].name} has no result: it is {photos[index].state}.",
                Code.NO_RESULT,
                "Ask for the job's status.",
            )
        try:
            return self.files.result(job, index)
        except (OSError, UvatarError) as error:
            fix = "Reconstruct the photo again."
            raise UvatarError(
                f"The stored result of {photos[index].name} cannot be read: {error}", Code.RESULT_DAMAGED, fix
            ) from error

    def results(self, job: str) -> list[dict[str, Any] | None]:
        """All results of a job, None where there is none.

        Raises UvatarError as `result`, "too-large" before anything is read.
        """
        photos = self.job(job).photos
        done = [photo.index for photo in photos if photo.state == "done"]
        if sum(self.files.result_bytes(job, index) for index in done) > LIMITS.total_bytes:
            raise UvatarError(
                "The results are too large for one message.", Code.TOO_LARGE, "Ask for the results photo by photo."
            )
        return [self.result(job, photo.index) if photo.state == "done" else None for photo in photos]

    # -- for the policy (uvatar.service.retention)
    # ---------------------------------------------------------------------------

    def ended(self) -> list[tuple[str, float, float | None]]:
        """Jobs that are over, in the order in which they came: id, last change, since when they are known to be too
        old.
        """
        return self._database.execute(
            "SELECT id, updated, overdue FROM jobs WHERE state NOT IN (?, ?) ORDER BY rowid", ACTIVE
        ).fetchall()

    def mark_overdue(self, job: str, since: float | None) -> None:
        """Note since when a job is too old, or that it is not."""
        with self._transaction():
            self._database.execute("UPDATE jobs SET overdue = ? WHERE id = ?", (since, job))

    def touch(self, job: str, when: float) -> None:
        """Set the time of a job's last change."""
        with self._transaction():
            self._database.execute("UPDATE jobs SET updated = ?, overdue = NULL WHERE id = ?", (when, job))

    # -- inside -------------------------------------------------------------------------------------------------------

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # a full disk may have rolled it back already
                self._database.execute("ROLLBACK")
            raise

    def _insert(self, job: str, manifest: Manifest, owner: str) -> None:
        row = (job, json.dumps(manifest.options), manifest.digest, owner, manifest.created, self.clock())
        photos = zip(manifest.names, manifest.digests, manifest.sizes, strict=True)
        with self._transaction():
            self._database.execute(
                "INSERT INTO jobs (id, state, options, digest, owner, created, updated) VALUES (?, 'queued', ?, ?, "
                "?, ?, ?)",
                row,
            )
            self._database.executemany(
                "INSERT INTO photos (job, number, name, digest, bytes) VALUES (?, ?, ?, ?, ?)",
                [(job, number, *photo) for number, photo in enumerate(photos)],
            )

    def _set_state(self, job: str, state: str, sources: tuple[str, str]) -> None:
        self._database.execute(
            "UPDATE jobs SET state = ?, updated = ? WHERE id = ? AND state IN (?, ?)",
            (state, self.clock(), job, *sources),
        )

    def _wants(self, job: str, index: int) -> bool:
        """Whether the photo's end is still open."""
        row = self._database.execute(
            "SELECT 1 FROM photos JOIN jobs ON jobs.id = photos.job WHERE job = ? AND number = ?"
            " AND photos.state = 'waiting' AND jobs.state IN (?, ?)",
            (job, index, *ACTIVE),
        ).fetchone()
        return row is not None

    def _end_photos(self, job: str, states: dict[int, str], error: str | None = None) -> bool:
        """Note the end of photos that wait, and with the last one the job's.

        False where the first of them does not wait.
        """
        with self._transaction():
            wanted = self._wants(job, next(iter(states)))
            if wanted:
                self._note(job, states, error)
        self._delete_photos_of_ended(job)
        return wanted

    def _note(self, job: str, states: dict[int, str], error: str | None = None) -> None:
        """Write states of photos that wait, within a transaction; a job without photos that wait is finished."""
        self._database.executemany(
            "UPDATE photos SET state = ?, error = ? WHERE job = ? AND number = ? AND state = 'waiting'",
            [(state, error, job, index) for index, state in states.items()],
        )
        waiting = self._database.execute(
            "SELECT COUNT(*) FROM photos WHERE job = ? AND state = 'waiting'", (job,)
        ).fetchone()[0]
        if not waiting:
            self._set_state(job, "finished", ACTIVE)

    def _delete_photos_of_ended(self, job: str) -> None:
        row = self._database.execute("SELECT state FROM jobs WHERE id = ?", (job,)).fetchone()
        if row and row[0] not in ACTIVE:
            self.files.delete_photos(job)

    # -- after a crash ------------------------------------------------------------------------------------------------

    def _reconcile(self) -> None:
        """Bring journal and folders to agree: a power cut may have thrown back the one or the other."""
        known = {job for (job,) in self._database.execute("SELECT id FROM jobs")}
        for job in known:
            if not self.files.exists(job):  # its deletion was interrupted
                self.delete(job)
        for job in self.files.jobs() - known:
            manifest = self.files.manifest(job)
            if manifest:
                log.warning("Job %s is missing in the journal: taken from its folder", job, extra={"job": job})
                self._insert(job, manifest, owner="")
            else:
                self.files.delete(job)
        with self._transaction():
            self._database.execute("UPDATE jobs SET state = 'queued' WHERE state = 'running'")
        for (job,) in self._database.execute("SELECT id FROM jobs").fetchall():
            self.files.delete_parts(job)
            self._settle(self.job(job))
            self._delete_photos_of_ended(job)

    def _settle(self, job: Job) -> None:
        """Make the states of an active job's photos what its folder shows."""
        if not job.active:
            return
        open_or_done = [photo.index for photo in job.photos if photo.state in ("waiting", "done")]
        whole = {index for index in open_or_done if self.files.result_is_whole(job.id, index)}
        ends: dict[int, str] = {}
        for photo in job.photos:
            if photo.state == "done" and photo.index not in whole and self.files.has_photo(job.id, photo.index):
                log.warning("The result of photo %d is damaged: doing it again", photo.index, extra={"job": job.id})
                with self._transaction():
                    self._database.execute(
                        "UPDATE photos SET state = 'waiting' WHERE job = ? AND number = ?", (job.id, photo.index)
                    )
            elif photo.state == "waiting":
                if photo.index in whole:
                    ends[photo.index] = "done"
                elif job.options.get("same_person") and whole:
                    ends[photo.index] = "merged"
                elif not self.files.has_photo(job.id, photo.index):
                    ends[photo.index] = "failed"
        lost = {index: end for index, end in ends.items() if end == "failed"}
        with self._transaction():
            self._note(job.id, lost, json.dumps(_LOST.as_dict()))
            self._note(job.id, {index: end for index, end in ends.items() if index not in lost})


class _Damaged(Exception):
    """The journal's file is no journal of this version, or not a whole one."""


def _opened(path: Path) -> sqlite3.Connection:
    """The database, locked until this process ends, however it ends. Raises _Damaged, sqlite3.DatabaseError."""
    # The time outlasts a client that looks at this moment whether the folder has a server (`is_open`).
    database = sqlite3.connect(path, timeout=1.0, isolation_level=None, check_same_thread=False)
    try:
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("PRAGMA foreign_keys = ON")
        database.execute("PRAGMA secure_delete = ON")
        database.execute(
            "PRAGMA cache_size = -512"
        )  # KiB: rows are small, and the process shall not grow with their number
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


def _set_aside(folder: Path) -> None:
    """Move a damaged journal out of the way; the last one is kept for whoever wants to look into it."""
    for ending in ("-wal", "-shm"):
        (folder / (_NAME + ending)).unlink(missing_ok=True)
    (folder / _NAME).replace(folder / "journal.damaged.sqlite")


def _unit(job: Job, in_flight: Collection[tuple[str, int]]) -> Unit | None:
    if job.options.get("same_person"):
        busy = any((job.id, photo.index) in in_flight for photo in job.photos)
        indices = tuple(photo.index for photo in job.photos if photo.state != "failed")
        return None if busy or not job.waiting() else Unit(job.id, indices, job.options)
    free = [index for index in job.waiting() if (job.id, index) not in in_flight]
    return Unit(job.id, (free[0],), job.options) if free else None
