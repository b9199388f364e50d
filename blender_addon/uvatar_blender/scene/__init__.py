# SPDX-License-Identifier: GPL-3.0-or-later
"""Building and exporting avatars with bpy, without a user interface: for Blender, ``blender -b`` and the bpy module."""
