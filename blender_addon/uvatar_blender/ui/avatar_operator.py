# SPDX-License-Identifier: GPL-3.0-or-later
"""The base of all operators on the selected avatar."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import bpy

from ..core.motion import MotionError
from ..scene.rig import RigError, find_rig
from .translation import tr


class AvatarOperator:
    """Mixin for operators on the selected avatar: reports in one sentence why one cannot run.

    Attributes:
        modes: those in which it can run.
        leaves_pose_mode: whether it must run in Object Mode, to which it then goes from Pose Mode, and back.
    """

    modes: tuple[str, ...] = ("OBJECT",)
    leaves_pose_mode = False

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if find_rig(context.object) is None:
            cls.poll_message_set("Select an avatar")  # type: ignore[attr-defined]
            return False
        if context.mode not in cls.modes and not (cls.leaves_pose_mode and context.mode == "POSE"):
            cls.poll_message_set("Go to Object Mode first")  # type: ignore[attr-defined]
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            with _object_mode(context) if self.leaves_pose_mode else nullcontext():
                said = self.act(context, find_rig(context.object))
        except (RigError, MotionError, OSError) as error:
            self.report({"ERROR"}, tr(str(error)))  # type: ignore[attr-defined]
            return {"CANCELLED"}
        if said:
            self.report({"INFO"}, tr(said))  # type: ignore[attr-defined]
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


@contextmanager
def _object_mode(context: bpy.types.Context) -> Iterator[None]:
    """Leave Pose Mode and return to it, if its object is still there."""
    posed = context.object.name if context.mode == "POSE" else None
    if posed is not None:
        bpy.ops.object.mode_set(mode="OBJECT")
    try:
        yield
    finally:
        if posed is not None and context.object is not None and context.object.name == posed:
            bpy.ops.object.mode_set(mode="POSE")


def absolute_path(path: str) -> Path:
    """Resolve a path that may be relative to the .blend ("//").

    Raises:
        OSError: the path is relative and the .blend has not been saved yet.
    """
    if path.startswith("//") and not bpy.data.filepath:
        raise OSError(f"{path} is relative to the .blend: save the .blend first, or choose another folder.")
    return Path(bpy.path.abspath(path))
