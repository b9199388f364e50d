"""Blender materials for skin, eyes, cloth and hair."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import bpy
import numpy as np

from uvatar.data.arrays import Floats


def blender_image(name: str, linear: Floats) -> bpy.types.Image:
    """A Blender image from a float picture (N, N, 3), linear RGB, row 0 at the top."""
    height, width = linear.shape[:2]
    image = bpy.data.images.new(name, width, height, float_buffer=True)
    image.colorspace_settings.name = "Linear Rec.709"
    rgba = np.ones((height, width, 4), np.float32)
    rgba[..., :3] = linear[::-1]
    image.pixels.foreach_set(rgba.ravel())
    return image


class MaterialNodes:
    """Builds a material from nodes and links."""

    def __init__(self, name: str) -> None:
        self.material = bpy.data.materials.new(name)
        self.material.use_nodes = True
        self.tree = self.material.node_tree
        self.shader = self.tree.nodes["Principled BSDF"]

    def add(self, kind: str, inputs: Mapping[str | int, object] | None = None, **attributes: object) -> bpy.types.Node:
        """Add a node of type ``kind``; inputs that are sockets are linked, other values are set."""
        node = self.tree.nodes.new(kind)
        for name, attribute in attributes.items():
            setattr(node, name, attribute)
        for key, value in (inputs or {}).items():
            self.put(node.inputs[key], value)
        return node

    def put(self, socket: bpy.types.NodeSocket, value: object) -> None:
        """Link an output socket to an input, or set the input's value."""
        if isinstance(value, bpy.types.NodeSocket):
            self.tree.links.new(value, socket)
        else:
            socket.default_value = value


def skin_material(image: bpy.types.Image) -> bpy.types.Material:
    """Skin: painted colour, some subsurface scattering, pores."""
    nodes = MaterialNodes("Skin")
    paint = nodes.add("ShaderNodeTexImage", image=image)
    pores = nodes.add("ShaderNodeTexNoise", {"Scale": 900.0, "Detail": 3.0})
    bump = nodes.add("ShaderNodeBump", {"Strength": 0.12, "Distance": 0.001, "Height": pores.outputs[0]})
    for socket, value in {
        "Base Color": paint.outputs["Color"], "Roughness": 0.48, "Normal": bump.outputs[0], "Subsurface Weight": 0.12,
        "Subsurface Radius": (0.012, 0.004, 0.002), "Specular IOR Level": 0.35,
    }.items():  # fmt: skip
        nodes.put(nodes.shader.inputs[socket], value)
    return nodes.material


def eye_material(center: Floats, gaze: Floats, iris: tuple[float, float, float]) -> bpy.types.Material:
    """An eye, coloured by the angle to its gaze: pupil, iris, limbal ring, white."""
    nodes = MaterialNodes("Eye")
    position = nodes.add("ShaderNodeNewGeometry").outputs["Position"]
    outward = nodes.add("ShaderNodeVectorMath", {0: position, 1: tuple(center)}, operation="SUBTRACT")
    unit = nodes.add("ShaderNodeVectorMath", {0: outward.outputs[0]}, operation="NORMALIZE")
    cosine = nodes.add("ShaderNodeVectorMath", {0: unit.outputs[0], 1: tuple(gaze)}, operation="DOT_PRODUCT")
    angle = nodes.add("ShaderNodeMath", {0: cosine.outputs["Value"]}, operation="ARCCOSINE")
    ramp = nodes.add("ShaderNodeValToRGB", {0: angle.outputs[0]})
    black, ring, white = (0.004,) * 3, (0.02,) * 3, (0.62, 0.58, 0.55)
    bright = tuple(1.5 * c for c in iris)
    stops = [(0.0, black), (0.20, black), (0.24, iris), (0.44, bright), (0.50, ring), (0.56, white)]
    elements = ramp.color_ramp.elements
    while len(elements) < len(stops):
        elements.new(0.5)
    for element, (place, colour) in zip(elements, stops, strict=True):
        element.position, element.color = place, (*colour, 1.0)
    nodes.put(nodes.shader.inputs["Base Color"], ramp.outputs[0])
    nodes.put(nodes.shader.inputs["Roughness"], 0.08)
    return nodes.material


def cloth_material(path: Path, hue: float) -> bpy.types.Material:
    """Cloth or leather from a CC0 diffuse picture, with the hue shifted by ``hue`` (0.5: not at all)."""
    nodes = MaterialNodes(path.stem)
    paint = nodes.add("ShaderNodeTexImage", image=bpy.data.images.load(str(path)))
    turned = nodes.add("ShaderNodeHueSaturation", {"Color": paint.outputs["Color"], "Hue": hue})
    weave = nodes.add("ShaderNodeTexNoise", {"Scale": 350.0, "Detail": 4.0})
    bump = nodes.add("ShaderNodeBump", {"Strength": 0.25, "Distance": 0.002, "Height": weave.outputs[0]})
    for socket, value in {
        "Base Color": turned.outputs[0], "Roughness": 0.8, "Normal": bump.outputs[0], "Sheen Weight": 0.15,
    }.items():  # fmt: skip
        nodes.put(nodes.shader.inputs[socket], value)
    return nodes.material


def lash_material() -> bpy.types.Material:
    """Eyelashes: dark and mostly transparent."""
    nodes = MaterialNodes("Lashes")
    nodes.put(nodes.shader.inputs["Base Color"], (0.01, 0.007, 0.005, 1.0))
    nodes.put(nodes.shader.inputs["Alpha"], 0.35)
    return nodes.material


def hair_material(colour: tuple[float, float, float], rim: str) -> bpy.types.Material:
    """Hair: streaks along the strands (v), frayed where the attribute ``rim`` is 0, at the mesh's border."""
    nodes = MaterialNodes("Hair")
    uv = nodes.add("ShaderNodeUVMap", uv_map="UVMap").outputs[0]
    stretched = nodes.add("ShaderNodeMapping", {"Vector": uv, "Scale": (260.0, 6.0, 1.0)}).outputs[0]
    strands = nodes.add(
        "ShaderNodeTexNoise", {"Vector": stretched, "Scale": 1.0, "Detail": 3.0, "Roughness": 0.6}
    ).outputs[0]
    ramp = nodes.add("ShaderNodeValToRGB", {0: strands})
    for element, (place, gain) in zip(ramp.color_ramp.elements, ((0.3, 0.35), (0.75, 1.9)), strict=True):
        element.position, element.color = place, (*(gain * c for c in colour), 1.0)
    border = nodes.add("ShaderNodeAttribute", attribute_name=rim).outputs["Fac"]
    lifted = nodes.add("ShaderNodeMath", {0: border, 1: 0.9}, operation="MULTIPLY").outputs[0]
    solid = nodes.add("ShaderNodeMath", {0: lifted, 1: strands}, operation="ADD").outputs[0]
    alpha = nodes.add("ShaderNodeMapRange", {0: solid, 1: 0.55, 2: 0.75}).outputs[0]
    bump = nodes.add("ShaderNodeBump", {"Strength": 0.6, "Distance": 0.003, "Height": strands}).outputs[0]
    for socket, value in {"Base Color": ramp.outputs[0], "Roughness": 0.42, "Alpha": alpha, "Normal": bump}.items():
        nodes.put(nodes.shader.inputs[socket], value)
    return nodes.material
