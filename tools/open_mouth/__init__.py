"""The parts of `tools/build_open_mouth.py`."""
