"""Renders scenes as photos: the interface of both renderers, what they share, and the fast renderer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.body import BodyData
from uvatar.data.arrays import Floats, Integers
from uvatar.data.camera import Camera
from uvatar.data.parsing import ParseClass
from uvatar.evaluation.rendering import SUPERSAMPLE, picture_window
from uvatar.geometry.mesh import unit, vertex_normals
from uvatar.geometry.raster import RayScene
from uvatar.photos.colour import linear_from_srgb, srgb_from_linear
from uvatar.photos.sampling import bilinear
from uvatar_training.synthesis.noise import fractal3
from uvatar_training.synthesis.scenes import Scene, Sensor

METERED = 0.24  # mean linear light of a picture with exposure factor 1
_SKY_RAYS = 8  # per vertex
_FLOOR_REACH = 14.0  # metres at which a plain floor has faded into the panorama's ground


@dataclass(frozen=True)
class RenderedPicture:
    """A photo and the people visible in it.

    Attributes:
        image: (H, W, 3) uint8 sRGB.
        people: (H, W) uint8, k where figure k - 1 of the scene, or what it wears, is nearest, 0 where none is visible.
        labels: (H, W) uint8 classes (`uvatar.data.parsing.ParseClass`).
    """

    image: NDArray[np.uint8]
    people: NDArray[np.uint8]
    labels: NDArray[np.uint8]


class Renderer(Protocol):
    """Renders photos of scenes."""

    def render(self, scenes: Sequence[Scene], body: BodyData) -> list[RenderedPicture]:
        """Render one picture per scene, in their order."""
        ...


class Rasteriser:
    """The fast renderer: ray casting for visibility and shadows, Lambertian shading under a panorama."""

    def render(self, scenes: Sequence[Scene], body: BodyData) -> list[RenderedPicture]:
        """Render one picture per scene, in their order."""
        return [_photograph(scene, body) for scene in scenes]


@dataclass(frozen=True)
class Geometry:
    """All triangles of a scene in one tree, and the object each belongs to.

    Attributes:
        rays: the tree.
        owner: (F,) index of each triangle's object: figures first, then props.
        first_face, first_vertex: index of each object's first triangle and vertex.
    """

    rays: RayScene
    owner: NDArray[np.int32]
    first_face: NDArray[np.int64]
    first_vertex: NDArray[np.int64]


def geometry_of(scene: Scene, body: BodyData) -> Geometry | None:
    """The scene's triangles; None for an empty scene."""
    parts = [(figure.vertices, body.faces) for figure in scene.figures] + [
        (prop.vertices, prop.faces) for prop in scene.props
    ]
    if not parts:
        return None
    vertex = np.cumsum([0, *(len(vertices) for vertices, _ in parts)])
    face = np.cumsum([0, *(len(faces) for _, faces in parts)])
    vertices = np.concatenate([vertices for vertices, _ in parts])
    faces = np.concatenate([faces + start for (_, faces), start in zip(parts, vertex, strict=False)])
    owner = np.repeat(np.arange(len(parts)), np.diff(face)).astype(np.int32)
    return Geometry(RayScene(vertices, faces), owner, face, vertex)


def truth_maps(scene: Scene, geometry: Geometry | None, body: BodyData) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Figures and classes visible at each pixel's centre, as in `RenderedPicture.people` and ``labels``."""
    camera, count = scene.camera, len(scene.figures)
    people, labels = (np.zeros((camera.height, camera.width), np.uint8) for _ in range(2))
    if geometry is None:
        return people, labels
    seen = geometry.rays.render(camera)
    owner = np.where(seen.face >= 0, geometry.owner[np.maximum(seen.face, 0)], -1)
    for number, figure in enumerate(scene.figures):
        here = owner == number
        people[here] = number + 1
        uv = _uv(body, seen.face[here] - geometry.first_face[number], seen.barycentric[here])
        size = len(figure.dressed.labels)
        column, row = (np.clip(values * size, 0, size - 1).astype(int) for values in (uv[:, 0], 1 - uv[:, 1]))
        labels[here] = figure.dressed.labels[row, column]
    for number, prop in enumerate(scene.props, count):
        here = owner == number
        labels[here] = prop.label
        if prop.wearer >= 0 and prop.label != ParseClass.CARRIED:
            people[here] = prop.wearer + 1
    return people, labels


def _uv(body: BodyData, face: Integers, share: Floats) -> Floats:
    uv: Floats = np.einsum("kc,kcd->kd", share, body.uv[body.face_uv[face]])
    return uv


def developed(light: Floats, people: NDArray[np.bool_], sensor: Sensor, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The photo (H, W, 3), uint8 sRGB, that a sensor records: lens blur, vignette, exposure, tone curve and noise.

    Args:
        light: (H, W, 3) linear light.
        people: (H, W) pixels of people, which count more in the light metering.
        sensor: properties of the camera.
        rng: source of the noise.
    """
    height, width = light.shape[:2]
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    # As in cameras, people count more in the metering than their surroundings.
    seen = np.minimum(light, 1.5).mean(-1)
    brightness = seen.mean() if not people.any() else 0.35 * seen.mean() + 0.65 * seen[people].mean()
    metered = sensor.exposure * METERED / max(float(brightness), 1e-3)
    falloff = (1 - sensor.vignette * (x**2 + y**2) / 2)[..., None]
    warm = np.array([1 + sensor.warmth, 1, 1 - sensor.warmth])
    exposed = np.asarray(
        cv2.GaussianBlur((light * falloff * warm * metered).astype(np.float32), (0, 0), sensor.blur), np.float32
    )
    # Highlights roll off above three quarters instead of burning out.
    rolled = np.where(exposed > 0.75, 0.75 + 0.25 * (1 - np.exp(-(exposed - 0.75) / 0.4)), exposed)
    toned = np.clip(rolled, 0, 1) ** sensor.contrast
    coded = srgb_from_linear(toned).astype(np.float32)
    grain = rng.normal(0, sensor.noise, coded.shape).astype(np.float32)
    return np.clip(coded + grain, 0, 255).astype(np.uint8)


def _photograph(scene: Scene, body: BodyData) -> RenderedPicture:
    rng = np.random.default_rng(scene.seed)
    geometry = geometry_of(scene, body)
    light = _surroundings(scene, geometry, rng)
    if geometry is not None:
        window = picture_window(geometry.rays.vertices, scene.camera)
        layer = _things(scene, body, geometry, scene.camera.cropped(window, SUPERSAMPLE), rng)
        small = cv2.resize(layer, (window[2] - window[0], window[3] - window[1]), interpolation=cv2.INTER_AREA)
        area = np.s_[window[1] : window[3], window[0] : window[2]]
        light[area] = light[area] * (1 - small[..., 3:]) + small[..., :3]
    people, labels = truth_maps(scene, geometry, body)
    return RenderedPicture(developed(light, people > 0, scene.sensor, rng), people, labels)


def _surroundings(scene: Scene, geometry: Geometry | None, rng: np.random.Generator) -> NDArray[np.float32]:
    """Linear light (H, W, 3) of the panorama and the floor, with the shadows on it."""
    camera = scene.camera
    y, x = np.meshgrid(np.arange(camera.height) + 0.5, np.arange(camera.width) + 0.5, indexing="ij")
    rays = camera.rays(np.stack([x, y], -1).reshape(-1, 2)).astype(np.float32)
    light = scene.environment.seen(rays @ scene.to_world.T)
    # Out of focus, since the camera focuses on the people.
    light = light.reshape(camera.height, camera.width, 3)
    light = np.asarray(cv2.GaussianBlur(light, (0, 0), rng.uniform(1.0, 6.0) * camera.width / 512), np.float32).reshape(
        -1, 3
    )
    _lay_floor(scene, geometry, rays, light, rng)
    return light.reshape(camera.height, camera.width, 3)


def _lay_floor(
    scene: Scene,
    geometry: Geometry | None,
    rays: NDArray[np.float32],
    light: NDArray[np.float32],
    rng: np.random.Generator,
) -> None:
    """Change ``light`` (H * W, 3) where the floor is visible: its colour, and the shadows on it."""
    depth = _floor_depth(scene, rays)
    on_floor = np.flatnonzero(depth < _FLOOR_REACH)
    if not len(on_floor):
        return
    shade = _floor_shade(scene, geometry, rng).reshape(-1, 3)[on_floor]
    if scene.floor_colour is None:
        light[on_floor] *= np.minimum(shade / np.quantile(shade, 0.9, axis=0).clip(1e-3), 1)
        return
    own = np.random.default_rng(scene.seed + 1)
    points = np.asarray((rays[on_floor] * depth[on_floor, None]) @ scene.to_world.T.astype(np.float32), np.float32)
    grain = 1 + 0.1 * fractal3(points, own.uniform(0.1, 0.6), own)
    if own.random() < 0.4:  # tiles or boards
        size = own.uniform(0.15, 0.6)
        joints = np.minimum(np.abs(points[:, 0] / size % 1 - 0.5), np.abs(points[:, 2] / size % 1 - 0.5)) > 0.02
        grain = grain * np.where(joints, 1.0, 0.75)
    fade = np.clip((_FLOOR_REACH - depth[on_floor]) / 6, 0, 1)[:, None].astype(np.float32)
    light[on_floor] += fade * (scene.floor_colour * grain[:, None].astype(np.float32) * shade - light[on_floor])


def _floor_depth(scene: Scene, rays: Floats) -> NDArray[np.float32]:
    """Distance (K,) along unit rays to the floor, metres; infinite for rays that do not hit it."""
    along = rays @ scene.floor[:3]
    depth = np.where(along < -1e-3, scene.floor[3] / np.minimum(along, -1e-3), np.inf)
    return np.where(depth > 0, depth, np.inf).astype(np.float32)


def _floor_shade(scene: Scene, geometry: Geometry | None, rng: np.random.Generator) -> NDArray[np.float32]:
    """Light (H, W, 3) that falls on the floor: the key light where it is not blocked, and the visible part of the sky.

    Shadows are soft, so half the resolution is enough; it also hides the grain of random rays.
    """
    camera = scene.camera
    small = camera.cropped((0, 0, camera.width, camera.height), 0.5)
    y, x = np.meshgrid(np.arange(small.height) + 0.5, np.arange(small.width) + 0.5, indexing="ij")
    rays = small.rays(np.stack([x, y], -1).reshape(-1, 2)).astype(np.float32)
    depth = _floor_depth(scene, rays)
    environment, up = scene.environment, scene.floor[:3].astype(np.float32)
    ambient = environment.irradiance((scene.to_world @ up)[None])[0]
    key = environment.key_colour * max(float(environment.key[1]), 0.0)
    lit, opened = np.ones(len(rays), np.float32), np.ones(len(rays), np.float32)
    if geometry is not None:
        # Only the floor near objects is in shadow.
        points = np.where(np.isfinite(depth), depth, -1)[:, None] * rays
        low, high = geometry.rays.vertices.min(0) - 3, geometry.rays.vertices.max(0) + 3
        near = np.flatnonzero(((points > low) & (points < high)).all(1) & (depth < _FLOOR_REACH))
        start = points[near] + np.float32(0.01) * up
        towards = scene.to_world.T @ environment.key
        lit[near] = np.mean(
            [_open(geometry.rays, start, _cone(towards, environment.key_size, len(near), rng)) for _ in range(2)], 0
        )
        opened[near] = np.mean([_open(geometry.rays, start, _hemisphere(up, len(near), rng)) for _ in range(4)], 0)
    maps = [
        cv2.GaussianBlur(part.reshape(small.height, small.width), (0, 0), sigma)
        for part, sigma in ((lit, 0.8), (opened, 2.0))
    ]
    wide = [cv2.resize(part, (camera.width, camera.height), interpolation=cv2.INTER_LINEAR)[..., None] for part in maps]
    shade: NDArray[np.float32] = (wide[0] * key + wide[1] * ambient).astype(np.float32)
    return shade


def _things(
    scene: Scene, body: BodyData, geometry: Geometry, camera: Camera, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Linear light and coverage (H, W, 4) of figures and props."""
    seen = geometry.rays.render(camera)
    layer = np.zeros((camera.height, camera.width, 4), np.float32)
    if not seen.mask.any():
        return layer
    vertices, faces = geometry.rays.vertices, geometry.rays.faces
    face, share = seen.face[seen.mask], seen.barycentric[seen.mask]
    owner, corners = geometry.owner[face], faces[face]
    normals, opened = np.empty_like(vertices), np.empty(len(vertices), np.float32)
    for number, (first, last) in enumerate(zip(geometry.first_vertex, geometry.first_vertex[1:], strict=False)):
        part = faces[geometry.first_face[number] : geometry.first_face[number + 1]] - first
        normals[first:last] = vertex_normals(vertices[first:last], part)
        if number >= len(scene.figures):  # props have sharp edges: face normals are used below
            opened[first:last] = 1.0
        else:
            opened[first:last] = _openness(geometry.rays, vertices[first:last], normals[first:last], scene, rng)
    normal = unit(np.einsum("kc,kcd->kd", share, normals[corners]))
    prop = owner >= len(scene.figures)
    if prop.any():
        a, b, c = (vertices[corners[prop, k]] for k in range(3))
        flat = unit(np.cross(b - a, c - a))
        place = np.einsum("kc,kcd->kd", share[prop], vertices[corners[prop]])
        normal[prop] = flat * np.where((flat * place).sum(1) > 0, -1, 1)[:, None]
    position = np.einsum("kc,kcd->kd", share, vertices[corners])
    albedo = _albedo(scene, body, geometry, face, share, owner, position)
    world = (normal @ scene.to_world.T).astype(np.float32)
    environment = scene.environment
    towards = (scene.to_world.T @ environment.key).astype(np.float32)
    direct = np.clip((normal @ towards + 0.12) / 1.12, 0, 1)
    facing = np.flatnonzero(direct > 0)
    away = position[facing] + np.float32(0.006) * normal[facing]
    direct[facing] *= _open(geometry.rays, away, _cone(towards, environment.key_size, len(facing), rng))
    ambient = environment.irradiance(world) * np.einsum("kc,kc->k", share, opened[corners])[:, None]
    light = albedo * (ambient + direct[:, None] * environment.key_colour.astype(np.float32))
    light += _gloss(position, normal, towards, direct, environment.key_colour)
    layer[seen.mask] = np.concatenate([light, np.ones((len(light), 1), np.float32)], 1)
    return layer


def _albedo(
    scene: Scene, body: BodyData, geometry: Geometry, face: Integers, share: Floats, owner: Integers, position: Floats
) -> NDArray[np.float32]:
    albedo = np.empty((len(face), 3), np.float32)
    for number, figure in enumerate(scene.figures):
        here = owner == number
        if not here.any():
            continue
        uv = _uv(body, face[here] - geometry.first_face[number], share[here])
        texture = linear_from_srgb(figure.dressed.texture)
        albedo[here] = bilinear(texture, np.stack([uv[:, 0], 1 - uv[:, 1]], 1) * texture.shape[0])
    for number, prop in enumerate(scene.props, len(scene.figures)):
        here = owner == number
        if prop.paint is not None:
            corners = prop.faces[face[here] - geometry.first_face[number]]
            albedo[here] = np.einsum("kc,kcd->kd", share[here], prop.paint[corners])
        elif here.any():
            world = position[here] @ scene.to_world.T.astype(np.float32)
            grain = 1 + 0.2 * fractal3(world, prop.grain, np.random.default_rng(scene.seed + number))
            albedo[here] = prop.colour * np.clip(grain, 0.3, 1.7)[:, None]
    return albedo


def _gloss(position: Floats, normal: Floats, towards: Floats, direct: Floats, colour: Floats) -> NDArray[np.float32]:
    """A faint sheen (Blinn 1977) of skin and cloth."""
    half = unit(towards - unit(position))
    shine = 0.06 * np.clip((normal * half).sum(1), 0, 1) ** 18 * (direct > 0.02)
    gloss: NDArray[np.float32] = (shine[:, None] * colour).astype(np.float32)
    return gloss


def _openness(
    rays: RayScene, vertices: Floats, normals: Floats, scene: Scene, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Ambient light (V,) 0.4..1 that reaches vertices, by how much is in the way; the floor blocks all from below."""
    start = vertices + np.float32(0.008) * normals
    height = start @ scene.floor[:3] - scene.floor[3]
    total = np.zeros(len(vertices), np.float32)
    for _ in range(_SKY_RAYS):
        directions = unit(normals + unit(rng.normal(size=vertices.shape))).astype(np.float32)
        down = directions @ scene.floor[:3]
        ground = (down < 0) & (height < -0.5 * down)
        total += _open(rays, start, directions, 0.6) * (1 - 0.6 * ground)
    return (0.4 + 0.6 * total / _SKY_RAYS).astype(np.float32)


def _open(rays: RayScene, start: Floats, directions: Floats, reach: float = np.inf) -> NDArray[np.float32]:
    """1 for rays (K,) that hit nothing within ``reach`` metres, else 0."""
    if not len(start):
        return np.zeros(0, np.float32)
    _, _, distance = rays.first_hits(start.astype(np.float32), directions.astype(np.float32))
    return (distance > reach if np.isfinite(reach) else ~np.isfinite(distance)).astype(np.float32)


def _cone(towards: Floats, size: float, count: int, rng: np.random.Generator) -> NDArray[np.float32]:
    return unit(towards + size * rng.normal(size=(count, 3)).astype(np.float32) * 0.6).astype(np.float32)


def _hemisphere(up: Floats, count: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Cosine-weighted random directions around ``up``."""
    return unit(up + unit(rng.normal(size=(count, 3)))).astype(np.float32)
