"""Pictures of `uvatar evaluate photos`: photo, avatar and mesh side by side, and eight views."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.body import BodyModel
from uvatar.data.arrays import Floats
from uvatar.data.camera import Camera
from uvatar.data.person import Person
from uvatar.protocol.levelling import levelling
from uvatar.results import preview
from uvatar.results.preview.joined import TexturedFaces, joined
from uvatar.results.result import PersonResult, PhotoResult

COMPARED_SIDE = 1024  # largest box side in pixels at which colours are compared


def dressed(person: PersonResult, body: BodyModel) -> tuple[Floats, TexturedFaces, NDArray[np.uint8]]:
    """Vertices, camera frame, of body and parts, their faces, and the texture of all."""
    vertices, _ = body.posed(person.fit.body, person.fit.offsets)
    parts = [(part, body.posed_part(person.fit.body, part)) for part in person.parts]
    return joined(vertices, body.data, person.texture.image, parts)


def close_up(
    person: Person, result: PhotoResult
) -> tuple[Camera, NDArray[np.uint8], NDArray[np.bool_], NDArray[np.bool_]]:
    """The part of the photo around a person: camera, pixels, the person's mask, the other people's."""
    side, camera = person.side, result.camera
    x0, y0, x1, y1 = person.window
    margin = round(0.15 * side)
    left, top = max(min(int(person.box[0]) - margin, x0), 0), max(min(int(person.box[1]) - margin, y0), 0)
    right, bottom = (
        min(max(int(person.box[2]) + margin, x1), camera.width),
        min(max(int(person.box[3]) + margin, y1), camera.height),
    )
    view = camera.cropped((left, top, right, bottom), min(1.0, COMPARED_SIDE / side))
    size = view.width, view.height
    photo = cv2.resize(result.photo.pixels[top:bottom, left:right], size, interpolation=cv2.INTER_AREA)
    masks = []
    for part in (person.mask, person.others):
        whole = np.zeros((bottom - top, right - left), np.uint8)
        whole[y0 - top : y1 - top, x0 - left : x1 - left] = part
        masks.append(cv2.resize(whole, size, interpolation=cv2.INTER_AREA) > 127)
    return view, photo.astype(np.uint8), masks[0], masks[1]


def write_pictures(out: Path, stem: str, result: PhotoResult, body: BodyModel) -> None:
    """Write the photo with all bodies over it and, per person, photo, avatar and mesh side by side, and eight views."""
    clothed = [body.posed(person.fit.body, person.fit.offsets)[0] for person in result.people]
    _write(out / f"{stem}_overlay.jpg", preview.overlay(result.photo.pixels, result.camera, clothed, body.data.faces))
    for number, person in enumerate(result.people):
        view, photo, _, _ = close_up(person.person, result)
        vertices, mesh, skin = dressed(person, body)
        avatar = preview.render_textured(vertices, mesh, skin, view)
        clay = preview.overlay(photo, view, [vertices], mesh.faces)
        _write(out / f"{stem}_p{number}_compare.jpg", np.concatenate([photo, avatar.image, clay], 1))
        labels = preview.label_colours(person.texture.source, fill_gutters=True)
        upright = levelling(np.array(result.gravity.up)).T.astype(np.float32)
        sheets = [
            preview.turntable(vertices @ upright, mesh, skin, columns=8),
            preview.turntable(clothed[number] @ upright, body.data, labels, columns=8),
        ]
        # A skirt can make the avatar wider than its body.
        wide = max(sheet.shape[1] for sheet in sheets)
        padded = [np.pad(sheet, ((0, 0), (0, wide - sheet.shape[1]), (0, 0)), mode="edge") for sheet in sheets]
        _write(out / f"{stem}_p{number}_turntable.jpg", np.concatenate(padded))


def _write(path: Path, image: NDArray[np.uint8]) -> None:
    done, data = cv2.imencode(path.suffix, np.ascontiguousarray(image[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 88])
    if not done:
        raise ValueError(f"A picture of shape {image.shape} cannot be written as {path.name}.")
    path.write_bytes(bytes(data))
