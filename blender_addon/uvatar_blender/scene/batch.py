# SPDX-License-Identifier: GPL-3.0-or-later
"""Saving one .blend file per person, without changing the open file."""

from __future__ import annotations

import itertools
from collections.abc import Generator
from pathlib import Path

import bpy

from ..core.result import AvatarsResult, ResultError, short_id
from .avatar import STAGE, ImportOptions, data_of, import_steps, new_stage, on_stage


def save_steps(result: AvatarsResult, folder: Path, options: ImportOptions) -> Generator[bool, None, list[Path]]:
    """Save each person of a photo as a .blend file of their own, in slices.

    No existing file is replaced. People are built in a staging scene, which is removed afterwards.

    Args:
        result: what the backend found in the photo.
        folder: where the files go.
        options: how the people are imported.

    Yields:
        False, after each slice.

    Returns:
        The files.

    Raises:
        ResultError: a person could not be built, or a file could not be written.
    """
    saved = []
    for index, avatar in enumerate(result.people):
        scene = new_stage(result.title)
        steps = import_steps(result, scene, [index], options)
        made: list[bpy.types.ID] = [scene]
        try:
            while True:
                with on_stage(scene):
                    try:
                        next(steps)
                    except StopIteration:
                        break
                yield False
            made += data_of(scene)
            del scene[STAGE]
            path = _free_path(folder, f"{result.title} {short_id(avatar.id)}")
            try:
                # Not compressed: that would take longer than a slice may.
                bpy.data.libraries.write(str(path), {scene}, fake_user=False)
            except (RuntimeError, OSError) as error:
                raise ResultError(f"{path} could not be written: {str(error).strip().splitlines()[-1]}") from error
            saved.append(path)
        except ReferenceError as error:
            raise ResultError("Saving was stopped because the avatar being built was undone or deleted.") from error
        finally:
            steps.close()
            bpy.data.batch_remove(made)
        yield False
    return saved


def _free_path(folder: Path, stem: str) -> Path:
    name = bpy.path.clean_name(stem, replace=" ")
    candidates = (
        folder / f"{name}{number}.blend" for number in itertools.chain([""], (f"-{n}" for n in itertools.count(2)))
    )
    return next(path for path in candidates if not path.exists())
