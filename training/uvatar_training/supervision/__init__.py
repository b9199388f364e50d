"""Computes the losses' terms from predictions and samples, for meshes and for textures."""
