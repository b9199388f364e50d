"""Samples of people for training: one type for all sources, how it is stored, and how it is streamed."""
