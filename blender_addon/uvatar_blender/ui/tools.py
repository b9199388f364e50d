# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators for the shape, pose and texture of the selected avatar."""

# No "from __future__ import annotations" here: Blender reads the properties from the annotations.

from functools import partial

import bpy

from ..core.pictures import write_pictures
from ..core.rest_pose import RestPose
from ..protocol.bone_names import Naming, joint_names
from ..protocol.options import COMPLETE_TEXTURE
from ..scene.avatar import UUID
from ..scene.camera import look_through, the_photo_camera
from ..scene.close_up import subdivide
from ..scene.correctives import set_live
from ..scene.even_light import show_light
from ..scene.ground import snap_to_ground
from ..scene.material import SKIN_ROUGHNESS, avatar_materials, show_sources
from ..scene.material_slots import join_materials, split_materials
from ..scene.painting import painted_pictures, temporary_folder
from ..scene.posing import check_posable, key_pose, take_photo_pose, take_pose
from ..scene.rig import RigError, check_own, clear_pose, find_body, parents, rename_joints
from ..scene.shape import apply_shape, refit, refresh_joints
from ..scene.skin import set_subsurface
from .avatar_operator import AvatarOperator
from .properties import NAMINGS
from .runs import begin, can_begin, linked


class UVATAR_OT_refresh_joints(AvatarOperator, bpy.types.Operator):
    """Fit the joints to the shape."""

    bl_idname = "uvatar.refresh_joints"
    bl_label = "Fit Joints to Shape"
    bl_description = (
        "Move the joints to match the shape sliders, and the soles to the ground. Use it after changing the shape"
    )
    bl_options = {"REGISTER", "UNDO"}

    def act(self, context: bpy.types.Context, rig: bpy.types.Object) -> None:
        refresh_joints(rig)


class UVATAR_OT_apply_shape(AvatarOperator, bpy.types.Operator):
    """Make this shape the new base, with all sliders at 0. The joints move with it"""

    bl_idname = "uvatar.apply_shape"
    bl_label = "Apply Shape"
    bl_options = {"REGISTER", "UNDO"}

    def act(self, context: bpy.types.Context, rig: bpy.types.Object) -> None:
        apply_shape(rig)


class UVATAR_OT_refit(AvatarOperator, bpy.types.Operator):
    """After sculpting: recompute the joints from the current mesh, and put the soles on the ground"""

    bl_idname = "uvatar.refit"
    bl_label = "Refit Rig to Sculpt"
    bl_options = {"REGISTER", "UNDO"}

    def act(self, context: bpy.types.Context, rig: bpy.types.Object) -> None:
        refit(rig)


class UVATAR_OT_pose(AvatarOperator, bpy.types.Operator):
    """Pose the avatar. The pose is keyed if Auto Keying is on"""

    bl_idname = "uvatar.pose"
    bl_label = "Pose"
    bl_options = {"REGISTER", "UNDO"}
    modes = ("OBJECT", "POSE")

    pose: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Pose",
        items=[
            ("T", "T", "Arms horizontal"),
            ("A", "A", "Arms lowered by 45 degrees"),
            ("PHOTO", "Photo", "As in the photo"),
            ("REST", "Rest", "The rest pose of mesh and bones"),
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


class UVATAR_OT_snap_to_ground(AvatarOperator, bpy.types.Operator):
    """Move the avatar up or down so that its lowest point in the current pose touches the ground"""

    bl_idname = "uvatar.snap_to_ground"
    bl_label = "Snap to Ground"
    bl_options = {"REGISTER", "UNDO"}
    modes = ("OBJECT", "POSE")

    def act(self, context: bpy.types.Context, rig: bpy.types.Object) -> str:
        return f"Moved by {100 * snap_to_ground(rig):+.1f} cm"


class UVATAR_OT_name_bones(AvatarOperator, bpy.types.Operator):
    """Rename the bones to a convention used by other programs. Vertex groups and keyframes follow"""

    bl_idname = "uvatar.name_bones"
    bl_label = "Bone Names"
    bl_options = {"REGISTER", "UNDO"}

    naming: bpy.props.EnumProperty(name="Names", items=NAMINGS)  # type: ignore[valid-type]

    def act(self, context: bpy.types.Context, rig: bpy.types.Object) -> None:
        rename_joints(rig, joint_names(Naming(self.naming), len(parents(rig))))


class UVATAR_OT_material_slots(AvatarOperator, bpy.types.Operator):
    """Give skin, hair, shoes and each garment a material of its own, with the same texture, or join them again"""

    bl_idname = "uvatar.material_slots"
    bl_label = "Material Slots"
    bl_options = {"REGISTER", "UNDO"}
    modes = ("OBJECT", "POSE")

    split: bpy.props.BoolProperty(name="Split", default=True, options={"SKIP_SAVE"})  # type: ignore[valid-type]

    def act(self, context: bpy.types.Context, rig: bpy.types.Object) -> str:
        check_own(find_body(rig).data)
        if not self.split:
            join_materials(rig, SKIN_ROUGHNESS)
            return "One material again."
        return f"Materials: {', '.join(split_materials(rig))}."


class UVATAR_OT_show_sources(AvatarOperator, bpy.types.Operator):
    """Show where the texture comes from: seen in the photo, mirrored, completed or predicted"""

    bl_idname = "uvatar.show_sources"
    bl_label = "Where the Texture Comes From"
    bl_options = {"REGISTER", "UNDO"}
    modes = ("OBJECT", "POSE", "PAINT_TEXTURE", "SCULPT")

    share: bpy.props.FloatProperty(name="Overlay", min=0.0, max=1.0, default=0.6, subtype="FACTOR")  # type: ignore[valid-type]

    def act(self, context: bpy.types.Context, rig: bpy.types.Object) -> str | None:
        materials = avatar_materials(find_body(rig))
        if not materials:
            raise RigError(f"{rig.name} no longer has its original material.")
        for material in materials:
            show_sources(material, self.share)
        if context.space_data is not None and context.space_data.type == "VIEW_3D":
            shading = context.space_data.shading
            if self.share > 0 and shading.type in ("WIREFRAME", "SOLID"):
                shading.type = "MATERIAL"  # Wireframe and Solid do not show shader nodes
        return None


class UVATAR_OT_texture_light(AvatarOperator, bpy.types.Operator):
    """Show the texture in even light, for scenes with lights of their own, or as photographed. Paint is kept"""

    bl_idname = "uvatar.texture_light"
    bl_label = "Light in the Texture"
    bl_options = {"REGISTER", "UNDO"}
    modes = ("OBJECT", "POSE", "PAINT_TEXTURE", "SCULPT")

    even: bpy.props.BoolProperty(name="Even", default=True)  # type: ignore[valid-type]

    def act(self, context: bpy.types.Context, rig: bpy.types.Object) -> None:
        show_light(rig, self.even)


class UVATAR_OT_live_correctives(AvatarOperator, bpy.types.Operator):
    """Correct the body's shape for the pose. Turn this off for faster playback of many avatars"""

    bl_idname = "uvatar.live_correctives"
    bl_label = "Live Pose Correctives"
    bl_options = {"REGISTER", "UNDO"}
    modes = ("OBJECT", "POSE")

    live: bpy.props.BoolProperty(name="Live", default=True)  # type: ignore[valid-type]

    def act(self, context: bpy.types.Context, rig: bpy.types.Object) -> None:
        set_live(find_body(rig), self.live)


class UVATAR_OT_subdivide(AvatarOperator, bpy.types.Operator):
    """Smooth body and parts for close-ups with a Subdivision Surface modifier, or remove it"""

    bl_idname = "uvatar.subdivide"
    bl_label = "Subdivide for Close-Ups"
    bl_options = {"REGISTER", "UNDO"}

    on: bpy.props.BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})  # type: ignore[valid-type]

    def act(self, context: bpy.types.Context, rig: bpy.types.Object) -> None:
        subdivide(rig, self.on)


class UVATAR_OT_skin_subsurface(AvatarOperator, bpy.types.Operator):
    """Let light scatter below the skin, which looks softer in close-ups. Exported files do not have it"""

    bl_idname = "uvatar.skin_subsurface"
    bl_label = "Skin Subsurface"
    bl_options = {"REGISTER", "UNDO"}

    on: bpy.props.BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})  # type: ignore[valid-type]

    def act(self, context: bpy.types.Context, rig: bpy.types.Object) -> None:
        set_subsurface(rig, self.on)


class UVATAR_OT_look_through(AvatarOperator, bpy.types.Operator):
    """Make the photo's camera the scene's camera and set the render size to the photo's"""

    bl_idname = "uvatar.look_through"
    bl_label = "Render Through Photo's Camera"
    bl_options = {"REGISTER", "UNDO"}
    modes = ("OBJECT", "POSE")

    def act(self, context: bpy.types.Context, rig: bpy.types.Object) -> None:
        look_through(context.scene, the_photo_camera(rig))


class UVATAR_OT_show_textures(bpy.types.Operator):
    """Show textures in a 3D View."""

    bl_idname = "uvatar.show_textures"
    bl_label = "Show Textures"
    bl_description = (
        "Switch this 3D View to Material Preview, which shows avatars as photographed. Press Z to choose another "
        "shading"
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return context.space_data is not None and context.space_data.type == "VIEW_3D"

    def execute(self, context: bpy.types.Context) -> set[str]:
        context.space_data.shading.type = "MATERIAL"
        return {"FINISHED"}


class UVATAR_OT_complete_texture(AvatarOperator, bpy.types.Operator):
    """Complete a painted texture."""

    bl_idname = "uvatar.complete_texture"
    bl_label = "Complete Painted Texture"
    bl_description = (
        "Send the painted texture to the backend. What you painted and what the photo shows is kept; the rest is "
        "filled in again from it"
    )
    modes = ("OBJECT", "PAINT_TEXTURE")

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return can_begin(cls) and super().poll(context)

    def act(self, context: bpy.types.Context, rig: bpy.types.Object) -> None:
        pictures = painted_pictures(rig, temporary_folder(), str(rig[UUID]))
        if not linked(self, context):
            return
        body = "smpl" if str(rig.get("uvatar_body_model", "")).startswith("smpl") else "open_body"
        # A backend of version 0.1 takes the pictures together only if the job says that they show one person.
        job = list(pictures), {COMPLETE_TEXTURE: True, "same_person": True, "body": body}
        begin([job], partial(write_pictures, pictures))


CLASSES = (
    UVATAR_OT_refresh_joints,
    UVATAR_OT_apply_shape,
    UVATAR_OT_refit,
    UVATAR_OT_pose,
    UVATAR_OT_snap_to_ground,
    UVATAR_OT_name_bones,
    UVATAR_OT_material_slots,
    UVATAR_OT_show_sources,
    UVATAR_OT_texture_light,
    UVATAR_OT_live_correctives,
    UVATAR_OT_look_through,
    UVATAR_OT_subdivide,
    UVATAR_OT_skin_subsurface,
    UVATAR_OT_show_textures,
    UVATAR_OT_complete_texture,
)
