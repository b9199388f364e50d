# SPDX-License-Identifier: GPL-3.0-or-later
"""Removing an avatar with all that belongs to it."""

from __future__ import annotations

import bpy

from .avatar import UUID
from .control_rig_end import remove_rig_objects
from .rig import PART, check_own
from .rigify import control_rig, unfollow


def remove_avatar(rig: bpy.types.Object) -> None:
    """Remove an avatar's armature, meshes and control rig, and its collection if nothing else is in it.

    Things of the user's that are parented to the avatar stay where they are. Needs Object Mode.

    Raises:
        RigError: the avatar is linked from another file.
    """
    check_own(rig)
    control = control_rig(rig)
    if control is not None:
        unfollow(rig)
        remove_rig_objects(rig, control)
    folders = list(rig.users_collection)
    own = [thing for thing in rig.children if PART in thing or thing.get(UUID, "") == rig.get(UUID)]
    for thing in rig.children:
        if thing not in own:
            place = thing.matrix_world.copy()
            thing.parent = None
            thing.matrix_world = place
    data = [thing.data for thing in (*own, rig)]
    for thing in (*own, rig):
        bpy.data.objects.remove(thing)
    for block in data:
        if block is not None and block.users == 0:
            (bpy.data.meshes if isinstance(block, bpy.types.Mesh) else bpy.data.armatures).remove(block)
    for folder in folders:
        if folder.name in bpy.data.collections and not folder.all_objects:
            bpy.data.collections.remove(folder)
