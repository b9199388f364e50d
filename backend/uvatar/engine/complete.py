"""Completing a texture that the artist has painted over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from uvatar.data.photo import PhotoFile
from uvatar.results.present import present_texture, present_texture_failure
from uvatar.texturing.layout.atlas import Atlases, TexturingError
from uvatar.texturing.layout.layouts import atlas_for
from uvatar.texturing.painted import complete_painted, read_painted


def complete_texture(pictures: Sequence[PhotoFile], atlases: Atlases) -> dict[str, Any]:
    """The completed texture as a result (docs/result-schema.md).

    Args:
        pictures: PNG files: the painted texture, its labels and, perhaps, what it was before.
        atlases: of the body that it is for; the texture may have the layout of older versions' avatars.

    Where they cannot be used the result says why in ``errors``.
    """
    try:
        if len(pictures) not in (2, 3):
            raise TexturingError(
                "Completing a texture takes two or three pictures: the painted texture, its labels, and the original."
            )
        painted = read_painted(*(data for _, data in pictures))
        done = complete_painted(painted, atlas_for(painted, atlases))
    except TexturingError as error:
        return present_texture_failure(error)
    return present_texture(done, pictures[0][0], atlases.body)
