"""The add-on's ZeroMQ socket against libzmq, and against others that are not ZeroMQ."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
import zmq

from uvatar_blender.core import zmtp
from uvatar_blender.core.zmtp import Dealer, ZmtpError


@pytest.fixture
def router() -> Iterator[tuple[zmq.Socket[bytes], int]]:
    context = zmq.Context()
    made = context.socket(zmq.ROUTER)
    made.linger = 0
    made.rcvtimeo = 10_000
    yield made, made.bind_to_random_port("tcp://127.0.0.1")
    context.destroy(linger=0)


@pytest.fixture
def impostor() -> Iterator[Callable[[bytes], int]]:
    """Starts a server that answers every connection with the same bytes; its port."""
    listeners: list[socket.socket] = []

    def start(answer: bytes) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def serve() -> None:
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                connection.sendall(answer)
                while connection.recv(4096):
                    pass

        threading.Thread(target=serve, daemon=True).start()
        return listener.getsockname()[1]

    yield start
    for listener in listeners:
        listener.close()


@pytest.mark.parametrize(
    "frames",
    [[b"one"], [b"", b""], [b"x" * 255], [b"x" * 256, b"", b"end"], [b"\xff" * 3_000_000, b"tail"], [b"f"] * 300],
    ids=["short", "empty", "longest short", "shortest long", "several chunks", "many"],
)
def test_messages_cross_in_both_directions(router: tuple[zmq.Socket[bytes], int], frames: list[bytes]) -> None:
    server, port = router
    client = Dealer("127.0.0.1", port)
    client.send([memoryview(frame) for frame in frames])
    sender, *arrived = server.recv_multipart()
    assert arrived == frames
    server.send_multipart([sender, *frames])
    assert client.receive(5) == frames
    client.close()


def test_messages_in_a_row_stay_apart_and_in_order(router: tuple[zmq.Socket[bytes], int]) -> None:
    server, port = router
    client = Dealer("127.0.0.1", port)
    client.send([b"hello"])
    sender, _ = server.recv_multipart()
    for number in range(50):
        server.send_multipart([sender, b"%d" % number, b"body"])
    assert [client.receive(5) for _ in range(50)] == [[b"%d" % number, b"body"] for number in range(50)]
    assert client.receive(0.01) is None
    client.close()


def test_libzmq_answers_a_ping_while_its_program_is_busy(router: tuple[zmq.Socket[bytes], int]) -> None:
    _, port = router
    client = Dealer("127.0.0.1", port)
    before = client.last_heard
    client.ping()
    assert client.receive(0.3) is None
    assert client.last_heard > before


def test_libzmqs_heartbeats_are_answered() -> None:
    context = zmq.Context()
    server = context.socket(zmq.ROUTER)
    server.setsockopt(zmq.HEARTBEAT_IVL, 50)
    server.setsockopt(zmq.HEARTBEAT_TIMEOUT, 200)
    client = Dealer("127.0.0.1", server.bind_to_random_port("tcp://127.0.0.1"))
    assert client.receive(0.7) is None  # had it not answered, the server would have hung up by now: ConnectionError
    client.send([b"alive"])
    assert server.poll(5000) and server.recv_multipart()[1:] == [b"alive"]
    client.close()
    context.destroy(linger=0)


def test_the_servers_end_is_noticed() -> None:
    context = zmq.Context()
    server = context.socket(zmq.ROUTER)
    client = Dealer("127.0.0.1", server.bind_to_random_port("tcp://127.0.0.1"))
    context.destroy(linger=0)
    with pytest.raises(ConnectionError):
        client.receive(5)
    client.close()


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises((ConnectionError, TimeoutError)):
        Dealer("127.0.0.1", port, timeout=1)


GREETING = b"\xff" + bytes(8) + b"\x7f" + b"\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
READY_AS_PUB = b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03PUB"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        GREETING.replace(b"NULL", b"CURV"),
        GREETING[:10] + b"\x01" + GREETING[11:],  # ZMTP 1
        GREETING + READY_AS_PUB,
        GREETING + b"\x04\x0a\x05READY\xff\xff\xff\xff",  # a name longer than its command
        GREETING + b"\x07\x00",  # flags that exclude each other
        GREETING + b"\x02" + b"\x7f" * 8,  # a frame of 9 exabytes
    ],
)
def test_other_programs_on_the_port_are_refused(impostor: Callable[[bytes], int], answer: bytes) -> None:
    with pytest.raises(ZmtpError):
        Dealer("127.0.0.1", impostor(answer), timeout=5)


def test_a_silent_program_on_the_port_is_given_up(impostor: Callable[[bytes], int]) -> None:
    with pytest.raises(TimeoutError):
        Dealer("127.0.0.1", impostor(b""), timeout=0.2)


def test_messages_larger_than_the_limit_are_refused(
    router: tuple[zmq.Socket[bytes], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zmtp, "MAX_MESSAGE_BYTES", 1000)
    server, port = router
    client = Dealer("127.0.0.1", port)
    client.send([b"hello"])
    sender, _ = server.recv_multipart()
    server.send_multipart([sender, b"x" * 600, b"x" * 600])
    with pytest.raises(ZmtpError, match="too large"):
        client.receive(5)
    client.close()
