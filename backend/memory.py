"""Giving freed memory back to the system, so that a server that runs for weeks has the size of what it holds."""

from __future__ import annotations

from contextlib import suppress

import psutil


def give_back() -> None:
    """Have the C library return the pages that nothing uses any more; takes milliseconds.

    By itself glibc returns only what lies at the top of its heap: one small allocation above a large block that was freed, and
    the process stays larger by that block for as long as the small one lives.  Which jobs leave one there is chance.
    """
    if hasattr(psutil, "heap_trim"):  # all systems but those with musl
        with suppress(OSError):
            psutil.heap_trim()
