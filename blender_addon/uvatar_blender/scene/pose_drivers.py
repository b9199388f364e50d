# SPDX-License-Identifier: GPL-3.0-or-later
"""Shape keys that the rotations of bones drive, by expressions that Blender evaluates without Python.

The drivers are saved with the file and work without the add-on. They read the bones as they are shown, so that they
also follow a control rig.
"""

from __future__ import annotations

from collections.abc import Sequence

import bpy

# (R - I)[row][column] of the rotation that a unit quaternion stands for; "#" is the number of the bone.
ENTRIES = (
    ("-2*(y#*y#+z#*z#)", "2*(x#*y#-w#*z#)", "2*(x#*z#+w#*y#)"),
    ("2*(x#*y#+w#*z#)", "-2*(x#*x#+z#*z#)", "2*(y#*z#-w#*x#)"),
    ("2*(x#*z#-w#*y#)", "2*(y#*z#+w#*x#)", "-2*(x#*x#+y#*y#)"),
)
_CHANNELS = {"w": "ROT_W", "x": "ROT_X", "y": "ROT_Y", "z": "ROT_Z"}


def rotation_entry(row: int, column: int, bone: int = 0) -> str:
    """Return the expression of an entry of R - I of a bone, by its number among those of `drive`."""
    return ENTRIES[row][column].replace("#", str(bone))


def drive(key: bpy.types.ShapeKey, rig: bpy.types.Object, bones: Sequence[str], expression: str) -> bpy.types.Driver:
    """Let bones drive the value of a shape key, and return the driver.

    Args:
        key: the shape key.
        rig: the armature object.
        bones: names of the bones; the quaternion of number i is w, x, y, z with i behind each letter.
        expression: of these variables; at most 255 characters, as Blender stores no more.
    """
    driver = key.driver_add("value").driver
    driver.type = "SCRIPTED"
    for number, bone in enumerate(bones):
        for letter, channel in _CHANNELS.items():
            name = f"{letter}{number}"
            if name in expression:
                variable = driver.variables.new()
                variable.name, variable.type = name, "TRANSFORMS"
                target = variable.targets[0]
                target.id, target.bone_target = rig, bone
                target.transform_type, target.transform_space = channel, "LOCAL_SPACE"
                target.rotation_mode = "QUATERNION"
    driver.expression = expression  # a "simple expression", which Blender evaluates without Python
    return driver
