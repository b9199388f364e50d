"""Measures the quality of reconstructions, on photos and on synthetic pictures."""
