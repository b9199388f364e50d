"""What docs/reliability.md promises: that nothing is lost, that nobody gets in, and that `forget` forgets.

Each test stands for a fault that somebody found by trying, or for a change of the code that no test had noticed.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import shutil
import signal
import socket
import sqlite3
import stat
import struct
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import zmq

from tests.commands.test_cli import uvatar
from tests.service.servers import PATIENCE, Server, photo, wait_until
from tests.service.test_jobs import DAY, add, code_of, finish, new_job
from tests.service.test_load import client_of, front_in_thread, shake_hands
from tests.service.test_server import run, states
from uvatar.protocol import discovery, framing, handshake
from uvatar.protocol.discovery import Runtime
from uvatar.protocol.errors import UvatarError
from uvatar.protocol.framing import LIMITS
from uvatar.protocol.options import checked_options
from uvatar.service.client import Client, ServerGone, attach, find
from uvatar.service.job_files import JobFiles
from uvatar.service.journal import Journal
from uvatar.service.listener import WAITING_REPLIES, WAITING_REQUESTS
from uvatar.service.model_process import PoolSettings
from uvatar.service.retention import Policy, clean, forget

StartServer = Callable[..., Server]
OPTIONS = checked_options({})
STRANGER = 12345  # a user id without any rights

as_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0,
    reason="ANOTHER USER IS NOT TESTED: only root can start a process of another user",
)


# -- nobody in ---------------------------------------------------------------------------------------------------------


def sent(port: int, *frames: bytes) -> list[bytes]:
    """The answer to a message that is sent by hand."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.linger = 0
        dealer.connect(f"tcp://127.0.0.1:{port}")
        dealer.send_multipart(frames)
        assert dealer.poll(round(PATIENCE * 1000))
        return dealer.recv_multipart()


@pytest.mark.parametrize("letters", [b"x" * 4_194_200, b"\\ud83d\\ude00" * 340_000], ids=["just fits", "grows"])
@pytest.mark.parametrize("with_token", [False, True])
def test_no_message_ends_the_server(start_server: StartServer, letters: bytes, with_token: bool) -> None:
    """A request's name that no reply can repeat."""
    server = start_server()
    old = b'{"magic":"uvatar","protocol":1,"body":{"request":"%s"}}' % letters
    sent(server.port, *([server.token.encode()] if with_token else []), old)
    with server.client() as client:
        assert client.hello() and server.process.poll() is None


def test_a_failure_in_the_front_ends_one_message_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unpack = framing.unpack

    def short_of_memory(frames: Any, *arguments: Any) -> Any:
        if b"hello" in bytes(frames[0]):
            raise MemoryError
        return unpack(frames, *arguments)

    with front_in_thread(tmp_path) as front, client_of(front) as client:
        client._reply_seconds = 1.0
        with monkeypatch.context() as patched:
            patched.setattr("uvatar.service.server.framing.unpack", short_of_memory)
            with pytest.raises(ServerGone):
                client.hello()
        client._reply_seconds = PATIENCE
        assert client.status()


def test_without_the_token_nothing_of_a_message_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with front_in_thread(tmp_path, pool=PoolSettings(workers=0)) as front:
        parsed: list[Any] = []
        monkeypatch.setattr("uvatar.service.server.framing.unpack", parsed.append)
        large = b'{"magic":"uvatar","protocol":2,"body":[%s]}' % (b"{}," * 1_000_000 + b"1")
        for frames in ([large], [b"", large], [b"x" * 5_000_000, large], [front.runtime.token[1:].encode(), large]):
            assert b'"code": "' in sent(front.port, *frames)[0]
        assert not parsed


def test_the_token_is_compared_in_constant_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[Any] = []
    original = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda *two: compared.append(two) or original(*two))
    token = b"a token of sixteen letters"
    assert handshake.has_token([token], token.decode()) and not handshake.has_token([b"x"], token.decode())
    assert compared == [(token, token), (b"x", token)]
    asked = handshake.challenge()
    handshake.check_proof([handshake.proof(asked, "t", 1)], asked, "t", 1)
    assert len(compared) == 3


def test_others_are_answered_while_a_large_message_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unpack, begun, go = framing.unpack, threading.Event(), threading.Event()

    def slowly(frames: Any, *arguments: Any) -> Any:
        if len(bytes(frames[0])) > 100_000:
            begun.set()
            assert go.wait(PATIENCE)
        return unpack(frames, *arguments)

    monkeypatch.setattr("uvatar.service.server.framing.unpack", slowly)
    with front_in_thread(tmp_path) as front, client_of(front) as busy, client_of(front) as other:
        asking = threading.Thread(target=busy.request, args=("hello",), kwargs={"client": "x" * 200_000})
        asking.start()
        assert begun.wait(PATIENCE)
        assert other.hello() and other.status()
        go.set()
        asking.join(PATIENCE)
        assert not asking.is_alive()


@pytest.fixture
def stranger() -> Iterator[tuple[int, list[list[bytes]]]]:
    """A program that listens where a server was, and answers whatever would please a client: its port, and what it
    was sent.
    """
    received: list[list[bytes]] = []
    stop = threading.Event()
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        router.linger = 0
        port = router.bind_to_random_port("tcp://127.0.0.1")

        def listen() -> None:
            while not stop.is_set():
                if router.poll(20):
                    name, *frames = router.recv_multipart()
                    received.append(frames)
                    router.send_multipart([name, handshake.proof(frames[0], "a guess", port)])

        thread = threading.Thread(target=listen)
        thread.start()
        yield port, received
        stop.set()
        thread.join()


def test_whoever_has_the_port_of_a_dead_server_learns_nothing(
    stranger: tuple[int, list[list[bytes]]], tmp_path: Path
) -> None:
    port, received = stranger
    with Client(port, "the token of a dead server", PATIENCE) as client:
        assert code_of(client.submit, [("a.jpg", b"a face")]) == "wrong-token"
    assert len(received) == 1 and len(received[0]) == 1 and handshake.is_challenge(received[0])
    discovery.write_runtime(tmp_path, Runtime(port, "the token of a dead server", os.getpid(), "0.2.0"))
    assert find(tmp_path) is None and len(received) == 1  # nobody has the journal, so there is no server


def test_whoever_passes_on_a_challenge_is_no_server(start_server: StartServer) -> None:
    """The proof is for the port that the client has connected to: a stranger cannot borrow it of the real server."""
    server = start_server()
    asked = handshake.challenge()
    [proof] = sent(server.port, asked)
    handshake.check_proof([proof], asked, server.token, server.port)
    for port, token, nonce in (
        (server.port + 1, server.token, asked),
        (server.port, "other", asked),
        (server.port, server.token, handshake.challenge()),
    ):
        with pytest.raises(UvatarError) as caught:
            handshake.check_proof([proof], nonce, token, port)
        assert caught.value.code == "wrong-token"


def test_a_client_does_not_connect_again_by_itself(start_server: StartServer) -> None:
    """Another program that gets the port while a client is connected has to prove itself too."""
    server = start_server()
    with server.client() as client:
        assert client.hello()
        server.process.kill()
        server.process.wait()
        received: list[bytes] = []
        with socket.create_server(("127.0.0.1", server.port)) as impostor:
            impostor.settimeout(0.5)
            with suppress(TimeoutError):
                connection, _ = impostor.accept()
                received.append(connection.recv(1000))
        assert received == []


@pytest.mark.parametrize(
    "version", [b'{"magic":"uvatar","protocol":1,"body":{"kind":"hello"}}', b"uvatar 3?" + bytes(32)]
)
def test_other_versions_are_told_in_words_that_they_can_read(start_server: StartServer, version: bytes) -> None:
    server = start_server()
    header = json.loads(sent(server.port, version)[0])
    assert header["protocol"] == 1 and header["body"]["code"] == "unsupported-version" and header["body"]["fix"]
    asked = handshake.challenge()
    for answer in (b'{"magic":"uvatar","protocol":1,"body":{"kind":"error"}}', b"uvatar 3!" + bytes(32)):
        with pytest.raises(UvatarError) as caught:
            handshake.check_proof([answer], asked, "token", 1)
        assert caught.value.code == "unsupported-version"


def test_model_processes_have_no_port(start_server: StartServer) -> None:
    server = start_server("--workers", "2")
    with server.client() as client:
        run(client, photo())
        front = psutil.Process(server.process.pid)
        listening = [one for one in front.net_connections() if one.status == psutil.CONN_LISTEN]
        assert [one.laddr.port for one in listening] == [server.port]
        assert [one for child in front.children() for one in child.net_connections()] == []


def test_the_sockets_limits_are_set(tmp_path: Path) -> None:
    with front_in_thread(tmp_path) as front:
        router = front._listeners._listeners[0].socket
        assert router.getsockopt(zmq.MAXMSGSIZE) == LIMITS.frame_bytes
        assert router.getsockopt(zmq.RCVHWM) == WAITING_REQUESTS == 8
        assert router.getsockopt(zmq.SNDHWM) == WAITING_REPLIES == 128
        # A frame just above the limit is refused by its announcement.
        raw = wait_until(lambda: shake_hands(front.port), "a raw connection is made")
        with closing(raw):
            raw.sendall(b"\x02" + struct.pack(">Q", LIMITS.frame_bytes + 1) + b"x")
            raw.settimeout(PATIENCE)
            assert raw.recv(1) == b""


def seen_by_stranger(place: Path, pid: int) -> list[str]:
    """What another user finds below a folder: names, contents; and whether they can end a process."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.setgroups([])
        os.setgid(STRANGER)
        os.setuid(STRANGER)
        seen: list[str] = []
        for folder, folders, files in os.walk(place):
            seen += folders + files
            for name in files:
                with suppress(OSError):
                    seen.append(str(Path(folder, name).read_bytes()))
        with suppress(PermissionError):
            os.kill(pid, signal.SIGTERM)
            seen.append("ended")
        os.write(writing, json.dumps(seen).encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with open(reading, "rb") as file:
        found: list[str] = json.loads(file.read())
    return found


@as_root
def test_another_user_reads_nothing_and_ends_nothing(monkeypatch: pytest.MonkeyPatch, request: Any) -> None:
    """However the data folder comes to be, and under whatever name it lies open."""
    before = os.umask(0o022)
    request.addfinalizer(lambda: os.umask(before))
    place = Path(tempfile.mkdtemp())
    request.addfinalizer(lambda: shutil.rmtree(place, ignore_errors=True))
    place.chmod(0o755)
    data = place / "data"
    data.mkdir(mode=0o755)  # by an earlier version
    (data / "logs").mkdir(mode=0o755)
    monkeypatch.setenv("UVATAR_DATA", str(data))
    (discovery.private_subfolder("photos") / "photo of anna.png").write_bytes(b"a face")  # as the extension does
    with attach(data, ["--pipeline", "tests.service.fake_pipeline:FakePipeline", "--exit-when-idle", "60"]) as client:
        pid = client.status()["pid"]
        run(client, photo(), photo(fail="Nobody."))
        assert seen_by_stranger(place, pid) == ["data"]
        everything = [data, *data.rglob("*")]
        assert {stat.S_IMODE(path.stat().st_mode) for path in everything if path.is_dir()} == {0o700}
        open_files = [path for path in everything if path.is_file() and path.stat().st_mode & 0o077]
        assert open_files == [data / "photos" / "photo of anna.png"]  # this test's own, in a closed folder
        client.shutdown()


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no such signal on Windows")
def test_closing_the_terminal_ends_it_cleanly(start_server: StartServer) -> None:
    server = start_server()
    server.process.send_signal(signal.SIGHUP)
    assert server.process.wait(PATIENCE) == 0
    assert not discovery.runtime_file(server.folder).exists()


# -- nothing lost ------------------------------------------------------------------------------------------------------


def test_files_are_synced_and_then_their_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def noting(descriptor: int) -> None:
        synced.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    journal = Journal(tmp_path)
    synced.clear()
    add(journal, job := str(uuid.uuid4()), [("a.jpg", b"a"), ("b.jpg", b"b")], OPTIONS)
    if os.name != "nt":
        assert synced[:5] == ["file", "file", "file", "folder", "folder"]  # photos, manifest, its folder, all jobs
        synced.clear()
        journal.files.store_result(job, 0, {})
        assert synced == ["file", "folder"]
    journal.close()


def test_the_journal_is_synced_before_anything_is_promised(tmp_path: Path) -> None:
    with closing(Journal(tmp_path)) as journal:
        [(full,)] = journal._database.execute("PRAGMA synchronous").fetchall()
        assert full == 2
        [(secure,)] = journal._database.execute("PRAGMA secure_delete").fetchall()
        assert secure == 1


def test_a_deletion_that_dies_half_way_is_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def kill(*_: Any) -> None:
        raise Killed

    journal = Journal(tmp_path)
    job = new_job(journal)
    with monkeypatch.context() as patched:
        patched.setattr(JobFiles, "delete", kill)
        with pytest.raises(Killed):
            journal.delete(job)
    journal.close()
    with closing(Journal(tmp_path)) as again:
        assert again.jobs() == [] and not list((tmp_path / "jobs").iterdir())


def test_a_clock_that_was_behind_costs_no_result(tmp_path: Path) -> None:
    """An empty battery gives 1970: seen once, with results of today."""
    with closing(Journal(tmp_path)) as journal:
        job = new_job(journal)
        finish(journal, job)
        for behind in (time.time(), 40 * DAY):  # 1970; a month
            journal.clock = lambda behind=behind: time.time() - behind  # type: ignore[misc]
            assert clean(journal, Policy(days=30)) == []
            for days in (0, 1.2, 2.5, 29):
                journal.clock = lambda days=days: time.time() + days * DAY  # type: ignore[misc]
                assert clean(journal, Policy(days=30)) == [], f"{days} days after the clock was right again"
        journal.clock = lambda: time.time() + 30.5 * DAY
        assert clean(journal, Policy(days=30)) == []
        journal.clock = lambda: time.time() + 32 * DAY
        assert clean(journal, Policy(days=30)) == [job]


def test_a_full_disk_does_not_keep_a_job_from_ending(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancelled or forgotten: what makes room is deleted first."""
    with closing(Journal(tmp_path)) as journal:
        job = new_job(journal)
        photos = len(list(tmp_path.rglob("photo-*")))
        set_state = journal._set_cancelled

        def full(identifier: str) -> None:
            if len(list(tmp_path.rglob("photo-*"))) == photos:
                raise sqlite3.OperationalError("database or disk is full")
            set_state(identifier)

        monkeypatch.setattr(journal, "_set_cancelled", full)
        assert journal.cancel(job).state == "cancelled"


# -- nothing deleted that is not ours ----------------------------------------------------------------------------------


def test_a_folder_of_jobs_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    album = tmp_path / "data" / "jobs" / "2024 wedding" / "album.txt"
    album.parent.mkdir(parents=True)
    album.write_text("mine")
    (tmp_path / "data" / "jobs" / "list.csv").write_text("mine")
    done = uvatar("serve", "--data", tmp_path / "data")
    assert done.returncode == 1 and "is not Uvatar's" in done.stderr and "Traceback" not in done.stderr
    assert album.read_text() == "mine" and (tmp_path / "data" / "jobs" / "list.csv").read_text() == "mine"
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "jobs").symlink_to(tmp_path / "data" / "jobs")
    assert code_of(Journal, tmp_path / "linked") == "data-folder"


def test_what_is_not_ours_among_the_jobs_stays(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    job = new_job(journal)
    for name in (".DS_Store", "notes.txt"):
        (tmp_path / "jobs" / name).write_text("mine")
    leftover = tmp_path / "jobs" / str(uuid.uuid4())
    leftover.mkdir()
    journal.close()
    with closing(Journal(tmp_path)) as again:
        assert [one.id for one in again.jobs()] == [job] and not leftover.exists()
        assert (tmp_path / "jobs" / "notes.txt").read_text() == "mine"
    (tmp_path / "journal.sqlite").unlink()
    (tmp_path / "jobs" / "notes.txt").unlink()
    with closing(Journal(tmp_path)) as restored:  # what the Finder writes does not keep it from that
        assert [one.id for one in restored.jobs()] == [job]


# -- forgotten ---------------------------------------------------------------------------------------------------------


def test_a_damaged_journal_keeps_no_names(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    secret, name = b"a face" * 100, "mrs secret.jpg"
    add(journal, str(uuid.uuid4()), [(name, secret)], OPTIONS)
    journal.close()
    path = tmp_path / "journal.sqlite"
    content = path.read_bytes()
    assert name.encode() in content
    path.write_bytes(content[:100] + b"\xff" * 100 + content[200:])
    (tmp_path / "journal.damaged.sqlite").write_bytes(content)  # of an earlier version
    with closing(Journal(tmp_path)) as again:
        assert forget(again, photo=hashlib.sha256(secret).hexdigest())
        for file in (file for file in tmp_path.rglob("*") if file.is_file()):
            assert name.encode() not in file.read_bytes(), file


@pytest.mark.parametrize("what", ["photo", "everything"])
def test_a_job_on_its_way_to_the_disk_is_forgotten_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    store, begun, go = JobFiles.store, threading.Event(), threading.Event()

    def slowly(*arguments: Any) -> None:
        begun.set()
        assert go.wait(PATIENCE)
        store(*arguments)

    monkeypatch.setattr(JobFiles, "store", slowly)
    secret, job = photo(seconds=5), str(uuid.uuid4())
    with front_in_thread(tmp_path) as front, client_of(front) as busy, client_of(front) as other:
        sending = threading.Thread(target=busy.submit, args=([("a.jpg", secret)],), kwargs={"job": job})
        sending.start()
        assert begun.wait(PATIENCE)
        gone: list[str] = []
        fields: dict[str, Any] = {"photo": secret} if what == "photo" else {"everything": True}
        forgetting = threading.Thread(target=lambda: gone.extend(other.forget(**fields)))
        forgetting.start()
        forgetting.join(0.3)
        go.set()
        forgetting.join(PATIENCE)
        sending.join(PATIENCE)
        assert gone == [job] and code_of(other.status, job) == "unknown-job"
        assert list((tmp_path / "jobs").iterdir()) == []


def test_whoever_works_on_a_forgotten_job_ends_at_once(start_server: StartServer, tmp_path: Path) -> None:
    """So that nothing is written after the deletion, and no photo stays in memory."""
    server = start_server()
    with server.client() as client, server.client() as other:
        job = client.submit([("a.jpg", photo(wait_for=str(tmp_path / "never")))])
        events = client.events(job)
        next(event for event in events if event["kind"] == "progress" and event["stage"] == "stage 0")
        [worker] = server.workers()
        assert other.forget(job=job) == [job]
        assert not psutil.pid_exists(worker["pid"]) and list((server.folder / "jobs").iterdir()) == []
        assert list(events)[-1]["state"] == "cancelled"
        _, events_of_next = run(client, photo())
        assert states(events_of_next[-1]) == ["done"]
