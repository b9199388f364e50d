# SPDX-License-Identifier: GPL-3.0-or-later
"""The differences between Blender 4.2 and 5.2, in one place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import bpy
import numpy as np
from numpy.typing import ArrayLike


def enable_nodes(material: bpy.types.Material) -> None:
    """Give a new material its node tree. Since Blender 5.0 every material has one, and the property is deprecated."""
    if bpy.app.version < (5, 0, 0):
        material.use_nodes = True


def compositor_tree(scene: bpy.types.Scene) -> bpy.types.NodeTree:
    """Return the scene's compositor tree, which is made if there is none."""
    if bpy.app.version < (5, 0, 0):
        scene.use_nodes = True
        return scene.node_tree
    if scene.compositing_node_group is None:
        scene.compositing_node_group = bpy.data.node_groups.new("Compositor", "CompositorNodeTree")
    return scene.compositing_node_group


def compositor_output(tree: bpy.types.NodeTree) -> bpy.types.NodeSocket:
    """Add the compositor's output node and return its image input."""
    if bpy.app.version < (5, 0, 0):
        return tree.nodes.new("CompositorNodeComposite").inputs["Image"]
    tree.interface.new_socket(name="Image", in_out="OUTPUT", socket_type="NodeSocketColor")
    return tree.nodes.new("NodeGroupOutput").inputs["Image"]


def alpha_over(tree: bpy.types.NodeTree) -> tuple[bpy.types.NodeSocket, bpy.types.NodeSocket, bpy.types.NodeSocket]:
    """Add an Alpha Over node and return its background, foreground and output sockets."""
    node = tree.nodes.new("CompositorNodeAlphaOver")
    if "Background" in node.inputs:  # 5.0
        return node.inputs["Background"], node.inputs["Foreground"], node.outputs["Image"]
    return node.inputs[1], node.inputs[2], node.outputs["Image"]


def scale_to_render(tree: bpy.types.NodeTree) -> tuple[bpy.types.NodeSocket, bpy.types.NodeSocket]:
    """Add a node that scales an image to the render size and return its input and output sockets."""
    node = tree.nodes.new("CompositorNodeScale")
    if hasattr(node, "space"):
        node.space = "RENDER_SIZE"
    else:  # 5.0
        node.inputs["Type"].default_value = "Render Size"
    return node.inputs["Image"], node.outputs["Image"]


def curve_maker(
    thing: bpy.types.Object | bpy.types.Key, action: bpy.types.Action, kind: str = "OBJECT"
) -> Callable[[str, int, str], bpy.types.FCurve]:
    """Assign a new action to a data-block and return a function (data path, index, group) that adds F-Curves to it.

    The action that it replaces stays in the file.

    Args:
        thing: an object, or shape keys.
        action: without F-Curves yet.
        kind: Blender's name of the type of data-block.
    """
    animation = thing.animation_data or thing.animation_data_create()
    if animation.action is not None:
        animation.action.use_fake_user = True  # else Blender does not save it
    if bpy.app.version < (4, 4, 0):
        animation.action = action
        return more_curves(thing)
    slot = action.slots.new(id_type=kind, name=thing.name)
    action.layers.new("Layer").strips.new(type="KEYFRAME")
    animation.action, animation.action_slot = action, slot
    return more_curves(thing)


def more_curves(thing: bpy.types.Object | bpy.types.Key) -> Callable[[str, int, str], bpy.types.FCurve]:
    """Return the function of `curve_maker` for a data-block that has its action from there."""
    action = thing.animation_data.action
    if bpy.app.version < (4, 4, 0):
        return lambda path, index, group: action.fcurves.new(path, index=index, action_group=group)
    bag = action.layers[0].strips[0].channelbag(thing.animation_data.action_slot, ensure=True)

    def curve(path: str, index: int, group: str) -> bpy.types.FCurve:
        made = bag.fcurves.new(path, index=index)
        made.group = bag.groups.get(group) or bag.groups.new(group)
        return made

    return curve


def deselect_bones(rig: bpy.types.Object) -> None:
    """Deselect all bones in Pose Mode, also hidden ones, which Blender's own operators leave selected."""
    for bone in rig.data.bones if bpy.app.version < (5, 0, 0) else rig.pose.bones:
        bone.select = False


def select_bone(rig: bpy.types.Object, name: str) -> None:
    """Select a bone in Pose Mode."""
    (rig.data.bones if bpy.app.version < (5, 0, 0) else rig.pose.bones)[name].select = True


def fill_curve(curve: bpy.types.FCurve, frames: ArrayLike, values: ArrayLike) -> None:
    """Give a new F-Curve a keyframe on each of these frames.

    Args:
        curve: an F-Curve without keyframes.
        frames: (F,) frames.
        values: (F,) values.
    """
    points = curve.keyframe_points
    keys = np.stack([np.asarray(frames), np.asarray(values)], -1).astype(np.float32)
    points.add(len(keys))
    points.foreach_set("co", keys.ravel())
    points.foreach_set("interpolation", np.ones(len(keys), np.uint8))  # linear: there is a key on every frame
    curve.update()


def action_curves(thing: bpy.types.Object | bpy.types.Key) -> list[bpy.types.FCurve]:
    """Return the F-Curves of the action of an object or of shape keys."""
    animation = thing.animation_data
    if animation is None or animation.action is None:
        return []
    if bpy.app.version < (4, 4, 0):
        return list(animation.action.fcurves)
    bags = [
        strip.channelbag(animation.action_slot)
        for layer in animation.action.layers
        for strip in layer.strips
        if animation.action_slot
    ]
    return [curve for bag in bags if bag is not None for curve in bag.fcurves]


def gltf_of_one_action() -> dict[str, bool]:
    """Return options with which Blender's glTF exporter writes the armature's own action only.

    Before Blender 4.4 it otherwise adds every other action of the file to a lone armature's clip.
    """
    known = bpy.ops.export_scene.gltf.get_rna_type().properties
    return {"export_anim_single_armature": False} if "export_anim_single_armature" in known else {}


def save_copy(image: bpy.types.Image, file: Path) -> None:
    """Let Blender encode an image, such as one of floats, as a PNG file, and leave the image as it is.

    Raises:
        RuntimeError: the file cannot be written.
    """
    if "save_copy" in image.bl_rna.functions["save"].parameters:
        format, image.file_format = image.file_format, "PNG"
        try:
            image.save(filepath=str(file), save_copy=True)
        finally:
            image.file_format = format
        return
    # Blender 4.2: saving gives an image the new file.
    width, height = image.size
    copy = bpy.data.images.new("copy", width, height, alpha=True, float_buffer=image.is_float)
    try:
        copy.colorspace_settings.name, copy.alpha_mode = image.colorspace_settings.name, image.alpha_mode
        pixels = np.empty(width * height * image.channels, np.float32)
        image.pixels.foreach_get(pixels)
        whole = np.ones((width * height, copy.channels), np.float32)
        whole[:, : image.channels] = pixels.reshape(-1, image.channels)
        if image.channels == 1:  # grey
            whole[:, 1:3] = whole[:, :1]
        copy.pixels.foreach_set(whole.ravel())
        copy.file_format = "PNG"
        copy.save(filepath=str(file))
    finally:
        bpy.data.images.remove(copy)
