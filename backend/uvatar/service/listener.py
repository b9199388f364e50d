"""The sockets that clients connect to: one for this computer and, if opened, an encrypted one for other computers."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psutil
import zmq

from uvatar.protocol import framing
from uvatar.protocol.errors import Code, UvatarError
from uvatar.protocol.framing import LIMITS
from uvatar.runtime import memory_limits
from uvatar.service import network
from uvatar.service.job_files import disk_error

# How these were chosen is not recorded, but what follows from them is tested (`tests/service/test_load.py`).
WAITING_REQUESTS = 8  # messages from one client, up to 1 GiB each; further ones stay on its side
WAITING_REPLIES = 128  # messages to one client that does not read, as a rule 4.5 MB each; further ones are dropped
MEMORY_STEP = 256 << 20  # bytes by which memory that the allocator keeps may grow: the largest frame
_REOPEN_TRIES, _REOPEN_PAUSE = 200, 0.01  # seconds; two in all, for a port that ZeroMQ releases within milliseconds

log = logging.getLogger("uvatar.service.listener")


@dataclass(frozen=True)
class Peer:
    """A client's connection: the listener that accepted it, and its identity there."""

    listener: Listener
    identity: bytes

    def send(self, message: Mapping[str, Any]) -> bool:
        """Send a message, or the error if it cannot be packed; False if the client is gone or does not read."""
        try:
            frames = framing.pack(message)
        except UvatarError as error:
            frames = framing.pack({"kind": "error", "request": message.get("request"), **error.as_dict()})
        return self.send_frames(frames)

    def send_error(self, error: Exception) -> None:
        """Answer a message that cannot be read."""
        self.send({**error_reply(error), "request": None})

    def send_frames(self, frames: Sequence[Any]) -> bool:
        """Send a packed message; returns as `send`."""
        return self.listener.send(self.identity, frames)


def error_reply(error: Exception) -> dict[str, Any]:
    """The error reply for a failed request."""
    if isinstance(error, UvatarError):
        return {"kind": "error", **error.as_dict()}
    log.error("A request failed", exc_info=error)
    if isinstance(error, (OSError, sqlite3.Error)):
        return {"kind": "error", **disk_error(error).as_dict()}
    message = f"The server failed on this request: {type(error).__name__}: {error}"
    unexpected = UvatarError(message[:500], Code.SERVER_ERROR, "Please report this with the server's log.")
    return {"kind": "error", **unexpected.as_dict()}


class Listener:
    """A ROUTER socket for clients that have its token; see `uvatar.service.network` for the keys."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        host: str,
        port: int,
        token: str,
        keys: network.Keys | None = None,
    ) -> None:
        """Open the socket.

        Raises:
            UvatarError: it cannot be opened ("port-taken"), or it would be open to a network without encryption.
        """
        if host != "127.0.0.1" and keys is None:
            raise UvatarError(
                "The server does not accept network connections without encryption.",
                Code.NO_ENCRYPTION,
                "Omit the address.",
            )
        self.token = token
        self._context = context
        self._host = host
        self._keys = keys
        self.socket = self._open(port)
        self.port = int(self.socket.getsockopt_string(zmq.LAST_ENDPOINT).rsplit(":", 1)[1])

    def receive(self) -> tuple[Peer, Sequence[Any]]:
        """The next message: its sender and its frames."""
        identity, *frames = self.socket.recv_multipart(copy=False)
        return Peer(self, identity.bytes), frames

    def send(self, identity: bytes, frames: Sequence[Any]) -> bool:
        """Send to a client; False if it is gone or does not read, in which case the message is dropped."""
        try:
            self.socket.send_multipart([identity, *frames], zmq.NOBLOCK)
            return True
        except zmq.ZMQError as error:
            log.info("A message to a client was dropped: %s", error)
            return False

    def reopen(self) -> None:
        """Drop all connections and everything they have sent.

        Well-behaved clients reconnect by themselves and ask for their jobs.
        """
        self.socket.close(linger=0)
        for _ in range(_REOPEN_TRIES):  # ZeroMQ releases a port in its own thread
            with suppress(UvatarError):
                self.socket = self._open(self.port)
                return
            time.sleep(_REOPEN_PAUSE)
        self.socket = self._open(self.port)

    def close(self) -> None:
        """Close the socket; replies that are on their way are still sent."""
        self.socket.close(linger=1000)

    def _open(self, port: int) -> zmq.Socket[bytes]:
        router: zmq.Socket[bytes] = self._context.socket(zmq.ROUTER)
        router.setsockopt(zmq.MAXMSGSIZE, LIMITS.frame_bytes)  # enforced before memory is allocated
        router.setsockopt(zmq.ROUTER_MANDATORY, 1)  # reports clients that are gone
        router.setsockopt(zmq.RCVHWM, WAITING_REQUESTS)
        router.setsockopt(zmq.SNDHWM, WAITING_REPLIES)
        if self._keys:
            network.encrypt_server(router, self._keys)
            # A laptop that is closed does not disconnect. Milliseconds; how they were chosen is not recorded.
            router.setsockopt(zmq.HEARTBEAT_IVL, 10_000)
            router.setsockopt(zmq.HEARTBEAT_TIMEOUT, 60_000)
        try:
            # In ZeroMQ "*" stands for a port of the system's choice.
            router.bind(network.endpoint(self._host, port) if port else f"tcp://{self._host}:*")
        except zmq.ZMQError as error:
            router.close(linger=0)
            raise UvatarError(
                f"Port {port} cannot be used: {error}", Code.PORT_TAKEN, "Choose another port, or 0 for any free port."
            ) from error
        return router


class Listeners:
    """All listeners of a server, with a limit on the memory that their connections use.

    Before allocating memory, ZeroMQ limits the size of a frame and the number of messages, but not the number of frames
    in a message: anybody who can reach the port could fill the memory with one endless message, before the token is
    checked. So when the process has grown beyond what well-behaved clients need, the listeners are closed and opened
    again, which frees what was sent.
    """

    def __init__(self, listeners: Sequence[Listener], memory_limit: int | None = None) -> None:
        """Watch the listeners.

        Args:
            listeners: the sockets.
            memory_limit: bytes of this process; by default half of the computer's memory, but 2 to 8 GB: two
                messages of the largest size fit into the least. How the share was chosen is not recorded.
        """
        self._listeners = list(listeners)
        self._process = psutil.Process()
        self._limit = memory_limit or min(max(memory_limits.memory().total // 2, 2 << 30), 8 << 30)
        self._floor = 0
        self._poller = zmq.Poller()
        for listener in self._listeners:
            self._poller.register(listener.socket, zmq.POLLIN)

    def also_wake_for(self, socket: zmq.Socket[bytes]) -> None:
        """Let `wait` end for this socket too."""
        self._poller.register(socket, zmq.POLLIN)

    def wait(self, milliseconds: int) -> Iterator[Listener]:
        """Wait for at most this time; yields the listeners that have a message."""
        ready = dict(self._poller.poll(milliseconds))
        return (listener for listener in self._listeners if listener.socket in ready)

    def limit_memory(self) -> bool:
        """Close and reopen the listeners if the process has grown too large; returns whether that was done."""
        size = self._process.memory_info().rss
        self._floor = min(self._floor, size)
        if size < max(self._limit, self._floor + MEMORY_STEP):
            return False
        log.error("The process has grown to %d MB: dropping all connections", size >> 20)
        for listener in self._listeners:
            self._poller.unregister(listener.socket)
            listener.reopen()
            self._poller.register(listener.socket, zmq.POLLIN)
        self._floor = size  # until it shrinks: memory that the allocator keeps is no reason to do this again
        return True

    def close(self) -> None:
        """Close all listeners."""
        for listener in self._listeners:
            with suppress(zmq.ZMQError):
                listener.close()
