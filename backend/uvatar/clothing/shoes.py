"""Shoes: what a person wears on the feet, and what that does to the body's feet.

A small family of shoes is stored beside the body (`tools/build_shoes.py`), each as displacements of the feet at rest:
no toes, a toe box, a sole. A person is barefoot where the photo shows skin at the feet; else the shoe is worn whose
outline meets the mask best. Clothing then starts from the shod feet as if they were the body's.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.body import BodyModel
from uvatar.body.data import BodyData, BodyError
from uvatar.clothing.offsets import pose_and_skinning
from uvatar.data.arrays import Floats
from uvatar.data.camera import Camera
from uvatar.data.face import BARE_SKIN, FACE_SCORE
from uvatar.data.person import Person
from uvatar.data.view import View
from uvatar.geometry.raster import Fragments, rasterize
from uvatar.photos.colour import colour_distance, linear_from_srgb, perceptual, smoothstep
from uvatar.photos.skin import SkinLikenessSettings, skin_likeness
from uvatar.runtime.weights import weights_folder

SHOE_FILE = "open_shoes.npz"  # beside the body's file
BOOT = "boot"
USUAL = "trainer"  # where the photo shows no feet


@dataclass(frozen=True)
class ShoeSettings:
    """Tuned numbers of shoes, set while looking at the feet of 20 people in photos. Heights are metres above the bare
    sole at rest, on a foot of the template's length.

    Attributes:
        picture_side: pixels of the picture of feet and lower legs in which colours and outlines are compared.
        border: pixels of it inside the mask's border that are not looked at: they mix with the background.
        toes_from: share of the foot's length from heel to toe from which on skin tells a bare foot: trousers and socks
            cover the rest.
        least_pixels: of toes that must be seen to tell anything.
        bare: mean likeness to skin from which feet are bare.
        hue: distances of hue (chroma over luma) from the face's up to which a colour is skin, and from which not, as
            shares of the face's own hue: beside a pale face grey is near, and shoes are grey more often than not.
        shade, light: luma over the face's from which a foot may be skin, and from which fully, and the same at the
            bright end. Black and brown shoes have less than .6.
        skin: sRGB, 0 to 255, of skin where no face is seen.
        least_points: of the face's bare skin that must lie inside the mask to tell the skin's colour.
        least_hue: chroma over luma of the face below which a photo is grey and colours do not tell skin: feet are shod.
        foot_height: up to which outlines are compared.
        reach: metres around feet in which outlines are compared.
        shaft, above_shaft: heights between which a boot has its shaft, and a bare leg would show above it.
        bare_leg: likeness to skin of that leg from which boots are thought of: below trousers they cannot be told from
            shoes, and need not be.
        one_material: colour distance between foot and shaft below which it is a boot rather than a shoe and a sock.
        lifts: shares of the sole's thickness by which the foot may be lifted: the fit, which knows no soles, puts the
            bare sole anywhere between the ground and the height at which it really is, and sometimes lower. 2.0, too,
            was better for one of two people in photos and worse for the other.
        lift_fading: heights over which the lift passes into the leg.
        unusual: share of the compared pixels by which a kind of shoe must be better than the usual ones.
    """

    picture_side: int = 192
    border: int = 1
    toes_from: float = 0.55
    least_pixels: int = 12
    bare: float = 0.45
    hue: tuple[float, float] = (0.4, 0.8)
    shade: tuple[float, float] = (0.5, 0.7)
    light: tuple[float, float] = (1.25, 1.5)
    skin: tuple[int, int, int] = (190, 150, 128)
    least_points: int = 3
    least_hue: float = 0.03
    foot_height: float = 0.09
    reach: float = 0.03
    shaft: tuple[float, float] = (0.12, 0.20)
    above_shaft: tuple[float, float] = (0.27, 0.36)
    bare_leg: float = 0.5
    one_material: float = 0.15
    lifts: tuple[float, ...] = (0.0, 0.5, 1.0, 1.5)
    lift_fading: tuple[float, float] = (0.09, 0.36)
    unusual: tuple[tuple[str, float], ...] = (("heel", 0.03),)


DEFAULT_SETTINGS = ShoeSettings()


@dataclass(frozen=True)
class Shoes:
    """The kinds of shoes for one body; S of them.

    Attributes:
        names: "trainer", "flat", "boot", "heel".
        offsets: (S, V, 3) float32 metres at rest, of the template.
        height: (V,) metres above the template's sole.
        along: (V,) 0 at the heel to 1 at the longest toe; meaningless above the foot.
        length: metres, of the template's foot.
        feet: (V,) vertices of the feet, below the ankles.
    """

    names: tuple[str, ...]
    offsets: NDArray[np.float32]
    height: NDArray[np.float32]
    along: NDArray[np.float32]
    length: float
    feet: NDArray[np.bool_]

    def scaled(self, kind: int, rest: Floats) -> NDArray[np.float32]:
        """The displacements (V, 3) of one kind of shoes for a body with these vertices (V, 3) at rest."""
        offsets: NDArray[np.float32] = self.offsets[kind] * np.float32(np.ptp(rest[self.feet, 2]) / self.length)
        return offsets


def load_shoes(data: BodyData, path: Path | None = None, settings: ShoeSettings = DEFAULT_SETTINGS) -> Shoes | None:
    """The shoes that ship with the program, or those at ``path``; None if they are for another body than ``data``.

    Raises:
        WeightsError: the program's weights are not installed.
        BodyError: the file is missing or damaged.
    """
    path = path if path is not None else weights_folder() / SHOE_FILE
    try:
        with np.load(path, allow_pickle=False) as file:
            count, vertices = int(file["vertex_count"]), file["vertices"]
            names, stored = tuple(str(name) for name in file["names"]), file["offsets"].astype(np.float32)
        if count != len(data.v_template):
            return None
        offsets = np.zeros((len(names), count, 3), np.float32)
        offsets[:, vertices] = stored
    except Exception as error:  # a damaged archive can raise almost anything
        raise BodyError(f"The file {path} is damaged or missing ({error}). Install the program again.") from error
    template = data.v_template
    height = template[:, 1] - template[:, 1].min()
    feet = height < settings.foot_height
    low, high = template[feet, 2].min(), template[feet, 2].max()
    return Shoes(names, offsets, height, (template[:, 2] - low) / (high - low), float(high - low), feet)


@dataclass(frozen=True)
class _Picture:
    """Feet and lower legs in the photo, (h, w) pixels.

    Attributes:
        camera: that sees only them.
        colours: (h, w, 3) linear light.
        mask: where the person is.
        known: where no other person is.
        inner: ``mask`` without its border.
    """

    camera: Camera
    colours: NDArray[np.float32]
    mask: NDArray[np.bool_]
    known: NDArray[np.bool_]
    inner: NDArray[np.bool_]


def shoe_offsets(
    view: View, body: BodyModel, shoes: Shoes, chosen: str = "auto", settings: ShoeSettings = DEFAULT_SETTINGS
) -> tuple[str | None, NDArray[np.float32]]:
    """What the person wears on the feet, and the displacements (V, 3) at rest, metres, that it takes.

    None and zeros for bare feet; trainers where the photo does not show the feet. ``body`` is the fitted one.
    ``chosen`` is one of `uvatar.protocol.options.SHOES`: "none" or a kind of shoe is taken whatever the photo shows;
    the photo then only tells how high the feet stand.
    """
    data = body.data
    bare = np.zeros_like(data.v_template)
    if chosen == "none":
        return None, bare
    vertices, skinning = pose_and_skinning(body, view.fit.body)
    picture = _picture(view, vertices, shoes, settings)
    rest = data.v_template + data.shapedirs @ view.fit.body.betas
    if picture is None:
        kind = USUAL if chosen == "auto" else chosen
        return kind, shoes.scaled(shoes.names.index(kind), rest)
    posed = _Posed(data, rest, vertices, skinning)
    if chosen != "auto":
        return _nearest([chosen], posed, picture, shoes, settings)
    fragments = rasterize(vertices, data.faces, picture.camera)
    skin = _skin(view, settings)
    toes = shoes.feet & (shoes.along > settings.toes_from)
    like, seen = _likeness(_shown(fragments, data.faces, toes), picture, skin, settings)
    if seen < settings.least_pixels:
        return USUAL, shoes.scaled(shoes.names.index(USUAL), rest)
    if like >= settings.bare:
        return None, bare
    kinds = [name for name in shoes.names if name != BOOT]
    if BOOT in shoes.names and _is_boot(fragments, data.faces, picture, skin, shoes, settings):
        kinds = [BOOT]
    return _nearest(kinds, posed, picture, shoes, settings)


def _picture(view: View, vertices: Floats, shoes: Shoes, settings: ShoeSettings) -> _Picture | None:
    """The part of the photo with feet and lower legs, or None if it is too small or outside."""
    legs = vertices[shoes.height < settings.above_shaft[1]]
    if legs[:, 2].min() <= 0:
        return None
    pixels = view.camera.project(legs)
    margin = settings.reach * view.camera.focal / float(legs[:, 2].min())
    person = view.person
    x0, y0, x1, y1 = person.window
    left, top = np.maximum(np.floor(pixels.min(0) - margin), (x0, y0)).astype(int)
    right, bottom = np.minimum(np.ceil(pixels.max(0) + margin), (x1, y1)).astype(int)
    if right - left < 4 or bottom - top < 4:
        return None
    window = int(left), int(top), int(right), int(bottom)
    camera = view.camera.cropped(window, min(1.0, settings.picture_side / max(right - left, bottom - top)))
    photo = view.photo.pixels[top:bottom, left:right]
    own, others = (image[top - y0 : bottom - y0, left - x0 : right - x0] for image in (person.mask, person.others))
    colours, own, others = (
        np.asarray(cv2.resize(image, (camera.width, camera.height), interpolation=cv2.INTER_AREA), np.uint8)
        for image in (photo, own, others)
    )
    mask = own > 127
    side = 2 * settings.border + 1
    inner = cv2.erode(mask.astype(np.uint8), np.ones((side, side), np.uint8)) > 0
    return _Picture(camera, linear_from_srgb(colours), mask, others < 64, inner)


def _skin(view: View, settings: ShoeSettings) -> NDArray[np.float32] | None:
    """The face's colour (3,), linear light, a middling tone if none is seen, None if the photo is grey."""
    colours = _face_colours(view.person, view.photo.pixels)
    if len(colours) < settings.least_points:
        return linear_from_srgb(np.array(settings.skin, np.uint8))
    skin = np.median(linear_from_srgb(colours), 0).astype(np.float32)
    luma, *chroma = perceptual(skin)
    return skin if np.linalg.norm(chroma) >= settings.least_hue * max(float(luma), 1e-3) else None


def _face_colours(person: Person, photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(K, 3) sRGB at those of the face's bare points that lie inside the person's mask."""
    if person.face is None or person.face_score <= FACE_SCORE:
        return np.zeros((0, 3), np.uint8)
    x0, y0, x1, y1 = person.window
    columns, rows = np.floor(person.face[BARE_SKIN]).astype(int).T
    inside = (columns >= x0) & (columns < x1) & (rows >= y0) & (rows < y1)
    columns, rows = columns[inside], rows[inside]
    colours: NDArray[np.uint8] = photo[rows, columns][person.mask[rows - y0, columns - x0] > 127]
    return colours


def _shown(fragments: Fragments, faces: NDArray[np.int32], vertices: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(h, w) where the picture shows a triangle between ``vertices`` (V,)."""
    own = vertices[faces].all(1)
    shown: NDArray[np.bool_] = fragments.mask & own[np.maximum(fragments.face, 0)]
    return shown


def _likeness(
    shown: NDArray[np.bool_], picture: _Picture, skin: NDArray[np.float32] | None, settings: ShoeSettings
) -> tuple[float, int]:
    """Mean likeness to skin of the shown pixels that are surely the person's, and how many they are; 0 if colours do
    not tell skin.
    """
    chosen = shown & picture.inner & picture.known
    count = int(chosen.sum())
    if skin is None or not count:
        return 0.0, count
    luma, *chroma = perceptual(skin)
    own = float(np.linalg.norm(chroma) / max(float(luma), 1e-3))
    tolerance = SkinLikenessSettings((settings.hue[0] * own, settings.hue[1] * own), settings.shade, settings.light)
    return float(skin_likeness(picture.colours[chosen], skin, tolerance).mean()), count


def _is_boot(
    fragments: Fragments,
    faces: NDArray[np.int32],
    picture: _Picture,
    skin: NDArray[np.float32] | None,
    shoes: Shoes,
    settings: ShoeSettings,
) -> bool:
    """Whether bare legs come out of shafts."""
    if skin is None:
        return False
    shaft, above = (
        _likeness(_shown(fragments, faces, (shoes.height > low) & (shoes.height < high)), picture, skin, settings)
        for low, high in (settings.shaft, settings.above_shaft)
    )
    enough = min(shaft[1], above[1]) >= settings.least_pixels
    if not enough or shaft[0] >= settings.bare or above[0] < settings.bare_leg:
        return False
    low, high = settings.shaft
    foot, leg = (
        np.median(picture.colours[_shown(fragments, faces, part) & picture.inner & picture.known], 0)
        for part in (shoes.feet & (shoes.along > settings.toes_from), (shoes.height > low) & (shoes.height < high))
    )
    return float(colour_distance(foot, leg)) < settings.one_material


@dataclass(frozen=True)
class _Posed:
    """The bare body.

    Attributes:
        data: of the body.
        rest, vertices: (V, 3) at rest and in the camera frame.
        skinning: (V, 3, 3) takes a displacement at rest into the pose.
    """

    data: BodyData
    rest: Floats
    vertices: Floats
    skinning: Floats

    def with_offsets(self, offsets: Floats) -> Floats:
        """The vertices (V, 3) in the camera frame with displacements (V, 3) at rest."""
        moved = self.vertices.copy()
        some = np.flatnonzero(offsets.any(1))
        moved[some] += np.einsum("vij,vj->vi", self.skinning[some], offsets[some])
        return moved


def _nearest(
    kinds: list[str], bare: _Posed, picture: _Picture, shoes: Shoes, settings: ShoeSettings
) -> tuple[str, NDArray[np.float32]]:
    """Which of the kinds of shoes, lifted by how much, meets the mask's outline best around the feet: its name and
    displacements (V, 3).
    """
    faces, rest = bare.data.faces, bare.rest
    feet, legs = (below[faces].all(1) for below in (shoes.feet, shoes.height < settings.above_shaft[1]))
    shod = []
    for name in kinds:
        offsets = shoes.scaled(shoes.names.index(name), rest)
        sole = -float((rest + offsets)[shoes.feet, 1].min() - rest[shoes.feet, 1].min())
        up = np.array([0, sole, 0]) * (1 - smoothstep(shoes.height, *settings.lift_fading))[:, None]
        shod += [(name, (offsets + share * up).astype(np.float32)) for share in settings.lifts]
    posed = [bare.with_offsets(offsets) for _, offsets in shod]
    outlines = [rasterize(vertices, faces[legs], picture.camera).mask for vertices in posed]
    around = np.any([rasterize(vertices, faces[feet], picture.camera).mask for vertices in posed], axis=0)
    pixel = float(posed[0][shoes.feet, 2].mean()) / picture.camera.focal
    side = 2 * max(1, round(settings.reach / pixel)) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    compared = (cv2.dilate(around.astype(np.uint8), disc) > 0) & picture.known
    if not compared.any():
        return shod[0]
    unusual = dict(settings.unusual)
    misses = [
        float((outline != picture.mask)[compared].mean()) + unusual.get(name, 0.0)
        for outline, (name, _) in zip(outlines, shod, strict=True)
    ]
    return shod[int(np.argmin(misses))]
