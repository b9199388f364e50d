# SPDX-License-Identifier: GPL-3.0-or-later
"""Uvatar: rigged, textured avatars from photos of people, inside Blender.

Three layers, each importing only those before it:

* ``core``: no bpy. The connection to the backend, the state of jobs, the backend process, the avatar's data and
  skeleton.
* ``scene``: bpy, no user interface. Builds meshes, rigs, materials and cameras from that data, and exports them.
* ``ui``: preferences, operators, panels.

Importing this package imports no bpy, so that ``core`` can be used and tested anywhere.
"""

from typing import Any


def register() -> None:
    """Blender calls this when the add-on is enabled."""
    from . import ui

    ui.register()


def unregister() -> None:
    """Blender calls this when the add-on is disabled, and at exit: the connection ends, jobs go on in the backend."""
    from . import ui

    ui.unregister()


class glTF2ExportUserExtension:  # noqa: N801 (the name by which Blender's glTF exporter finds it)
    """Blender's own File > Export > glTF asks this: the panel's photos, with their folders, stay out of its files."""

    def gather_scene_hook(self, gltf2_scene: Any, blender_scene: Any, export_settings: Any) -> None:
        """Called by Blender for each scene that it has read."""
        if gltf2_scene.extras:
            gltf2_scene.extras.pop("uvatar", None)
