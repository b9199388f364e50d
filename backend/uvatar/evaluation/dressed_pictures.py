"""Pictures of people in clothes, and what perfect perception and fitting would say of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats, Integers
from uvatar.data.camera import Camera
from uvatar.data.fit import Fit
from uvatar.data.photo import Photo
from uvatar.data.view import View
from uvatar.engine.engine import Engine
from uvatar.evaluation.dressed_people import DressedPerson
from uvatar.evaluation.forms import SIDES
from uvatar.evaluation.rendered_people import known_person
from uvatar.evaluation.rendering import SUPERSAMPLE, Light, picture_window, random_background, random_light, sensed
from uvatar.geometry import rotations
from uvatar.geometry.mesh import unit, vertex_normals
from uvatar.geometry.raster import RayScene
from uvatar.photos.colour import linear_from_srgb, srgb_from_linear

FACE_POINTS = 478  # of the face mesh; those of the irises lie where its last ones do not
SHEET_SCALE = 0.5  # of a sheet's pictures
_SHEET_LIGHT = Light(unit(np.array([-0.4, -0.5, -0.8])), np.full(3, 0.7), np.full(3, 0.35))


def picture_of(person: DressedPerson, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The photo (H, W, 3) of a person before a random background, and their mask (H, W)."""
    camera = person.sitter.camera
    window = picture_window(person.vertices, camera)
    lit, cover = _lit(
        person.vertices, person.faces, person.colours, camera.cropped(window, SUPERSAMPLE), random_light(rng)
    )
    size = window[2] - window[0], window[3] - window[1]
    layer, share = (np.asarray(cv2.resize(one, size, interpolation=cv2.INTER_AREA)) for one in (lit, cover))
    picture = linear_from_srgb(random_background(camera.width, camera.height, rng)).copy()
    area = np.s_[window[1] : window[3], window[0] : window[2]]
    picture[area] = picture[area] * (1 - share[..., None]) + layer
    mask = np.zeros(picture.shape[:2], bool)
    mask[area] = share > 0.5
    return sensed(picture, rng.uniform(0.4, 0.8), rng.uniform(1, 4), rng), mask


def view_of(person: DressedPerson, pixels: NDArray[np.uint8], mask: NDArray[np.bool_], engine: Engine) -> View:
    """The view with the true body, outline and landmarks."""
    sitter, body = person.sitter, engine.body
    seen = known_person(mask, body, sitter)
    vertices, _ = body.posed(sitter.body)
    if engine.face is not None:
        marks = engine.face.correspondence
        places = sitter.camera.project(marks.at(vertices))
        face = np.broadcast_to(places.mean(0), (FACE_POINTS, 2)).astype(np.float32)
        face[marks.index] = places
        seen = replace(seen, face=face, face_score=1.0)
    fit = Fit(sitter.body, np.zeros_like(vertices), 0.0, 0.0, 1.0)
    return View(Photo(pixels, None, "0" * 64), seen, sitter.camera, fit)


def sheet(view: View, person: DressedPerson, made: Sequence[tuple[Floats, Integers]]) -> NDArray[np.uint8]:
    """The photo, and below each other the truth and the avatars from all of `SIDES`."""
    camera = view.camera.cropped((0, 0, view.camera.width, view.camera.height), SHEET_SCALE)
    photo = cv2.resize(view.photo.pixels, (camera.width, camera.height), interpolation=cv2.INTER_AREA)
    grey = np.full((1, 3), 0.5, np.float32)
    rows: list[NDArray[np.uint8]] = []
    for vertices, faces, colours in [
        (person.vertices, person.faces, person.colours),
        *((vertices, faces, np.broadcast_to(grey, faces.shape)) for vertices, faces in made),
    ]:
        pictures = [photo if not rows else np.full_like(photo, 255)]
        for angle in SIDES:
            turn = rotations.exp((np.radians(angle) * np.array(person.sitter.up))[None])[0]
            turned = (vertices - person.pelvis) @ turn.T + person.pelvis
            lit, cover = _lit(turned, faces, colours, camera, _SHEET_LIGHT)
            pictures.append(srgb_from_linear(lit + (1 - cover)[..., None]))
        rows.append(np.concatenate(pictures, 1))
    return np.concatenate(rows)


def _lit(
    vertices: Floats, faces: Integers, colours: NDArray[np.float32], camera: Camera, light: Light
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A mesh with a colour (F, 3) per triangle, in linear light (H, W, 3), 0 beside it, and its cover (H, W)."""
    fragments = RayScene(vertices, faces).render(camera)
    seen = fragments.mask
    corners = faces[fragments.face[seen]]
    normals = np.einsum("kc,kcd->kd", fragments.barycentric[seen], vertex_normals(vertices, faces)[corners])
    normals = unit(normals * np.where(normals[:, 2:] > 0, -1, 1))  # cloth is seen from both sides
    picture = np.zeros((*seen.shape, 3), np.float32)
    picture[seen] = light.on(colours[fragments.face[seen]], normals @ light.direction, -normals[:, 1])
    return picture, seen.astype(np.float32)
