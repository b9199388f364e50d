"""The work of `uvatar reconstruct`: send photos one job at a time, show progress, write avatars as they arrive."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uvatar.commands.interrupts import remembered_interrupts
from uvatar.files.avatar_folders import is_disk_fault, output_error
from uvatar.files.export import Exporter, PersonFiles
from uvatar.files.photo_files import read_photo
from uvatar.protocol import photo_lists
from uvatar.protocol.errors import Code, UvatarError
from uvatar.protocol.framing import LIMITS
from uvatar.protocol.photo_lists import JOB_BYTES, JOB_PHOTOS, shown
from uvatar.service.client import Client, ServerGone

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

Failure = tuple[str, str]  # photo, reason

ATTEMPTS = 3  # for one job, if its server stops
FULL_PAUSE = 2.0  # seconds between attempts to submit to a full queue
MANY = 20  # above this number of photos there is one bar for all, and one for each photo at work
GIVEN_BYTES = LIMITS.header_bytes // 2  # of other estimators' people in one job: they travel in the message's header


@dataclass(frozen=True)
class PendingPhoto:
    """A photo to process.

    Attributes:
        path: its file.
        bytes: the file's size.
        given: its people as found by another estimator; None if there is none.
    """

    path: Path
    bytes: int
    given: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        """The photo's name, for the server and on the terminal."""
        return photo_lists.photo_name(self.path.name)


@dataclass
class _Job:
    """A job that the server has, or is about to get.

    Attributes:
        names: names of its photos.
        tasks: the photos' progress bars.
        made_of: sha256 of all photos if together they make one avatar; else empty.
        taken: indices of the photos that are finished.
    """

    names: list[str]
    tasks: list[TaskID]
    made_of: list[str]
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    taken: set[int] = field(default_factory=set)


@dataclass
class Run:
    """Processes photos, from files to avatars.

    Attributes:
        attach: connects to the server, which is started if none runs.
        people: the avatars that were written.
        failures: photos that gave no avatar, with the reason.
    """

    console: Console
    attach: Callable[[], Client]
    exporter: Exporter
    people: list[PersonFiles] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def follow(self, pending: Sequence[PendingPhoto], options: dict[str, Any]) -> None:
        """Send the photos in as many jobs as needed, one after the other, and write each result as it arrives.

        Only one job's photos are in memory at a time.

        Raises:
            UvatarError, OSError: the remaining photos cannot be processed.
        """
        self._client = self.attach()
        try:
            with _Bars(self.console, len(pending)) as bars, remembered_interrupts() as end_if_interrupted:
                for job in jobs(pending, options, *self._room()):
                    self._see_through([pending[index] for index in job], options, bars, end_if_interrupted)
                    end_if_interrupted()
        finally:
            self._client.close()

    def _room(self) -> tuple[int, int]:
        """How many photos and how many bytes this server takes in a job."""
        queue: dict[str, int] = {}
        with suppress(UvatarError):  # the defaults are good enough
            queue = self._client.status()["queue"]
        return min(JOB_PHOTOS, queue.get("most_photos", JOB_PHOTOS)), queue.get("most_bytes", LIMITS.total_bytes)

    def _see_through(
        self,
        pending: Sequence[PendingPhoto],
        options: dict[str, Any],
        bars: _Bars,
        end_if_interrupted: Callable[[], None],
    ) -> None:
        """Process one job from reading its photos to its end, even if the server stops in between."""
        kept, photos = self._read(pending)
        if not kept:
            return
        if any(photo.given is not None for photo in kept):
            options = {**options, "given_people": [photo.given for photo in kept]}
        made_of = [hashlib.sha256(data).hexdigest() for _, data in photos] if options["same_person"] else []
        job = _Job([photo.name for photo in kept], [bars.add(photo.name) for photo in kept], made_of)
        try:
            for attempts_left in reversed(range(ATTEMPTS)):
                try:
                    if photos:
                        self._send(job.id, photos, options)
                        photos = []
                    for event in self._client.events(job.id):
                        self._heed(job, event, bars)
                        end_if_interrupted()
                    return
                except ServerGone:
                    if not attempts_left:
                        raise
                    self.console.print("The server has stopped; starting it again. No finished photo is lost.")
                    self._client.close()
                    self._client = self.attach()
        except ServerGone:  # it may only be slow, and still do the job
            raise
        except BaseException:  # Ctrl+C, or a full disk
            with suppress(UvatarError, OSError):
                self._client.cancel(job.id)
            raise

    def _read(self, pending: Sequence[PendingPhoto]) -> tuple[list[PendingPhoto], list[tuple[str, bytes]]]:
        kept, photos = [], []
        for photo in pending:
            try:
                photos.append((photo.name, read_photo(photo.path)))
                kept.append(photo)
            except UvatarError as error:
                self._fail(shown(str(photo.path)), error)
        return kept, photos

    def _send(self, job: str, photos: Sequence[tuple[str, bytes]], options: dict[str, Any]) -> None:
        """Submit the job, waiting until the server has room for it."""
        told = False
        while True:
            try:
                self._client.submit(photos, options, job)
                return
            except UvatarError as error:
                if error.code != Code.QUEUE_FULL:
                    raise
            if not told:
                self.console.print("The server's queue is full; waiting for space in it. Press Ctrl+C to stop waiting.")
                told = True
            time.sleep(FULL_PAUSE)

    def _heed(self, job: _Job, event: dict[str, Any], bars: _Bars) -> None:
        """Show an event's progress, or take a finished photo."""
        photo: int = event.get("photo", -1)
        if photo in job.taken:
            return
        if event["kind"] == "progress":
            left = event["seconds_left"]
            words = event["message"] if left is None else f"{event['message']}, {_duration(left)} left"
            bars.advance(job.tasks[photo], event["fraction"], words)
        elif event["kind"] == "photo":
            bars.advance(job.tasks[photo], None, "Writing files")
            words = self._take(job, event)
            job.taken.add(photo)
            bars.end(job.tasks[photo], words)

    def _take(self, job: _Job, event: dict[str, Any]) -> str:
        """Write a finished photo's avatars, and return the outcome in a few words."""
        name = job.names[event["photo"]]
        if event["state"] == "merged":
            return "Merged into the same avatar"
        try:
            if event["state"] == "failed":
                raise UvatarError.from_dict(event["error"])
            people = self.exporter.write(self._client.result(job.id, event["photo"]), made_of=job.made_of)
        except ServerGone:
            raise
        except UvatarError as error:
            return self._fail(name, error)
        except OSError as error:
            if is_disk_fault(error):
                raise output_error(self.exporter.out, error) from error
            self.failures.append(
                (name, f"The avatars cannot be written to {shown(str(self.exporter.out))}: {error.strerror or error}.")
            )
            return "Failed"
        self.people += people
        return "1 person" if len(people) == 1 else f"{len(people)} people"

    def _fail(self, name: str, error: UvatarError) -> str:
        self.failures.append((name, f"{error.message} {error.fix}".strip()))
        return "Failed"


def jobs(
    pending: Sequence[PendingPhoto], options: dict[str, Any], most_photos: int, most_bytes: int
) -> Iterator[range]:
    """Divide the photos among jobs.

    Args:
        pending: all photos.
        options: the job options.
        most_photos: how many photos the server takes in a job.
        most_bytes: how many bytes of photos the server takes in a job.

    Yields:
        the indices of each job's photos.

    Raises:
        UvatarError: the photos of one person do not fit into one job.
    """
    sizes = [photo.bytes for photo in pending]
    if options["same_person"]:
        largest = min(most_bytes, LIMITS.total_bytes - LIMITS.header_bytes)
        if len(list(photo_lists.portions(sizes, most_photos, largest))) > 1:
            message = (
                f"All photos of one person form one job, which can hold {most_photos} photos and {largest / 1e6:.0f} "
                "MB at most."
            )
            raise UvatarError(message, Code.TOO_LARGE, "Choose fewer photos; a few from each side are enough.")
        yield range(len(pending))
        return
    for portion in photo_lists.portions(sizes, most_photos, min(most_bytes, JOB_BYTES)):
        given = (len(json.dumps(pending[index].given)) for index in portion)
        for part in photo_lists.portions(given, most_photos, GIVEN_BYTES):
            yield range(portion.start + part.start, portion.start + part.stop)


class _Bars:
    """A progress bar for each photo; for many photos, one for each at work and one for all together."""

    def __init__(self, console: Console, photos: int) -> None:
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

        name, words = TextColumn("{task.fields[photo]}", markup=False), TextColumn("{task.description}", markup=False)
        self._progress: Progress = Progress(
            name, BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), words, console=console
        )
        self._many = photos > MANY
        self._all = self._progress.add_task("", total=photos, photo=f"{photos} photos", visible=self._many)

    def __enter__(self) -> _Bars:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def add(self, name: str) -> TaskID:
        """Add the bar of a waiting photo."""
        return self._progress.add_task("Waiting", total=1.0, start=False, photo=name, visible=not self._many)

    def advance(self, task: TaskID, fraction: float | None, words: str) -> None:
        """Update a photo's bar; ``fraction`` is the share done, None to leave it."""
        self._progress.start_task(task)
        self._progress.update(task, completed=fraction, description=words, visible=True)

    def end(self, task: TaskID, words: str) -> None:
        """Finish a photo's bar."""
        self._progress.start_task(task)
        self._progress.update(task, completed=1.0, description=words)
        if self._many:
            self._progress.remove_task(task)
        self._progress.advance(self._all)


def _duration(left: float) -> str:
    return f"{left:.0f} s" if left < 90 else f"{left / 60:.0f} min"
