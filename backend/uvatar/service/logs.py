"""Structured logs: one JSON object per line, with the job that it is about.

They name jobs by id, and contain no photo's name. They stay in the data folder; nothing is sent anywhere.
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

from uvatar.protocol.private_files import private_folder

FIELDS = ("job", "photo", "seconds", "timings")  # taken from a record's ``extra``
# Enough for some thousand lines, and for what is asked for in a report of a fault; how chosen is not recorded.
MAX_BYTES = 1_000_000  # of the server's log, after which a new file begins; two old ones are kept
SERVER_LOG = "server.log"
WORKER_LOG = "worker.log"
MAX_WORKER_BYTES = 5_000_000  # of the model processes' log, which holds what libraries print as well


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON.

    It has time (UTC), level, logger, process and message; job, photo and seconds if known; and the traceback.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Format the record."""
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
    """Adds the job that a model process works on to its log records, whichever thread they come from."""

    def __init__(self) -> None:
        super().__init__()
        self.job: str | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the job to the record; no record is filtered out."""
        if self.job and not hasattr(record, "job"):
            record.job = self.job
        return True


def logs_folder(data: Path) -> Path:
    """The folder of logs in a data folder, created if missing. Raises OSError, UvatarError ("data-folder")."""
    folder = data / "logs"
    private_folder(folder)
    return folder


def worker_log(data: Path) -> Path:
    """The file that all model processes log to. Raises as `logs_folder`."""
    return logs_folder(data) / WORKER_LOG


def trim(path: Path, most: int = MAX_WORKER_BYTES) -> None:
    """Rotate a log that other processes write to if it has grown large; one previous file is kept.

    The file is emptied rather than replaced, because the processes have it open and continue at its new end. What they
    write at this very moment may be lost.
    """
    with suppress(OSError):
        if path.stat().st_size > most:
            shutil.copyfile(path, path.with_suffix(".old.log"))
            os.truncate(path, 0)


def log_to_folder(data: Path) -> None:
    """Write the server's log to its data folder; old lines are dropped when it has grown large."""
    path = logs_folder(data) / SERVER_LOG
    _use(logging.handlers.RotatingFileHandler(path, maxBytes=MAX_BYTES, backupCount=2, encoding="utf-8"))


def log_to_stream(stream: TextIO | None = None) -> CurrentJob:
    """Write a model process's log to standard error, which the server redirects to a file.

    Returns:
        the filter that adds the current job to every line.
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
    """The lines of all logs of a data folder in order of time, or only those about one job.

    Lines that are not JSON are left out.
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
