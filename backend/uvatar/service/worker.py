"""The model process: loads the pipeline once and takes photos from the front, one unit of work at a time.

It is a separate process so that a crash inside a model, or cancelling a job in the middle of a long stage, costs only a
restart. It talks only to the front, over a loopback socket, in the frames of `uvatar.protocol.framing`, and ends when
the front does. `uvatar.service.pool` is the other side of the connection.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import signal
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import zmq

from uvatar.data.photo import PhotoFile
from uvatar.data.progress import Progress
from uvatar.photos.decoding import PhotoError
from uvatar.protocol import framing
from uvatar.protocol.errors import Code, UvatarError
from uvatar.protocol.jobs import CompleteTexture, Reconstruct, has_one_result, read_job
from uvatar.runtime import memory_limits, versions
from uvatar.runtime.memory import give_back, is_out_of_memory
from uvatar.runtime.weights import WeightsError
from uvatar.service.logs import CurrentJob, log_to_stream
from uvatar.service.model_process import REAL_PIPELINE, SECRET_VARIABLE

PhotoDone = Callable[[int, dict[str, Any]], None]

MOST_WORDS = 400  # characters of an error: a job's status holds up to 500 errors, and has to fit into a message

log = logging.getLogger("uvatar.service.worker")


class Reconstructor(Protocol):
    """The pipeline's interface as the worker needs it; `uvatar.engine.pipeline.Pipeline` implements it."""

    def reconstruct(
        self, photos: list[PhotoFile], options: dict[str, Any], progress: Progress, photo_done: PhotoDone
    ) -> Any:
        """Work on the photos; call ``photo_done(index, result)`` for each as soon as it is finished."""

    def complete_texture(self, pictures: list[PhotoFile], body: str, progress: Progress) -> dict[str, Any]:
        """Complete a painted texture, and return the result (`uvatar.protocol.jobs.CompleteTexture`)."""


class Cancelled(BaseException):
    """The front has cancelled this unit. A BaseException, so that no stage handles it as a failure of its own."""


class Worker:
    """Receives work from the front, and sends progress and results."""

    def __init__(self, port: int, name: str, secret: str, current: CurrentJob | None = None, note: str = "") -> None:
        """Connect to the front.

        Args:
            port: port of the front's socket for model processes.
            name: this process's identity.
            secret: proves the identity to the front.
            current: is told which job the process works on, for the log.
            note: a sentence about this process's device, for every result.
        """
        self._secret = secret
        self._current = current or CurrentJob()
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.IDENTITY, name.encode())
        self._told: set[str] = set()  # places of internal errors that were reported
        self._note = note
        self._lock = threading.Lock()  # stages may report progress from threads of their own
        monitor = self._socket.get_monitor_socket(zmq.EVENT_DISCONNECTED | zmq.EVENT_CONNECT_RETRIED)
        threading.Thread(target=_exit_with_front, args=(monitor,), daemon=True).start()
        self._socket.connect(f"tcp://127.0.0.1:{port}")

    def run(self, load_pipeline: Callable[[], Reconstructor]) -> None:
        """Load the pipeline, then work until the front ends this process or goes away."""
        try:
            pipeline = load_pipeline()
        except Exception as error:
            log.exception("The pipeline cannot be loaded")
            self._send(kind="broken", error=_load_error(error).as_dict())
            self._socket.recv_multipart()  # the front ends this process
            return
        self._send(kind="ready", pid=os.getpid(), facts=_facts(pipeline, self._note))
        while True:
            message = framing.unpack(self._socket.recv_multipart())
            if message["kind"] == "work":  # otherwise it cancels work that is already finished
                self._work(pipeline, message)
                give_back()

    def _work(self, pipeline: Reconstructor, work: dict[str, Any]) -> None:
        unit, indices = work["unit"], work["indices"]
        self._current.job = work["job"]
        photos = list(zip(work["names"], work["data"], strict=True))
        open_indices = list(indices)

        def progress(stage: str, fraction: float, message: str) -> None:
            if self._cancelled(unit):
                raise Cancelled
            index = open_indices[0] if open_indices else indices[-1]
            self._send(
                kind="progress",
                unit=unit,
                index=index,
                stage=stage,
                fraction=min(max(float(fraction), 0.0), 1.0),
                message=message,
            )

        def photo_done(position: int, result: dict[str, Any]) -> None:
            index = indices[position]
            if self._note and result.get("people"):
                result = {**result, "notes": [*result.get("notes", []), self._note]}
            errors = result.get("errors")
            if errors and not result.get("people"):
                self._send(kind="photo_failed", unit=unit, index=index, error=_stated_error(errors[0]).as_dict())
            else:
                # The only result of a job includes all remaining photos, which end together, in one event.
                whole = has_one_result(work["options"])
                merged = [other for other in open_indices if other != index] if whole else []
                self._send(kind="photo_done", unit=unit, index=index, result=result, merged=merged)
                for other in merged:
                    open_indices.remove(other)
            open_indices.remove(index)

        try:
            progress("starting", 0.0, "Starting")
            _run(pipeline, photos, work["options"], progress, photo_done)
            error = UvatarError(
                "The pipeline returned no result for this photo.", Code.SERVER_ERROR, "Please report this with the log."
            )
        except Cancelled:
            open_indices = []
        except Exception as failure:
            error = photo_error(failure)
            if error.code == Code.SERVER_ERROR:  # an internal error, not the photo's
                place = "".join(traceback.format_tb(failure.__traceback__)[-1:])
                # A repeated error is logged in full only once: a traceback has kilobytes.
                log.error(
                    "Photos %s failed: %s",
                    open_indices,
                    error.message,
                    exc_info=failure if place not in self._told else None,
                )
                self._told.add(place)
        for index in open_indices:
            self._send(kind="photo_failed", unit=unit, index=index, error=error.as_dict())
        # With the facts: a GPU may have failed meanwhile, so that the networks run on the CPU from now on.
        self._send(kind="unit_done", unit=unit, facts=_facts(pipeline, self._note))
        self._current.job = None

    def _cancelled(self, unit: int) -> bool:
        with self._lock, suppress(zmq.Again):
            message = framing.unpack(self._socket.recv_multipart(zmq.NOBLOCK))
            return bool(message["kind"] == "cancel" and message["unit"] == unit)
        return False

    def _send(self, **message: Any) -> None:
        frames = framing.pack({"secret": self._secret, **message})
        with self._lock:
            self._socket.send_multipart(frames)


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


def _exit_with_front(monitor: zmq.Socket[bytes]) -> None:
    """End this process, even in the middle of a stage, when the connection to the front is lost or cannot be made."""
    monitor.recv_multipart()
    os._exit(1)


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
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--pipeline", required=True, help="module:attribute of the pipeline's class")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--device", help="what the networks run on")
    parser.add_argument("--gpu", type=int, default=0, help="which of several GPUs, from 0")
    parser.add_argument("--note", default="", help="about the device, for every result")
    parser.add_argument("--data", type=Path, required=True, help="the server's data folder")
    chosen = parser.parse_args(arguments)
    secret = os.environ.pop(SECRET_VARIABLE, "")
    worker = Worker(chosen.port, chosen.name, secret, log_to_stream(), chosen.note)
    worker.run(lambda: load_pipeline(chosen.pipeline, chosen.threads, chosen.data, chosen.device, chosen.gpu))


if __name__ == "__main__":
    main()
