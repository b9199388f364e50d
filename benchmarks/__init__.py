"""Benchmarks: `python -m benchmarks` runs them, and each writes a CSV file into ``benchmarks/results``."""
