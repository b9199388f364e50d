"""Synthetic people of our own: bodies, poses, clothes, places and cameras drawn from a seed, and two renderers for
them.
"""
