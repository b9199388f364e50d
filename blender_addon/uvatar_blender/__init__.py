# SPDX-License-Identifier: GPL-3.0-or-later
"""Uvatar for Blender: rigged, textured avatars from photos of people.

The package has three layers, each of which imports only those before it:

* ``core``: no bpy. The connection to the backend, the state of jobs, the backend process, the avatar's data and
  skeleton.
* ``scene``: bpy, no user interface. Builds meshes, rigs, materials and cameras from that data, and exports them.
* ``ui``: preferences, operators, panels.

Importing this package imports no bpy, so that ``core`` can be used and tested anywhere.
"""

from typing import Any


def register() -> None:
    """Register the add-on; Blender calls this when it is enabled."""
    from . import ui

    ui.register()


def unregister() -> None:
    """Unregister the add-on and end its connection; jobs continue in the backend.

    Blender calls this when the add-on is disabled and when Blender exits.
    """
    from . import ui

    ui.unregister()


class glTF2ExportUserExtension:  # the name by which Blender's glTF exporter finds it
    """Keeps the list of photos, with their folders, out of what File > Export > glTF 2.0 writes."""

    def gather_scene_hook(self, gltf2_scene: Any, blender_scene: Any, export_settings: Any) -> None:
        """Remove the add-on's data from a scene; the exporter calls this for each."""
        if gltf2_scene.extras:
            gltf2_scene.extras.pop("uvatar", None)
