"""The parts of `tools/render_samples.py`."""
