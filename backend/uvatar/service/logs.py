"""Structured logs: a JSON object on each line, with the job that it is about.

They name jobs by id and hold no photo's name.

They stay in the data folder; nothing is sent anywhere.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from uvatar.service.private import private_folder

FIELDS = ("job", "photo", "seconds", "timings")  # of a record's ``extra``, where it has them
MAX_BYTES = 1_000_000
SERVER_LOG = "server.log"
WORKER_LOG = "worker.log"
MAX_WORKER_BYTES = 5_000_000


class JsonLines(logging.Formatter):
    """A record as one line of JSON: time (UTC), level, logger, process, message; job, photo, seconds where known;
    traceback.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"
        line: dict[str, Any] = {
            "time": when,
            "level": record.levelname.lower(),
            "logger": record.name,
            "pid": record.process,
        }
        line["message"] = record.getMessage()
        line.update({name: getattr(record, name) for name in FIELDS if getattr(record, name, None) is not None})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class CurrentJob(logging.Filter):
    """Adds the job that a model process is at to what it logs, from whatever thread."""

    def __init__(self) -> None:
        super().__init__()
        self.job: str | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        """Every record passes."""
        if self.job and not hasattr(record, "job"):
            record.job = self.job
        return True


def logs_folder(data: Path) -> Path:
    """The folder of logs in a data folder, made where it is missing. Raises OSError, UvatarError ("data-folder")."""
    folder = data / "logs"
    private_folder(folder)
    return folder


def worker_log(data: Path) -> Path:
    """Where model processes write, all into one file. Raises as `logs_folder`."""
    return logs_folder(data) / WORKER_LOG


def trim(path: Path, most: int = MAX_WORKER_BYTES) -> None:
    """Begin a log anew that other processes write to, where it has grown large; what it held stays in the one file
    before it.

    It is emptied and not exchanged: they have it open, and go on at its new end. What they write at just this moment
        may be lost.
    """
    with suppress(OSError):
        if path.stat().st_size > most:
            shutil.copyfile(path, path.with_suffix(".old.log"))
            os.truncate(path, 0)


def log_to_folder(data: Path) -> None:
    """Have the server's log in its data folder; old lines go when it has grown large."""
    path = logs_folder(data) / SERVER_LOG
    _use(logging.handlers.RotatingFileHandler(path, maxBytes=MAX_BYTES, backupCount=2, encoding="utf-8"))


def log_to_stream(stream: TextIO | None = None) -> CurrentJob:
    """Have a model process's log on its standard error, which the server puts into a file; sets the job of its
    lines.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    current = CurrentJob()
    handler.addFilter(current)
    _use(handler)
    return current


def _use(handler: logging.Handler) -> None:
    handler.handleError = lambda record: None  # type: ignore[method-assign]  # a log on a full disk is no reason to fail, nor for more words
    handler.setFormatter(JsonLines())
    logger = logging.getLogger("uvatar")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.handlers = [handler]


def read_logs(data: Path, job: str | None = None) -> Iterator[dict[str, Any]]:
    """The lines of all logs of a data folder in order of time; only those of a job where given.

    What is no JSON is left out.
    """
    lines = []
    for path in sorted((data / "logs").glob("*.log*")):
        with suppress(OSError), path.open(encoding="utf-8", errors="replace") as file:
            for text in file:
                with suppress(ValueError):
                    line = json.loads(text)
                    if isinstance(line, dict) and "time" in line and (job is None or line.get("job") == job):
                        lines.append(line)
    return iter(sorted(lines, key=lambda line: str(line["time"])))
