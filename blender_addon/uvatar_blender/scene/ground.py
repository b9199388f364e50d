# SPDX-License-Identifier: GPL-3.0-or-later
"""Moving an avatar onto the ground."""

from __future__ import annotations

import bpy
from mathutils import Vector

from . import compat
from .avatar import lowest_point
from .rig import joint_names, root_offset, set_root_offset
from .rigify import control_rig
from .units import per_metre


def snap_to_ground(rig: bpy.types.Object) -> float:
    """Move the avatar up or down so that its lowest point in the current pose is at z = 0.

    The pelvis bone is moved, so that the rest pose stays on the ground as well. If keyframes, constraints or a control
    rig hold the pelvis, or the avatar is tilted, the whole object is moved instead.

    Returns:
        How far it was moved up, in metres.

    Raises:
        RigError: the avatar is incomplete.
    """
    height = -lowest_point(rig)
    root = rig.pose.bones[joint_names(rig)[0]]
    keyed = any(curve.data_path.endswith(f'["{root.name}"].location') for curve in compat.action_curves(rig))
    up = rig.matrix_world.to_3x3() @ Vector((0, 0, 1))
    if (control := control_rig(rig)) is not None:
        # The bones follow the control rig, wherever the avatar's object is.
        control.matrix_world.translation += Vector((0, 0, height))
    elif keyed or root.constraints or (up.normalized() - Vector((0, 0, 1))).length > 1e-6:
        rig.matrix_world.translation += Vector((0, 0, height))
    else:
        set_root_offset(rig, root_offset(rig) + Vector((0, 0, height / up.length)))
    return height / per_metre(bpy.context.scene)
