"""Run by `uvatar_training.synthesis.cycles`: renders the scenes of a folder with Blender.

It imports nothing from Uvatar.

    python cycles_worker.py FOLDER SAMPLES THREADS

Reads ``body.npz`` and ``NNNNN.npz``, and writes ``NNNNN.light.npy`` (H, W, 3), linear light. Blender's axes are
(x, -z, y) of the scene.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import bpy
import mathutils
import numpy as np
from numpy.typing import NDArray

SENSOR = 36.0
FADE_FROM, FADE_TO = 8.0, 14.0  # metres between which the floor fades into the panorama
TO_BLENDER = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])


def main(folder: Path, samples: int, threads: int) -> None:
    """Render every scene of the folder."""
    with np.load(folder / "body.npz") as file:
        body = {name: file[name] for name in file.files}
    for path in sorted(folder.glob("[0-9]*.npz")):
        with np.load(path) as file:
            scene = {name: file[name] for name in file.files}
        bpy.ops.wm.read_factory_settings(use_empty=True)
        build(scene, body)
        np.save(folder / f"{path.stem}.light.npy", render(scene, folder / f"{path.stem}.exr", samples, threads))


def build(scene: dict[str, NDArray[Any]], body: dict[str, NDArray[Any]]) -> None:
    """Add the scene's figures, props, floor, light and camera."""
    number = 0
    while f"figure{number}" in scene:
        material = textured(scene[f"texture{number}"])
        add_mesh(f"figure{number}", scene[f"figure{number}"], body["faces"], material, body["corner_uv"])
        number += 1
    number = 0
    while f"prop{number}" in scene:
        material = grained(scene[f"prop_colour{number}"], float(scene[f"prop_grain{number}"]))
        add_mesh(f"prop{number}", scene[f"prop{number}"], scene[f"prop_faces{number}"], material)
        number += 1
    height = float(scene["floor"])
    corners = np.array([[x, height, z] for x, z in ((-30, -30), (-30, 30), (30, 30), (30, -30))])
    add_mesh("floor", corners, np.array([[0, 1, 2, 3]]), faded(scene["floor_colour"]))
    add_light(scene)
    add_camera(scene)


def add_mesh(
    name: str,
    vertices: NDArray[np.floating[Any]],
    faces: NDArray[np.integer[Any]],
    material: bpy.types.Material,
    uv: NDArray[np.floating[Any]] | None = None,
) -> None:
    """Add a mesh to the scene, smooth-shaded if it has texture coordinates."""
    data = bpy.data.meshes.new(name)
    data.from_pydata((vertices @ TO_BLENDER.T).tolist(), [], faces.tolist())
    if uv is not None:
        data.uv_layers.new(name="UVMap").data.foreach_set("uv", uv.astype(np.float32).ravel())
        data.polygons.foreach_set("use_smooth", np.ones(len(faces), bool))
    data.materials.append(material)
    bpy.context.scene.collection.objects.link(bpy.data.objects.new(name, data))


def image_of(name: str, pixels: NDArray[np.floating[Any]], linear: bool) -> bpy.types.Image:
    """A Blender image from pixels (H, W, channels) in linear or sRGB colour."""
    height, width = pixels.shape[:2]
    image = bpy.data.images.new(name, width, height, float_buffer=linear)
    image.colorspace_settings.name = "Linear Rec.709" if linear else "sRGB"
    rgba = np.ones((height, width, 4), np.float32)
    rgba[..., :3] = pixels[::-1] if linear else pixels[::-1] / 255
    image.pixels.foreach_set(rgba.ravel())
    return image


def new_material(name: str) -> tuple[bpy.types.Material, bpy.types.NodeTree, bpy.types.Node]:
    """A material with nodes, its node tree, and its principled shader."""
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    return material, material.node_tree, material.node_tree.nodes["Principled BSDF"]


def textured(texture: NDArray[np.floating[Any]]) -> bpy.types.Material:
    """A material for skin and cloth: the texture, slight subsurface scattering and a fine weave."""
    material, tree, shader = new_material("Person")
    picture = tree.nodes.new("ShaderNodeTexImage")
    picture.image = image_of("Texture", texture, linear=False)
    tree.links.new(picture.outputs["Color"], shader.inputs["Base Color"])
    shader.inputs["Roughness"].default_value = 0.65
    shader.inputs["Specular IOR Level"].default_value = 0.3
    weave, bump = tree.nodes.new("ShaderNodeTexNoise"), tree.nodes.new("ShaderNodeBump")
    (
        weave.inputs["Scale"].default_value,
        bump.inputs["Strength"].default_value,
        bump.inputs["Distance"].default_value,
    ) = 60.0, 0.25, 0.004
    tree.links.new(weave.outputs[0], bump.inputs["Height"])
    tree.links.new(bump.outputs[0], shader.inputs["Normal"])
    return material


def grained(colour: NDArray[np.floating[Any]], grain: float) -> bpy.types.Material:
    """A material of one colour with noise of strength ``grain``, for props."""
    material, tree, shader = new_material("Prop")
    noise, mix = tree.nodes.new("ShaderNodeTexNoise"), tree.nodes.new("ShaderNodeValToRGB")
    position = tree.nodes.new("ShaderNodeNewGeometry").outputs["Position"]
    tree.links.new(position, noise.inputs["Vector"])
    noise.inputs["Scale"].default_value, noise.inputs["Detail"].default_value = 1 / grain, 5.0
    for element, gain in zip(mix.color_ramp.elements, (0.6, 1.4), strict=True):
        element.color = (*np.clip(gain * colour, 0, 1).tolist(), 1)
    tree.links.new(noise.outputs[0], mix.inputs[0])
    tree.links.new(mix.outputs[0], shader.inputs["Base Color"])
    return material


def faded(colour: NDArray[np.floating[Any]]) -> bpy.types.Material:
    """A floor that fades into the panorama's ground in the distance."""
    material = grained(colour, 0.4)
    tree = material.node_tree
    clear, mix = tree.nodes.new("ShaderNodeBsdfTransparent"), tree.nodes.new("ShaderNodeMixShader")
    distance, ramp = tree.nodes.new("ShaderNodeCameraData"), tree.nodes.new("ShaderNodeMapRange")
    for name, value in (("From Min", FADE_FROM), ("From Max", FADE_TO)):
        ramp.inputs[name].default_value = value
    tree.links.new(distance.outputs["View Distance"], ramp.inputs["Value"])
    tree.links.new(ramp.outputs["Result"], mix.inputs[0])
    tree.links.new(tree.nodes["Principled BSDF"].outputs[0], mix.inputs[1])
    tree.links.new(clear.outputs[0], mix.inputs[2])
    tree.links.new(mix.outputs[0], tree.nodes["Material Output"].inputs["Surface"])
    return material


def add_light(scene: dict[str, NDArray[Any]]) -> None:
    """Add the environment and the key light."""
    world = bpy.data.worlds.new("World")
    bpy.context.scene.world = world
    world.use_nodes = True
    sky = world.node_tree.nodes.new("ShaderNodeTexEnvironment")
    # Blender's panoramas start 90 degrees further to the left.
    sky.image = image_of("Panorama", np.roll(scene["panorama"], scene["panorama"].shape[1] // 4, 1), linear=True)
    world.node_tree.links.new(sky.outputs[0], world.node_tree.nodes["Background"].inputs[0])
    lamp = bpy.data.lights.new("Key", "SUN")
    colour = scene["key_colour"]
    # The scene stores irradiance divided by pi, as reflected by a white surface; Blender takes irradiance.
    lamp.energy, lamp.angle = float(np.pi * colour.max()), 2 * float(scene["key_size"])
    lamp.color = (colour / colour.max()).tolist()
    thing = bpy.data.objects.new("Key", lamp)
    thing.rotation_euler = mathutils.Vector((TO_BLENDER @ scene["key"]).tolist()).to_track_quat("Z", "Y").to_euler()
    bpy.context.scene.collection.objects.link(thing)


def add_camera(scene: dict[str, NDArray[Any]]) -> None:
    """Add the camera, with a random aperture, focused on the scene's people."""
    focal, width, *_ = scene["camera"]
    data = bpy.data.cameras.new("Camera")
    data.sensor_fit, data.sensor_width, data.lens = "HORIZONTAL", SENSOR, float(SENSOR * focal / width)
    data.clip_start = 0.02
    data.dof.use_dof = True
    data.dof.focus_distance = float(scene["focus"])
    data.dof.aperture_fstop = float(np.random.default_rng(int(scene["seed"])).uniform(1.6, 8))
    thing = bpy.data.objects.new("Camera", data)
    turn = TO_BLENDER @ scene["to_world"] @ np.diag([1.0, -1, -1])
    thing.matrix_world = mathutils.Matrix(turn.tolist()).to_4x4()
    bpy.context.scene.collection.objects.link(thing)
    bpy.context.scene.camera = thing


def render(scene: dict[str, NDArray[Any]], path: Path, samples: int, threads: int) -> NDArray[np.floating[Any]]:
    """Render the scene that has been built, with a temporary file at ``path``, as linear light (H, W, 3)."""
    settings = bpy.context.scene
    _, width, height, *_ = scene["camera"]
    settings.render.engine = "CYCLES"
    settings.cycles.device, settings.cycles.samples, settings.cycles.use_denoising = "CPU", samples, True
    settings.cycles.max_bounces, settings.cycles.seed = 4, int(scene["seed"]) % 2**31
    settings.render.resolution_x, settings.render.resolution_y = int(width), int(height)
    settings.render.resolution_percentage = 100
    if threads:
        settings.render.threads_mode, settings.render.threads = "FIXED", threads
    settings.render.image_settings.file_format = "OPEN_EXR"
    settings.render.image_settings.color_depth = "32"
    settings.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(str(path))
    pixels = np.empty(int(width) * int(height) * 4, np.float32)
    image.pixels.foreach_get(pixels)
    path.unlink()
    return pixels.reshape(int(height), int(width), 4)[::-1, :, :3].copy()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
