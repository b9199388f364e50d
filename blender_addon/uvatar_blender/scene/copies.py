# SPDX-License-Identifier: GPL-3.0-or-later
"""Temporary copies of data-blocks, which have the names of the originals and are removed without a trace."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import bpy


class Names:
    """Gives temporary copies the names of their originals, which get them back with `give_back`.

    The names of linked data need not be taken: each library has its own.
    """

    def __init__(self) -> None:
        self._lent: list[tuple[bpy.types.ID, str]] = []

    def take(self, thing: bpy.types.ID, name: str, kind: bpy.types.bpy_prop_collection) -> None:
        """Give ``thing`` this name, taking it from the data-block that has it.

        Args:
            thing: the copy.
            name: its new name.
            kind: the collection of bpy.data that has both.
        """
        holder = kind.get((name, None))  # None: of this file, not of a library
        if holder is not None and holder != thing:
            holder.name = f"uvatar lends {uuid.uuid4().hex[:8]}"  # short: Blender cuts names at 63 bytes
            self._lent.append((holder, name))
        thing.name = name

    def give_back(self) -> None:
        """Rename the originals back; call this when the copies have been removed."""
        while self._lent:
            holder, name = self._lent.pop()
            holder.name = name


def own_copy(thing: bpy.types.ID) -> bpy.types.ID:
    """Copy a data-block into this file, whether the original is local, linked or a library override."""
    copy = thing.copy()
    return copy.make_local(clear_liboverride=True) if copy.override_library else copy


def everything() -> set[bpy.types.ID]:
    """Return all data-blocks of the file."""
    kinds = (getattr(bpy.data, kind.identifier) for kind in bpy.data.bl_rna.properties if kind.type == "COLLECTION")
    return {item for kind in kinds for item in kind}


@contextmanager
def nothing_left() -> Iterator[None]:
    """Remove all data-blocks that are made in this context, by us or by Blender's exporters, and nothing else."""
    before = everything()
    try:
        yield
    finally:
        bpy.data.batch_remove(everything() - before)
