"""The pool's decisions, with model processes that exist only here and a clock that the tests set."""

from __future__ import annotations

import json
import sqlite3
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from tests.service.test_jobs import ERROR, new_job
from uvatar.protocol.errors import Code, UvatarError
from uvatar.runtime import memory_limits
from uvatar.service import model_process, pool
from uvatar.service.journal import Journal
from uvatar.service.model_process import INBOX, ModelProcess, PoolSettings
from uvatar.service.pool import CANCEL_GRACE, DISK_PAUSE, LONGEST_PAUSE, TRIM_EVERY, Pool

CRASHED, KILLED = 11, -9


class FakePopen:
    """A process that ends when it is told to."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        return self.returncode


class FakeProcess(ModelProcess):
    """A model process that notes what it is sent."""

    sent: list[dict[str, Any]]

    def send(self, **message: Any) -> None:
        self.sent.append(message)

    def end(self) -> None:
        self.popen.returncode = KILLED if self.popen.returncode is None else self.popen.returncode


class World:
    """A pool, its journal, clock and processes."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        clock = types.SimpleNamespace(monotonic=lambda: self.now, time=lambda: self.now)
        monkeypatch.setattr(pool, "time", clock)
        monkeypatch.setattr(model_process, "time", clock)
        monkeypatch.setattr(pool, "start_process", self._start)
        self.kills: int | None = 3
        monkeypatch.setattr(memory_limits, "kills", lambda: self.kills)
        self.started: list[FakeProcess] = []
        self.kept_off: list[str] = []
        self.events: list[dict[str, Any]] = []
        self.context = zmq.Context()
        self.journal = Journal(folder)

    def make(self, **settings: Any) -> Pool:
        self.pool = Pool(self.journal, PoolSettings(**settings), self.events.append, self.context)  # type: ignore[arg-type]
        self.inbox = self.context.socket(zmq.PUSH)
        self.inbox.connect(INBOX)
        return self.pool

    def _start(self, settings: Any, folder: Path, gpu: str | None, kept_off: str, context: Any) -> FakeProcess:
        process = FakeProcess(FakePopen(100 + len(self.started)), gpu)  # type: ignore[arg-type]
        process.sent, process.heard, process.kills = [], self.now, self.kills
        self.started.append(process)
        self.kept_off.append(kept_off)
        return process

    def say(self, process: FakeProcess, kind: str, **message: Any) -> None:
        self.inbox.send_multipart([str(process.popen.pid).encode(), json.dumps({"kind": kind, **message}).encode()])
        self.pool.receive()

    def ready(self, facts: dict[str, Any] | None = None) -> FakeProcess:
        """The last process, loaded and at work if there is any."""
        self.pool.tick()
        process = self.started[-1]
        self.say(process, "ready", facts=facts or {})
        self.pool.tick()
        return process

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.pool.tick()

    def die(self, code: int) -> None:
        """The last process ends; another is started after at most the pause."""
        self.started[-1].popen.returncode = code
        self.pool.tick()

    def kinds(self) -> list[str]:
        kinds = [event["kind"] for event in self.events]
        self.events.clear()
        return kinds

    def states(self, job: str) -> list[str]:
        return [entry.state for entry in self.journal.job(job).photos]

    def close(self) -> None:
        self.inbox.close(0)
        self.pool.close()
        self.context.destroy(linger=0)
        self.journal.close()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    world = World(tmp_path, monkeypatch)
    yield world
    world.close()


def test_processes_are_started_and_described(world: World) -> None:
    made = world.make(workers=2, gpus=("0", "1", "2"))
    assert made.status() == {"state": "loading"} and made.workers() == []
    made.tick()
    assert [process.gpu for process in world.started] == ["0", "1"] and world.kept_off == ["", ""]
    world.say(world.started[0], "ready", facts={"device": "a GPU"})
    assert made.status() == {"state": "ready", "device": "a GPU"} and not made.busy
    idle = {"pid": 100, "ready": True, "job": None, "seconds": None, "device": "a GPU"}
    assert made.workers() == [idle, {**idle, "pid": 101, "ready": False, "device": None}]
    job = new_job(world.journal, photos=1)
    made.tick()
    world.now += 3
    assert made.busy and made.workers()[0] == {**idle, "job": job, "seconds": 3.0}
    made.close()
    assert made.workers() == [] and [process.popen.returncode for process in world.started] == [KILLED] * 2


def test_a_job_goes_through_its_photos(world: World) -> None:
    job = new_job(world.journal, photos=3)
    world.make(workers=1)
    process = world.ready()
    assert process.sent == [{"kind": "work", "unit": 1, "job": job, "indices": (0,)}]
    world.say(process, "progress", unit=1, index=0, stage="fitting", fraction=0.5, message="Fitting")
    progress = {"kind": "progress", "job": job, "photo": 0, "photos": 3, "stage": "fitting", "fraction": 0.5}
    assert world.events == [{**progress, "message": "Fitting", "seconds_left": 0.0}]
    world.now += 10
    world.events.clear()
    world.say(process, "photo_done", unit=1, index=0, merged=[], timings={})
    assert world.states(job) == ["done", "waiting", "waiting"] and world.kinds() == ["photo"]
    world.pool.tick()
    assert len(process.sent) == 1  # until it has said that it is idle
    world.say(process, "unit_done", unit=1, facts={"device": "a CPU"})
    assert world.pool.facts == {"device": "a CPU"}
    world.pool.tick()
    assert process.sent[1] == {"kind": "work", "unit": 2, "job": job, "indices": (1,)}
    world.say(process, "progress", unit=2, index=1, stage="fitting", fraction=0.5, message="Fitting")
    assert world.events[-1]["seconds_left"] == pytest.approx(5 + 10)  # half of this one, and one more
    world.events.clear()
    world.say(process, "photo_failed", unit=2, index=1, error=ERROR.as_dict())
    world.say(process, "unit_done", unit=2, facts={})
    world.pool.tick()
    world.say(process, "photo_done", unit=3, index=2, merged=[], timings={})
    assert world.kinds() == ["photo", "photo", "finished"]
    assert world.states(job) == ["done", "failed", "done"] and world.journal.job(job).state == "finished"
    assert job not in world.pool._pace


def test_photos_of_one_person_end_together(world: World) -> None:
    job = new_job(world.journal, photos=3, same_person=True)
    world.make(workers=2)
    process = world.ready()
    assert process.sent[0]["indices"] == (0, 1, 2)
    world.say(process, "progress", unit=1, index=0, stage="x", fraction=0.5, message="")
    world.say(process, "photo_done", unit=1, index=0, merged=[1, 2], timings={})
    assert world.states(job) == ["done", "merged", "merged"]
    assert world.kinds() == ["progress", "photo", "photo", "photo", "finished"]


def test_what_is_said_of_dropped_work_is_ignored(world: World) -> None:
    job = new_job(world.journal, photos=1)
    world.make(workers=1)
    process = world.ready()
    for unit in (0, 2):
        world.say(process, "photo_done", unit=unit, index=0, merged=[], timings={})
    world.pool.cancel(job)
    world.say(process, "photo_done", unit=1, index=0, merged=[], timings={})
    assert world.states(job) == ["waiting"] and world.events == []
    world.say(process, "unit_done", unit=1, facts={})
    world.say(process, "photo_done", unit=1, index=0, merged=[], timings={})
    assert world.states(job) == ["waiting"]
    world.inbox.send_multipart([b"1", b"{}"])  # of a process that has been removed
    world.pool.receive()


def test_cancelled_work_that_does_not_stop_is_ended(world: World) -> None:
    jobs = [new_job(world.journal, photos=1) for _ in range(2)]
    world.make(workers=1)
    process = world.ready()
    world.pool.cancel(jobs[1])
    assert len(process.sent) == 1  # another job's
    world.journal.cancel(jobs[0])
    world.pool.cancel(jobs[0])
    world.pool.cancel(jobs[0])
    assert process.sent[1:] == [{"kind": "cancel", "unit": 1}]
    world.pass_time(CANCEL_GRACE - 0.01)
    assert process.popen.returncode is None
    world.pass_time(0.02)
    assert process.popen.returncode == KILLED and len(world.started) == 2
    assert all(photo.crashes == 0 for job in jobs for photo in world.journal.job(job).photos)
    assert world.ready().sent[0]["job"] == jobs[1]


def test_dropped_work_is_ended_at_once(world: World) -> None:
    job = new_job(world.journal, photos=1)
    world.make(workers=1)
    process = world.ready()
    world.pool.drop("another")
    assert process.popen.returncode is None
    world.pool.drop(job)
    assert process.popen.returncode == KILLED and world.pool.workers() == []


@pytest.mark.parametrize(
    ("deaths", "fails"),
    [
        ([CRASHED], False),
        ([CRASHED, CRASHED], True),
        ([KILLED] * 9, False),
        ([KILLED] * 10, True),
        ([CRASHED] + [KILLED] * 4, False),
        ([CRASHED] + [KILLED] * 5, True),
    ],
)
def test_a_photo_that_crashes_is_given_up_but_not_for_what_others_do(
    world: World, deaths: list[int], fails: bool
) -> None:
    job = new_job(world.journal, photos=1)
    world.make(workers=1, device="cpu")
    for death in deaths:
        assert world.ready().sent[0]["job"] == job
        world.die(death)
    assert world.states(job) == ["failed" if fails else "waiting"]
    if fails:
        error = world.journal.job(job).photos[0].error
        assert error and error["code"] == "model-crashed" and "crashed" in error["message"]
        assert world.kinds() == ["photo", "finished"]


def test_a_photo_at_which_processes_hang_is_given_up(world: World) -> None:
    job = new_job(world.journal, photos=1)
    world.make(workers=1, patience=10, loading_patience=20, device="cpu")
    for expected in ("waiting", "failed"):
        world.ready()
        world.pass_time(9.9)
        world.say(world.started[-1], "progress", unit=len(world.started), index=0, stage="", fraction=0, message="")
        world.pass_time(9.9)
        assert world.states(job) == ["waiting"]
        world.pass_time(0.2)
        assert world.states(job) == [expected]
    error = world.journal.job(job).photos[0].error
    assert error and error["code"] == "model-hung" and "hung" in error["message"]
    idle = world.ready()
    world.pass_time(1000)
    assert idle.popen.returncode is None


@pytest.mark.parametrize(
    ("before", "after", "starved"), [(3, 4, True), (3, 3, False), (None, 4, True), (3, None, True)]
)
def test_a_death_for_lack_of_memory_is_told_as_that(
    world: World, before: int | None, after: int | None, starved: bool
) -> None:
    job = new_job(world.journal, photos=1)
    world.make(workers=1, device="cpu")
    for _ in range(2):
        world.ready().kills = before
        world.kills = after
        world.die(KILLED)
    error = world.journal.job(job).photos[0].error
    assert (error is not None and error["code"] == "out-of-memory") == starved


def test_photos_wait_for_models_longer_and_longer(world: World) -> None:
    job = new_job(world.journal, photos=2)
    world.make(workers=1, device="cpu")
    world.pool.tick()
    for death, pause in enumerate((1, 2, 4, 8, 16, 32, 60, 60), 1):
        world.die(CRASHED)
        assert len(world.started) == death
        told = [event for event in world.events if event["job"] == job]
        assert (world.pool.status()["state"] == "broken") == bool(told) == (death > 1)
        if told:
            assert told[0]["stage"] == "waiting" and told[0]["message"].endswith(f"Trying again in {pause} s")
            assert told[0]["photo"] == 0 and told[0]["photos"] == 2 and told[0]["seconds_left"] is None
            assert "ends while loading" in told[0]["message"]
        world.events.clear()
        world.pass_time(pause - 0.01)
        assert len(world.started) == death
        world.pass_time(0.02)
        assert len(world.started) == death + 1
    world.pool._failed_starts = 10_000  # after a week of that
    world.die(CRASHED)
    world.pass_time(LONGEST_PAUSE)
    assert len(world.started) == death + 2 and world.pool.error
    world.events.clear()
    assert pause == LONGEST_PAUSE and world.states(job) == ["waiting", "waiting"]
    world.ready()
    assert world.pool.status() == {"state": "ready"} and world.started[-1].sent
    world.pool._kill(world.started[-1])
    world.pool.tick()
    world.die(CRASHED)
    assert world.events == [] and world.pool.status()["state"] == "loading"  # counted from the beginning again
    world.pass_time(1.1)
    world.die(CRASHED)
    started = len(world.started)
    world.pool.try_again()
    world.pool.tick()
    assert len(world.started) == started + 1


def test_a_process_that_hangs_as_it_loads_is_replaced(world: World) -> None:
    job = new_job(world.journal, photos=1)
    world.make(workers=1, patience=10, loading_patience=20, device="cpu")
    world.pool.tick()
    for _ in range(2):
        world.pass_time(19.9)
        assert world.started[-1].popen.returncode is None
        world.pass_time(0.2)
        assert world.started[-1].popen.returncode == KILLED
        world.pass_time(1.1)
    assert world.pool.error and "hangs while loading" in world.pool.error.message
    assert world.states(job) == ["waiting"]


@pytest.mark.parametrize(("code", "state"), [(Code.OUT_OF_MEMORY, "waiting"), (Code.MODELS_NOT_LOADED, "failed")])
def test_a_broken_installation_fails_photos_and_a_lack_of_memory_does_not(world: World, code: Code, state: str) -> None:
    job = new_job(world.journal, photos=2)
    world.make(workers=1, device="cpu")
    world.pool.tick()
    for attempt in range(2):
        world.say(world.started[-1], "broken", error=UvatarError("Words.", code, "Fix.").as_dict())
        assert world.states(job) == [state] * 2 and world.pool.workers() == []
        assert world.started[-1].popen.returncode == KILLED
        world.pass_time(LONGEST_PAUSE)
        assert len(world.started) == attempt + 2
    assert world.pool.status() == {"state": "broken", "error": {"code": code, "message": "Words.", "fix": "Fix."}}


@pytest.mark.parametrize("when", ["loading", "at work"])
def test_two_deaths_with_a_gpu_are_blamed_on_it(world: World, when: str) -> None:
    job = new_job(world.journal, photos=1)
    world.make(workers=1)
    for _ in range(2):
        if when == "at work":
            world.ready({"devices": {"mesh_predictor": "cuda"}})
        else:
            world.pool.tick()
        world.die(CRASHED)
    world.pass_time(1.1)
    assert world.kept_off[:2] == ["", ""] and "died twice" in world.kept_off[2] and "CPU" in world.kept_off[2]
    assert ("worked on a photo" in world.kept_off[2]) == (when == "at work")
    world.die(CRASHED)  # on the CPU, as it loads: the first such death, or the third
    assert (world.pool.error is not None) == (when == "loading")
    world.pass_time(1.1 if when == "at work" else 1.9)
    assert len(world.started) == (4 if when == "at work" else 3)
    world.pass_time(0.2)
    assert len(world.started) == 4
    assert world.states(job) == ["waiting"] and world.journal.job(job).photos[0].crashes == 0


def test_the_gpu_is_not_blamed_for_what_it_did_not_do(world: World) -> None:
    job = new_job(world.journal, photos=1)
    world.make(workers=1)
    for facts, death in (
        ({"devices": {"mesh_predictor": "cuda"}}, KILLED),
        ({"devices": {"mesh_predictor": "cpu"}}, CRASHED),
        ({}, KILLED),
    ):
        world.ready(facts)
        world.die(death)
    world.pool.tick()
    assert set(world.kept_off) == {""} and world.journal.job(job).photos[0].crashes == 1 + 5 + 1


def test_a_result_that_the_journal_missed_is_not_computed_again(world: World) -> None:
    single, several = new_job(world.journal, photos=2), new_job(world.journal, photos=3, same_person=True)
    world.journal.files.store_result(single, 0, {})
    world.journal.files.store_result(several, 1, {})
    world.make(workers=1)
    process = world.ready()
    for _ in range(4):
        world.pool.tick()
    assert world.states(single) == ["done", "waiting"] and world.states(several) == ["merged", "done", "merged"]
    assert process.sent == [{"kind": "work", "unit": 1, "job": single, "indices": (1,)}]


def test_a_journal_without_room_pauses_the_work(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    job = new_job(world.journal, photos=2)
    world.make(workers=1)
    process = world.ready()
    world.journal.files.store_result(job, 0, {})

    def full(*_: Any) -> bool:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(world.journal, "finish_photo", full)
        world.say(process, "photo_done", unit=1, index=0, merged=[], timings={})
    world.say(process, "unit_done", unit=1, facts={})
    assert DISK_PAUSE == 5
    world.pass_time(DISK_PAUSE - 0.01)
    assert world.states(job) == ["waiting", "waiting"] and len(process.sent) == 1
    world.pass_time(0.02)
    assert world.states(job) == ["done", "waiting"]
    world.pool.tick()
    assert process.sent[-1]["indices"] == (1,)


def test_the_log_is_trimmed_now_and_then(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    trimmed: list[Path] = []
    monkeypatch.setattr(pool, "trim", trimmed.append)
    world.make(workers=0)
    for _ in range(3):
        world.pool.tick()
    assert trimmed == [world.journal.folder / "logs" / "worker.log"]
    world.pass_time(TRIM_EVERY - 0.1)
    assert len(trimmed) == 1
    world.pass_time(0.2)
    assert len(trimmed) == 2
