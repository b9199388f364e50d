"""Textures of skirts and long hair, which are meshes of their own."""
