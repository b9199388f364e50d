"""Rendered people of whom the whole surface is known, from all sides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvatar.body import BodyModel
from uvatar.data.arrays import Floats
from uvatar.data.camera import Camera
from uvatar.data.fit import Fit
from uvatar.data.person import Person
from uvatar.data.photo import Photo
from uvatar.data.view import View
from uvatar.evaluation.outfits import PaintedOutfit
from uvatar.evaluation.rendering import Light, Paint, photograph, random_background
from uvatar.evaluation.sitters import HEIGHT, WIDTH, Sitter, random_sitter
from uvatar.geometry import rotations
from uvatar.geometry.raster import RayScene

VIEWS = 8
NOTHING = 255  # in a picture of materials


@dataclass(frozen=True)
class RenderedPerson:
    """A person whose whole surface is known.

    Attributes:
        sitter: body and camera.
        view: the photo with what perfect perception and fitting would say of it.
        truth: (8, H, W, 3) uint8, from all sides, the photo's first; without a sensor's noise, which is not the
            person's.
        masks: (8, H, W) bool.
        bodies: (8, V, 3) vertices in front of the camera for each of these pictures.
        worn: (8, H, W) uint8, `Worn` at every pixel, 255 where there is nobody; None if the texture does not say.
        camera: of these pictures.
    """

    sitter: Sitter
    view: View
    truth: Sequence[NDArray[np.uint8]]
    masks: Sequence[NDArray[np.bool_]]
    bodies: Sequence[NDArray[np.float32]]
    worn: Sequence[NDArray[np.uint8]] | None
    camera: Camera


def rendered_person(
    name: str,
    pose: Floats,
    paint: Paint,
    body: BodyModel,
    rng: np.random.Generator,
    make_light: Callable[[np.random.Generator], Light] | None = None,
) -> RenderedPerson:
    """A random person in ``pose`` (24, 3), seen from the front half and rendered from all sides; ``make_light``: None
    for `studio_light`.
    """
    while True:
        sitter = random_sitter(name, pose, body, rng)
        if abs(sitter.yaw) < 45:
            break
    vertices, joints = body.posed(sitter.body)
    light = (make_light or studio_light)(rng)
    background = random_background(WIDTH, HEIGHT, rng)
    pixels, mask = photograph(vertices, body.data, paint, sitter.camera, light, background, rng)
    camera = sitter.camera.cropped((0, 0, WIDTH, HEIGHT), 0.5)
    grey = np.full((camera.height, camera.width, 3), 160, np.uint8)
    bodies = [_turned(vertices, joints[0], 2 * np.pi * index / VIEWS) for index in range(VIEWS)]
    pictures = [photograph(turned, body.data, paint, camera, light, grey, None) for turned in bodies]
    view = View(
        Photo(pixels, None, "0" * 64),
        known_person(mask, body, sitter),
        sitter.camera,
        Fit(sitter.body, np.zeros_like(vertices), 0.0, 0.0, 1.0),
    )
    truth, masks = [picture for picture, _ in pictures], [inside for _, inside in pictures]
    worn = [_worn(turned, paint, body, camera) for turned in bodies] if isinstance(paint, PaintedOutfit) else None
    return RenderedPerson(sitter, view, truth, masks, bodies, worn, camera)


def _worn(vertices: Floats, outfit: PaintedOutfit, body: BodyModel, camera: Camera) -> NDArray[np.uint8]:
    """`Worn` (H, W) at every pixel of a posed body (V, 3)."""
    fragments = RayScene(vertices, body.data.faces).render(camera)
    seen = fragments.mask
    corners = body.data.faces[fragments.face[seen]]
    rest = np.einsum("kc,kcd->kd", fragments.barycentric[seen], body.data.v_template[corners])
    worn = np.full(seen.shape, NOTHING, np.uint8)
    worn[seen] = outfit.materials(rest, body.data.part[corners[:, 0]])
    return worn


def studio_light(rng: np.random.Generator) -> Light:
    """Mostly from the sky, with a soft light from before the person: what photos of people are usually taken in."""
    towards = np.array([rng.normal(0, 0.5), -rng.uniform(0.3, 0.8), -1.0])
    return Light(
        towards / np.linalg.norm(towards), rng.uniform(0.35, 0.55) * np.ones(3), rng.uniform(0.5, 0.65) * np.ones(3)
    )


def known_person(mask: NDArray[np.bool_], body: BodyModel, sitter: Sitter) -> Person:
    """What perfect perception would say of a person with this mask (H, W)."""
    rows, columns = np.nonzero(mask)
    box = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], np.float32)
    points = body.landmarks_of(sitter.body)
    landmarks = np.column_stack([sitter.camera.project(points), np.ones(len(points))]).astype(np.float32)
    nobody = np.zeros(mask.shape, np.uint8)
    return Person(
        box=box, score=1.0, landmarks=landmarks, world_landmarks=np.zeros((len(points), 3), np.float32),
        window=(0, 0, mask.shape[1], mask.shape[0]), mask=mask.astype(np.uint8) * np.uint8(255), others=nobody,
    )  # fmt: skip


def _turned(vertices: Floats, about: Floats, angle: float) -> NDArray[np.float32]:
    """Vertices (V, 3) turned about the vertical through ``about`` (3,), radians."""
    turned: NDArray[np.float32] = ((vertices - about) @ rotations.about_y(angle).T + about).astype(np.float32)
    return turned
