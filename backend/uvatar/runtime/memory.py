"""Memory of this process: recognising out-of-memory errors, and keeping freed memory or returning it to the system.

Returning it keeps a server that runs for weeks no larger than what it holds. glibc keeps large freed blocks that lie
below a small live allocation, or at the top of a thread's heap. Which jobs leave such blocks is chance, so without this
the processes seem to grow and shrink by the size of a result or of a model's buffers.
"""

from __future__ import annotations

import ctypes
import errno
import re
from contextlib import suppress

import psutil

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's <malloc.h>
_KEPT = 1 << 30  # bytes at the end of a heap that stay with the process
_LARGEST_KEPT = 32 << 20  # bytes of a block; glibc's limit
_LARGE = 128 << 10  # bytes; glibc's initial value

# Messages of libraries that have no exception type for it: OpenCV, torch, onnxruntime and its GPU providers, Pillow's
# and libheif's decoders, and Windows when it cannot load a library (in the system's language, except for the number).
_PAGING_FILE_TOO_SMALL = 1455
_OUT_OF_MEMORY = re.compile(
    r"\(-4:Insufficient memory\)|not enough memory|out of memory|can't allocate memory|cannot allocate memory|bad_alloc"
    r"|paging file is too small|Memory allocation error(?!.*Security limit)|Failed to allocate memory"
    r"|smaller than requested bytes|E_OUTOFMEMORY|8007000E|CUBLAS_STATUS_ALLOC_FAILED|CUDNN_STATUS_ALLOC_FAILED",
    re.IGNORECASE,
)


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an exception or one of its causes is an out-of-memory error of any library."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM or _is_windows_own(error):
            return True
        speaks = isinstance(error, (RuntimeError, OSError, ValueError, ImportError)) or type(
            error
        ).__module__.startswith(("cv2", "onnxruntime"))
        if speaks and _OUT_OF_MEMORY.search(str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


def _is_windows_own(error: BaseException) -> bool:
    return getattr(error, "winerror", None) == _PAGING_FILE_TOO_SMALL or f"[WinError {_PAGING_FILE_TOO_SMALL}]" in str(
        error
    )


def give_back() -> None:
    """Make the C library return unused pages to the system; takes milliseconds."""
    if hasattr(psutil, "heap_trim"):  # all systems but those with musl
        with suppress(OSError):
            psutil.heap_trim()


def always_give_back() -> None:
    """From now on, allocate every large block as separate pages, which are returned when it is freed.

    By default glibc raises the size from which it does so whenever such a block is freed; other C libraries are left as
    they are. This is for processes that only pass blocks on: those that compute would spend much time on new pages.
    """
    with suppress(AttributeError, OSError, TypeError):  # no such call, or no library of that kind
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE)


def keep_freed() -> None:
    """From now on, keep freed memory for what is allocated next; `give_back` still returns it.

    By default glibc returns much of it at once. NumPy allocates and frees a picture with every operation, and getting
    new pages from the system takes longer than most operations on them. Other C libraries are left as they are.
    """
    with suppress(AttributeError, OSError, TypeError):  # no such call, or no library of that kind
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT)
        library.mallopt(_M_TRIM_THRESHOLD, _KEPT)
