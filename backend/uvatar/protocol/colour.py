"""Colours in files and in light. Backend and extension share this function."""

from __future__ import annotations


def linear_channel(channel: float) -> float:
    """An sRGB value, 0 to 1, as linear light (IEC 61966-2-1), which materials of glTF and Blender are given in."""
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4
