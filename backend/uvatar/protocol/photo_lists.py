"""Photos as clients and server name them and share them out among jobs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from .framing import LIMITS

# What a job holds at most. The server refuses more photos; the bytes are how much of the photos a client should hold in
# its memory, and the server after it, before they are on the disk. One photo of the largest size that a message can
# carry still makes a job.
JOB_PHOTOS = 500
JOB_BYTES = LIMITS.frame_bytes
# Files that are offered and looked for as photos, everywhere: all that `uvatar.photos.decoding` reads, by the names
# that cameras, phones, browsers and scanners give them.
PHOTO_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    *(".png", ".webp", ".heic", ".heif", ".avif", ".tif", ".tiff", ".bmp", ".gif"),
)


def shown(text: str) -> str:
    """Text of which every character can be shown, stored and sent.

    U+FFFD stands for control characters and for what is not Unicode.

    File names hold the latter where they are not UTF-8 (Linux), or have half a surrogate pair (Windows).
    """
    return re.sub(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", "\ufffd", text)


def photo_name(name: str) -> str:
    """A photo's name as a job knows it: no folders, nothing that cannot be shown.

    It is shown to people and never used as a path.
    """
    return shown(re.split(r"[\\/]", name)[-1])[:200] or "photo"


def portions(sizes: Iterable[int], most_photos: int = JOB_PHOTOS, most_bytes: int = JOB_BYTES) -> Iterator[range]:
    """How many photos are shared out among jobs, in their order: the indices of the photos of each job.

    A photo that is larger than ``most_bytes`` gets a job of its own. Sizes are taken one at a time, so they may come
    from a generator.

    Args:
        sizes: bytes of each photo.
        most_photos: of a job.
        most_bytes: of a job.
    """
    start, end, held = 0, 0, 0
    for size in sizes:
        if end > start and (end - start >= most_photos or held + size > most_bytes):
            yield range(start, end)
            start, held = end, 0
        end, held = end + 1, held + size
    if end > start:
        yield range(start, end)
