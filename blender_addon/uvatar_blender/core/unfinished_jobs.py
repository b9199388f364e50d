# SPDX-License-Identifier: GPL-3.0-or-later
"""Unfinished jobs on disk, so that they can be continued after Blender was closed or has crashed."""

from __future__ import annotations

import json
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from ..protocol.errors import UvatarError
from ..protocol.private_files import private_data_folder, private_folder
from .jobs import Job


class UnfinishedJobs:
    """One small file per job in a folder of the user's data. A file that cannot be written never stops a job.

    A thread does all disk access in order, so that the main thread does not wait for a busy disk.
    """

    def __init__(self, folder: Path) -> None:
        """Use a folder, which need not exist yet."""
        self.folder = folder
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="uvatar unfinished jobs")

    def record(self, job: Job) -> None:
        """Write the state of a job, or delete its file when the job is over."""
        if job.over:
            self.remove(job.id)
            return
        fields = {
            "id": job.id,
            "photos": [str(path) for path in job.photos],
            "options": dict(job.options),
            "sent": None if job.sent is None else list(job.sent),
            "imported": sorted(job.imported),
        }
        self._disk.submit(self._write, job.id, json.dumps(fields))

    def remove(self, job: str) -> None:
        """Delete a job's file."""
        self._disk.submit(self._delete, job)

    def load(self) -> list[Job]:
        """Read the unfinished jobs, the oldest first; files that are not jobs are skipped."""
        return self._disk.submit(self._read).result()

    def flush(self) -> None:
        """Wait until everything is on the disk."""
        self._disk.submit(lambda: None).result()

    def _write(self, job: str, text: str) -> None:
        with suppress(OSError, UvatarError):
            private_data_folder(self.folder.parent)
            private_folder(self.folder)
            descriptor, temporary = tempfile.mkstemp(dir=self.folder, suffix=".part")
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            os.replace(temporary, self._file(job))

    def _delete(self, job: str) -> None:
        with suppress(OSError):
            self._file(job).unlink()

    def _read(self) -> list[Job]:
        found = []
        with suppress(OSError):
            for file in sorted(self.folder.glob("*.json"), key=lambda path: path.stat().st_mtime):
                with suppress(OSError, ValueError, KeyError, TypeError):
                    fields = json.loads(file.read_text(encoding="utf-8"))
                    sent = None if fields["sent"] is None else tuple(int(photo) for photo in fields["sent"])
                    job = Job(
                        str(fields["id"]),
                        tuple(Path(path) for path in fields["photos"]),
                        dict(fields["options"]),
                        sent=sent,
                    )
                    job.imported = {int(photo) for photo in fields["imported"]}
                    job.ended = set(job.imported)
                    if file == self._file(job.id) and job.photos:
                        found.append(job)
        return found

    def _file(self, job: str) -> Path:
        return self.folder / f"{job}.json"
