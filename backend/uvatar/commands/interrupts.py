"""Handling of Ctrl+C so that no interrupt is lost."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def remembered_interrupts() -> Iterator[Callable[[], None]]:
    """Within the block, Ctrl+C raises KeyboardInterrupt as usual, and the yielded function raises it again.

    Python drops exceptions that are raised while an object is being freed, so a Ctrl+C pressed while a thread pool
    shuts down, for example, would be lost. Call the yielded function wherever the work can stop. Outside the main
    thread, and where Ctrl+C is ignored or handled otherwise, nothing changes.
    """
    pressed = threading.Event()

    def press(number: int, frame: FrameType | None) -> None:
        pressed.set()
        signal.default_int_handler(number, frame)

    def again() -> None:
        if pressed.is_set():
            raise KeyboardInterrupt

    ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if ours:
        signal.signal(signal.SIGINT, press)
    try:
        yield again
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
