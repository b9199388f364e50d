"""The training loop, and a trainer for each task."""
