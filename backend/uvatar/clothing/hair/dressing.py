"""A person's long hair, from the photo to a mesh beside the body, and what it leaves for the body's own surface."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.body import BodyModel
from uvatar.clothing.ears import Ear, flat_ears
from uvatar.clothing.hair.meshes import curtain, tube
from uvatar.clothing.hair.pixels import HairPixels
from uvatar.clothing.hair.styles import LOOSE, styled
from uvatar.clothing.hair.tail import tail
from uvatar.data.camera import Camera
from uvatar.data.face import BARE_SKIN, FACE_SCORE
from uvatar.data.fit import Fit
from uvatar.data.joints import Joint
from uvatar.data.landmarks import EARS, EYES
from uvatar.data.person import Person
from uvatar.data.view import View
from uvatar.geometry.raster import rasterize
from uvatar.photos.colour import DISTANCE_WEIGHTS, linear_from_srgb, perceptual


@dataclass(frozen=True)
class HairSettings:
    """Tuned numbers of hair in the photo.

    Attributes:
        margin: around hair's pixels in which the head does not follow the photo's outline, metres.
        beyond: distance from the bare head up to which what is seen beside it is hair or worn on it, metres.
        body: around the bare rest of the body, in which it is not, metres.
        crown: height over the eyes above which a head shows hair, if it has any, metres.
        skin, least: colour distance from the face's skin up to which the top of a head shows a high forehead, and
            the share of it that shows something else at least: otherwise it is bald, and tells nothing.
        side: pixels of the longer side of the picture in which the bare body is drawn.
    """

    margin: float = 0.012
    beyond: float = 0.2
    body: float = 0.015
    crown: float = 0.08
    skin: float = 0.1
    least: float = 0.15
    side: int = 500


DEFAULT_SETTINGS = HairSettings()


def hair_pixels(
    found: HairPixels, view: View, body: BodyModel, settings: HairSettings = DEFAULT_SETTINGS
) -> NDArray[np.uint8]:
    """uint8 of the person's window, 255 where hair is, with a margin."""
    depth = float(np.linalg.norm(body.landmarks_of(view.fit.body)[EARS].mean(0)))
    side = 2 * max(1, round(settings.margin * found.camera.focal / depth)) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return _in_window(cv2.dilate(found.hair.astype(np.uint8), disc) > 0, found.camera, view)


def without_hair(person: Person, pixels: NDArray[np.uint8]) -> Person:
    """The person with the hair's pixels as somebody else's: the body there is not seen."""
    return replace(person, others=np.maximum(person.others, pixels))


def bared_pixels(
    view: View, body: BodyModel, found: HairPixels | None, settings: HairSettings = DEFAULT_SETTINGS
) -> NDArray[np.uint8]:
    """uint8 of the person's window, 255 where the photo shows hair, or a hat, and a bald person would show none: beside
    the bare head, and what ``found`` hides of neck and trunk.
    """
    person, data = view.person, body.data
    size = max(person.mask.shape)
    camera = view.camera.cropped(person.window, min(1.0, settings.side / size))
    fragments = rasterize(body.posed(view.fit.body)[0], data.faces, camera)
    share = data.weights[:, Joint.HEAD][data.faces[fragments.face, 0]]
    head = fragments.mask & (share > 0.5)
    depth = float(np.linalg.norm(body.landmarks_of(view.fit.body)[EARS].mean(0)))
    metre = camera.focal / depth
    near = _grown(head, settings.beyond * metre)
    beside = near & ~head & ~_grown(fragments.mask & ~head, settings.body * metre)
    pixels = np.where(_in_window(beside, camera, view) > 127, person.mask, 0).astype(np.uint8)
    return pixels if found is None else np.maximum(pixels, _loose(found, hair_pixels(found, view, body), view, body))


def with_hair(
    fit: Fit, found: HairPixels, pixels: NDArray[np.uint8], view: View, body: BodyModel, ears: Sequence[Ear]
) -> Fit:
    """The dressed fit with hair over it, its ears laid flat under loose hair; as it is where hair cannot be built.

    ``pixels``: of `hair_pixels`.
    """
    shown = _in_window(found.hair, found.camera, view)
    if found.tied:
        ponytail = tube(tail(found, fit, body, body.posed(fit.body, fit.offsets)[0]))
        if ponytail is None:
            return fit
        return replace(fit, hair=replace(ponytail, pixels=pixels, shown=shown, loose=pixels))
    offsets, of_ears = _under_hair(fit, body, ears)
    vertices = body.posed(fit.body, offsets)[0]
    hair = curtain(found, fit, body, vertices, of_ears)
    if hair is None:
        return fit
    loose = _loose(found, pixels, replace(view, fit=replace(fit, offsets=offsets)), body)
    return replace(fit, offsets=offsets, hair=replace(hair, pixels=pixels, shown=shown, loose=loose))


def with_hairstyle(
    fit: Fit, style: str, found: HairPixels | None, view: View, body: BodyModel, ears: Sequence[Ear]
) -> Fit:
    """The dressed fit, whose head is bare, with a hairstyle (one of `styles.STYLES`) of the colour of the photo's hair;
    as it is where it cannot be built.
    """
    offsets, of_ears = _under_hair(fit, body, ears) if style in LOOSE else (fit.offsets, np.zeros(0, np.int64))
    hair = styled(style, replace(fit, offsets=offsets), body, of_ears)
    if hair is None:
        return fit
    nothing = np.zeros_like(view.person.mask)
    shown = _crown(view, body) if found is None else _in_window(found.hair, found.camera, view)
    return replace(fit, offsets=offsets, hair=replace(hair, pixels=nothing, shown=shown, loose=nothing, as_seen=False))


def _under_hair(fit: Fit, body: BodyModel, ears: Sequence[Ear]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The offsets (V, 3) with ears laid flat, and the ears' vertices."""
    rest = body.data.v_template + body.data.shapedirs @ fit.body.betas + fit.offsets
    offsets = (fit.offsets + flat_ears(ears, rest)).astype(np.float32)
    return offsets, np.concatenate([ear.vertices for ear in ears]) if ears else np.zeros(0, np.int64)


def _loose(found: HairPixels, pixels: NDArray[np.uint8], view: View, body: BodyModel) -> NDArray[np.uint8]:
    """uint8 of the person's window: what hair, and what may be hair, hides of neck and trunk."""
    vertices = body.posed(view.fit.body, view.fit.offsets)[0]
    fragments = rasterize(vertices, body.data.faces, found.camera)
    of_head = fragments.mask & (body.data.weights[body.data.faces[fragments.face, 0], Joint.HEAD] > 0.5)
    hidden = np.maximum(pixels, _in_window(found.doubtful, found.camera, view))
    return np.where(_in_window(of_head, found.camera, view) > 127, 0, hidden).astype(np.uint8)


def _crown(view: View, body: BodyModel, settings: HairSettings = DEFAULT_SETTINGS) -> NDArray[np.uint8]:
    """uint8 of the person's window, 255 where the photo shows the top of the head, and not skin."""
    person, data = view.person, body.data
    camera = view.camera.cropped(person.window, min(1.0, settings.side / max(person.mask.shape)))
    fragments = rasterize(body.posed(view.fit.body)[0], data.faces, camera)
    rest = data.v_template[:, 1] - data.landmark_template[EYES, 1].mean()
    top = fragments.mask & (rest > settings.crown)[data.faces[fragments.face, 0]]
    crown = (person.mask > 127) & (_in_window(top, camera, view) > 127)
    if person.face is not None and person.face_score > FACE_SCORE and crown.any():
        x0, y0, x1, y1 = person.window
        across, down = (np.floor(person.face[BARE_SKIN, axis]).astype(int) for axis in range(2))
        height, width = view.photo.pixels.shape[:2]
        inside = (across >= 0) & (across < width) & (down >= 0) & (down < height)
        bare = view.photo.pixels[down[inside], across[inside]]
        pixels = view.photo.pixels[y0:y1, x0:x1][crown]
        if len(bare):
            skin = np.median(perceptual(linear_from_srgb(bare)), 0)
            off = np.linalg.norm((perceptual(linear_from_srgb(pixels)) - skin) * DISTANCE_WEIGHTS, axis=1)
            hair = off > settings.skin
            crown[crown] = hair & (hair.mean() > settings.least)
    return np.where(crown, 255, 0).astype(np.uint8)


def _grown(picture: NDArray[np.bool_], pixels: float) -> NDArray[np.bool_]:
    """The picture (H, W) with so much around it."""
    away = cv2.distanceTransform((~picture).astype(np.uint8), cv2.DIST_L2, 5)
    return np.asarray(away <= pixels)


def _in_window(picture: NDArray[np.bool_], camera: Camera, view: View) -> NDArray[np.uint8]:
    """A camera's picture (H, W) as uint8 of the person's window."""
    x0, y0, x1, y1 = view.person.window
    scale = camera.focal / view.camera.focal
    offset = np.array(camera.center) - np.array(view.camera.center) * scale
    # Pixel centres are at (i + 0.5) in the program, and at i in OpenCV.
    across, down = (np.array([x0, y0]) + 0.5) * scale + offset - 0.5
    matrix = np.array([[scale, 0, across], [0, scale, down]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    shown = cv2.warpAffine(picture.astype(np.uint8) * np.uint8(255), matrix, (x1 - x0, y1 - y0), flags=flags)
    return np.asarray(shown, np.uint8)
