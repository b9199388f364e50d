"""Computes the terms of the losses from predictions and samples, for meshes and textures."""
