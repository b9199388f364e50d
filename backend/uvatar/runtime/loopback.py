"""Whether programs on this computer can reach each other by TCP."""

from __future__ import annotations

import socket

from uvatar.protocol.errors import Code, UvatarError


def listens(port: int, host: str = "127.0.0.1") -> bool:
    """Whether anything listens on this port (of this computer by default)."""
    try:
        with socket.create_connection((host, port), timeout=2):
            return True
    except OSError:
        return False


def check_loopback() -> None:
    """Raise UvatarError ("no-loopback") if programs on this computer cannot reach each other at 127.0.0.1."""
    try:
        with (
            socket.create_server(("127.0.0.1", 0)) as server,
            socket.create_connection(server.getsockname(), timeout=5),
        ):
            pass
    except OSError as error:
        message = f"Programs on this computer cannot reach each other at 127.0.0.1: {error.strerror or error}."
        fix = "Uvatar's processes communicate only at this address. Check the firewall or the container's network."
        raise UvatarError(message, Code.NO_LOOPBACK, fix) from error
