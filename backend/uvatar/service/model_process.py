"""A model process as seen by the front: its start, its current work, and why it ended.

`uvatar.service.worker` is what runs in the process.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import zmq

from uvatar.protocol.devices import CPU
from uvatar.protocol.errors import UvatarError
from uvatar.runtime import memory_limits
from uvatar.runtime.spawn import environment, module_command
from uvatar.service.job_records import WorkUnit
from uvatar.service.logs import worker_log

INBOX = "inproc://model processes"  # the socket of this process that collects what all of them say
REAL_PIPELINE = "uvatar.engine.pipeline:Pipeline"  # others are the tests'
LAST_WORDS_SECONDS = 1.0  # for reading what a dead process has left in its pipe, which is there already
# Exit code of a process that was killed from outside (not on Windows, which kills no process to free memory).
_KILLED = -9

log = logging.getLogger("uvatar.service.pool")


@dataclass(frozen=True)
class PoolSettings:
    """How model processes are started.

    Attributes:
        workers: number of processes; None for one, or for one on each of ``gpus``.
        pipeline: "module:attribute" of the pipeline's class.
        threads: CPU threads of each process, None for an equal share of all.
        gpus: CUDA's numbers or names of the GPUs to assign in turn. Empty: each process uses what it finds.
        device: what their networks run on, as in `uvatar.engine.engine.Engine.load`; None for its default.
        patience: seconds that a stage may take before the process counts as hung (`uvatar serve --hung-after`). A stage
            of one person takes seconds, so that five minutes leave room for busy computers and for photos of crowds;
            the exact number is not recorded to have been measured.
        loading_patience: the same for loading the models, which takes some seconds from a disk and longer from a slow
            one, and for the self-test (`--load-hung-after`).
    """

    workers: int | None = None
    pipeline: str = REAL_PIPELINE
    threads: int | None = None
    gpus: tuple[str, ...] = ()
    patience: float = 300.0
    loading_patience: float = 300.0
    device: str | None = None

    @property
    def count(self) -> int:
        """How many model processes there are to be."""
        return max(1, len(self.gpus)) if self.workers is None else self.workers

    @property
    def threads_each(self) -> int:
        """CPU threads of each model process."""
        return self.threads or max(1, (os.cpu_count() or 1) // max(1, self.count))


@dataclass
class ModelProcess:
    """A model process and its current work.

    It is reached by the pipes that it inherits as standard input and output, so that no other program can talk to it or
    in its name. Every message is a line of JSON; photos and results stay in the job's folder.

    Attributes:
        gpu: the GPU assigned to it; None if it uses what it finds.
        facts: what its pipeline last reported about itself.
        unit: the photos that it works on; None when it is idle.
        serial: number of this work, by which late messages about earlier work are recognised.
        started: when it was given the work (monotonic seconds).
        heard: time of its last message, at first of its start.
        cancelled: when it was told to drop the work; None if it was not.
        ready: whether the pipeline is loaded.
        kills: how many processes the system had killed for lack of memory when it was started; None if unknown.
    """

    popen: subprocess.Popen[bytes]
    gpu: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    unit: WorkUnit | None = None
    serial: int = 0
    started: float = 0.0
    heard: float = field(default_factory=time.monotonic)
    cancelled: float | None = None
    ready: bool = False
    kills: int | None = field(default_factory=lambda: memory_limits.kills())
    _listener: threading.Thread = field(init=False, repr=False)

    def send(self, **message: Any) -> None:
        """Send a message. It is far smaller than the pipe's buffer, so this does not wait for a process that hangs."""
        assert self.popen.stdin
        with suppress(OSError):  # it has died, which `Pool.tick` finds out
            self.popen.stdin.write(json.dumps(message).encode() + b"\n")
            self.popen.stdin.flush()

    def listen(self, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        """Pass on what it says to the socket `INBOX`, in a thread, until it ends."""
        output = self.popen.stdout
        assert output

        def pass_on() -> None:
            with output, context.socket(zmq.PUSH) as inbox:
                inbox.setsockopt(zmq.SNDHWM, 0)
                inbox.setsockopt(zmq.LINGER, 0)
                inbox.connect(INBOX)
                for line in output:
                    inbox.send_multipart([str(self.popen.pid).encode(), line])

        self._listener = threading.Thread(target=pass_on, daemon=True)
        self._listener.start()

    def end(self) -> None:
        """Kill it, if it lives, and collect its last words."""
        self.popen.kill()
        self.popen.wait()
        self._listener.join(LAST_WORDS_SECONDS)
        with suppress(OSError):
            self.popen.stdin.close()  # type: ignore[union-attr]

    @property
    def on_gpu(self) -> bool:
        """Whether a network of it runs on a GPU, as it has told."""
        return any(device != CPU for device in self.facts.get("devices", {}).values())

    @property
    def killed(self) -> bool:
        """Whether somebody has killed it, which says little about its photo."""
        return self.popen.returncode == _KILLED

    def starved(self) -> str:
        """The sentence that the system killed it because memory ran out; empty if it did not."""
        if not self.killed:
            return ""
        now = memory_limits.kills()
        if now is None or self.kills is None:
            return "The system killed it, probably because memory ran out"
        return "The system killed it because memory ran out" if now > self.kills else ""


def start_process(
    settings: PoolSettings, folder: Path, gpu: str | None, kept_off: str, context: zmq.Context[zmq.Socket[bytes]]
) -> ModelProcess:
    """Start a model process.

    Args:
        settings: of the pool.
        folder: the server's data folder.
        gpu: the GPU that it may use; None if it uses what it finds.
        kept_off: why it must compute on the CPU, in a sentence; empty if it may use a GPU.
        context: of the socket `INBOX`.
    """
    command = module_command("uvatar.service.worker", "--pipeline", settings.pipeline)
    command += ["--threads", str(settings.threads_each), "--data", str(folder)]
    # One heap for all threads: only this one can be shrunk by `uvatar.runtime.memory.give_back` (glibc only).
    variables = {"PYTHONUNBUFFERED": "1", "MALLOC_ARENA_MAX": "1"}
    if kept_off:
        command += ["--device", CPU, "--note", kept_off]
    elif settings.device is not None:
        command += ["--device", settings.device]
    if gpu is not None and sys.platform == "win32" and gpu.isdecimal():
        command += ["--gpu", gpu]  # DirectML has no variable for it
    elif gpu is not None:
        variables["CUDA_VISIBLE_DEVICES"] = gpu  # takes names too, and the process cannot touch the others
    with _open_log(folder) as output:
        popen = subprocess.Popen(
            command,
            env=environment(**variables),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    process = ModelProcess(popen, gpu)
    process.listen(context)
    return process


def _open_log(folder: Path) -> BinaryIO:
    """Open the model processes' log. If it cannot be used, log that and discard the output: photos need not wait."""
    try:
        return worker_log(folder).open("ab")
    except (OSError, UvatarError) as error:
        log.error("The log of the model processes cannot be written, so their output is lost: %s", error)
        return open(os.devnull, "wb")
