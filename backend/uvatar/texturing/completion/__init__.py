"""Smooth colours where no photo looks."""
