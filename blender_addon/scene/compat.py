# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between Blender 4.2 and 5.2, in one place."""

from __future__ import annotations

import bpy


def enable_nodes(material: bpy.types.Material) -> None:
    """Give a new material its node tree. From 5.0 on every material has one and the switch is deprecated."""
    if bpy.app.version < (5, 0, 0):
        material.use_nodes = True


def compositor_tree(scene: bpy.types.Scene) -> bpy.types.NodeTree:
    """The scene's compositor tree, made where there is none."""
    if bpy.app.version < (5, 0, 0):
        scene.use_nodes = True
        return scene.node_tree
    if scene.compositing_node_group is None:
        scene.compositing_node_group = bpy.data.node_groups.new("Compositor", "CompositorNodeTree")
    return scene.compositing_node_group


def compositor_output(tree: bpy.types.NodeTree) -> bpy.types.NodeSocket:
    """The input socket of the compositor's final picture."""
    if bpy.app.version < (5, 0, 0):
        return tree.nodes.new("CompositorNodeComposite").inputs["Image"]
    tree.interface.new_socket(name="Image", in_out="OUTPUT", socket_type="NodeSocketColor")
    return tree.nodes.new("NodeGroupOutput").inputs["Image"]


def alpha_over(tree: bpy.types.NodeTree) -> tuple[bpy.types.NodeSocket, bpy.types.NodeSocket, bpy.types.NodeSocket]:
    """A node that lays one picture over another: its background, foreground and output sockets."""
    node = tree.nodes.new("CompositorNodeAlphaOver")
    if "Background" in node.inputs:  # 5.0
        return node.inputs["Background"], node.inputs["Foreground"], node.outputs["Image"]
    return node.inputs[1], node.inputs[2], node.outputs["Image"]


def scale_to_render(tree: bpy.types.NodeTree) -> tuple[bpy.types.NodeSocket, bpy.types.NodeSocket]:
    """A node that stretches a picture to the render's size: its input and output sockets."""
    node = tree.nodes.new("CompositorNodeScale")
    if hasattr(node, "space"):
        node.space = "RENDER_SIZE"
    else:  # 5.0
        node.inputs["Type"].default_value = "Render Size"
    return node.inputs["Image"], node.outputs["Image"]
