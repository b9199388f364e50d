"""Session, thread and protocol client against a scripted server: a real ROUTER that says what the test wants."""

from __future__ import annotations

import errno
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from tests.blender_addon.sample import sample_result
from uvatar.protocol import discovery, framing, handshake
from uvatar.protocol.discovery import Runtime
from uvatar.protocol.errors import UvatarError
from uvatar_blender.core import protocol_client
from uvatar_blender.core.events import Computes
from uvatar_blender.core.jobs import JobState
from uvatar_blender.core.problem import Remedy
from uvatar_blender.core.session import Link, Session

TOKEN = "secret"
PATIENCE = 20.0


class Server:
    """A backend that does every job at once, but for what a test tells it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.requests: list[dict[str, Any]] = []
        self.jobs: dict[str, dict[str, Any]] = {}
        self.results: dict[tuple[str, int], Any] = {}
        self.answers: dict[str, Callable[[dict[str, Any]], dict[str, Any] | None]] = {}
        self.clients: set[bytes] = set()
        self._outbox: list[dict[str, Any]] = []
        self._context = zmq.Context()
        self._stop = threading.Event()
        self.start()

    def start(self, token: str = TOKEN) -> None:
        self._stop.clear()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.linger = 0
        self.port = self._socket.bind_to_random_port("tcp://127.0.0.1")
        self.token = token
        discovery.write_runtime(self.folder, Runtime(self.port, token, 1, "9.9"))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        self._socket.close()
        self.clients.clear()

    def close(self) -> None:
        self.stop()
        self._context.destroy(linger=0)

    def publish(self, **event: Any) -> None:
        self._outbox.append(event)

    def kinds(self) -> list[str]:
        return [request["kind"] for request in self.requests]

    def finish(self, job: str, results: int) -> None:
        """Let the job's first photos be done."""
        status = self.jobs[job]
        for photo in status["photos"][:results]:
            self.results.setdefault((job, photo["index"]), sample_result(name=photo["name"]))
            photo["state"] = "done"  # last: the server's thread may be asked at any time
        status["state"] = "finished" if all(photo["state"] != "waiting" for photo in status["photos"]) else "running"

    def _run(self) -> None:
        while not self._stop.is_set():
            while self._outbox:
                frames = framing.pack(self._outbox.pop(0))
                for client in self.clients:
                    self._socket.send_multipart([client, *frames])
            if not self._socket.poll(10):
                continue
            client, *received = self._socket.recv_multipart()
            if handshake.is_challenge(received):
                self._socket.send_multipart([client, handshake.proof(received[0], self.token, self.port)])
                continue
            self.clients.add(client)
            try:
                request = {"token": received[0].decode(), **framing.unpack(received[1:])}
                self.requests.append(request)
                reply = self._answer(request)
            except UvatarError as error:
                request, reply = {"request": None}, {"kind": "error", **error.as_dict()}
            if reply is not None:
                self._socket.send_multipart([client, *framing.pack({**reply, "request": request["request"]})])

    def _answer(self, request: dict[str, Any]) -> dict[str, Any] | None:
        kind = request["kind"]
        if request["token"] != self.token:
            return {
                "kind": "error",
                "code": "wrong-token",
                "message": "The token does not belong to this server.",
                "fix": "Connect again.",
            }
        if kind in self.answers:
            return self.answers[kind](request)
        if kind == "hello":
            return {"kind": "hello", "version": "9.9", "model": {"state": "ready"}}
        if kind == "reconstruct":
            photos = [
                {"index": i, "name": p["name"], "state": "waiting", "error": None}
                for i, p in enumerate(request["photos"])
            ]
            self.jobs[request["job"]] = {"job": request["job"], "state": "queued", "photos": photos}
            return {"kind": "accepted", **self.jobs[request["job"]]}
        if request.get("job") not in self.jobs:
            return {
                "kind": "error",
                "code": "unknown-job",
                "message": "There is no job with this id.",
                "fix": "Run again.",
            }
        if kind == "cancel":
            self.jobs[request["job"]]["state"] = "cancelled"
        if kind == "result":
            return {"kind": "result", "result": self.results[request["job"], request["photo"]]}
        return {"kind": "status", **self.jobs[request["job"]]}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("UVATAR_DATA", str(tmp_path))
    made = Server(tmp_path)
    yield made
    made.close()


@pytest.fixture
def session() -> Iterator[Session]:
    made = Session()
    yield made
    made.close()


def until(session: Session, condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, (
            f"waited in vain until {what}: {session.link} {session.problem} {session.run}"
        )
        session.pump()
        time.sleep(0.005)


def photos(tmp_path: Path, *names: str) -> list[Path]:
    for name in names:
        (tmp_path / name).write_bytes(name.encode())
    return [tmp_path / name for name in names]


def accepted(server: Server, session: Session, paths: list[Path], **options: Any) -> str:
    """Run, and wait until the server has the job; its id."""
    session.connect()
    job = session.reconstruct([(paths, options)]).jobs[0].id
    until(session, lambda: job in server.jobs, "the job has arrived")
    return job


def test_photos_go_out_and_results_come_in(server: Server, session: Session, tmp_path: Path) -> None:
    job = accepted(server, session, photos(tmp_path, "a.jpg", "b.jpg"), texture_size=512)
    request = next(request for request in server.requests if request["kind"] == "reconstruct")
    assert uuid.UUID(job) and request["options"] == {"texture_size": 512}
    assert [(photo["name"], photo["data"]) for photo in request["photos"]] == [("a.jpg", b"a.jpg"), ("b.jpg", b"b.jpg")]
    until(session, lambda: session.link is Link.ON, "connected")
    assert session.version == "9.9"
    server.publish(
        kind="progress", job=job, photo=0, photos=2, stage="fitting", fraction=0.5, message="Fitting", seconds_left=12.0
    )
    until(session, lambda: session.run.jobs[0].message == "Fitting", "progress is told")
    assert session.run.jobs[0].fraction == pytest.approx(0.25) and session.run.jobs[0].seconds_left == 12.0
    server.finish(job, 1)
    server.publish(kind="photo", job=job, photo=0, state="done", error=None)
    until(session, lambda: session.run.jobs[0].results, "the first result is there")
    assert session.running and session.run.jobs[0].results[0].name == "a.jpg"
    server.finish(job, 2)
    server.publish(kind="finished", **server.jobs[job])  # the second photo's own event was lost
    until(session, lambda: not session.running, "the job is over")
    assert session.run.jobs[0].state is JobState.DONE and set(session.run.jobs[0].results) == {0, 1}
    assert server.kinds().count("result") == 2


def test_pictures_that_are_no_files_yet_are_written_away_from_the_main_thread(
    server: Server, session: Session, tmp_path: Path
) -> None:
    writers: list[threading.Thread] = []

    def write() -> None:
        writers.append(threading.current_thread())
        photos(tmp_path, "made.png")

    session.connect()
    job = session.reconstruct([([tmp_path / "made.png"], {})], write).jobs[0].id
    until(session, lambda: job in server.jobs, "the job has arrived")
    request = next(request for request in server.requests if request["kind"] == "reconstruct")
    assert [photo["data"] for photo in request["photos"]] == [b"made.png"]
    (writer,) = writers
    assert writer is not threading.main_thread()


def test_pictures_that_cannot_be_written_end_the_job_with_the_reason(
    server: Server, session: Session, tmp_path: Path
) -> None:
    def write() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    session.connect()
    session.reconstruct([([tmp_path / "made.png"], {})], write)
    until(session, lambda: not session.running, "the job is over")
    (job,) = session.run.jobs
    assert job.state is JobState.FAILED and "the disk is full" in job.problem.message and not server.jobs


def test_failed_and_unreadable_photos_do_not_stop_the_others(server: Server, session: Session, tmp_path: Path) -> None:
    job = accepted(server, session, [tmp_path / "gone.jpg", *photos(tmp_path, "nobody.jpg", "me.jpg")])
    server.finish(job, 2)
    error = {"code": "bad-photo", "message": "No person was found in nobody.jpg.", "fix": "Use another photo."}
    server.jobs[job]["photos"][0] |= {"state": "failed", "error": error}
    server.publish(kind="finished", **server.jobs[job])
    until(session, lambda: not session.running, "the job is over")
    (ran,) = session.run.jobs
    assert ran.state is JobState.DONE and ran.results[2].name == "me.jpg"  # counted as the artist chose them
    assert "gone.jpg cannot be read" in session.run.jobs[0].problems[0].message
    assert session.run.jobs[0].problems[1].message == error["message"]


def test_a_damaged_result_is_the_photos_problem(server: Server, session: Session, tmp_path: Path) -> None:
    job = accepted(server, session, photos(tmp_path, "me.jpg"))
    broken = sample_result()
    broken["people"][0]["quads"] = broken["people"][0]["quads"] + 10**6
    server.results[job, 0] = broken
    server.finish(job, 1)
    server.publish(kind="finished", **server.jobs[job])
    until(session, lambda: not session.running, "the job is over")
    assert session.run.jobs[0].state is JobState.FAILED and "damaged" in session.run.jobs[0].problems[0].message


def test_a_first_run_says_that_it_waits_for_the_models(server: Server, session: Session, tmp_path: Path) -> None:
    server.answers["hello"] = lambda request: {"kind": "hello", "version": "9.9", "model": {"state": "loading"}}
    session.connect()
    session.reconstruct([(photos(tmp_path, "me.jpg"), {})])
    until(session, lambda: session.run.jobs[0].message == "Loading the models", "the models are mentioned")


def test_the_backend_says_which_bodies_avatars_can_have(server: Server, session: Session) -> None:
    session.connect()
    until(session, lambda: session.link is Link.ON, "there is a connection")
    assert session.bodies == frozenset() and session.models_folder == ""  # an older backend says nothing of it
    more = {"bodies": ["open_body", "smpl"], "models_folder": "/home/ada/models"}
    server.answers["hello"] = lambda request: {"kind": "hello", "version": "9.9", "model": {"state": "ready"}, **more}
    session.connect()
    until(session, lambda: session.link is Link.ON, "there is a connection again")
    assert session.bodies == {"open_body", "smpl"} and session.models_folder == "/home/ada/models"


def test_lost_events_are_made_up_for_by_asking(
    server: Server, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol_client, "QUIET", 0.1)
    job = accepted(server, session, photos(tmp_path, "me.jpg"))
    server.finish(job, 1)
    until(session, lambda: not session.running, "the job is over")
    assert set(session.run.jobs[0].results) == {0}


def test_a_silent_server_is_taken_for_dead_and_the_job_goes_on_with_the_next(
    server: Server, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol_client, "REPLY", 0.3)
    monkeypatch.setattr(protocol_client, "QUIET", 0.1)
    job = accepted(server, session, photos(tmp_path, "me.jpg"))
    server.answers["status"] = lambda request: None
    until(session, lambda: session.problem is not None, "the silence is noticed")
    assert session.link is Link.CONNECTING and session.running and session.problem.remedy is Remedy.START
    server.answers.clear()
    server.finish(job, 1)
    until(session, lambda: not session.running, "the job is over")
    assert session.problem is None and set(session.run.jobs[0].results) == {0}
    assert server.kinds().count("reconstruct") == 1


def test_a_restarted_server_with_a_new_token_is_found_again(server: Server, session: Session, tmp_path: Path) -> None:
    job = accepted(server, session, photos(tmp_path, "me.jpg"))
    server.stop()
    until(session, lambda: session.problem is not None, "the loss is noticed")
    server.start(token="another")
    server.finish(job, 1)
    until(session, lambda: not session.running, "the job is over")
    assert session.run.jobs[0].state is JobState.DONE and set(session.run.jobs[0].results) == {0}


def test_a_server_that_never_got_the_photos_gets_them_again(server: Server, session: Session, tmp_path: Path) -> None:
    server.answers["reconstruct"] = lambda request: None
    session.connect()
    job = session.reconstruct([(photos(tmp_path, "me.jpg"), {})]).jobs[0].id
    until(session, lambda: "reconstruct" in server.kinds(), "the photos were sent")
    server.stop()
    server.answers.clear()
    server.start()
    until(session, lambda: job in server.jobs, "the photos were sent again")


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for the program is a shell script")
def test_the_backend_is_started_once_where_none_runs(server: Server, session: Session, tmp_path: Path) -> None:
    server.stop()
    discovery.runtime_file(tmp_path).unlink()
    program = tmp_path / "uvatar"
    program.write_text(f"#!/bin/sh\necho run >> '{tmp_path}/runs'\ncat\n")
    program.chmod(0o755)
    session.start(str(program))
    until(session, lambda: (tmp_path / "runs").exists(), "it is started")
    assert session.link is Link.CONNECTING and session.problem is None
    session.start(str(program))  # an impatient artist
    server.start()
    until(session, lambda: session.link is Link.ON, "connected")
    assert (tmp_path / "runs").read_text() == "run\n"


def test_what_the_backend_computes_on_is_told_again_after_each_job(
    server: Server, session: Session, tmp_path: Path
) -> None:
    model: dict[str, Any] = {"state": "loading"}
    server.answers["hello"] = lambda _: {"kind": "hello", "version": "9.9", "device": "auto", "model": model}
    job = accepted(server, session, photos(tmp_path, "me.jpg"))
    until(session, lambda: session.link is Link.ON, "connected")
    assert session.device == "auto" and session.computes_on is None
    model |= {"device": "8 processor cores", "device_notes": ["CUDA ran out of memory."]}
    server.finish(job, 1)
    server.publish(kind="finished", **server.jobs[job])
    until(session, lambda: session.computes_on is not None, "the device is told")
    assert session.computes_on == Computes("8 processor cores", ("CUDA ran out of memory.",))
    until(session, lambda: not session.running, "the job is over")
    assert session.run.jobs[0].state is JobState.DONE


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for the program is a shell script")
@pytest.mark.parametrize(("device", "expected"), [("", ""), ("directml", " --device directml")])
def test_the_backend_is_started_with_the_chosen_device(
    server: Server, session: Session, tmp_path: Path, device: str, expected: str
) -> None:
    server.stop()
    discovery.runtime_file(tmp_path).unlink()
    program = tmp_path / "uvatar"
    program.write_text(f"#!/bin/sh\necho \"$*\" > '{tmp_path}/arguments'\ncat\n")
    program.chmod(0o755)
    session.start(str(program), device)
    until(session, lambda: (tmp_path / "arguments").exists(), "it is started")
    until(session, lambda: bool((tmp_path / "arguments").read_text()), "it has said how")
    assert (tmp_path / "arguments").read_text() == f"serve --exit-with-parent{expected}\n"
    server.start()


def test_cancel(server: Server, session: Session, tmp_path: Path) -> None:
    job = accepted(server, session, photos(tmp_path, "me.jpg"))
    until(session, lambda: session.link is Link.ON, "connected")
    session.cancel()
    until(session, lambda: not session.running, "the job is over")
    assert session.run.jobs[0].state is JobState.CANCELLED and server.jobs[job]["state"] == "cancelled"


def test_cancel_without_a_connection_and_nothing_is_sent_later(
    server: Server, session: Session, tmp_path: Path
) -> None:
    server.stop()
    session.connect()
    session.reconstruct([(photos(tmp_path, "me.jpg"), {})])
    until(session, lambda: session.link is Link.OFF, "the connection is given up")
    assert session.running and session.problem.remedy is Remedy.START
    session.cancel()
    assert session.run.jobs[0].state is JobState.CANCELLED
    server.start()
    session.connect()
    until(session, lambda: session.link is Link.ON, "connected")
    assert "reconstruct" not in server.kinds()


def test_a_run_that_waited_for_a_backend_goes_out_when_there_is_one(
    server: Server, session: Session, tmp_path: Path
) -> None:
    server.stop()
    session.connect()
    job = session.reconstruct([(photos(tmp_path, "me.jpg"), {})]).jobs[0].id
    until(session, lambda: session.link is Link.OFF, "the connection is given up")
    server.start()
    session.connect()
    until(session, lambda: job in server.jobs, "the photos have arrived")


def test_refusals_are_told_with_what_to_do(server: Server, session: Session, tmp_path: Path) -> None:
    refusal = {"kind": "error", "code": "disk-full", "message": "The disk is full.", "fix": "Free some space."}
    server.answers["reconstruct"] = lambda request: refusal
    session.connect()
    session.reconstruct([(photos(tmp_path, "me.jpg"), {})])
    until(session, lambda: not session.running, "the job is over")
    assert session.run.jobs[0].state is JobState.FAILED
    problem = session.run.jobs[0].problem
    assert (problem.message, problem.fix, problem.remedy) == (
        "The disk is full.", "Free some space.", Remedy.RUN)  # fmt: skip
    assert session.link is Link.ON  # the connection is as good as before


def test_a_wrong_token_is_told_at_once(server: Server, session: Session) -> None:
    runtime = discovery.read_runtime(server.folder)
    session.connect(("127.0.0.1", runtime.port), "wrong")
    until(session, lambda: session.link is Link.OFF, "the connection is given up")
    assert (
        session.problem.message == "The token does not belong to this server."
        and session.problem.remedy is Remedy.PREFERENCES
    )


def test_a_server_of_another_version_is_told_at_once(
    server: Server, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(framing, "PROTOCOL_VERSION", 99)  # the server's copy; the add-on has its own
    session.connect()
    until(session, lambda: session.link is Link.OFF, "the connection is given up")
    assert "version" in session.problem.message and session.problem.remedy is Remedy.UPDATE


@pytest.mark.parametrize("status", [{}, {"photos": 3}, {"photos": [{}], "state": "running"}])
def test_nonsense_from_the_server_is_told_and_kills_nothing(
    server: Server, session: Session, tmp_path: Path, status: dict[str, Any]
) -> None:
    server.answers["reconstruct"] = lambda request: {"kind": "accepted", **status}
    session.connect()
    session.reconstruct([(photos(tmp_path, "me.jpg"), {})])
    until(session, lambda: session.problem is not None, "the nonsense is noticed")
    assert session.running  # it can be cancelled, or go on with a better server
    session.cancel()
    until(session, lambda: not session.running, "the job is over")


def test_close_ends_the_thread_without_waiting_for_it(
    server: Server, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted(server, session, photos(tmp_path, "me.jpg"))
    thread = session._connection._thread
    with monkeypatch.context() as patched:
        patched.setattr(thread, "join", lambda timeout=None: pytest.fail("Blender would stand still meanwhile"))
        session.close()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_photos_of_the_same_person_are_jobs_of_their_own(server: Server, session: Session, tmp_path: Path) -> None:
    paths = photos(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    session.connect()
    run = session.reconstruct([(paths[:1], {"same_person": False}), (paths[1:], {"same_person": True})])
    until(session, lambda: len(server.jobs) == 2, "both jobs have arrived")
    sent = [
        (len(request["photos"]), request["options"]["same_person"])
        for request in server.requests
        if request["kind"] == "reconstruct"
    ]
    assert sent == [(1, False), (2, True)]
    for job in run.jobs:
        server.finish(job.id, 2)
        server.publish(kind="finished", **server.jobs[job.id])
    until(session, lambda: not session.running, "the run is over")
    assert len(list(run.waiting())) == 3


def test_a_run_is_picked_up_by_the_next_blender(server: Server, session: Session, tmp_path: Path) -> None:
    job = accepted(server, session, [tmp_path / "gone.jpg", *photos(tmp_path, "a.jpg", "b.jpg")])
    server.finish(job, 1)
    server.publish(kind="photo", job=job, photo=0, state="done", error=None)
    until(session, lambda: session.run.jobs[0].results, "the first result is there")
    session.imported(session.run.jobs[0], 1, 1)
    session.close()  # Blender ends
    server.finish(job, 2)
    later = Session()
    try:
        assert [unfinished.id for unfinished in later.unfinished] == [job]
        later.connect()
        later.resume()
        until(later, lambda: not later.running, "the run is over")
        assert (
            set(later.run.jobs[0].results) == {2} and later.run.jobs[0].results[2].name == "b.jpg"
        )  # the first is in the file
        assert server.kinds().count("reconstruct") == 1
        later.imported(later.run.jobs[0], 2, 1)
        later.close()
        assert not Session().unfinished
    finally:
        later.close()


def test_a_run_that_never_reached_the_backend_is_sent_by_the_next_blender(
    server: Server, session: Session, tmp_path: Path
) -> None:
    server.stop()
    job = session.reconstruct([(photos(tmp_path, "me.jpg"), {})]).jobs[0].id
    session.close()
    server.start()
    later = Session()
    try:
        later.connect()
        later.resume()
        until(later, lambda: job in server.jobs, "the photos have arrived")
        later.cancel()
        until(later, lambda: not later.running, "it is cancelled")
        later.close()
        assert not Session().unfinished
    finally:
        later.close()


@pytest.mark.parametrize("written", [0, 1, 2])
def test_a_painted_texture_that_was_not_all_written_says_what_to_do_when_it_is_resumed(
    server: Server, session: Session, tmp_path: Path, written: int
) -> None:
    names = ["avatar.png", "avatar labels.png", "avatar as it came.png"]
    photos(tmp_path, *names[:written])
    session.reconstruct([([tmp_path / name for name in names], {"complete_texture": True})], lambda: None)
    session.close()  # Blender ends before there was a connection, and with it goes the job's write
    later = Session()
    try:
        later.connect()
        later.resume()
        until(later, lambda: not later.running, "it is over")
        ((photo, problem),) = later.run.problems()  # one sentence, not one for each picture
        assert photo is None and "Blender was closed before the painted texture was sent" in problem.message
        assert "Complete Painted Texture" in problem.fix and problem.remedy is Remedy.TEXTURE
        assert not server.jobs
        later.close()
        assert not Session().unfinished
    finally:
        later.close()


def test_a_forgotten_run_is_not_offered_again(server: Server, session: Session, tmp_path: Path) -> None:
    accepted(server, session, photos(tmp_path, "me.jpg"))
    session.close()
    later = Session()
    later.forget_unfinished()
    later.close()
    assert not Session().unfinished


def test_a_result_can_be_had_once_more(server: Server, session: Session, tmp_path: Path) -> None:
    job = accepted(server, session, photos(tmp_path, "me.jpg"))
    server.finish(job, 1)
    server.publish(kind="finished", **server.jobs[job])
    until(session, lambda: not session.running, "the run is over")
    session.close()
    session.fetch(job, 0)  # there is no connection yet
    session.connect()
    until(session, lambda: session.fetched, "it has come")
    assert session.fetched[0].name == "me.jpg" and not session.fetching
    del server.jobs[job]
    session.fetch(job, 0)
    until(session, lambda: session.problem is not None, "it is gone")
    assert session.problem.remedy is Remedy.RUN and not session.fetching
