# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the backend is: settings of this computer, not of a file."""

# No "from __future__ import annotations" here: Blender reads the properties from the annotations.

import bpy

from .. import __package__ as extension


class UVATAR_AP_preferences(bpy.types.AddonPreferences):
    """Settings of the add-on."""

    bl_idname = extension

    backend: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Backend",
        description="The uvatar program, the Python that has it installed, or its virtual environment. Empty: found on the search path",
        subtype="FILE_PATH",
    )
    address: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Address", description="host:port of a backend that runs already. Empty: this user's own backend is found by itself"
    )
    token: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Token", description="What the backend at this address wants to hear", subtype="PASSWORD"
    )

    def draw(self, context: bpy.types.Context) -> None:
        """Called by Blender."""
        column = self.layout.column()
        column.prop(self, "backend")
        column.prop(self, "address")
        if self.address:
            column.prop(self, "token")

    def fixed_address(self) -> tuple[str, int] | None:
        """Host and port where they are given. ValueError where they are not host:port."""
        if not self.address.strip():
            return None
        host, _, port = self.address.strip().rpartition(":")
        if not port.isdecimal() or not 0 < int(port) < 65536:
            raise ValueError(f"{self.address} is not an address: write it as 127.0.0.1:50123.")
        return host or "127.0.0.1", int(port)


def preferences(context: bpy.types.Context) -> UVATAR_AP_preferences:
    """The add-on's settings."""
    return context.preferences.addons[extension].preferences


CLASSES = (UVATAR_AP_preferences,)
