"""Avatars as glTF 2.0 files, written without Blender."""
