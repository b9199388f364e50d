"""The server as its clients see it: real processes, a fake pipeline, and every death that issue 2 names."""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import psutil
import pytest
import zmq

from tests.service.servers import FAKE, PATIENCE, Server, photo, python, wait_until
from uvatar.protocol import atomic_files, discovery
from uvatar.protocol.discovery import Runtime
from uvatar.protocol.errors import UvatarError
from uvatar.runtime.spawn import environment, module_command
from uvatar.service.client import Client, ServerGone, attach, find
from uvatar.service.logs import trim
from uvatar.service.model_process import PoolSettings
from uvatar.service.server import Front, Settings

StartServer = Callable[..., Server]


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with server.client() as client:
        yield client


def states(status: dict[str, Any]) -> list[str]:
    return [entry["state"] for entry in status["photos"]]


def run(client: Client, *photos: bytes, **options: Any) -> tuple[str, list[dict[str, Any]]]:
    """Send the photos and wait: the job's id and its events."""
    job = client.submit([(f"{index}.jpg", data) for index, data in enumerate(photos)], options)
    return job, list(client.events(job))


def code_of(call: Callable[..., Any], *arguments: Any, **fields: Any) -> str:
    with pytest.raises(UvatarError) as caught:
        call(*arguments, **fields)
    assert caught.value.message and caught.value.fix
    return caught.value.code


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


# -- the usual ---------------------------------------------------------------------------------------------------------


def test_a_photo_goes_in_and_a_result_comes_out(client: Client) -> None:
    greeting = client.hello()
    assert greeting["protocol"] == 2 and greeting["options"]["texture_size"] == 1024
    assert (
        greeting["bodies"][0] == greeting["options"]["body"] == "open_body"
        and Path(greeting["models_folder"]).is_absolute()
    )
    job, events = run(client, photo(people=2), texture_size=512)
    progress = [event for event in events if event["kind"] == "progress"]
    assert [event["fraction"] for event in progress[-3:]] == [0.0, 0.5, 1.0] and progress[-2]["stage"] == "stage 1"
    assert progress[-1]["photo"] == 0 and progress[-1]["photos"] == 1
    assert [event["kind"] for event in events[-2:]] == ["photo", "finished"]
    result = client.result(job, 0)
    assert result["photo"]["name"] == "0.jpg" and len(result["people"]) == 2
    assert result["body"]["template"].shape == (4, 3)
    status = client.status()
    assert status["model"]["state"] == "ready" and status["model"]["name"] == "fake" and status["jobs"][0]["job"] == job
    assert status["model"]["versions"]["pyzmq"] == zmq.__version__ and "cores" in status["model"]["device"]
    assert status["queue"]["photos"] == 0 and status["memory"] > 1e6 and status["workers"][0]["memory"] > 1e6


def test_one_bad_photo_of_three(client: Client) -> None:
    job, events = run(
        client, photo(), photo(fail="No person was found in 1.jpg."), b"no photo at all", photo(nan=True), b"", photo()
    )
    assert states(events[-1]) == ["done", "failed", "failed", "failed", "failed", "done"]
    errors = [entry["error"] for entry in events[-1]["photos"]]
    assert errors[1] == {"code": "bad-photo", "message": "No person was found in 1.jpg.", "fix": ""}
    assert errors[3]["code"] == "server-error" and "people[0].metrics.landmark_error_median" in errors[3]["message"]
    assert code_of(client.result, job, 1) == "no-result"
    assert client.result(job, 0) and client.result(job, 5)
    assert code_of(client.request, "result", job=job) == "malformed"  # one at a time


def test_a_finished_photo_can_be_fetched_while_others_wait(client: Client, tmp_path: Path) -> None:
    job = client.submit([("a.jpg", photo()), ("b.jpg", photo(wait_for=str(tmp_path / "go")))])
    events = client.events(job)
    assert next(event for event in events if event["kind"] == "photo")["photo"] == 0
    assert client.result(job, 0)["photo"]["name"] == "a.jpg"
    assert code_of(client.result, job, 1) == "no-result"
    (tmp_path / "go").touch()
    assert states(list(events)[-1]) == ["done", "done"]


def test_photos_of_one_person_become_one_avatar(client: Client) -> None:
    _, events = run(client, photo(), photo(), same_person=True)
    assert states(events[-1]) == ["done", "merged"]


@pytest.mark.parametrize("more", [{}, {"same_person": True}])  # the add-on says so for servers of version 0.1
def test_a_painted_texture_is_completed_from_all_its_pictures(client: Client, more: dict[str, Any]) -> None:
    job, events = run(client, b"painted", b"labels", b"before", complete_texture=True, body="open_body", **more)
    assert states(events[-1]) == ["done", "merged", "merged"]
    assert client.result(job, 0)["texture"] == {"name": "0.jpg", "body_model": "open_body", "pictures": 3}
    assert code_of(client.result, job, 1) == "no-result"


def test_people_are_found_photo_by_photo(client: Client) -> None:
    job, events = run(client, photo(), photo(), find_people=True)
    assert states(events[-1]) == ["done", "done"]
    assert [client.result(job, n)["found"]["photo"]["name"] for n in (0, 1)] == ["0.jpg", "1.jpg"]


def test_the_same_job_twice_is_done_once(client: Client, server: Server, tmp_path: Path) -> None:
    job, log = str(uuid.uuid4()), tmp_path / "log"
    photos = [("a.jpg", photo(log=str(log)))]
    client.submit(photos, job=job)
    with server.client() as other:
        assert other.submit(photos, job=job) == job
        assert states(list(other.events(job))[-1]) == ["done"]
        assert states(list(client.events(job))[-1]) == ["done"]
        assert other.submit(photos, job=job) == job
        assert states(list(other.events(job))[-1]) == ["done"]
        assert code_of(other.submit, [("a.jpg", b"other")], job=job) == "job-id-taken"
    assert log.read_text() == "a.jpg\n"


def test_two_workers_work_at_once(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server("--workers", "2")
    with server.client() as client:
        first = client.submit([("a.jpg", photo(wait_for=str(tmp_path / "go")))])
        _second, events = run(client, photo())
        assert states(events[-1]) == ["done"]
        (tmp_path / "go").touch()
        assert states(list(client.events(first))[-1]) == ["done"]


# -- what is refused ---------------------------------------------------------------------------------------------------


def test_a_wrong_token_is_refused(server: Server) -> None:
    for token in ("wrong", "", "ü"):
        with server.client(token=token) as client:
            assert code_of(client.hello) == "wrong-token"
            assert code_of(client.shutdown) == "wrong-token"
    with server.client() as client:
        assert client.hello()


def exchange(server: Server, frames: list[bytes]) -> dict[str, Any]:
    """Send raw frames, read the answer's header without the code under test."""
    import json

    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.linger = 0
        socket.connect(f"tcp://127.0.0.1:{server.port}")
        socket.send_multipart(frames)
        assert socket.poll(round(PATIENCE * 1000))
        header = json.loads(socket.recv_multipart()[0])
        assert header["magic"] == "uvatar"
        return header["body"]


def test_malformed_messages_get_an_answer(server: Server) -> None:
    token = server.token.encode()
    for frames, code in (
        ([b""], "wrong-token"),
        ([b"\x80\x04pickle"], "wrong-token"),
        ([b"{}", b"x", b"y"], "unsupported-version"),
        ([b'{"magic":"uvatar","protocol":1,"body":{"kind":"hello"}}'], "unsupported-version"),
        ([b"uvatar 3?" + bytes(32)], "unsupported-version"),
        ([token[:-1], b"{}"], "wrong-token"),
        ([token], "malformed"),
        ([token, b"\x80\x04pickle"], "malformed"),
        ([token, b'{"magic":"uvatar","protocol":3,"body":{}}'], "unsupported-version"),
        ([token, b'{"magic":"uvatar","protocol":2,"body":[1]}'], "malformed"),
        ([token, b'{"magic":"uvatar","protocol":2,"body":{}}'], "unknown-message"),
        ([token, b'{"magic":"uvatar","protocol":2,"body":{"kind":["hello"]}}'], "unknown-message"),
    ):
        answer = exchange(server, frames)
        assert (answer["kind"], answer["code"]) == ("error", code) and answer["message"] and answer["fix"]
    with server.client() as client:
        assert client.hello()


def test_senseless_requests_get_an_answer(client: Client) -> None:
    good = {"name": "a.jpg", "data": b"x"}
    job = str(uuid.uuid4())
    assert code_of(client.request, "explode") == "unknown-message"
    assert code_of(client.request, "reconstruct", job="../../x", photos=[good]) == "malformed"
    for photos in (
        None,
        [],
        [{"name": "a.jpg"}],
        [{"name": 1, "data": b""}],
        [{"name": "a", "data": "text"}],
        [good] * 501,
    ):
        assert code_of(client.request, "reconstruct", job=job, photos=photos) == "malformed"
    assert code_of(client.request, "reconstruct", job=job, photos=[good], options={"texture_size": 7}) == "bad-option"
    for kind in ("status", "cancel"):
        assert code_of(client.request, kind, job=job) == "unknown-job"
    assert code_of(client.request, "result", job=job, photo=0) == "unknown-job"
    assert code_of(client.request, "result", job=job) == "malformed"  # of which photo?
    done, _ = run(client, photo())
    assert code_of(client.request, "result", job=done, photo="0") == "malformed"
    assert code_of(client.request, "result", job=done, photo=-1) == "no-result"


def test_a_photos_name_is_never_a_path(client: Client, server: Server) -> None:
    job = client.submit([("../../evil/../\x00name.jpg", photo())])
    assert client.status(job)["photos"][0]["name"] == "\ufffdname.jpg"
    list(client.events(job))
    assert {path.name for path in server.folder.parent.iterdir()} == {"data"}
    assert {path.name for path in (server.folder / "jobs" / job).iterdir()} == {"job", "result-000"}


# -- what dies ---------------------------------------------------------------------------------------------------------


def test_a_model_process_killed_in_mid_job_is_replaced(client: Client, server: Server, tmp_path: Path) -> None:
    log, go = tmp_path / "log", tmp_path / "go"
    job = client.submit([("a.jpg", photo(log=str(log))), ("b.jpg", photo(log=str(log), wait_for=str(go)))])
    wait_until(lambda: log.exists() and "b.jpg" in log.read_text(), "the second photo is begun")
    [worker] = server.workers()
    psutil.Process(worker["pid"]).kill()
    go.touch()
    assert states(list(client.events(job))[-1]) == ["done", "done"]
    assert log.read_text().split() == ["a.jpg", "b.jpg", "b.jpg"]
    assert server.workers()[0]["pid"] != worker["pid"]


def test_a_crash_in_a_model_is_tried_again_once(client: Client, tmp_path: Path) -> None:
    _, events = run(client, photo(crash=str(tmp_path / "crashed")), photo(always_crash=True), photo())
    assert states(events[-1]) == ["done", "failed", "done"]
    assert events[-1]["photos"][1]["error"]["code"] == "model-crashed"


def test_models_that_cannot_be_loaded_are_told(start_server: StartServer) -> None:
    server = start_server(pipeline="tests.service.fake_pipeline:BrokenPipeline")
    with server.client() as client:
        _, events = run(client, photo(), photo())
        assert {entry["error"]["code"] for entry in events[-1]["photos"]} == {"models-not-loaded"}
        assert client.hello()["model"]["state"] == "broken"


def waiting_event(client: Client, job: str) -> dict[str, Any]:
    """The event that says why a job waits."""
    return next(event for event in client.events(job) if event["kind"] == "progress" and event["stage"] == "waiting")


def test_photos_wait_while_model_processes_die_as_they_load(start_server: StartServer, tmp_path: Path) -> None:
    """However often: 50 photos are lost to nothing, the state says why, and work resumes by itself."""
    loaded = tmp_path / "loaded"
    server = start_server(pipeline="tests.service.fake_pipeline:DyingPipeline", UVATAR_TEST_LOADED=str(loaded))
    with server.client() as client:
        jobs = [client.submit([(f"{index}.jpg", photo()) for index in range(5)]) for _ in range(10)]
        assert "while loading the models. Trying again in" in waiting_event(client, jobs[0])["message"]
        model = client.hello()["model"]
        assert model["state"] == "broken" and model["error"]["code"] == "models-not-loaded"
        assert client.status()["queue"]["photos"] == 50
        assert len(list(server.folder.glob("jobs/*/photo-*"))) == 50
        loaded.touch()
        for job in jobs:
            assert states(list(client.events(job))[-1]) == ["done"] * 5
        assert client.hello()["model"]["state"] == "ready"


def test_a_killed_front_loses_nothing(start_server: StartServer, tmp_path: Path) -> None:
    log, go = tmp_path / "log", tmp_path / "go"
    server = start_server()
    with server.client() as client:
        job = client.submit([("a.jpg", photo(log=str(log))), ("b.jpg", photo(log=str(log), wait_for=str(go)))])
        wait_until(lambda: log.exists() and "b.jpg" in log.read_text(), "the second photo is begun")
        [worker] = server.workers()
        server.process.kill()
        server.process.wait()
        with pytest.raises(ServerGone):
            list(client.events(job))
    wait_until(lambda: gone(worker["pid"]), "the orphaned model process ends")
    assert find(server.folder) is None
    go.touch()
    again = start_server()
    with again.client() as client:
        assert states(list(client.events(job))[-1]) == ["done", "done"]
        assert client.result(job, 0)["photo"]["name"] == "a.jpg" and client.result(job, 1)["photo"]["name"] == "b.jpg"
    assert log.read_text().split() == ["a.jpg", "b.jpg", "b.jpg"]


def test_a_server_whose_file_was_deleted_is_found_all_the_same(server: Server) -> None:
    """And stays so: it writes the file again."""
    path = discovery.runtime_file(server.folder)
    for damage in (path.unlink, lambda: path.write_text("{"), lambda: path.write_bytes(b"")):
        before = path.read_bytes()
        damage()
        found = find(server.folder)
        assert found is not None
        with found:
            assert found.status()["pid"] == server.process.pid
        assert path.read_bytes() == before


def test_a_log_that_cannot_be_written_keeps_no_photo_waiting(start_server: StartServer, tmp_path: Path) -> None:
    (tmp_path / "data" / "logs" / "worker.log").mkdir(parents=True)
    server = start_server()
    with server.client() as client:
        assert states(run(client, photo())[1][-1]) == ["done"]
    assert "cannot be written" in (server.folder / "logs" / "server.log").read_text()


def test_the_log_of_photos_that_fail_by_our_fault_stays_small(start_server: StartServer) -> None:
    server = start_server()
    log = server.folder / "logs" / "worker.log"
    with server.client() as client:
        run(client, photo(nan=True))
        first = log.stat().st_size
        run(client, *[photo(nan=True)] * 10)
        assert log.read_text().count("Traceback") == 1 and log.stat().st_size < first + 10 * 500


def test_a_log_that_others_write_to_begins_anew_while_they_do(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    with subprocess.Popen(
        [sys.executable, "-uc", "import sys\nfor line in sys.stdin: print(line * 100, end='')"],
        stdin=subprocess.PIPE,
        stdout=log.open("ab"),
    ) as writer:
        assert writer.stdin
        for text in (b"first\n", b"second\n"):
            writer.stdin.write(text)
            writer.stdin.flush()

            def written(text: bytes = text) -> bool:
                return log.exists() and log.read_bytes().count(text) == 100

            wait_until(written, "it is written")
            trim(log, most=500)
            assert log.stat().st_size == 0 and (tmp_path / "worker.old.log").read_bytes() == text * 100
        writer.stdin.write(b"end\n")
        writer.stdin.close()
        writer.wait(60)
    assert log.read_bytes() == b"end\n" * 100  # and no zeros before it
    trim(log, most=500)
    trim(tmp_path / "none.log", most=0)
    assert log.stat().st_size == 400


def test_a_killed_client_loses_nothing(server: Server) -> None:
    job = str(uuid.uuid4())
    code = f"""if True:
        import os
        from pathlib import Path
        from uvatar.service.client import find
        client = find(Path({str(server.folder)!r}))
        client.submit([("a.jpg", b'{{"seconds": 0.2}}')], job={job!r})
        os.kill(os.getpid(), 9) if hasattr(os, "fork") else os._exit(9)"""
    subprocess.run([sys.executable, "-c", code], env=environment(), timeout=PATIENCE)
    with server.client() as client:
        assert states(list(client.events(job))[-1]) == ["done"]
        assert client.result(job, 0)


@pytest.mark.slow
def test_whatever_is_killed_whenever_nothing_is_lost(start_server: StartServer, tmp_path: Path) -> None:
    """Fronts and model processes die at random moments; in the end every photo has its result."""
    random = Random(7)
    log = tmp_path / "log"
    photos = [(f"{index}.jpg", photo(log=str(log), stages=3, seconds=0.05)) for index in range(20)]
    server = start_server()
    with server.client() as client:
        job = client.submit(photos)
    for _ in range(8):
        time.sleep(random.uniform(0.3, 1.0))
        if random.random() < 0.5:
            server.process.kill()
            server.process.wait()
            server = start_server()
        else:
            for worker in server.workers():
                with suppress(psutil.NoSuchProcess):
                    psutil.Process(worker["pid"]).kill()
    with server.client() as client:
        end = list(client.events(job))[-1]
        assert end["state"] == "finished" and states(end) == ["done"] * 20
        for entry in end["photos"]:
            assert client.result(job, entry["index"])["photo"]["name"] == entry["name"]
    assert len(log.read_text().split()) <= 20 + 8  # each death costs no more than the photo that was worked on


def test_the_server_ends_with_its_parent(start_server: StartServer) -> None:
    server = start_server()
    [worker] = wait_until(server.workers, "there is a model process")
    assert server.process.stdin
    server.process.stdin.close()
    assert server.process.wait(PATIENCE) == 0
    wait_until(lambda: gone(worker["pid"]), "the model process ends too")
    assert not discovery.runtime_file(server.folder).exists()


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals to send on Windows")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_it_cleanly(start_server: StartServer, number: int) -> None:
    server = start_server()
    server.process.send_signal(number)
    assert server.process.wait(PATIENCE) == 0
    assert not discovery.runtime_file(server.folder).exists()


def test_shutdown_says_what_is_left(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server()
    with server.client() as client:
        client.submit([("a.jpg", photo(wait_for=str(tmp_path / "never"))), ("b.jpg", photo())])
        assert client.shutdown() == 2
    assert server.process.wait(PATIENCE) == 0


# -- cancelling --------------------------------------------------------------------------------------------------------


def test_cancel_between_stages_keeps_the_model_process(client: Client, server: Server) -> None:
    job = client.submit([("a.jpg", photo(stages=1000, seconds=0.1)), ("b.jpg", photo())])
    events = client.events(job)
    next(event for event in events if event["kind"] == "progress" and event["stage"] == "stage 1")
    [worker] = server.workers()
    assert client.cancel(job)["state"] == "cancelled"
    assert list(events)[-1]["state"] == "cancelled"
    _, events_of_next = run(client, photo())
    assert states(events_of_next[-1]) == ["done"]
    assert server.workers()[0]["pid"] == worker["pid"]
    assert states(client.status(job)) == ["waiting", "waiting"]


def test_cancel_inside_a_long_stage_replaces_the_model_process(client: Client, server: Server, tmp_path: Path) -> None:
    job = client.submit([("a.jpg", photo(wait_for=str(tmp_path / "never")))])
    next(event for event in client.events(job) if event["kind"] == "progress" and event["stage"] == "stage 0")
    [worker] = server.workers()
    assert client.cancel(job)["state"] == "cancelled"
    wait_until(lambda: gone(worker["pid"]), "the stuck model process is killed")
    _, events = run(client, photo())
    assert states(events[-1]) == ["done"]
    assert client.cancel(job)["state"] == "cancelled"


# -- disks -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Front]:
    """A front in a thread of this process, so that its writes can be made to fail."""
    front = Front(Settings(tmp_path, pool=PoolSettings(pipeline=FAKE)))
    thread = threading.Thread(target=front.run)
    thread.start()
    yield front
    front.stop()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def raise_(error: Exception) -> None:
    raise error


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux's folder names are any bytes")
def test_folders_whose_names_are_no_text_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    strange = Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff"))
    monkeypatch.setenv("UVATAR_MODELS", str(strange))
    front = Front(Settings(strange, pool=PoolSettings(pipeline=FAKE)))
    thread = threading.Thread(target=front.run)
    thread.start()
    try:
        with Client(front.port, front.runtime.token) as client:
            assert client.hello()["models_folder"].endswith("bad\ufffd") and client.status()["folder"].endswith(
                "bad\ufffd"
            )
    finally:
        front.stop()
        thread.join(PATIENCE)


def test_a_log_folder_that_is_lost_keeps_no_photo_waiting(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "uvatar.service.logs.logs_folder", lambda folder: raise_(PermissionError(errno.EACCES, "Permission denied"))
    )
    front._pool._next_trim = 0.0
    with Client(front.port, front.runtime.token) as client:
        assert states(run(client, photo())[1][-1]) == ["done"]
    assert front._pool._next_trim > 0 and front._pool._paused_until == 0.0


def no_space(*arguments: Any, **named: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_job_is_not_accepted_on_a_full_disk(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    with Client(front.port, front.runtime.token, PATIENCE) as client:
        with monkeypatch.context() as full:
            full.setattr(atomic_files, "write_atomically", no_space)
            assert code_of(client.submit, [("a.jpg", photo())]) == "disk-full"
        assert client.status()["jobs"] == []
        _, events = run(client, photo())
        assert states(events[-1]) == ["done"]


def test_a_journal_that_finds_no_space_costs_no_photo(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the full disk kept from being noted is done: noted later, and not computed again."""
    original = front.journal.finish_photo
    refused: list[Any] = []

    def full(*arguments: Any) -> bool:
        if len(refused) < 2:
            refused.append(arguments)
            raise sqlite3.OperationalError("database or disk is full")
        return original(*arguments)

    monkeypatch.setattr(front.journal, "finish_photo", full)
    monkeypatch.setattr("uvatar.service.pool.DISK_PAUSE", 0.1)
    log = front.settings.folder / "log"
    with Client(front.port, front.runtime.token, PATIENCE) as client:
        job, events = run(client, photo(log=str(log)))
        assert states(events[-1]) == ["done"] and client.result(job, 0)
    assert len(refused) == 2 and log.read_text() == "0.jpg\n"


def test_a_data_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    command = module_command("uvatar", "serve", "--data", str(tmp_path / "file"))
    done = subprocess.run(
        command, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 1 and "file" in done.stderr and "Traceback" not in done.stderr


# -- finding and starting ----------------------------------------------------------------------------------------------


def test_a_second_server_for_the_same_folder_gives_way(server: Server) -> None:
    command = module_command("uvatar", "serve", "--data", str(server.folder), "--pipeline", FAKE)
    second = subprocess.run(
        command, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE
    )
    assert second.returncode == 3 and "already uses" in second.stderr
    with find(server.folder) as client:
        assert client.status()["pid"] == server.process.pid


def test_stale_and_foreign_runtime_files_are_seen_through(server: Server, tmp_path: Path) -> None:
    with zmq.Context() as context, context.socket(zmq.REP) as foreign:
        foreign.linger = 0
        free = foreign.bind_to_random_port("tcp://127.0.0.1")
        foreign.unbind(f"tcp://127.0.0.1:{free}")
    discovery.write_runtime(tmp_path, Runtime(free, "token", os.getpid(), "0"))
    assert find(tmp_path) is None
    discovery.write_runtime(tmp_path, Runtime(server.port, "another server's token", os.getpid(), "0"))
    assert find(tmp_path) is None


def test_attach_starts_a_server_that_ends_when_idle(tmp_path: Path) -> None:
    arguments = ["--pipeline", FAKE, "--exit-when-idle", "1"]
    with attach(tmp_path, arguments) as client, attach(tmp_path, arguments) as same:
        pid = client.status()["pid"]
        assert same.status()["pid"] == pid
        _, events = run(client, photo(seconds=0.7))
        assert states(events[-1]) == ["done"]
    wait_until(lambda: gone(pid), "the idle server ends")
    assert find(tmp_path) is None


def test_a_server_is_not_idle_while_a_photo_waits_for_the_models(start_server: StartServer, tmp_path: Path) -> None:
    loaded = tmp_path / "loaded"
    slow = "tests.service.fake_pipeline:SlowlyLoadingPipeline"
    server = start_server("--exit-when-idle", "0.3", pipeline=slow, UVATAR_TEST_LOADED=str(loaded))
    with server.client() as client:
        job = client.submit([("a.jpg", photo())])
        time.sleep(1.5)
        assert server.process.poll() is None
        loaded.touch()
        assert states(list(client.events(job))[-1]) == ["done"]
    server.process.wait(PATIENCE)


def test_attach_says_why_a_server_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite").mkdir()
    with pytest.raises(ServerGone, match="unable to open"):
        attach(tmp_path, ["--pipeline", FAKE])


def test_the_front_never_imports_models() -> None:
    """Neither at its start nor while it serves a job."""
    code = f"""if True:
        import sys, tempfile, threading
        from pathlib import Path
        from uvatar.service.client import Client
        from uvatar.service.pool import PoolSettings
        from uvatar.service.server import Front, Settings
        with tempfile.TemporaryDirectory() as folder:
            front = Front(Settings(Path(folder), pool=PoolSettings(pipeline={FAKE!r})))
            thread = threading.Thread(target=front.run)
            thread.start()
            with Client(front.port, front.runtime.token) as client:
                job = client.submit([("a.jpg", b"{{}}")])
                assert list(client.events(job))[-1]["photos"][0]["state"] == "done"
                client.shutdown()
            thread.join()
        print(*sorted({{name.split(".")[0] for name in sys.modules}}))"""
    modules = set(python(code).split())
    assert "zmq" in modules
    assert not modules & {"torch", "cv2", "PIL", "scipy", "ai_edge_litert", "embreex", "bpy", "mediapipe"}
