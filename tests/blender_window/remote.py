"""Runs inside the Blender that a test drives: does what the test asks on the main thread, between Blender's own events.

    blender --python remote.py -- PORT

Connects to the test at that port of this computer and reads one JSON text per line, {"run": source}. The source is run
with `bpy` and whatever earlier sources defined; the answer is {"value": ...} of its variable ``answer``, or {"error":
traceback}.
"""

from __future__ import annotations

import json
import socket
import sys
import traceback
from typing import Any

import bpy

INTERVAL = 0.01  # seconds between looks at what the test wants


class Remote:
    """The connection to the test, looked at by a timer."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 10)
        self._socket.setblocking(False)
        self._received = b""
        self._names: dict[str, Any] = {"bpy": bpy}

    def tick(self) -> float | None:
        """The timer's function."""
        try:
            received = self._socket.recv(1 << 16)
        except BlockingIOError:
            return INTERVAL
        if not received:
            bpy.ops.wm.quit_blender()
            return None
        *lines, self._received = (self._received + received).split(b"\n")
        for line in lines:
            self._reply(self._run(json.loads(line)["run"]))
        return INTERVAL

    def _run(self, source: str) -> dict[str, Any]:
        self._names.pop("answer", None)
        try:
            exec(source, self._names)
            json.dumps(self._names.get("answer"))
            return {"value": self._names.get("answer")}
        except Exception:
            return {"error": traceback.format_exc()}

    def _reply(self, answer: dict[str, Any]) -> None:
        self._socket.setblocking(True)
        self._socket.sendall(json.dumps(answer).encode() + b"\n")
        self._socket.setblocking(False)


bpy.app.timers.register(Remote(int(sys.argv[-1])).tick, persistent=True)
