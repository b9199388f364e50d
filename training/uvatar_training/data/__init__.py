"""Samples of people for training: a common type for all sources, its storage, and batches from it."""
