"""Giving freed memory back to the system, so that a server that runs for weeks is as large as what it holds.

glibc keeps large blocks that were freed: below a small allocation that lives on, and at the top of each thread's heap.  Which
jobs leave some there is chance, so the processes seem to grow and to shrink by the size of a result or of a model's buffers.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress

import psutil

_M_MMAP_THRESHOLD = -3  # of glibc's <malloc.h>
_LARGE = 128 << 10  # bytes; where glibc begins


def give_back() -> None:
    """Have the C library return the pages that nothing uses now; takes milliseconds."""
    if hasattr(psutil, "heap_trim"):  # all systems but those with musl
        with suppress(OSError):
            psutil.heap_trim()


def always_give_back() -> None:
    """From now on have every large block be pages of its own, which go when it is freed.

    glibc does that for ever larger blocks only, as it learns what is freed; other C libraries are left as they are.  For processes
    that pass blocks on: those that compute would spend much of their time on new pages.
    """
    with suppress(AttributeError, OSError, TypeError):  # no such call, or no library of that kind
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE)
