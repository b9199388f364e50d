"""The pool of model processes: gives them photos from the journal, stores results, replaces dead processes.

Nothing here imports a model. `uvatar.service.model_process` starts the processes, and `uvatar.service.worker` runs in
them.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import zmq

from uvatar.protocol.devices import CPU
from uvatar.protocol.errors import Code, UvatarError
from uvatar.protocol.jobs import has_one_result
from uvatar.protocol.messages import Event, ProgressEvent, finished_event, photo_event
from uvatar.runtime import memory_limits
from uvatar.service.job_records import ACTIVE, JobRecord, WorkUnit
from uvatar.service.journal import Journal
from uvatar.service.logs import trim, worker_log
from uvatar.service.model_process import INBOX, ModelProcess, PoolSettings, start_process
from uvatar.service.remaining_time import Pace, seconds_left

# Two crashes: a death may have a cause that passes, such as memory that another program took for a while, so that
# everything is tried once more. Every further attempt would cost a start of the models, some seconds. A process that
# somebody has killed says less: only a photo at which that happens again and again is given up.
CRASH, KILL, MAX_CRASHES = 5, 1, 10
MAX_FAILED_STARTS = 2  # in a row, before clients are told
MAX_GPU_DEATHS = 2  # in a row of processes that may use a GPU, before the CPU takes over
# Seconds between attempts to load the models, each twice as long as the one before; the last is short enough for
# somebody who has just freed memory.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
# Seconds that a stage has to notice a cancellation before its process is killed: what is left of a second, within which
# nobody is to work on the job any more (`python -m benchmarks.cancelling`), after a tick and the kill.
CANCEL_GRACE = 0.7
DISK_PAUSE = 5.0  # seconds without new work after the journal could not be written; how chosen is not recorded
TRIM_EVERY = 10.0  # seconds between checks of the size of the model processes' log; how chosen is not recorded

log = logging.getLogger("uvatar.service.pool")


@dataclass
class Pool:
    """All model processes of a server. Not thread-safe: the front's loop owns it.

    Attributes:
        publish: called with every event of a job (docs/protocol.md), after it is in the journal.
        facts: what the pipeline reports about itself.
        error: why the models are not loaded, if their processes keep dying, or cannot load them; else None.
    """

    journal: Journal
    settings: PoolSettings
    publish: Callable[[Event], None]
    context: zmq.Context[zmq.Socket[bytes]]
    facts: dict[str, Any] = field(default_factory=dict)
    error: UvatarError | None = None

    def __post_init__(self) -> None:
        self.socket = self.context.socket(zmq.PULL)
        self.socket.setsockopt(zmq.RCVHWM, 0)
        self.socket.bind(INBOX)
        self._processes: dict[int, ModelProcess] = {}  # by process id
        self._serial = 0
        self._failed_starts = 0
        self._next_start = 0.0
        self._gpu_deaths = 0
        self._kept_off_gpu = ""  # why new processes compute on the CPU, in a sentence
        self._paused_until = 0.0
        self._next_trim = 0.0
        self._pace: dict[str, Pace] = {}

    # -- what the front asks ------------------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """The state of the models, as sent to clients."""
        if self.error:
            return {"state": "broken", "error": self.error.as_dict()}
        ready = any(process.ready for process in self._processes.values())
        return {"state": "ready", **self.facts} if ready else {"state": "loading"}

    def workers(self) -> list[dict[str, Any]]:
        """The model processes, as sent to clients."""
        now = time.monotonic()
        return [
            {
                "pid": process.popen.pid,
                "ready": process.ready,
                "job": process.unit.job if process.unit else None,
                "seconds": now - process.started if process.unit else None,
                "device": process.facts.get("device"),
            }
            for process in self._processes.values()
        ]

    @property
    def busy(self) -> bool:
        """Whether a model process is at work."""
        return any(process.unit for process in self._processes.values())

    def try_again(self) -> None:
        """Start model processes for a new job at once, even if they could not be started before."""
        self._failed_starts, self._next_start = 0, 0.0

    def pause(self) -> None:
        """Hand out no work for some seconds, because of a problem that may pass, such as a full disk."""
        self._paused_until = time.monotonic() + DISK_PAUSE

    def cancel(self, job: str) -> None:
        """Drop the work on a job: ask the process now, and kill it if it does not stop soon."""
        for process in self._processes.values():
            if process.unit and process.unit.job == job and process.cancelled is None:
                process.cancelled = time.monotonic()
                process.send(kind="cancel", unit=process.serial)
        self._pace.pop(job, None)

    def drop(self, job: str) -> None:
        """End the process that works on a job, so that nothing of the job is written, or remains in memory."""
        for process in list(self._processes.values()):
            if process.unit and process.unit.job == job:
                self._kill(process)

    def close(self) -> None:
        """End all model processes."""
        for process in self._processes.values():
            process.end()
        self._processes.clear()
        self.socket.close()

    # -- the loop -----------------------------------------------------------------------------------------------------

    def receive(self) -> None:
        """Handle all messages from model processes."""
        while self.socket.poll(0):
            pid, line = self.socket.recv_multipart()
            process = self._processes.get(int(pid))
            if process:
                process.heard = time.monotonic()
                try:
                    self._take(process, json.loads(line))
                except sqlite3.Error:  # a full disk: what is not recorded is noticed when the photo's turn comes again
                    log.exception("The journal cannot be written")
                    self.pause()

    def tick(self) -> None:
        """Replace dead processes, kill those that hang or do not notice that their job is cancelled, hand out work."""
        self.receive()
        now = time.monotonic()
        for process in list(self._processes.values()):
            if process.popen.poll() is not None:
                process.end()
                self.receive()  # its last messages come before its death
                self._remove_dead(process)
            elif process.cancelled is not None and now - process.cancelled > CANCEL_GRACE:
                self._kill(process)
            elif self._hangs(process, now):
                log.error("Model process %d has hung for %.0f s: killing it", process.popen.pid, now - process.heard)
                process.end()
                self._remove_dead(process, hung=True)
        while now >= self._next_start and len(self._processes) < self.settings.count:
            self._start()
        if now >= self._next_trim:
            self._next_trim = now + TRIM_EVERY
            # `start_process` logs it if the folder cannot be used; photos need not wait for that.
            with suppress(OSError, UvatarError):
                trim(worker_log(self.journal.folder))
        for process in self._processes.values():
            if process.ready and process.unit is None and now >= self._paused_until:
                self._hand_out(process)

    def _hangs(self, process: ModelProcess, now: float) -> bool:
        if process.ready and not process.unit:
            return False
        return now - process.heard > (self.settings.patience if process.ready else self.settings.loading_patience)

    # -- processes ----------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        gpu = self._free_gpu() if self.settings.gpus else None
        process = start_process(self.settings, self.journal.folder, gpu, self._kept_off_gpu, self.context)
        log.info("Started model process %d", process.popen.pid)
        self._processes[process.popen.pid] = process

    def _kill(self, process: ModelProcess) -> None:
        """End a process whose work is not wanted any more, for which its photo is not to blame."""
        log.info("Killing model process %d", process.popen.pid)
        process.end()
        del self._processes[process.popen.pid]

    def _free_gpu(self) -> str:
        """The GPU that the fewest model processes use."""
        used = [process.gpu for process in self._processes.values()]
        return min(self.settings.gpus, key=used.count)

    def _remove_dead(self, process: ModelProcess, hung: bool = False) -> None:
        """Remove a dead process and find out what was at fault; `tick` starts another."""
        del self._processes[process.popen.pid]
        log.warning("Model process %d ended with code %s", process.popen.pid, process.popen.returncode)
        starved = "" if hung else process.starved()
        if not starved and self._blames_gpu(process):
            return
        if not process.ready:
            verb = "hangs" if hung else "ends"
            fix = "See the model process's log (`uvatar logs`), or install Uvatar again."
            error = UvatarError(f"The model process {verb} while loading the models.", Code.MODELS_NOT_LOADED, fix)
            self._wait_for_models(_for_memory(error, starved))
        elif process.unit and process.cancelled is None:
            self._count_crash(process.unit, hung, starved, CRASH if hung or starved or not process.killed else KILL)

    def _wait_for_models(self, error: UvatarError) -> None:
        """Load the models again after a pause, while photos keep waiting; tell clients why, from the second time on."""
        self._failed_starts += 1
        pause = min(FIRST_PAUSE * 2.0 ** min(self._failed_starts - 1, 100), LONGEST_PAUSE)
        self._next_start = time.monotonic() + pause
        if self._failed_starts >= MAX_FAILED_STARTS:
            self.error = error
            self._kept_off_gpu, self._gpu_deaths = "", 0  # it was not the GPU
            for job in self.journal.jobs(ACTIVE, limit=-1):
                self._tell(job, "waiting", 0.0, f"{error.message} Trying again in {pause:.0f} s")

    def _blames_gpu(self, process: ModelProcess) -> bool:
        """Whether the GPU may be why a process has died: then its photo is not to blame, and is done again.

        A process that dies while it loads has not told yet what it runs on. Where it may use a GPU, one start on the
        CPU shows whether that was why.
        """
        if self._kept_off_gpu or process.cancelled is not None or self.error is not None or process.killed:
            return False
        if process.ready and (process.unit is None or not process.on_gpu):
            return False
        if not process.ready and self.settings.device == CPU:
            return False
        self._gpu_deaths += 1
        if self._gpu_deaths >= MAX_GPU_DEATHS:
            when = "while it worked on a photo" if process.ready else "while it loaded the models"
            self._kept_off_gpu = f"The model process has died twice {when} with a GPU, so that the CPU is used instead."
            self._failed_starts = 0 if process.ready else MAX_FAILED_STARTS - 1
            log.warning(self._kept_off_gpu)
        return True

    def _count_crash(self, unit: WorkUnit, hung: bool, starved: str, weight: int) -> None:
        waiting = [index for index in self.journal.job(unit.job).waiting() if index in unit.indices]
        if waiting and self.journal.count_crash(unit.job, waiting[0], weight) >= MAX_CRASHES:
            fix = "Choose another photo or make this one smaller. See the model process's log for details."
            code, verb = (Code.MODEL_HUNG, "hung") if hung else (Code.MODEL_CRASHED, "crashed")
            error = UvatarError(f"The model process {verb} on this photo more than once.", code, fix)
            self._fail(unit.job, waiting[0], _for_memory(error, starved))

    def _fail_all_waiting(self, error: UvatarError) -> None:
        for job in self.journal.jobs(ACTIVE, limit=-1):
            for index in job.waiting():
                self._fail(job.id, index, error)

    # -- work ---------------------------------------------------------------------------------------------------------

    def _hand_out(self, process: ModelProcess) -> None:
        in_flight = {(p.unit.job, index) for p in self._processes.values() if p.unit for index in p.unit.indices}
        unit = self.journal.next_unit(in_flight)
        if unit is None:
            return
        for index in unit.indices:
            if self.journal.files.result_is_whole(unit.job, index):  # but the journal could not be written then
                merged = [other for other in unit.indices if other != index] if has_one_result(unit.options) else []
                self._finish(unit.job, index, merged)
                return
        self._serial += 1
        process.unit, process.serial, process.cancelled = unit, self._serial, None
        process.started = process.heard = time.monotonic()
        process.send(kind="work", unit=self._serial, job=unit.job, indices=unit.indices)

    def _take(self, process: ModelProcess, message: dict[str, Any]) -> None:
        kind = message["kind"]
        if kind == "ready":
            process.ready, self._failed_starts, self.error = True, 0, None
            self.facts = process.facts = message["facts"]
            if not process.on_gpu:
                self._gpu_deaths = 0
        elif kind == "broken":
            self._take_broken(process, UvatarError.from_dict(message["error"]))
        elif process.unit is None or message["unit"] != process.serial:
            log.info("Ignored %s of work that was dropped", kind)
        elif kind == "unit_done":
            process.unit = process.cancelled = None
            self.facts = process.facts = message["facts"]
            self._gpu_deaths = 0
        elif process.cancelled is None:
            self._take_work(process, process.unit, kind, message)

    def _take_broken(self, process: ModelProcess, error: UvatarError) -> None:
        """A process cannot load the models: for lack of memory photos wait, while a broken installation fails them."""
        self._kill(process)
        if error.code != Code.OUT_OF_MEMORY:
            self._failed_starts = MAX_FAILED_STARTS
            self._fail_all_waiting(error)
        self._wait_for_models(error)

    def _take_work(self, process: ModelProcess, unit: WorkUnit, kind: str, message: dict[str, Any]) -> None:
        index = message["index"]
        if kind == "progress":
            self._publish_progress(process, unit, message)
        elif kind == "photo_done":
            seconds = time.monotonic() - process.started
            pace = self._pace.setdefault(unit.job, Pace())
            pace.photos += 1
            pace.seconds += seconds
            facts = {"job": unit.job, "photo": index, "seconds": round(seconds, 3), "timings": message["timings"]}
            log.info("Photo done", extra=facts)
            self._finish(unit.job, index, message["merged"])
        else:
            self._fail(unit.job, index, UvatarError.from_dict(message["error"]))

    def _publish_progress(self, process: ModelProcess, unit: WorkUnit, message: dict[str, Any]) -> None:
        job = self.journal.job(unit.job)
        waiting = len(job.waiting()) - (0 if has_one_result(unit.options) else 1)
        spent = time.monotonic() - process.started
        left = seconds_left(spent, message["fraction"], waiting, self._pace.get(unit.job, Pace()))
        told = {"photo": message["index"], "seconds_left": left}
        self._tell(job, message["stage"], message["fraction"], message["message"], **told)

    def _tell(self, job: JobRecord, stage: str, fraction: float, message: str, **more: Any) -> None:
        """Publish an event of progress; by default about the first photo that waits."""
        about = {"job": job.id, "photo": next(iter(job.waiting()), 0), "photos": len(job.photos)}
        progress = {"stage": stage, "fraction": fraction, "message": message, "seconds_left": None}
        self.publish(ProgressEvent(kind="progress", **{**about, **progress, **more}))  # type: ignore[typeddict-item]

    def _finish(self, job: str, index: int, merged: Sequence[int]) -> None:
        if self.journal.finish_photo(job, index, merged):
            self._publish_end(job, index, *merged)

    def _fail(self, job: str, index: int, error: UvatarError) -> None:
        if self.journal.fail_photo(job, index, error):
            log.warning("Photo failed: %s", error.code, extra={"job": job, "photo": index})
            self._publish_end(job, index)

    def _publish_end(self, job_id: str, *indices: int) -> None:
        job = self.journal.job(job_id)
        status = job.as_dict()
        for index in indices:
            self.publish(photo_event(job_id, status["photos"][index]))
        if not job.active:
            log.info("Job finished", extra={"job": job_id})
            self._pace.pop(job_id, None)
            self.publish(finished_event(status))


def _for_memory(error: UvatarError, starved: str) -> UvatarError:
    """The error of a model process that ended, reported as lack of memory if that was the reason."""
    if not starved:
        return error
    return UvatarError(f"{error.message} {starved}. {memory_limits.needed()}", Code.OUT_OF_MEMORY, memory_limits.FIX)
