"""The journal: which jobs there are and how far they have come, so that no death of any process loses one.

Everything lies in one data folder:

    journal.sqlite         jobs and photos with their states
    jobs/<id>/photo-000    a photo as it was sent; deleted when the job is over
    jobs/<id>/result-000   its result (wire.dump), kept until the job is cleaned up

A job is in the journal only when its photos are safe on disk, and a photo is `done` only when its result is.  States only
move forward: a job from queued to running to finished or cancelled, a photo from waiting to done, failed or merged.
"""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
import sqlite3
import time
import uuid
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend import wire
from backend.wire import WireError

MAX_PHOTOS = 500  # of one job; more is the work of several jobs
ACTIVE = ("queued", "running")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, state TEXT NOT NULL, options TEXT NOT NULL, digest TEXT NOT NULL,
    created REAL NOT NULL, updated REAL NOT NULL, turn INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS photos (
    job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE, number INTEGER NOT NULL, name TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting', error TEXT, crashes INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (job, number));
"""


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


@dataclass(frozen=True)
class Unit:
    """The photos of a job that the model process takes at once: one, or all where they show the same person."""

    job: str
    indices: tuple[int, ...]
    options: dict[str, Any]


@dataclass(frozen=True)
class Policy:
    """How long jobs that are over are kept."""

    days: float = 30.0
    total_bytes: int = 10 * 10**9


def checked_id(identifier: Any) -> str:
    """The id if it is the text of a UUID (it names a folder, so nothing else will do). Raises WireError."""
    if isinstance(identifier, str):
        with suppress(ValueError):
            if identifier in (str(parsed := uuid.UUID(identifier)), parsed.hex):
                return identifier
    raise WireError("A job's id is the text of a UUID, such as 6b1f7c52-6f0e-4a0e-9a55-0d6b6f1c8a11.")


class Journal:
    """The jobs of one data folder. One journal at a time has the folder; a killed process lets go of it."""

    def __init__(self, folder: Path) -> None:
        """Open or create the journal; jobs that were running are queued again, leftovers of killed writers are deleted.

        Raises AlreadyServed where another process has it, WireError ("disk-full", "data-folder") and OSError where it cannot be used.
        """
        self.folder = Path(folder)
        self._jobs_folder = self.folder / "jobs"
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._jobs_folder.mkdir(mode=0o700, exist_ok=True)
        self._database = sqlite3.connect(self.folder / "journal.sqlite", timeout=0.2, isolation_level=None, check_same_thread=False)
        try:
            self._database.execute("PRAGMA locking_mode = EXCLUSIVE")  # held until this process ends, however it ends
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")
            self._database.execute("PRAGMA foreign_keys = ON")
            self._database.executescript(_SCHEMA)
            with self._transaction():
                self._database.execute("UPDATE jobs SET state = 'queued' WHERE state = 'running'")
        except sqlite3.DatabaseError as error:
            self._database.close()
            if "locked" in str(error):
                raise AlreadyServed(f"Another Uvatar server already uses {self.folder}.") from None
            raise disk_error(error) from error
        self._delete_leftovers()

    def close(self) -> None:
        """Let go of the folder."""
        self._database.close()

    # -- jobs ---------------------------------------------------------------------------------------------------------

    def add(self, job: str, photos: Sequence[tuple[str, bytes]], options: dict[str, Any]) -> Job:
        """Store a new job: photos (name, bytes) first, then its entry. The same job again changes nothing.

        Raises WireError: "job-id-taken" where the id has other photos or options, "disk-full".
        """
        digest = _digest(photos, options)
        known = self._database.execute("SELECT digest FROM jobs WHERE id = ?", (job,)).fetchone()
        if known and known[0] != digest:
            raise WireError("This job id belongs to other photos or options.", "job-id-taken", "Send the job with a new id.")
        if not known:
            try:
                self._store_photos(job, [data for _, data in photos])
                self._insert(job, [name for name, _ in photos], options, digest)
            except (OSError, sqlite3.Error) as error:
                shutil.rmtree(self._jobs_folder / job, ignore_errors=True)
                raise disk_error(error) from error
        return self.job(job)

    def job(self, job: str) -> Job:
        """The job of this id. Raises WireError ("unknown-job")."""
        row = self._database.execute("SELECT id, state, options, created, updated FROM jobs WHERE id = ?", (job,)).fetchone()
        if row is None:
            raise WireError("There is no job with this id.", "unknown-job", "Reconstruct the photos again; old results are cleaned up.")
        photos = self._database.execute(
            "SELECT number, name, state, error, crashes FROM photos WHERE job = ? ORDER BY number", (job,)
        ).fetchall()
        states = (PhotoState(n, name, state, json.loads(error) if error else None, crashes) for n, name, state, error, crashes in photos)
        return Job(row[0], row[1], json.loads(row[2]), row[3], row[4], tuple(states))

    def jobs(self, states: Collection[str] = (), limit: int = 100) -> list[Job]:
        """The newest jobs, newest first; only those in ``states`` where given."""
        where = f"WHERE state IN ({', '.join('?' * len(states))})" if states else ""
        query = f"SELECT id FROM jobs {where} ORDER BY created DESC, rowid DESC LIMIT ?"
        return [self.job(job) for (job,) in self._database.execute(query, (*states, limit)).fetchall()]

    def cancel(self, job: str) -> Job:
        """Work on the job no more; it keeps the results it has. A job that is over stays as it is. Raises WireError ("unknown-job")."""
        with self._transaction():
            self._set_state(job, "cancelled", ACTIVE)
        self._delete_photos_of_ended(job)
        return self.job(job)

    # -- work ---------------------------------------------------------------------------------------------------------

    def next_unit(self, in_flight: Collection[tuple[str, int]]) -> Unit | None:
        """The next photos to work on, and note that their job had its turn; None where there is nothing to do.

        Jobs take turns photo by photo, so that one photo need not wait for a hundred of somebody else.

        Args:
            in_flight: (job, photo index) that model processes are at.
        """
        rows = self._database.execute("SELECT id FROM jobs WHERE state IN (?, ?) ORDER BY turn, created, rowid", ACTIVE).fetchall()
        for (identifier,) in rows:
            job = self.job(identifier)
            unit = _unit(job, in_flight)
            if unit:
                with self._transaction():
                    self._database.execute("UPDATE jobs SET turn = (SELECT MAX(turn) + 1 FROM jobs) WHERE id = ?", (identifier,))
                    self._set_state(identifier, "running", ACTIVE)
                return unit
        return None

    def photo(self, job: str, index: int) -> tuple[str, bytes]:
        """Name and bytes of a photo that waits. Raises OSError where the file has gone."""
        name = self._database.execute("SELECT name FROM photos WHERE job = ? AND number = ?", (job, index)).fetchone()[0]
        return name, self._photo_path(job, index).read_bytes()

    def finish_photo(self, job: str, index: int, result: dict[str, Any]) -> bool:
        """Store a photo's result. False where nobody wants it any more (cancelled, failed before).

        Raises WireError where the result cannot be stored ("disk-full") or packed.
        """
        if not self._wants(job, index):
            return False
        try:
            wire.dump(result, self._result_path(job, index))
            return self._end_photo(job, index, "done", None)
        except (OSError, sqlite3.Error) as error:
            raise disk_error(error) from error

    def fail_photo(self, job: str, index: int, error: WireError) -> bool:
        """Note why a photo has no result. False where nobody waits for it."""
        return self._end_photo(job, index, "failed", json.dumps(error.as_dict()))

    def merge_photo(self, job: str, index: int) -> bool:
        """Note that a photo went into another photo's avatar. False where nobody waits for it."""
        return self._end_photo(job, index, "merged", None)

    def count_crash(self, job: str, index: int) -> int:
        """Note that the model process died on this photo; how often it has by now."""
        with self._transaction():
            self._database.execute("UPDATE photos SET crashes = crashes + 1 WHERE job = ? AND number = ?", (job, index))
        return self._database.execute("SELECT crashes FROM photos WHERE job = ? AND number = ?", (job, index)).fetchone()[0]

    def result(self, job: str, index: int) -> dict[str, Any]:
        """A photo's stored result. Raises WireError: "unknown-job", "no-result", "result-damaged"."""
        photos = self.job(job).photos
        if not 0 <= index < len(photos):
            raise WireError(f"The job has {len(photos)} photos; there is no number {index}.", "no-result", "Ask for the job's status.")
        if photos[index].state != "done":
            raise WireError(f"{photos[index].name} has no result: it is {photos[index].state}.", "no-result", "Ask for the job's status.")
        try:
            return wire.load(self._result_path(job, index))
        except (OSError, WireError) as error:
            fix = "Reconstruct the photo again."
            raise WireError(f"The stored result of {photos[index].name} cannot be read: {error}", "result-damaged", fix) from error

    # -- cleaning -----------------------------------------------------------------------------------------------------

    def clean(self, policy: Policy, now: float | None = None) -> list[str]:
        """Delete jobs that are over: those too old, then the oldest until the rest is small enough. Their ids."""
        now = time.time() if now is None else now
        rows = self._database.execute("SELECT id, updated FROM jobs WHERE state NOT IN (?, ?) ORDER BY updated", ACTIVE).fetchall()
        sizes = {job: _folder_size(self._jobs_folder / job) for job, _ in rows}
        total = sum(sizes.values())
        deleted = []
        for job, updated in rows:
            if now - updated > policy.days * 86_400 or total > policy.total_bytes:
                self.delete(job)
                total -= sizes[job]
                deleted.append(job)
        return deleted

    def delete(self, job: str) -> None:
        """Delete a job with its photos and results. Entry first: what a crash leaves of the folder is deleted at the next start."""
        with self._transaction():
            self._database.execute("DELETE FROM jobs WHERE id = ?", (job,))
        shutil.rmtree(self._jobs_folder / job, ignore_errors=True)

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

    def _photo_path(self, job: str, index: int) -> Path:
        return self._jobs_folder / job / f"photo-{index:03d}"

    def _result_path(self, job: str, index: int) -> Path:
        return self._jobs_folder / job / f"result-{index:03d}"

    def _store_photos(self, job: str, photos: Sequence[bytes]) -> None:
        folder = self._jobs_folder / job
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        for index, data in enumerate(photos):
            wire.write_atomically(self._photo_path(job, index), [data])

    def _insert(self, job: str, names: Sequence[str], options: dict[str, Any], digest: str) -> None:
        now = time.time()
        with self._transaction():
            self._database.execute(
                "INSERT INTO jobs (id, state, options, digest, created, updated) VALUES (?, 'queued', ?, ?, ?, ?)",
                (job, json.dumps(options), digest, now, now),
            )
            self._database.executemany(
                "INSERT INTO photos (job, number, name) VALUES (?, ?, ?)", [(job, *item) for item in enumerate(names)]
            )

    def _set_state(self, job: str, state: str, sources: tuple[str, str]) -> None:
        self._database.execute(
            "UPDATE jobs SET state = ?, updated = ? WHERE id = ? AND state IN (?, ?)", (state, time.time(), job, *sources)
        )

    def _wants(self, job: str, index: int) -> bool:
        """Whether the photo's end is still open. A photo that is done may be done again: its unit may be repeated after a crash."""
        row = self._database.execute(
            "SELECT 1 FROM photos JOIN jobs ON jobs.id = photos.job WHERE job = ? AND number = ?"
            " AND photos.state IN ('waiting', 'done') AND jobs.state IN (?, ?)",
            (job, index, *ACTIVE),
        ).fetchone()
        return row is not None

    def _end_photo(self, job: str, index: int, state: str, error: str | None) -> bool:
        with self._transaction():
            wanted = self._wants(job, index)
            if wanted:
                self._database.execute("UPDATE photos SET state = ?, error = ? WHERE job = ? AND number = ?", (state, error, job, index))
                waiting = self._database.execute("SELECT COUNT(*) FROM photos WHERE job = ? AND state = 'waiting'", (job,)).fetchone()[0]
                if not waiting:
                    self._set_state(job, "finished", ACTIVE)
        self._delete_photos_of_ended(job)
        return wanted

    def _delete_photos_of_ended(self, job: str) -> None:
        row = self._database.execute("SELECT state FROM jobs WHERE id = ?", (job,)).fetchone()
        if row and row[0] not in ACTIVE:
            for path in (self._jobs_folder / job).glob("photo-*"):
                with suppress(OSError):
                    path.unlink()

    def _delete_leftovers(self) -> None:
        known = {job for (job,) in self._database.execute("SELECT id FROM jobs")}
        for folder in self._jobs_folder.iterdir():
            if folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)
                continue
            for part in folder.glob(".*.part"):
                with suppress(OSError):
                    part.unlink()
            self._delete_photos_of_ended(folder.name)


def _unit(job: Job, in_flight: Collection[tuple[str, int]]) -> Unit | None:
    if job.options.get("same_person"):
        busy = any((job.id, photo.index) in in_flight for photo in job.photos)
        indices = tuple(photo.index for photo in job.photos if photo.state != "failed")
        return None if busy or not job.waiting() else Unit(job.id, indices, job.options)
    free = [index for index in job.waiting() if (job.id, index) not in in_flight]
    return Unit(job.id, (free[0],), job.options) if free else None


def _digest(photos: Sequence[tuple[str, bytes]], options: dict[str, Any]) -> str:
    """What makes a job the same job: options, and the photos' names, bytes and order."""
    digest = hashlib.sha256(json.dumps(options, sort_keys=True).encode())
    for name, data in photos:
        digest.update(json.dumps([name, hashlib.sha256(data).hexdigest()]).encode())
    return digest.hexdigest()


def _folder_size(folder: Path) -> int:
    sizes = 0
    for path in folder.glob("*"):
        with suppress(OSError):
            sizes += path.stat().st_size
    return sizes


def disk_error(error: Exception) -> WireError:
    """What the failure of a write means to the artist."""
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "full" in str(error):
        return WireError("The disk is full.", "disk-full", "Free some space on the disk of Uvatar's data folder, then try again.")
    return WireError(f"Uvatar's data folder cannot be used: {error}", "data-folder", "Check the data folder's disk and permissions.")
