"""The version of Uvatar, in the one place that has it.

The three distributions take it from here when they are built, and the Blender extension carries a copy of this folder.
"""

__version__ = "0.2.0"
