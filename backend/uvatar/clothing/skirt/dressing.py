"""A person's skirt, from the photo to a mesh beside the body, and what it leaves for the body's own clothes to do."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.body import BodyModel
from uvatar.body.data import BodyData
from uvatar.clothing.limbs import limbs
from uvatar.clothing.offsets import pose_and_skinning
from uvatar.clothing.plane import BodyPlane
from uvatar.clothing.skirt.detection import SkirtRows, skirt_rows
from uvatar.clothing.skirt.mesh import FrontEdges, skirt_mesh
from uvatar.clothing.skirt.opening import Opening, find_opening
from uvatar.clothing.skirt.plane import RowPicture, leg_plane, row_picture
from uvatar.clothing.skirt.rings import Rings, skirt_rings
from uvatar.data.arrays import Floats
from uvatar.data.joints import ANKLE_JOINTS, HIP_JOINTS, KNEE_JOINTS
from uvatar.data.landmarks import ANKLES, KNEES
from uvatar.data.person import Person
from uvatar.data.shell import Skirt
from uvatar.data.view import View
from uvatar.geometry.masks import mask_iou
from uvatar.geometry.mesh import unit
from uvatar.geometry.raster import rasterize
from uvatar.photos.colour import smoothstep

HIDDEN = (
    "The skirt, dress or coat became part of the body's surface, because the photo does not show enough of its hem."
)
BENT = "The skirt, dress or coat became part of the body's surface, because the legs are bent."
UNLIKE = "The skirt, dress or coat became part of the body's surface, because the photo does not show its form."


@dataclass(frozen=True)
class DressingSettings:
    """Tuned numbers of dressing; lengths in metres on a person of 1.7 m.

    Attributes:
        least_legs: pixels of the photo from hips to ankles below which nothing is read from the mask.
        least_seen: visibility of the better seen of a leg's knee and ankle below which the leg is hidden: then what
            covers it may be a blanket, a horse or snow. Skirts' legs in photos had .63 and more; a rider's, a boy's
            under a blanket and a skier's in snow .20 and less.
        straight: degrees by which a thigh or a shin may turn from the legs' direction.
        steepest: degrees between the legs and how cloth hangs, seen from the side, at most: there the body is less sure
            than its legs.
        waist: below the skirt's top, down to which the body's clothes still follow the photo.
        margin: around the skirt's pixels in which the body's clothes do not follow the photo.
        inside: distance that the body keeps from the cloth, reached over ``inside_from`` below the top.
        least_iou: of skirt and body with the mask, between waist and hem.
        picture_side: pixels of the picture in which that is measured.
    """

    least_legs: float = 50
    least_seen: float = 0.4
    straight: float = 50
    steepest: float = 12
    waist: float = 0.04
    margin: float = 0.02
    inside: float = 0.015
    inside_from: tuple[float, float] = (0.03, 0.1)
    least_iou: float = 0.8
    picture_side: int = 400


DEFAULT_SETTINGS = DressingSettings()


@dataclass(frozen=True)
class FoundSkirt:
    """A skirt in the photo.

    Attributes:
        picture: the photo on the legs' plane.
        rows: where in it the skirt is.
        pixels: uint8 of the person's window, 255 where the skirt is, with a margin around it and without arms and what
            an open coat shows inside.
        opening: where a coat is open in front, or None.
    """

    picture: RowPicture
    rows: SkirtRows
    pixels: NDArray[np.uint8]
    opening: Opening | None = None


def find_skirt(
    view: View, body: BodyModel, settings: DressingSettings = DEFAULT_SETTINGS
) -> tuple[FoundSkirt | None, tuple[str, ...]]:
    """The skirt that the person wears, or None; and notes on one that cannot be built.

    The fit's offsets are ignored.
    """
    vertices, joints = body.posed(view.fit.body)
    if vertices[:, 2].min() <= 0:
        return None, ()
    ends = view.camera.project(np.stack([joints[HIP_JOINTS].mean(0), joints[ANKLE_JOINTS].mean(0)]))
    if np.linalg.norm(ends[1] - ends[0]) < settings.least_legs:
        return None, ()
    if _hidden_legs(view.person, settings):
        return None, ()
    rest = body.data.v_template[:, 1] + body.data.shapedirs[:, 1] @ view.fit.body.betas
    plane = leg_plane(joints, float(np.ptp(rest)))
    picture = row_picture(plane, vertices, body.data, view.person, view.camera)
    rows = skirt_rows(picture, joints)
    if rows.hidden:
        return None, (HIDDEN,)
    if not rows.found:
        return None, ()
    if not _stands(joints, plane, settings):
        return None, (BENT,)
    opening = find_opening(view, picture, rows, (-0.17 + settings.waist) * plane.size)
    pixels = _pixels(view, picture, rows, opening, vertices, body.data, settings)
    return FoundSkirt(picture, rows, pixels, opening), ()


def without_skirt(person: Person, skirt: FoundSkirt | Skirt | None) -> Person:
    """The person with the skirt's pixels as somebody else's: the body there is not seen."""
    return person if skirt is None else replace(person, others=np.maximum(person.others, skirt.pixels))


def build_skirt(
    found: FoundSkirt,
    view: View,
    body: BodyModel,
    offsets: NDArray[np.float32],
    up: tuple[float, float, float] | None = None,
    settings: DressingSettings = DEFAULT_SETTINGS,
) -> tuple[Skirt | None, NDArray[np.float32], tuple[str, ...]]:
    """The skirt over the body with clothes (``offsets`` (V, 3)); the offsets that keep that body inside; notes.

    ``up`` (3,), camera frame, is against gravity; None: the cloth hangs along the legs. The skirt is None, and the
    offsets are as they were, where it would not look like the photo's.
    """
    data, plane = body.data, found.picture.plane
    bare, skinning = pose_and_skinning(body, view.fit.body)
    joints = body.posed(view.fit.body)[1]
    dressed = bare + np.einsum("vij,vj->vi", skinning, offsets)
    arms = limbs(data)[0]
    trunk = ~arms
    bare_at, dressed_at = plane.coordinates(bare), plane.coordinates(dressed)
    rings = skirt_rings(found.picture, found.rows, bare_at, dressed_at, data.faces, trunk, _slope(plane, up, settings))
    if rings is None:
        return None, offsets, (HIDDEN,)
    moved = _inside(rings, dressed_at, trunk, plane, settings)
    edges = None if found.opening is None else FrontEdges.of(found.opening, rings, found.picture)
    skirt = skirt_mesh(rings, plane, data, view.fit.body, bare, joints, found.pixels, edges)
    if not _is_alike(found, skirt, dressed + moved @ plane.axes, data, view, settings):
        return None, offsets, (UNLIKE,)
    some = np.flatnonzero(moved.any(1))
    inside = offsets.copy()
    inside[some] += np.linalg.solve(skinning[some], (moved[some] @ plane.axes)[..., None])[..., 0].astype(np.float32)
    return skirt, inside, ()


def _slope(plane: BodyPlane, up: tuple[float, float, float] | None, settings: DressingSettings) -> float:
    """Metres that hanging cloth goes away from the camera per metre down the legs."""
    if up is None:
        return 0.0
    _, away, down = plane.axes @ -np.array(up)
    steepest = float(np.tan(np.radians(settings.steepest)))
    return float(np.clip(away / max(down, 0.1), -steepest, steepest))


def _hidden_legs(person: Person, settings: DressingSettings) -> bool:
    """Whether neither knee nor ankle of a leg is seen."""
    return bool(person.landmarks[[KNEES, ANKLES], 2].max(0).min() < settings.least_seen)


def _stands(joints: Floats, plane: BodyPlane, settings: DressingSettings) -> bool:
    """Whether thighs and shins go along the legs' direction: not those of somebody who sits or kneels."""
    thighs = unit(joints[KNEE_JOINTS] - joints[HIP_JOINTS])
    shins = unit(joints[ANKLE_JOINTS] - joints[KNEE_JOINTS])
    along = np.concatenate([thighs, shins]) @ plane.axes[2]
    return bool((along > np.cos(np.radians(settings.straight))).all())


def _pixels(
    view: View,
    picture: RowPicture,
    rows: SkirtRows,
    opening: Opening | None,
    vertices: Floats,
    data: BodyData,
    settings: DressingSettings,
) -> NDArray[np.uint8]:
    """The skirt's pixels, as in `FoundSkirt`."""
    plane, size = picture.plane, picture.plane.size
    first = picture.row(-0.17 * size + settings.waist * size)
    chosen = np.arange(first, rows.hem + 1)
    chosen = chosen[rows.low[chosen] >= 0]
    ends = picture.u[rows.low[chosen]], picture.u[rows.high[chosen]]
    pixels = _between(view, picture, picture.s[chosen], *ends)
    reach = settings.margin * size * view.camera.focal / float(np.linalg.norm(plane.origin))
    side = 2 * max(1, round(reach)) + 1
    pixels = np.asarray(cv2.dilate(pixels, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))), np.uint8)
    scale = min(1.0, settings.picture_side / max(pixels.shape))
    of_arms = data.faces[limbs(data)[0][data.faces].any(1)]
    arms = rasterize(vertices, of_arms, view.camera.cropped(view.person.window, scale)).mask.astype(np.uint8)
    arms = np.asarray(cv2.resize(cv2.dilate(arms, np.ones((3, 3), np.uint8)), pixels.shape[::-1]), np.uint8)
    pixels[arms > 0] = 0
    if opening is not None:
        inset = settings.margin * size
        below = np.append(opening.s[1:], opening.s[-1] + 2 * inset)  # the strip goes on to the legs below
        low, high = opening.low + inset, opening.high - inset
        pixels[_between(view, picture, below, low, np.maximum(low, high)) > 0] = 0
    return pixels


def _between(view: View, picture: RowPicture, s: Floats, low: Floats, high: Floats) -> NDArray[np.uint8]:
    """uint8 of the person's window, 255 between u ``low`` and ``high`` (R,) in rows at ``s`` (R,)."""
    x0, y0, x1, y1 = view.person.window
    depth = np.interp(s, picture.s, picture.depth)
    sides = [np.stack([side, depth, s], 1) for side in (low, high)]
    corners = picture.plane.points(np.concatenate([sides[0], sides[1][::-1]]))
    pixels = np.zeros((y1 - y0, x1 - x0), np.uint8)
    cv2.fillPoly(
        pixels, [np.round(view.camera.project(corners.astype(np.float32)) - (x0, y0)).astype(np.int32)], (255,)
    )
    return pixels


def _inside(
    rings: Rings, body: Floats, trunk: NDArray[np.bool_], plane: BodyPlane, settings: DressingSettings
) -> Floats:
    """(V, 3) how far the body's vertices (V, 3) must move to stay inside the cloth, all in the plane's coordinates."""
    centre = np.stack([np.interp(body[:, 2], rings.s, rings.centre[:, axis]) for axis in range(2)], 1)
    away = body[:, :2] - centre
    distance = np.linalg.norm(away, axis=1)
    column = np.arctan2(away[:, 1], away[:, 0]) % (2 * np.pi) * (len(rings.turn) / (2 * np.pi))
    low = column.astype(int) % len(rings.turn)
    after, share = (low + 1) % len(rings.turn), column - np.floor(column)
    row = np.clip(np.round(np.interp(body[:, 2], rings.s, np.arange(len(rings.s)))).astype(int), 0, len(rings.s) - 1)
    radius = rings.radius[row, low] * (1 - share) + rings.radius[row, after] * share
    ramp = smoothstep((body[:, 2] - rings.s[0]) / plane.size, *settings.inside_from)
    wanted = radius - settings.inside * plane.size * ramp
    outside = trunk & (ramp > 0) & (body[:, 2] < rings.hem[low]) & (distance > wanted)
    moved = np.zeros_like(body)
    share = np.where(outside, ramp * np.maximum(distance - wanted, 0) / np.maximum(distance, 1e-6), 0)
    moved[:, :2] = -away * share[:, None]
    return moved


def _is_alike(
    found: FoundSkirt, skirt: Skirt, body: Floats, data: BodyData, view: View, settings: DressingSettings
) -> bool:
    """Whether skirt and body cover the mask where the skirt is."""
    person = view.person
    x0, y0, x1, y1 = person.window
    camera = view.camera.cropped(person.window, min(1.0, settings.picture_side / max(x1 - x0, y1 - y0)))
    mask, others, around = (
        np.asarray(cv2.resize(image, (camera.width, camera.height), interpolation=cv2.INTER_AREA)) > 127
        for image in (person.mask, person.others, found.pixels)
    )
    shown = np.zeros_like(mask)
    for vertices, faces in ((skirt.vertices, skirt.triangles), (body, data.faces)):
        if not np.isfinite(vertices).all():
            return False
        shown |= rasterize(vertices, faces, camera).mask
    return mask_iou(shown, mask, known=around & ~others) >= settings.least_iou
