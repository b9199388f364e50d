# SPDX-License-Identifier: GPL-3.0-or-later
"""Building and exporting avatars with bpy. No user interface: works in Blender, `blender -b` and the bpy module."""
