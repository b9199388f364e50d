"""The server's process: `serve` runs a server until asked to stop."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
from contextlib import suppress

from uvatar.protocol import discovery
from uvatar.protocol.framing import PROTOCOL_VERSION
from uvatar.protocol.private_files import private_data_folder
from uvatar.protocol.version import __version__
from uvatar.runtime.memory import always_give_back
from uvatar.service.logs import log_to_folder
from uvatar.service.server import Front, Settings

log = logging.getLogger("uvatar.service.server")


def serve(settings: Settings, exit_with_parent: bool = False) -> None:
    """Run a server in this process until a request, Ctrl+C, SIGTERM or, if asked for, its parent's end stops it.

    When it is ready it prints one JSON line to standard output, for a parent process that waits for it.

    Raises:
        AlreadyServed, UvatarError, OSError: as `Front`.
    """
    always_give_back()
    os.umask(0o077)
    private_data_folder(settings.folder)
    log_to_folder(settings.folder)
    front = Front(settings)
    for number in {signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)}:  # not on Windows
        signal.signal(number, lambda *_: front.stop())
    if exit_with_parent:
        threading.Thread(target=_stop_with_parent, args=(front,), daemon=True).start()
    ready = {"uvatar": __version__, "protocol": PROTOCOL_VERSION, "port": front.port, "pid": os.getpid()}
    with suppress(OSError, ValueError, AttributeError):  # there may be no standard output, without a console
        print(json.dumps({**ready, "runtime": str(discovery.runtime_file(settings.folder))}), flush=True)
    log.info("Serving on port %d%s", front.port, f" and, encrypted, at {settings.network}" if settings.network else "")
    front.run()
    log.info("Stopped")


def _stop_with_parent(front: Front) -> None:
    """Stop when standard input ends, because its other end closes when the parent ends, however it ends."""
    with suppress(OSError, ValueError, AttributeError):
        while os.read(sys.stdin.fileno(), 1024):
            pass
    front.stop()
