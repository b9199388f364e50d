# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of photos with numbered boxes around their people, as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import bpy

from ..core.numbered_boxes import with_boxes
from ..core.pictures import write_pictures
from ..scene.material import read_pixels

_WIDEST = 640  # pixels of the longer side


def write_boxed(
    file: Path, jpeg: bytes, boxes: Sequence[Sequence[float]], included: Sequence[bool] | None = None
) -> Path | None:
    """Write a photo with numbered boxes around its people.

    Args:
        file: the PNG to write.
        jpeg: the photo.
        boxes: left, top, right, bottom of each person, shares of the photo's width and height.
        included: whether each of them becomes an avatar; None for all.

    Returns:
        The file; None where the picture cannot be made.
    """
    source, image = file.with_suffix(".jpg"), None
    try:
        source.write_bytes(jpeg)
        image = bpy.data.images.load(str(source))
        width, height = image.size
        share = min(1.0, _WIDEST / max(width, height, 1))
        image.scale(max(1, round(width * share)), max(1, round(height * share)))
        write_pictures({file: with_boxes(read_pixels(image), boxes, included)})
    except (OSError, RuntimeError, ValueError):
        return None
    finally:
        if image is not None:
            bpy.data.images.remove(image)
    return file
