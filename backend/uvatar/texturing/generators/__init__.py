"""Plug-ins that paint what no photo shows."""

from uvatar.texturing.generators.plugins import GeneratorError, TextureGenerator, UnseenView

__all__ = ["GeneratorError", "TextureGenerator", "UnseenView"]
