"""Synthetic photos of people: bodies, poses, clothes, environments and cameras drawn from a seed, and two renderers."""
