"""Which of a person's pixels show hair, and whether it is long, read from colours around the face.

Hair is what looks like the head above the brow, and like what stands out of the bare head and neck beside the face,
rather than like the face's skin or like the clothes on the trunk. Where these cannot be told apart, there is none: what
is taken for hair by mistake looks worse than long hair that stays part of the body's surface.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from uvatar.body import BodyModel
from uvatar.data.arrays import Floats
from uvatar.data.camera import Camera
from uvatar.data.face import FACE_OVAL, FACE_SCORE
from uvatar.data.joints import Joint
from uvatar.data.view import View
from uvatar.geometry.raster import rasterize
from uvatar.photos.colour import DISTANCE_WEIGHTS, linear_from_srgb, perceptual

FOREHEAD, CHIN, SIDES = 10, 152, (454, 234)  # points of the face mesh: top, bottom, left and right


@dataclass(frozen=True)
class HairPixelSettings:
    """Tuned numbers of finding hair. Lengths are face widths; chosen while looking at 60 heads in photos.

    Attributes:
        side: pixels of the longer side of the picture in which hair is looked for.
        reach: of that picture, from the face's middle: to either side, up and down.
        least: pixels of the photo that a face must be wide.
        tilt: degrees by which a face may lean in the picture: hair hangs down, and is looked for along the face.
        above: heights over the forehead's top at which the head shows hair, if it has any.
        across: half the width in which it does.
        trunk: height under the chin from which the trunk shows clothes.
        samples, learnt: colours of each kind, and of hair once some was found.
        neighbours: of them that a pixel is compared with.
        rounds: in which what was found is learnt from.
        far, fading: colour distance from hair's colours from which a pixel is less likely hair, and how fast.
        smoothing: of likeness.
        closing: gaps that are closed.
        doubtful: likeness from which something may be hair (from .5 on it is), and how far around hair it may: the
            body below does not show it.
        unlike: colour distance from skin and clothes from which what stands out beside the face counts as hair.
        apart, hood: colour distance from the hair's below which a place on the trunk may show hair, and the share of
            such places from which on it may be a hood. Eight heads with long hair have up to .07 of them.
        beside: distance from the middle from which hair is beside the face.
        chin: height under the chin to which hair beside the face reaches at least, if it is long.
        below: height over the chin below which hair stands out of the bare head and neck if it is long.
        standing_out: area there that is hair at least.
        middle, middle_below, middle_share: half the width of the middle of the chest, the height over the chin below
            which it begins, and the share of what looks like hair below that height that may lie there: .62 on a fair
            girl with short curls, whose collarbones look like her hair; of seven heads with long hair .00 to .32.
    """

    side: int = 240
    reach: tuple[float, float, float] = (2.2, 1.8, 4.0)
    least: float = 16
    tilt: float = 35
    above: tuple[float, float] = (0.12, 0.5)
    across: float = 0.5
    trunk: float = 0.6
    samples: int = 300
    learnt: int = 500
    neighbours: int = 5
    rounds: int = 3
    far: float = 0.12
    fading: float = 0.1
    smoothing: float = 0.03
    closing: float = 0.03
    doubtful: tuple[float, float] = (0.3, 0.15)
    unlike: float = 0.1
    apart: float = 0.05
    hood: float = 0.2
    beside: float = 0.45
    chin: float = -0.12
    below: float = 0.3
    standing_out: float = 0.06
    middle: float = 0.3
    middle_below: float = -0.35
    middle_share: float = 0.5


DEFAULT_SETTINGS = HairPixelSettings()


@dataclass(frozen=True)
class HairPixels:
    """Long hair in the photo.

    Attributes:
        camera: sees the picture around the head.
        hair: (H, W) where in it hair is.
        doubtful: (H, W) where around it there may be more.
        tied: whether it is the part of a ponytail that is seen beside the neck, not loose hair.
    """

    camera: Camera
    hair: NDArray[np.bool_]
    doubtful: NDArray[np.bool_]
    tied: bool = False


def long_hair(view: View, body: BodyModel, settings: HairPixelSettings = DEFAULT_SETTINGS) -> HairPixels | None:
    """The pixels of long, loose hair; None where there is none, or where the photo does not tell."""
    picture = head_picture(view, body, settings)
    if picture is None:
        return None
    hair, doubtful = grown_hair(picture, settings)
    beside = hair & (picture.across > settings.beside)
    low = hair & (picture.height + picture.tall < settings.middle_below)
    if not beside.any() or (low.any() and (picture.across[low] < settings.middle).mean() > settings.middle_share):
        return None
    lowest = float(np.quantile(-picture.height[beside], 0.97)) - picture.tall
    standing_out = beside & ~picture.head & (-picture.height > picture.tall - settings.below)
    long = lowest > settings.chin and standing_out.sum() > settings.standing_out * picture.unit**2
    return HairPixels(picture.camera, hair, doubtful) if long else None


def head_picture(view: View, body: BodyModel, settings: HairPixelSettings = DEFAULT_SETTINGS) -> HeadPicture | None:
    """The photo around the head; None without an upright face that is large enough."""
    face = view.person.face
    if face is None or view.person.face_score <= FACE_SCORE:
        return None
    upwards = face[FOREHEAD] - face[CHIN]
    tall, wide = float(np.linalg.norm(upwards)), float(np.linalg.norm(face[SIDES[0]] - face[SIDES[1]]))
    wide = max(wide, 0.8 * tall)  # of a face that is turned away
    if wide < settings.least or -upwards[1] < tall * np.cos(np.radians(settings.tilt)):
        return None
    return HeadPicture.of(view, body, face, wide, settings)


@dataclass(frozen=True)
class HeadPicture:
    """The photo around the head, all (H, W) but the numbers.

    Attributes:
        camera: sees it.
        unit: pixels of a face's width.
        colours: (H, W, 3), in which distances are perceived ones.
        mask: the person.
        inner: inside the face.
        height, across: face widths above the forehead's top, and to either side of it.
        clothes: where the trunk shows them.
        head, grown: the bare head and neck, and the bare body, each with a little around it.
        body: the bare body.
        tall: height of the face, face widths.
    """

    camera: Camera
    unit: float
    colours: Floats
    mask: NDArray[np.bool_]
    inner: NDArray[np.bool_]
    height: Floats
    across: Floats
    clothes: NDArray[np.bool_]
    head: NDArray[np.bool_]
    grown: NDArray[np.bool_]
    body: NDArray[np.bool_]
    tall: float

    @classmethod
    def of(
        cls, view: View, body: BodyModel, face: Floats, wide: float, settings: HairPixelSettings
    ) -> HeadPicture | None:
        """None where the photo shows next to nothing of the head. ``wide``: pixels of the face."""
        person, (x0, y0, x1, y1) = view.person, view.person.window
        side, up, down = (wide * reach for reach in settings.reach)
        (x, y) = face[list(SIDES)].mean(0)
        left, top = int(max(x0, x - side)), int(max(y0, y - up))
        right, bottom = int(min(x1, x + side)), int(min(y1, y + down))
        if min(right - left, bottom - top) < settings.least:
            return None
        scale = min(1.0, settings.side / max(right - left, bottom - top))
        camera = view.camera.cropped((left, top, right, bottom), scale)
        size = camera.width, camera.height
        pixels = cv2.resize(view.photo.pixels[top:bottom, left:right], size, interpolation=cv2.INTER_AREA)
        window = slice(top - y0, bottom - y0), slice(left - x0, right - x0)
        mask = cv2.resize(person.mask[window], size, interpolation=cv2.INTER_AREA) > 127
        points = (face - (left, top)) * scale
        unit = wide * scale
        oval = np.zeros(mask.shape, np.uint8)
        cv2.fillPoly(oval, [np.round(points[FACE_OVAL]).astype(np.int32)], (1,))
        inner = cv2.erode(oval, np.ones((3, 3), np.uint8), iterations=max(1, round(0.05 * unit))) > 0
        upwards = points[FOREHEAD] - points[CHIN]
        tall = float(np.linalg.norm(upwards))
        upwards = upwards / tall
        from_top = np.stack(np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5), -1) - points[FOREHEAD]
        height, across = from_top @ upwards / unit, np.abs(from_top @ [-upwards[1], upwards[0]]) / unit
        data = body.data
        fragments = rasterize(body.posed(view.fit.body)[0], data.faces, camera)
        of_head = data.weights[:, [Joint.HEAD, Joint.NECK]].sum(1)[data.faces[fragments.face, 0]]
        trunk = fragments.mask & (of_head < 0.1) & mask & (height < -tall / unit - settings.trunk)
        around, rounds = np.ones((3, 3), np.uint8), max(1, round(0.04 * unit))
        head, grown = (
            cv2.dilate(drawn.astype(np.uint8), around, iterations=rounds) > 0
            for drawn in (fragments.mask & (of_head > 0.5), fragments.mask)
        )
        colours = perceptual(linear_from_srgb(np.asarray(pixels, np.uint8))) * DISTANCE_WEIGHTS
        return cls(camera, unit, colours, mask, inner, height, across, trunk, head, grown, fragments.mask, tall / unit)


def grown_hair(picture: HeadPicture, settings: HairPixelSettings) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(H, W) hair: what hangs together with the top of the head; nothing where the colours do not tell. And what may be
    hair around it, (H, W).
    """
    nothing = np.zeros_like(picture.mask)
    low, high = settings.above
    seed = picture.mask & (picture.height > low) & (picture.height < high) & (picture.across < settings.across)
    skin, clothes, hair = (
        colour_samples(picture, kind, settings.samples)
        for kind in (picture.mask & picture.inner, picture.clothes, seed)
    )
    few = settings.neighbours * 3
    if min(len(hair), len(clothes), len(skin)) < few:
        return nothing, nothing
    # Without what the sky or a hand adds at the edge.
    off = np.linalg.norm(hair - np.median(hair, 0), axis=1)
    hair = hair[off <= np.quantile(off, 0.8)]
    # A hood looks like its jacket; of clothes that hair covers, some look like it.
    alike = distance_to(clothes, hair, settings) < settings.apart
    if alike.mean() > settings.hood:
        return nothing, nothing
    others = np.concatenate([skin, clothes[~alike]])
    place = np.flatnonzero(picture.mask)
    colours = picture.colours.reshape(-1, 3)[place]
    to_others = distance_to(colours, others, settings)
    unlike = np.zeros_like(picture.mask)
    unlike.ravel()[place] = to_others > settings.unlike
    around = unlike & ~picture.grown & (picture.across < 1)
    around &= (-picture.height > -0.3) & (-picture.height < picture.tall + 0.2)
    found, smooth = nothing, np.zeros(picture.mask.shape, np.float32)
    size = 2 * max(1, round(settings.closing * picture.unit)) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    for _ in range(settings.rounds):
        to_hair = distance_to(colours, hair, settings)
        like = to_others / (to_others + to_hair + 1e-6)
        like *= np.exp(-0.5 * (np.maximum(to_hair - settings.far, 0) / settings.fading) ** 2)
        likeness = np.zeros(picture.mask.shape, np.float32)
        likeness.ravel()[place] = like
        smooth = cv2.GaussianBlur(likeness, (0, 0), max(1.0, settings.smoothing * picture.unit)).astype(np.float32)
        likely = ((smooth > 0.5) & picture.mask & ~picture.inner).astype(np.uint8)
        opened = cv2.morphologyEx(likely, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
        some = np.asarray(cv2.morphologyEx(opened, cv2.MORPH_CLOSE, disc))
        _, labels = cv2.connectedComponents(some)
        found = np.isin(labels, np.setdiff1d(labels[seed & (some > 0)], [0])) & picture.mask & ~picture.inner
        hair = colour_samples(picture, found | around, settings.learnt)
        if len(hair) < few:
            return nothing, nothing
    size = 2 * max(1, round(settings.doubtful[1] * picture.unit)) + 1
    near = cv2.dilate(found.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))) > 0
    return found, near & (smooth > settings.doubtful[0]) & picture.mask & ~picture.inner


def colour_samples(picture: HeadPicture, chosen: NDArray[np.bool_], count: int) -> Floats:
    """(K, 3) colours of at most so many of the chosen pixels (H, W)."""
    place = np.flatnonzero(chosen)
    if len(place) > count:
        place = np.random.default_rng(0).choice(place, count, replace=False)
    colours: Floats = picture.colours.reshape(-1, 3)[place]
    return colours


def distance_to(colours: Floats, samples: Floats, settings: HairPixelSettings) -> Floats:
    """(K,) mean distance of colours (K, 3) to the nearest of samples (N, 3)."""
    distance: Floats = cKDTree(samples).query(colours, settings.neighbours)[0].mean(1)
    return distance
