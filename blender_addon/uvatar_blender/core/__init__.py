# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of the extension that does not use bpy, so that it can be tested without Blender."""
