"""Meshes, rotations and ray casting."""
