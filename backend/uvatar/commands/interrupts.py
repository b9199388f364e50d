"""Ctrl+C that is not lost."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def remembered_interrupts() -> Iterator[Callable[[], None]]:
    """Within the block Ctrl+C raises KeyboardInterrupt as always, and what the block is given raises it again.

    Python drops an exception that arises while an object is being freed, this one too: someone who presses Ctrl+C while
    a pool of threads ends, say, would have to press again. So call it wherever work can end.  Outside the main thread,
    and where Ctrl+C is ignored or handled otherwise, nothing changes.
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
