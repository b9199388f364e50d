"""Tests in `in_blender` need a process of their own (torch and bpy in one hang at exit):

`test_in_blender.py` runs them.
"""

from __future__ import annotations

import os

IN_BLENDER = "UVATAR_TESTS_IN_BLENDER"

collect_ignore_glob = [] if os.environ.get(IN_BLENDER) else ["in_blender/*"]
