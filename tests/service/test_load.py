"""Many clients, full queues, hung models, and how fast a job can be cancelled."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.service.cancelling import STAGES, cancel_during
from tests.service.servers import FAKE, PATIENCE, Server, photo, wait_until
from tests.service.test_server import code_of, gone, run, states, waiting_event
from uvatar.protocol import framing
from uvatar.service.client import Client
from uvatar.service.ingest import QueueLimits
from uvatar.service.job_files import JobFiles
from uvatar.service.model_process import PoolSettings
from uvatar.service.server import Front, Settings
from uvatar_blender.core.zmtp import Dealer

StartServer = Callable[..., Server]


@contextmanager
def front_in_thread(folder: Path, **settings: Any) -> Iterator[Front]:
    """A front in a thread of this process, whose inside a test may change."""
    front = Front(Settings(folder, **{"pool": PoolSettings(pipeline=FAKE), **settings}))
    thread = threading.Thread(target=front.run)
    thread.start()
    try:
        yield front
    finally:
        front.stop()
        thread.join(PATIENCE)
        assert not thread.is_alive()


def client_of(front: Front) -> Client:
    return Client(front.port, front.runtime.token, PATIENCE)


# -- the queue ---------------------------------------------------------------------------------------------------------


def test_a_full_queue_says_so_and_takes_more_later(tmp_path: Path) -> None:
    go = tmp_path / "go"
    with front_in_thread(tmp_path / "data", queue=QueueLimits(photos=3)) as front, client_of(front) as client:
        first = client.submit([("a.jpg", photo(wait_for=str(go))), ("b.jpg", photo())])
        assert code_of(client.submit, [("c.jpg", photo()), ("d.jpg", photo())]) == "queue-full"
        assert client.submit([("e.jpg", photo())])
        assert code_of(client.submit, [("f.jpg", photo())]) == "queue-full"
        assert [path.name for path in (tmp_path / "data" / "jobs").iterdir()].count(first) == 1
        assert len(list((tmp_path / "data" / "jobs").iterdir())) == 2
        go.touch()
        assert states(list(client.events(first))[-1]) == ["done", "done"]
        _, events = run(client, photo())
        assert states(events[-1]) == ["done"]


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        (QueueLimits(bytes=1000), "queue-full"),
        (QueueLimits(arriving=1000), "queue-full"),
        (QueueLimits(reserve=1 << 60), "disk-full"),
    ],
)
def test_room_is_looked_for_before_anything_is_written(tmp_path: Path, limits: QueueLimits, code: str) -> None:
    with front_in_thread(tmp_path, queue=limits) as front, client_of(front) as client:
        assert code_of(client.submit, [("a.jpg", bytes(2000))]) == code
        assert list((tmp_path / "jobs").iterdir()) == []


def test_nobody_waits_while_another_job_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = JobFiles.store
    begun, go = threading.Event(), threading.Event()

    def slowly(*arguments: Any) -> None:
        begun.set()
        assert go.wait(PATIENCE)
        store(*arguments)

    monkeypatch.setattr(JobFiles, "store", slowly)
    with (
        front_in_thread(tmp_path) as front,
        client_of(front) as busy,
        client_of(front) as other,
        client_of(front) as third,
    ):
        job = str(uuid.uuid4())
        sending = threading.Thread(target=busy.submit, args=([("a.jpg", photo())],), kwargs={"job": job})
        sending.start()
        assert begun.wait(PATIENCE)
        assert other.hello() and other.status()["jobs"] == []  # while the writing still waits to go on
        answers: list[str] = []
        asking = threading.Thread(target=lambda: answers.append(third.cancel(job)["state"]))
        asking.start()
        asking.join(0.3)
        assert asking.is_alive()  # a question about that very job waits for it
        go.set()
        asking.join(PATIENCE)
        sending.join(PATIENCE)
        assert answers == ["cancelled"]


def test_clients_take_turns(start_server: StartServer, tmp_path: Path) -> None:
    """One with fifty photos in ten jobs, two with two: these are served at once."""
    log, go = tmp_path / "log", tmp_path / "go"
    server = start_server()
    with server.client() as greedy, server.client() as second, server.client() as third:
        first = greedy.submit([("wait", photo(wait_for=str(go)))])
        for _ in range(10):
            greedy.submit([("greedy", photo(log=str(log)))] * 5)
        jobs = [
            client.submit([(name, photo(log=str(log)))] * 2) for client, name in ((second, "second"), (third, "third"))
        ]
        go.touch()
        list(greedy.events(first))
        for client, job in zip((second, third), jobs, strict=True):
            assert states(list(client.events(job))[-1]) == ["done", "done"]
        order = log.read_text().split()[:8]
        assert order.count("second") == order.count("third") == 2


def test_a_client_that_does_not_read_costs_little(start_server: StartServer) -> None:
    """It asks for two gigabytes of results and takes none of them: not even from the socket, as ZeroMQ itself would."""
    server = start_server()
    with server.client() as client, closing(Dealer("127.0.0.1", server.port)) as lazy:
        job, _ = run(client, photo(pad=4_000_000))
        front = psutil.Process(server.process.pid)
        before = front.memory_info().rss
        for number in range(500):
            request = framing.pack({"kind": "result", "job": job, "photo": 0, "request": number})
            lazy.send([server.token.encode(), *request])
        wait_until(lambda: client.hello() and time.sleep(0.3) is None and client.hello(), "the server answers others")
        assert front.memory_info().rss - before < 150 * 4_500_000


# -- memory ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "orders", [{"hole": 200_000_000}, {"top": 25_000_000}], ids=["below what stays", "in a thread"]
)
def test_a_model_process_gives_back_what_a_photo_took(start_server: StartServer, orders: dict[str, int]) -> None:
    server = start_server()
    with server.client() as client:
        run(client, photo())
        before = server.workers()[0]["memory"]
        run(client, photo(**orders))
        wait_until(lambda: server.workers()[0]["memory"] - before < 10_000_000, "the model process is small again")


def test_a_message_without_end_does_not_fill_the_memory(start_server: StartServer) -> None:
    """Without any token: frame upon frame of one message, which ZeroMQ itself keeps without a limit."""
    server = start_server("--memory-gb", "0.3")
    front = psutil.Process(server.process.pid)
    largest = 0

    def watch(stop: threading.Event) -> None:
        nonlocal largest
        while not stop.wait(0.01):
            largest = max(largest, front.memory_info().rss)

    stop = threading.Event()
    watching = threading.Thread(target=watch, args=(stop,))
    with server.client() as client:
        job, _ = run(client, photo())
        watching.start()
        sent = 0
        frame = b"\x03" + (1 << 20).to_bytes(8, "big") + bytes(1 << 20)
        while sent < 1100e6:
            attacker = wait_until(lambda: shake_hands(server.port), "the port is open again")
            with closing(attacker), suppress(OSError):  # until it is thrown out
                for number in range(700):
                    attacker.sendall(frame)
                    sent += len(frame)
                    if number % 32 == 0:
                        time.sleep(0.05)  # a busy test machine gives the server no time to look otherwise
        stop.set()
        watching.join()
        print(f"sent {sent / 1e6:.0f} MB of one message, the server grew to {largest / 1e6:.0f} MB at most")
        assert largest < 800e6 < sent
        assert client.result(job, 0)  # connected again by itself
        _, events = run(client, photo())
        assert states(events[-1]) == ["done"]


def shake_hands(port: int) -> socket.socket | None:
    """A raw connection that has shaken hands in ZMTP, as a DEALER; None where nobody listens."""
    try:
        return Dealer("127.0.0.1", port)._socket
    except OSError:
        return None


def test_rubbish_on_the_port_harms_nobody(start_server: StartServer) -> None:
    server = start_server()
    with server.client() as client:
        assert client.hello()
        rubbish = [
            b"GET / HTTP/1.1\r\n\r\n",
            os.urandom(5000),
            b"\xff" + bytes(8) + b"\x7f",
            b"\xff" + bytes(8) + b"\x7f\x03" + os.urandom(200),
            b"",
        ]
        connections = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(100)]
        for number, connection in enumerate(connections):
            try:
                connection.sendall(rubbish[number % len(rubbish)])
            except OSError:
                continue
        huge = wait_until(lambda: shake_hands(server.port), "a raw connection is made")
        # A frame of 2^60 bytes, announced: the connection is dropped, nothing is allocated.
        huge.sendall(b"\x02" + (1 << 60).to_bytes(8, "big") + b"x")
        huge.settimeout(PATIENCE)
        assert huge.recv(1) == b""
        assert client.hello()
        _, events = run(client, photo())
        assert states(events[-1]) == ["done"]
        for connection in [*connections, huge]:
            connection.close()
        process = psutil.Process(server.process.pid)
        wait_until(lambda: len(process.net_connections()) < 20, "the connections are closed")


# -- models that hang --------------------------------------------------------------------------------------------------


def test_a_hung_model_process_is_replaced(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server("--hung-after", "1")
    with server.client() as client:
        _, events = run(client, photo(hang=str(tmp_path / "hung")), photo(always_hang=True), photo())
        assert states(events[-1]) == ["done", "failed", "done"]
        assert events[-1]["photos"][1]["error"]["code"] == "model-hung"


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal on Windows")
def test_a_stopped_model_process_is_replaced(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server("--hung-after", "1")
    with server.client() as client:
        job = client.submit([("a.jpg", photo(stages=20, seconds=0.1))])
        next(event for event in client.events(job) if event["kind"] == "progress")
        [worker] = server.workers()
        psutil.Process(worker["pid"]).suspend()
        assert states(list(client.events(job))[-1]) == ["done"]
        assert gone(worker["pid"])


def test_models_that_never_load_are_told(start_server: StartServer, tmp_path: Path) -> None:
    pipeline = "tests.service.fake_pipeline:SlowlyLoadingPipeline"
    server = start_server("--load-hung-after", "1", pipeline=pipeline, UVATAR_TEST_LOADED=str(tmp_path / "never"))
    with server.client() as client:
        job = client.submit([("a.jpg", photo())])
        assert "hangs while loading" in waiting_event(client, job)["message"]
        assert "hangs" in client.status()["model"]["error"]["message"]
        assert states(client.status(job)) == ["waiting"]


# -- cancelling --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", STAGES)
def test_cancelling_ends_the_work_at_every_stage(start_server: StartServer, tmp_path: Path, stage: str) -> None:
    """How long it takes is measured by benchmarks/cancelling.py."""
    assert cancel_during(stage, tmp_path, start_server).state == "cancelled"


def test_workers_take_turns_on_the_gpus(start_server: StartServer) -> None:
    server = start_server("--workers", "4", "--gpus", "0,1")
    if sys.platform == "linux":
        pids = wait_until(
            lambda: len(workers := server.workers()) == 4 and [worker["pid"] for worker in workers], "all are started"
        )
        assert sorted(psutil.Process(pid).environ()["CUDA_VISIBLE_DEVICES"] for pid in pids) == ["0", "0", "1", "1"]
    with server.client() as client:
        run(client, photo())
        model = client.status()["model"]
        assert model["gpu"] in ("0", "1") and model["threads"] == max(1, (os.cpu_count() or 1) // 4)
