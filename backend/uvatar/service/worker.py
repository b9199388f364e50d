"""The model process: loads the pipeline once and takes photos from the front, one unit of work at a time.

It is a separate process so that a crash inside a model, or cancelling a job in the middle of a long stage, costs only a
restart. It talks only to the front, by the pipes that it inherits as standard input and output, in lines of JSON, and
ends when the front does. It reads photos from the job's folder, and writes results there.
`uvatar.service.model_process` is the other end of the pipes.
"""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import os
import queue
import signal
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from uvatar.data.photo import PhotoFile
from uvatar.data.progress import Progress
from uvatar.photos.decoding import PhotoError
from uvatar.protocol.errors import Code, UvatarError
from uvatar.protocol.jobs import CompleteTexture, FindPeople, Reconstruct, has_one_result, read_job
from uvatar.runtime import memory_limits, versions
from uvatar.runtime.memory import give_back, is_out_of_memory
from uvatar.runtime.weights import WeightsError
from uvatar.service.job_files import JobFiles
from uvatar.service.logs import CurrentJob, log_to_stream
from uvatar.service.model_process import REAL_PIPELINE

PhotoDone = Callable[[int, dict[str, Any]], None]

SPACE_PAUSE = 2.0  # seconds between attempts to write a result for which there is no room
MOST_WORDS = 400  # characters of an error: a job's status holds up to 500 errors, and has to fit into a message

log = logging.getLogger("uvatar.service.worker")


class Reconstructor(Protocol):
    """The pipeline's interface as the worker needs it; `uvatar.engine.pipeline.Pipeline` implements it."""

    def reconstruct(
        self, photos: list[PhotoFile], options: dict[str, Any], progress: Progress, photo_done: PhotoDone
    ) -> Any:
        """Work on the photos; call ``photo_done(index, result)`` for each as soon as it is finished."""

    def find_people(self, photos: list[PhotoFile], progress: Progress, photo_done: PhotoDone) -> None:
        """Find the photos' people only, and call ``photo_done(index, result)`` for each photo."""

    def complete_texture(self, pictures: list[PhotoFile], body: str, progress: Progress) -> dict[str, Any]:
        """Complete a painted texture, and return the result (`uvatar.protocol.jobs.CompleteTexture`)."""


class Cancelled(BaseException):
    """The front has cancelled this unit. A BaseException, so that no stage handles it as a failure of its own."""


class Front:
    """The connection to the front. When it ends, so does this process, even in the middle of a stage."""

    def __init__(self) -> None:
        """Take over standard input and output; what is printed from now on goes to the log."""
        self.work: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self.cancelled = 0  # the last work that was cancelled
        self._lock = threading.Lock()  # stages may report progress from threads of their own
        self._input, self._output = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in self._input:
            message = json.loads(line)
            if message["kind"] == "work":
                self.work.put(message)
            else:
                self.cancelled = message["unit"]
        os._exit(1)

    def send(self, **message: Any) -> None:
        """Send a message."""
        line = json.dumps(message, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        try:
            with self._lock:
                self._output.write(line)
                self._output.flush()
        except OSError:
            os._exit(1)


class Worker:
    """Takes work from the front, writes the results, and tells the front of progress and ends."""

    def __init__(self, front: Front, files: JobFiles, current: CurrentJob, note: str = "") -> None:
        """Prepare for work.

        Args:
            front: the connection.
            files: the jobs' folders.
            current: is told which job the process works on, for the log.
            note: a sentence about this process's device, for every result.
        """
        self._front = front
        self._files = files
        self._current = current
        self._told: set[str] = set()  # places of internal errors that were reported
        self._note = note

    def run(self, load_pipeline: Callable[[], Reconstructor]) -> None:
        """Load the pipeline, then work until the front ends this process or goes away."""
        try:
            pipeline = load_pipeline()
        except Exception as error:
            log.exception("The pipeline cannot be loaded")
            self._front.send(kind="broken", error=_load_error(error).as_dict())
            self._front.work.get()  # the front ends this process
            return
        self._front.send(kind="ready", facts=_facts(pipeline, self._note))
        while True:
            work = self._front.work.get()
            self._current.job = work["job"]
            with suppress(Cancelled):
                self._work(pipeline, work["unit"], work["job"], work["indices"])
            # With the facts: a GPU may have failed meanwhile, so that the networks run on the CPU from now on.
            self._front.send(kind="unit_done", unit=work["unit"], facts=_facts(pipeline, self._note))
            self._current.job = None
            give_back()

    def _work(self, pipeline: Reconstructor, unit: int, job: str, indices: list[int]) -> None:
        open_indices = list(indices)
        options: dict[str, Any] = {}

        def progress(stage: str, fraction: float, message: str) -> None:
            if self._front.cancelled == unit:
                raise Cancelled
            index = open_indices[0] if open_indices else indices[-1]
            fraction = min(max(float(fraction), 0.0), 1.0)
            self._front.send(
                kind="progress", unit=unit, index=index, stage=stage, fraction=fraction, message=str(message)
            )

        def photo_done(position: int, result: dict[str, Any]) -> None:
            index = indices[position]
            if self._note and result.get("people"):
                result = {**result, "notes": [*result.get("notes", []), self._note]}
            errors = result.get("errors")
            if errors and not result.get("people"):
                self._front.send(kind="photo_failed", unit=unit, index=index, error=_stated_error(errors[0]).as_dict())
            else:
                self._store(job, index, result, progress)
                # The only result of a job includes all remaining photos, which end together, in one event.
                merged = [other for other in open_indices if other != index] if has_one_result(options) else []
                timings = result.get("timings")
                self._front.send(kind="photo_done", unit=unit, index=index, merged=merged, timings=timings)
                for other in merged:
                    open_indices.remove(other)
            open_indices.remove(index)

        try:
            progress("starting", 0.0, "Starting")
            options, photos = self._files.work(job, indices)
            _run(pipeline, photos, options, progress, photo_done)
            error = UvatarError(
                "The pipeline returned no result for this photo.", Code.SERVER_ERROR, "Please report this with the log."
            )
        except Exception as failure:
            error = self._told_error(failure, open_indices)
        for index in open_indices:
            self._front.send(kind="photo_failed", unit=unit, index=index, error=error.as_dict())

    def _store(self, job: str, index: int, result: dict[str, Any], progress: Progress) -> None:
        """Write a result. As long as the disk has no room for it, wait with it: the photo is not done in vain."""
        while True:
            try:
                return self._files.store_result(job, index, result)
            except UvatarError as error:
                if error.code not in (Code.DISK_FULL, Code.DATA_FOLDER) or not self._files.exists(job):
                    raise
                again = time.monotonic() + SPACE_PAUSE
                while time.monotonic() < again:
                    progress("waiting", 1.0, f"{error.message} Waiting to store the result")
                    time.sleep(0.2)

    def _told_error(self, failure: Exception, indices: list[int]) -> UvatarError:
        """The error of photos for which the pipeline raised an exception; it is logged if it is not the photos'."""
        error = photo_error(failure)
        if error.code == Code.SERVER_ERROR:
            place = "".join(traceback.format_tb(failure.__traceback__)[-1:])
            # A repeated error is logged in full only once: a traceback has kilobytes.
            known = place in self._told
            log.error("Photos %s failed: %s", indices, error.message, exc_info=None if known else failure)
            self._told.add(place)
        return error


def _run(
    pipeline: Reconstructor,
    pictures: list[PhotoFile],
    options: dict[str, Any],
    progress: Progress,
    photo_done: PhotoDone,
) -> None:
    """Have a pipeline do the kind of job that the options ask for."""
    match read_job(options):
        case Reconstruct():
            pipeline.reconstruct(pictures, options, progress, photo_done)
        case FindPeople():
            pipeline.find_people(pictures, progress, photo_done)
        case CompleteTexture(body=body):
            photo_done(0, pipeline.complete_texture(pictures, body, progress))


def photo_error(failure: Exception) -> UvatarError:
    """The error of a photo for which the pipeline raised an exception."""
    if isinstance(failure, UvatarError) and failure.code != Code.MALFORMED:
        return failure
    if isinstance(failure, PhotoError):
        return UvatarError(str(failure), Code.BAD_PHOTO, "")  # the message says what to do
    if is_out_of_memory(failure):
        words = memory_limits.needed(getattr(failure, "pixels", 0))
        return UvatarError(
            f"There was not enough memory for this photo. {words}", Code.OUT_OF_MEMORY, memory_limits.FIX
        )
    # A result that cannot be sent (with a NaN among its figures) is "malformed", too, but not the photo's fault.
    words = f"{type(failure).__name__}: {failure}"  # may quote whole arrays
    return UvatarError(words[:MOST_WORDS], Code.SERVER_ERROR, "Please report this with the model process's log.")


def _stated_error(error: Any) -> UvatarError:
    """An entry of a result's "errors": a dictionary or a sentence."""
    return UvatarError.from_dict(error) if isinstance(error, dict) else UvatarError(str(error), Code.BAD_PHOTO, "")


def _load_error(error: Exception) -> UvatarError:
    if isinstance(error, UvatarError) and not isinstance(error, WeightsError):  # the self-test's own words
        return error
    if is_out_of_memory(error):
        return UvatarError(
            f"There was not enough memory to load the models. {memory_limits.needed()}",
            Code.OUT_OF_MEMORY,
            memory_limits.FIX,
        )
    if isinstance(error, ImportError):
        fix = "Install Uvatar again; a required package is missing."
    else:
        fix = "Install Uvatar again, or see the model process's log."
    return UvatarError(f"The models cannot be loaded: {error}", Code.MODELS_NOT_LOADED, fix)


def _facts(pipeline: Any, note: str) -> dict[str, Any]:
    """What the pipeline reports about itself in its ``facts`` attribute (models, licences, devices), if it has one; and
    facts about this process.
    """
    facts = getattr(pipeline, "facts", {})
    told = {"device": versions.processors(), **(facts() if callable(facts) else facts)}
    if note:
        told["device_notes"] = [*told.get("device_notes", ()), note]
    return {**told, "versions": versions.installed()}


def load_attribute(path: str) -> Any:
    """The object that "package.module:attribute" names. Raises ImportError, AttributeError."""
    module, _, attribute = path.partition(":")
    return getattr(importlib.import_module(module), attribute)


def load_pipeline(path: str, threads: int | None, folder: Path, device: str | None = None, gpu: int = 0) -> Any:
    """Load the pipeline that "package.module:attribute" names.

    Uvatar's own pipeline must pass its self-test, whose result is remembered in the data folder ``folder``.

    Args:
        threads, device, gpu: as in `uvatar.engine.engine.Engine.load`.

    Raises:
        SelfTestError: this installation makes wrong avatars.
        Exception: whatever loading raises.
    """
    pipeline = load_attribute(path)(threads=threads, device=device, gpu=gpu)
    if path == REAL_PIPELINE:
        load_attribute("uvatar.engine.self_test:check_once")(pipeline.engine, folder)
    return pipeline


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of ``python -m uvatar.service.worker``, which only the front starts."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C in a terminal reaches all its processes; the front decides
    parser = argparse.ArgumentParser(
        prog="python -m uvatar.service.worker", description="Uvatar's model process; the server starts it."
    )
    parser.add_argument("--pipeline", required=True, help="module:attribute of the pipeline's class")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--device", help="what the networks run on")
    parser.add_argument("--gpu", type=int, default=0, help="which of several GPUs, from 0")
    parser.add_argument("--note", default="", help="about the device, for every result")
    parser.add_argument("--data", type=Path, required=True, help="the server's data folder")
    chosen = parser.parse_args(arguments)
    worker = Worker(Front(), JobFiles(chosen.data / "jobs"), log_to_stream(), chosen.note)
    worker.run(lambda: load_pipeline(chosen.pipeline, chosen.threads, chosen.data, chosen.device, chosen.gpu))


if __name__ == "__main__":
    main()
