# SPDX-License-Identifier: GPL-3.0-or-later
"""The base of all operators on the selected avatar."""

from pathlib import Path

import bpy

from ..core.motion import MotionError
from ..scene.rig import RigError, find_rig


class AvatarOperator:
    """Mixin for operators on the selected avatar: reports in one sentence why one cannot run."""

    modes: tuple[str, ...] = ("OBJECT",)

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if find_rig(context.object) is None:
            cls.poll_message_set("Select an avatar")  # type: ignore[attr-defined]
            return False
        if context.mode not in cls.modes:
            cls.poll_message_set("Go to Object Mode first")  # type: ignore[attr-defined]
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            said = self.act(context, find_rig(context.object))
        except (RigError, MotionError, OSError) as error:
            self.report({"ERROR"}, str(error))  # type: ignore[attr-defined]
            return {"CANCELLED"}
        if said:
            self.report({"INFO"}, said)  # type: ignore[attr-defined]
        return {"FINISHED"}

    def act(self, context: bpy.types.Context, rig: bpy.types.Object) -> str | None:
        """Run the operator on the avatar ``rig``.

        Returns:
            A message to report, or None.

        Raises:
            RigError: the avatar cannot be changed as asked.
            MotionError: the motion file cannot be used.
            OSError: a file cannot be read or written.
        """
        raise NotImplementedError


def absolute_path(path: str) -> Path:
    """Resolve a path that may be relative to the .blend ("//").

    Raises:
        OSError: the path is relative and the .blend has not been saved yet.
    """
    if path.startswith("//") and not bpy.data.filepath:
        raise OSError(f"{path} is relative to the .blend: save the .blend first, or choose another folder.")
    return Path(bpy.path.abspath(path))
