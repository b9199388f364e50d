"""The parts of `tools/build_open_body.py`."""
