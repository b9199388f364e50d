"""Run by test_against_blender.py in a process of its own: Cycles draws a textured mesh by its emission.

    python render_in_blender.py scene.npz texture.png picture.npy

scene.npz: vertices (V, 3) in an OpenCV camera's frame, faces (F, 3), face_uv (F, 3, 2), focal, center (2,), height,
width. Writes (H, W, 4) float32, row 0 on top: the texture's values as they are in the file, and the coverage.
"""

from __future__ import annotations

import sys
from pathlib import Path

import bpy
import numpy as np


def main(scene_path: str, texture_path: str, out_path: str) -> None:
    given = np.load(scene_path)
    height, width = int(given["height"]), int(given["width"])
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.device = "CPU"
    scene.cycles.samples = 1
    scene.cycles.use_adaptive_sampling = False
    scene.cycles.use_denoising = False
    # One sample at the centre of each pixel.
    scene.cycles.pixel_filter_type = "BOX"
    scene.cycles.filter_width = 0.01
    scene.render.film_transparent = True
    scene.render.threads_mode = "FIXED"
    scene.render.threads = 1
    scene.render.resolution_x, scene.render.resolution_y = width, height

    # A Blender camera looks along its -z with y up.
    lens = bpy.data.cameras.new("lens")
    lens.sensor_fit = "HORIZONTAL"
    lens.sensor_width = 36
    lens.lens = 36 * float(given["focal"]) / width
    lens.shift_x = (width / 2 - float(given["center"][0])) / width
    lens.shift_y = (float(given["center"][1]) - height / 2) / width
    scene.camera = bpy.data.objects.new("camera", lens)
    scene.collection.objects.link(scene.camera)

    mesh = bpy.data.meshes.new("body")
    mesh.from_pydata(given["vertices"] * [1, -1, -1], [], given["faces"].tolist())
    mesh.uv_layers.new(name="uv").uv.foreach_set("vector", given["face_uv"].reshape(-1).astype(np.float32))
    material = bpy.data.materials.new("paint")
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    nodes.clear()
    image = nodes.new("ShaderNodeTexImage")
    image.image = bpy.data.images.load(texture_path)
    image.image.colorspace_settings.name = "Non-Color"
    image.extension = "EXTEND"
    emission, output = nodes.new("ShaderNodeEmission"), nodes.new("ShaderNodeOutputMaterial")
    links.new(image.outputs["Color"], emission.inputs["Color"])
    links.new(emission.outputs["Emission"], output.inputs["Surface"])
    mesh.materials.append(material)
    scene.collection.objects.link(bpy.data.objects.new("body", mesh))

    picture = Path(out_path).with_suffix(".exr")
    scene.render.image_settings.file_format = "OPEN_EXR"
    scene.render.image_settings.color_depth = "32"
    scene.render.filepath = str(picture)
    bpy.ops.render.render(write_still=True)
    drawn = bpy.data.images.load(str(picture))
    pixels = np.array(drawn.pixels[:], np.float32).reshape(height, width, 4)
    np.save(out_path, pixels[::-1])


if __name__ == "__main__":
    main(*sys.argv[1:])
