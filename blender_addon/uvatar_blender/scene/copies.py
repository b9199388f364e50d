# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies that live for a while: they bear the originals' names, and go without taking anything of the artist's with
them.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import bpy


class Names:
    """Names that copies bear for a while; `give_back` gives them back.

    Names of linked data are free: libraries have their own.
    """

    def __init__(self) -> None:
        self._lent: list[tuple[bpy.types.ID, str]] = []

    def take(self, thing: bpy.types.ID, name: str, kind: bpy.types.bpy_prop_collection) -> None:
        """Give ``thing`` this name, whoever has it now; ``kind`` is the collection of bpy.data that has both."""
        holder = kind.get((name, None))  # None: of this file, not of a library
        if holder is not None and holder != thing:
            holder.name = f"uvatar lends {uuid.uuid4().hex[:8]}"  # short: Blender cuts names at 63 bytes
            self._lent.append((holder, name))
        thing.name = name

    def give_back(self) -> None:
        """To be called when the copies are gone."""
        while self._lent:
            holder, name = self._lent.pop()
            holder.name = name


def own_copy(thing: bpy.types.ID) -> bpy.types.ID:
    """A copy that belongs to this file, whether the original is its own, linked, or overridden."""
    copy = thing.copy()
    return copy.make_local(clear_liboverride=True) if copy.override_library else copy


def everything() -> set[bpy.types.ID]:
    """All data of the file."""
    kinds = (getattr(bpy.data, kind.identifier) for kind in bpy.data.bl_rna.properties if kind.type == "COLLECTION")
    return {item for kind in kinds for item in kind}


@contextmanager
def nothing_left() -> Iterator[None]:
    """Remove what is made meanwhile, by us or by Blender's exporters, and nothing else."""
    before = everything()
    try:
        yield
    finally:
        bpy.data.batch_remove(everything() - before)
