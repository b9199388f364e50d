"""Texturing with the texture generator that a job asks for."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from threading import Lock

from uvatar.data.texture import Texture
from uvatar.protocol.options import Options
from uvatar.texturing.generators.painting import Painter
from uvatar.texturing.generators.plugins import COMPLETION, GeneratorError, TextureGenerator, load_generator

_ONE_AT_A_TIME = Lock()  # people are textured side by side, and `lru_cache` alone would let each load a generator


def painted_texture(make: Callable[..., Texture], options: Options) -> tuple[Texture, tuple[str, ...]]:
    """A texture, and notes about it: painted by the job's texture generator, or without it where that fails.

    Args:
        make: makes the texture; its argument ``painter`` is a `Painter` or None.
        options: of the job.
    """
    name = options.texture_generator
    if name == COMPLETION or options.fast:
        return make(painter=None), ()
    try:
        with _ONE_AT_A_TIME:
            generator = _loaded(name)
        painter = Painter(name, generator, options.texture_seed)
        texture = make(painter=painter)
    except GeneratorError as error:
        return make(painter=None), (f"{error} Unseen parts were completed without it.",)
    if painter.painted:
        return texture, (f"Unseen parts were painted by the texture generator {name}.",)
    return texture, (f"The texture generator {name} painted nothing: what it paints is in the photo.",)


@lru_cache(maxsize=1)  # one may fill the memory
def _loaded(name: str) -> TextureGenerator:
    generator = load_generator(name)
    assert generator is not None  # see COMPLETION
    return generator
