# SPDX-License-Identifier: GPL-3.0-or-later
"""A ZeroMQ DEALER socket in plain Python: ZMTP 3.0 over TCP with the NULL mechanism (rfc.zeromq.org/spec/23).

It replaces pyzmq, whose wheels contain compiled code for one Python and one system: no set of them installs on all of
Blender 4.2 to 5.2, and on Windows a loaded library blocks updates of the add-on. The add-on only needs one connection
to one ROUTER, which is this module.

It is not thread-safe: one thread owns a socket.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Sequence
from typing import Any

MAX_FRAME_BYTES = 256 << 20
MAX_MESSAGE_BYTES = 1 << 30
MAX_MESSAGE_FRAMES = 16_385

_SIGNATURE = b"\xff" + bytes(8) + b"\x7f"
_GREETING = _SIGNATURE + b"\x03\x00" + b"NULL".ljust(20, b"\0") + b"\0" + bytes(31)
_MORE, _LONG, _COMMAND = 1, 2, 4  # bits of a frame's first byte
_CHUNK = 1 << 18


class ZmtpError(ConnectionError):
    """The peer does not speak ZMTP 3, violates it, or exceeds a limit. The connection is no longer usable."""


class Dealer:
    """One connection to a ROUTER."""

    def __init__(self, host: str, port: int, timeout: float = 5.0) -> None:
        """Connect and shake hands.

        Raises:
            ZmtpError: the peer is not a ROUTER.
            TimeoutError: the peer does not respond within ``timeout`` seconds.
            OSError: the connection is refused or fails.
        """
        self.last_heard = time.monotonic()  # when bytes were last received
        self._socket = socket.create_connection((host, port), timeout)
        self._received = bytearray()
        self._frames: list[bytes] = []
        self._message_bytes = 0
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._shake_hands(time.monotonic() + timeout)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the connection at once; does nothing if it has ended."""
        self._socket.close()

    def send(self, frames: Sequence[Any], timeout: float = 60.0) -> None:
        """Send one message.

        Raises:
            TimeoutError: the peer accepts nothing for ``timeout`` seconds.
        """
        last = len(frames) - 1
        for index, frame in enumerate(frames):
            self._send_frame(frame, _MORE if index < last else 0, timeout)

    def ping(self) -> None:
        """Send a ping. libzmq answers it by itself, so `last_heard` advances even while the server is busy."""
        self._send_frame(b"\x04PING\x00\x00", _COMMAND, 5.0)

    def receive(self, timeout: float) -> list[bytes] | None:
        """Return the next message, or None if none is complete within ``timeout`` seconds.

        Raises:
            ConnectionError: the connection has ended.
        """
        deadline = time.monotonic() + timeout
        while True:
            frame = self._take_frame()
            if frame is None:
                if not self._read(max(0.0, deadline - time.monotonic())):
                    return None
                continue
            flags, body = frame
            if flags & _COMMAND:
                self._answer(body)
                continue
            self._frames.append(body)
            self._message_bytes += len(body)
            if len(self._frames) > MAX_MESSAGE_FRAMES or self._message_bytes > MAX_MESSAGE_BYTES:
                raise ZmtpError("The server sent a message that is too large.")
            if not flags & _MORE:
                message, self._frames, self._message_bytes = self._frames, [], 0
                return message

    def _shake_hands(self, deadline: float) -> None:
        self._send_all(_GREETING, 5.0)
        while len(self._received) < len(_GREETING):
            # A peer with another protocol may wait forever for our next bytes, so the first byte is checked already.
            if self._received and self._received[0] != _SIGNATURE[0]:
                raise ZmtpError("The program on this port is not an Uvatar server.")
            self._read_or_fail(deadline)
        greeting = bytes(self._received[: len(_GREETING)])
        del self._received[: len(_GREETING)]
        if greeting[9] != _SIGNATURE[9] or greeting[10] < 3 or greeting[12:32] != _GREETING[12:32]:
            raise ZmtpError("The program on this port is not an Uvatar server.")
        self._send_frame(_ready_command(), _COMMAND, 5.0)
        while (frame := self._take_frame()) is None:
            self._read_or_fail(deadline)
        flags, body = frame
        properties = _properties(body[6:]) if body.startswith(b"\x05READY") and flags & _COMMAND else {}
        if properties.get(b"socket-type") != b"ROUTER":
            raise ZmtpError("The program on this port is not an Uvatar server.")

    def _read_or_fail(self, deadline: float) -> None:
        if not self._read(max(0.0, deadline - time.monotonic())):
            raise TimeoutError("The program on this port does not respond.")

    def _read(self, timeout: float) -> bool:
        """Read the bytes that have arrived; False if none arrive in time."""
        if not select.select([self._socket], [], [], timeout)[0]:
            return False
        chunk = self._socket.recv(_CHUNK)
        if not chunk:
            raise ConnectionResetError("The server closed the connection.")
        self._received += chunk
        self.last_heard = time.monotonic()
        return True

    def _take_frame(self) -> tuple[int, bytes] | None:
        """Return flags and body of the first complete frame received, or None."""
        received = self._received
        if not received:
            return None
        flags = received[0]
        start = 9 if flags & _LONG else 2
        if flags > 7 or flags & (_MORE | _COMMAND) == (_MORE | _COMMAND):
            raise ZmtpError("The server sent a frame of an unknown type.")
        if len(received) < start:
            return None
        size = struct.unpack_from(">Q", received, 1)[0] if flags & _LONG else received[1]
        if size > MAX_FRAME_BYTES:
            raise ZmtpError("The server sent a frame that is too large.")
        if len(received) < start + size:
            return None
        with memoryview(received) as view:
            body = bytes(view[start : start + size])
        del received[: start + size]
        return flags, body

    def _answer(self, command: bytes) -> None:
        if command.startswith(b"\x04PING"):
            # A PONG echoes the context, which follows the two bytes of the TTL.
            self._send_frame(b"\x04PONG" + command[7:23], _COMMAND, 5.0)

    def _send_frame(self, frame: Any, flags: int, timeout: float) -> None:
        body = memoryview(frame).cast("B")
        size = body.nbytes
        if size > MAX_FRAME_BYTES:
            raise ZmtpError(f"A frame of {size} bytes is too large to send.")
        head = struct.pack(">BQ", flags | _LONG, size) if size > 255 else bytes((flags, size))
        if size <= _CHUNK:
            self._send_all(head + bytes(body), timeout)
        else:
            self._send_all(head, timeout)
            self._send_all(body, timeout)

    def _send_all(self, data: bytes | memoryview, timeout: float) -> None:
        self._socket.settimeout(timeout)  # per chunk, because a slow reader is not dead
        view = memoryview(data)
        for start in range(0, view.nbytes, _CHUNK):
            self._socket.sendall(view[start : start + _CHUNK])


def _ready_command() -> bytes:
    fields = ((b"Socket-Type", b"DEALER"), (b"Identity", b""))
    return b"\x05READY" + b"".join(
        bytes((len(name),)) + name + struct.pack(">I", len(value)) + value for name, value in fields
    )


def _properties(encoded: bytes) -> dict[bytes, bytes]:
    """Parse the name-value pairs of a READY command, names in lower case. Raises ZmtpError if they are truncated."""
    properties, place = {}, 0
    while place < len(encoded):
        value_at = place + 1 + encoded[place] + 4
        if value_at > len(encoded):
            raise ZmtpError("The server's greeting is damaged.")
        size = struct.unpack_from(">I", encoded, value_at - 4)[0]
        properties[encoded[place + 1 : value_at - 4].lower()] = encoded[value_at : value_at + size]
        place = value_at + size
    return properties
