# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be done to the selected avatar."""

# No "from __future__ import annotations" here: Blender reads the properties from the annotations.

from functools import partial
from pathlib import Path

import bpy

from ..core.export_presets import Target
from ..core.motion import MotionError
from ..core.naming import Naming, joint_names
from ..core.pictures import write_pictures
from ..core.rest_pose import RestPose
from ..core.upright import UpAxis
from ..scene import rigify
from ..scene.avatar import UUID
from ..scene.camera import look_through, photo_camera
from ..scene.correctives import set_live
from ..scene.export import export_avatar
from ..scene.ground import snap_to_ground
from ..scene.material import avatar_material, show_sources
from ..scene.motion import SUFFIXES, apply_motion, load_motion
from ..scene.painting import painted_pictures, temporary_folder
from ..scene.posing import check_posable, key_pose
from ..scene.rig import RigError, clear_pose, find_body, find_rig, rename_joints, take_photo_pose, take_pose
from ..scene.rig import joint_names as bone_names
from ..scene.shape import apply_shape, refit, refresh_joints
from .properties import NAMINGS
from .runs import begin, can_begin, linked

_OF_THE_PRESET, _AS_THEY_ARE = "PRESET", "KEEP"


class _OnAvatar:
    """An operator on the selected avatar: says in one sentence why it cannot."""

    modes: tuple[str, ...] = ("OBJECT",)

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Called by Blender."""
        if find_rig(context.object) is None:
            cls.poll_message_set("Select an avatar")  # type: ignore[attr-defined]
            return False
        if context.mode not in cls.modes:
            cls.poll_message_set("Go to Object Mode first")  # type: ignore[attr-defined]
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Called by Blender."""
        try:
            said = self.act(context, find_rig(context.object))
        except (RigError, MotionError, OSError) as error:
            self.report({"ERROR"}, str(error))  # type: ignore[attr-defined]
            return {"CANCELLED"}
        if said:
            self.report({"INFO"}, said)  # type: ignore[attr-defined]
        return {"FINISHED"}

    def act(self, context: bpy.types.Context, rig: bpy.types.Object) -> str | None:
        """Do it; what to tell, if anything. Raises RigError, MotionError or OSError."""
        raise NotImplementedError


class UVATAR_OT_refresh_joints(_OnAvatar, bpy.types.Operator):
    """Move the joints to where the shape sliders put them, and the soles to the ground.

    Do so after changing the shape
    """

    bl_idname = "uvatar.refresh_joints"
    bl_label = "Fit Joints to Shape"
    bl_options = {"REGISTER", "UNDO"}

    def act(self, context: bpy.types.Context, rig: bpy.types.Object) -> None:
        refresh_joints(rig)


class UVATAR_OT_apply_shape(_OnAvatar, bpy.types.Operator):
    """Make this shape the body's own: the sliders start at 0 from here. The joints move with it"""

    bl_idname = "uvatar.apply_shape"
    bl_label = "Apply Shape"
    bl_options = {"REGISTER", "UNDO"}

    def act(self, context: bpy.types.Context, rig: bpy.types.Object) -> None:
        apply_shape(rig)


class UVATAR_OT_refit(_OnAvatar, bpy.types.Operator):
    """After sculpting: find the joints anew in the mesh as it is now, and put the soles on the ground"""

    bl_idname = "uvatar.refit"
    bl_label = "Refit Rig to Sculpt"
    bl_options = {"REGISTER", "UNDO"}

    def act(self, context: bpy.types.Context, rig: bpy.types.Object) -> None:
        refit(rig)


class UVATAR_OT_pose(_OnAvatar, bpy.types.Operator):
    """Pose the avatar. Auto Keying, where it is on, keys it"""

    bl_idname = "uvatar.pose"
    bl_label = "Pose"
    bl_options = {"REGISTER", "UNDO"}
    modes = ("OBJECT", "POSE")

    pose: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Pose",
        items=[
            ("T", "T", "Arms level"),
            ("A", "A", "Arms lowered by 45 degrees"),
            ("PHOTO", "Photo", "As in the photo"),
            ("REST", "Rest", "What mesh and bones were modelled in"),
        ],
    )

    def act(self, context: bpy.types.Context, rig: bpy.types.Object) -> None:
        keyed = context.scene.tool_settings.use_keyframe_insert_auto
        check_posable(rig, keyed)
        if self.pose == "PHOTO":
            take_photo_pose(rig)
        elif self.pose == "REST":
            clear_pose(rig)
        else:
            take_pose(rig, RestPose(self.pose))
        if keyed:
            key_pose(rig)


class UVATAR_OT_snap_to_ground(_OnAvatar, bpy.types.Operator):
    """Move the avatar up or down until its lowest point, as it is posed now, stands on the ground"""

    bl_idname = "uvatar.snap_to_ground"
    bl_label = "Snap to Ground"
    bl_options = {"REGISTER", "UNDO"}
    modes = ("OBJECT", "POSE")

    def act(self, context: bpy.types.Context, rig: bpy.types.Object) -> str:
        return f"Moved by {100 * snap_to_ground(rig):+.1f} cm"


class UVATAR_OT_name_bones(_OnAvatar, bpy.types.Operator):
    """Give the bones the names that other programs know; vertex groups and keyframes follow"""

    bl_idname = "uvatar.name_bones"
    bl_label = "Bone Names"
    bl_options = {"REGISTER", "UNDO"}

    naming: bpy.props.EnumProperty(name="Names", items=NAMINGS)  # type: ignore[valid-type]

    def act(self, context: bpy.types.Context, rig: bpy.types.Object) -> None:
        rename_joints(rig, joint_names(Naming(self.naming)))


class UVATAR_OT_show_sources(_OnAvatar, bpy.types.Operator):
    """Show where the texture comes from: what the photo shows, what was mirrored, completed or predicted"""

    bl_idname = "uvatar.show_sources"
    bl_label = "Where the Texture Comes From"
    bl_options = {"REGISTER", "UNDO"}
    modes = ("OBJECT", "POSE", "PAINT_TEXTURE", "SCULPT")

    share: bpy.props.FloatProperty(name="Overlay", min=0.0, max=1.0, default=0.6, subtype="FACTOR")  # type: ignore[valid-type]

    def act(self, context: bpy.types.Context, rig: bpy.types.Object) -> str | None:
        material = avatar_material(find_body(rig))
        if material is None:
            raise RigError(f"{rig.name} has another material now.")
        show_sources(material, self.share)
        if context.space_data is not None and context.space_data.type == "VIEW_3D":
            shading = context.space_data.shading
            if self.share > 0 and shading.type in ("WIREFRAME", "SOLID"):
                shading.type = "MATERIAL"  # the others do not show materials' nodes
        return None


class UVATAR_OT_live_correctives(_OnAvatar, bpy.types.Operator):
    """Let the pose correct the body's shape, or leave that to save time while many avatars move"""

    bl_idname = "uvatar.live_correctives"
    bl_label = "Live Pose Correctives"
    bl_options = {"REGISTER", "UNDO"}
    modes = ("OBJECT", "POSE")

    live: bpy.props.BoolProperty(name="Live", default=True)  # type: ignore[valid-type]

    def act(self, context: bpy.types.Context, rig: bpy.types.Object) -> None:
        set_live(find_body(rig), self.live)


class UVATAR_OT_import_motion(_OnAvatar, bpy.types.Operator):
    """Make the avatar move as in a BVH file or a file of SMPL poses (AMASS, AIST++, video estimators)"""

    bl_idname = "uvatar.import_motion"
    bl_label = "Import Motion"
    bl_options = {"REGISTER", "UNDO"}
    modes = ("OBJECT", "POSE")

    filepath: bpy.props.StringProperty(subtype="FILE_PATH")  # type: ignore[valid-type]
    filter_glob: bpy.props.StringProperty(default=";".join(f"*{suffix}" for suffix in SUFFIXES), options={"HIDDEN"})  # type: ignore[valid-type]
    up: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Up axis",
        description="The axis that points up in the file's world. Choose it where the avatar lies but should stand, "
        "or the other way round",
        items=[
            (UpAxis.AUTOMATIC.value, "Automatic", "As this kind of file has it, or as people stand in it"),
            (UpAxis.Y.value, "Y", "Most BVH files, AIST++, GVHMR"),
            (UpAxis.Z.value, "Z", "AMASS, Blender"),
            (UpAxis.MINUS_Y.value, "−Y", "A camera's axes: ROMP, 4D-Humans"),
        ],
    )
    start: bpy.props.IntProperty(  # type: ignore[valid-type]
        name="First frame", description="Frame on which the motion begins. Loops for game engines begin at 0", default=0
    )
    resample: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Scene's frame rate",
        description="Keep the motion's speed. Otherwise each frame of the file is one of the scene",
        default=True,
    )
    ground: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="On the ground",
        description="Raise or lower the whole motion so that its lowest step touches the ground",
        default=True,
    )
    here: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Begin here", description="Begin where the avatar stands instead of where the file has it", default=True
    )
    shape: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Shape, too", description="Take the body's shape from the file. Only for SMPL's own bodies"
    )
    fit_range: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Set the scene's range",
        description="Let the scene play from the motion's first to its last frame",
        default=True,
    )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Called by Blender: asks for the file."""
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def act(self, context: bpy.types.Context, rig: bpy.types.Object) -> str:
        path, scene = _absolute(self.filepath), context.scene
        rate = scene.render.fps / scene.render.fps_base if self.resample else None
        motion, control = load_motion(rig, path, UpAxis(self.up)), rigify.control_rig(rig)
        if control is not None and self.shape:
            raise RigError(
                f"{rig.name} follows its control rig, which would keep the old shape: leave the control rig first."
            )
        action = apply_motion(rig, motion, path.stem, self.start, rate, self.ground, self.here, self.shape)
        if control is not None:  # only now: where the motion cannot be applied it goes on leading
            rigify.unfollow(rig)
            rigify.lead(rig, control)
        first, last = (int(frame) for frame in action.frame_range)
        if self.fit_range:
            scene.frame_start, scene.frame_end = first, max(last, first)
        scene.frame_set(scene.frame_current)
        return " ".join((f"{last - first + 1} frames.", *motion.notes))


class UVATAR_OT_look_through(_OnAvatar, bpy.types.Operator):
    """Render through the photo's camera: makes it the scene's camera and gives renders the photo's size"""

    bl_idname = "uvatar.look_through"
    bl_label = "Render Through Photo's Camera"
    bl_options = {"REGISTER", "UNDO"}
    modes = ("OBJECT", "POSE")

    def act(self, context: bpy.types.Context, rig: bpy.types.Object) -> None:
        camera = photo_camera(rig)
        if camera is None:
            raise RigError(f"{rig.name} has no camera of its photo beside it.")
        look_through(context.scene, camera)


class UVATAR_OT_show_textures(bpy.types.Operator):
    """Switch this 3D View to Material Preview, which shows avatars as they were photographed.

    Z brings the other views back
    """

    bl_idname = "uvatar.show_textures"
    bl_label = "Show Textures"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Called by Blender."""
        return context.space_data is not None and context.space_data.type == "VIEW_3D"

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Called by Blender."""
        context.space_data.shading.type = "MATERIAL"
        return {"FINISHED"}


class UVATAR_OT_make_metarig(_OnAvatar, bpy.types.Operator):
    """Add Rigify's human metarig with its bones on the avatar's joints, ready to generate"""

    bl_idname = "uvatar.make_metarig"
    bl_label = "Add Metarig"
    bl_options = {"REGISTER", "UNDO"}

    def act(self, context: bpy.types.Context, rig: bpy.types.Object) -> None:
        rigify.make_metarig(rig)


class UVATAR_OT_generate_control_rig(_OnAvatar, bpy.types.Operator):
    """Have Rigify generate its control rig from the metarig, and let it lead the avatar, motion included.

    Takes some ten seconds
    """

    bl_idname = "uvatar.generate_control_rig"
    bl_label = "Generate and Follow"
    bl_options = {"REGISTER", "UNDO"}

    def act(self, context: bpy.types.Context, rig: bpy.types.Object) -> None:
        rigify.generate_control_rig(rig, rigify.find_metarig(rig) or rigify.make_metarig(rig))


class UVATAR_OT_leave_control_rig(_OnAvatar, bpy.types.Operator):
    """Let the avatar's own bones lead again"""

    bl_idname = "uvatar.leave_control_rig"
    bl_label = "Leave Control Rig"
    bl_options = {"REGISTER", "UNDO"}

    def act(self, context: bpy.types.Context, rig: bpy.types.Object) -> None:
        rigify.unfollow(rig)


class UVATAR_OT_complete_texture(_OnAvatar, bpy.types.Operator):
    """Send the painted texture to the backend: what you have painted and what the photo shows stays, the rest is filled
    anew from it
    """

    bl_idname = "uvatar.complete_texture"
    bl_label = "Complete Painted Texture"
    modes = ("OBJECT", "PAINT_TEXTURE")

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Called by Blender."""
        return can_begin(cls) and super().poll(context)

    def act(self, context: bpy.types.Context, rig: bpy.types.Object) -> None:
        pictures = painted_pictures(rig, temporary_folder(), str(rig[UUID]))
        if not linked(self, context):
            return
        body = "smpl" if str(rig.get("uvatar_body_model", "")).startswith("smpl") else "open_body"
        job = list(pictures), {"complete_texture": True, "same_person": True, "body": body}
        begin([job], partial(write_pictures, pictures))


class UVATAR_OT_export(_OnAvatar, bpy.types.Operator):
    """Write the avatar for a game engine: shape baked in, rest pose, skin, texture and shape sliders"""

    bl_idname = "uvatar.export"
    bl_label = "Export"
    modes = ("OBJECT", "POSE")

    filepath: bpy.props.StringProperty(subtype="FILE_PATH")  # type: ignore[valid-type]
    filter_glob: bpy.props.StringProperty(default="*.glb;*.fbx", options={"HIDDEN"})  # type: ignore[valid-type]
    # Blender's file browser reads this: it shows where a file would be replaced.
    check_existing: bpy.props.BoolProperty(default=True, options={"HIDDEN"})  # type: ignore[valid-type]
    target: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="For",
        items=[(target.value, target.preset.name, target.preset.description) for target in Target],
    )
    naming: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Bone names",
        items=[
            (_OF_THE_PRESET, "Automatic", "The mannequin's names for Unreal, otherwise as they are in Blender"),
            (_AS_THEY_ARE, "As they are", "The names that the bones have in Blender"),
            *NAMINGS,
        ],
    )
    animation: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Motion", description="Also write the avatar's motion over the scene's frames"
    )
    root_motion: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Root motion",
        description="Let the root, which engines move, go the avatar's way over the ground: Unreal's root bone, "
        "elsewhere the armature. "
        "Otherwise the pelvis goes it",
    )
    provenance: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Include provenance",
        description="Also write the photo's name and digest, the pose in it and the measurements, for whoever gets "
        "the file to read",
        default=False,
    )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Called by Blender: asks for the file."""
        rig = find_rig(context.object)
        assert rig is not None  # see poll
        self.filepath = bpy.path.clean_name(rig.name) + Target(self.target).suffix
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def check(self, context: bpy.types.Context) -> bool:
        """Called by Blender when an option changes in the file browser: the name follows what the file is for."""
        before = self.filepath
        if bpy.path.basename(before):
            self.filepath = _suffixed(before, Target(self.target))
        return bool(self.filepath != before)

    def act(self, context: bpy.types.Context, rig: bpy.types.Object) -> str:
        target = Target(self.target)
        if not bpy.path.basename(self.filepath):
            raise OSError("The file has no name: give it one.")
        path = _absolute(_suffixed(self.filepath, target))
        names = {_OF_THE_PRESET: None, _AS_THEY_ARE: bone_names(rig)}
        naming = names[self.naming] if self.naming in names else Naming(self.naming)
        for remark in export_avatar(rig, path, target, naming, self.animation, self.provenance, self.root_motion):
            self.report({"WARNING"}, remark)
        return f"{path.name} written"


def _suffixed(path: str, target: Target) -> str:
    """A path with the target's suffix instead of another target's; all else of a name stays, "Anna 1.2" for example."""
    ours = next((other.suffix for other in Target if path.lower().endswith(other.suffix)), "")
    return path[: len(path) - len(ours)] + target.suffix


def _absolute(path: str) -> Path:
    """A path that may begin at the .blend's folder ("//"). Raises OSError where the .blend has none yet."""
    if path.startswith("//") and not bpy.data.filepath:
        raise OSError(f"{path} begins at the .blend's folder: save the .blend first, or choose another place.")
    return Path(bpy.path.abspath(path))


CLASSES = (
    UVATAR_OT_refresh_joints,
    UVATAR_OT_apply_shape,
    UVATAR_OT_refit,
    UVATAR_OT_pose,
    UVATAR_OT_snap_to_ground,
    UVATAR_OT_name_bones,
    UVATAR_OT_show_sources,
    UVATAR_OT_live_correctives,
    UVATAR_OT_import_motion,
    UVATAR_OT_look_through,
    UVATAR_OT_show_textures,
    UVATAR_OT_make_metarig,
    UVATAR_OT_generate_control_rig,
    UVATAR_OT_leave_control_rig,
    UVATAR_OT_complete_texture,
    UVATAR_OT_export,
)
