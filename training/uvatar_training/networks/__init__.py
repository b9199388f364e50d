"""Initialisation of networks for training, and differentiable and faster versions of their operations."""
