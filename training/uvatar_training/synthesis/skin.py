"""Unclothed people: skin tones, faces, eyes and hair, painted at points of the rest body. Colours are linear RGB."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvatar.body import BODY, LEFT_EYE, RIGHT_EYE
from uvatar.data.arrays import Floats
from uvatar.data.parsing import ParseClass
from uvatar.photos.colour import linear_from_srgb
from uvatar_training.synthesis.anatomy import SurfacePoints
from uvatar_training.synthesis.noise import fractal3, noise3

# sRGB of skin from light to dark; tones between are mixed.
_TONES = np.array(
    [[243, 214, 196], [232, 190, 162], [214, 164, 128], [184, 130, 94], [146, 98, 68], [108, 70, 48], [70, 44, 32]],
    np.uint8,
)
_HAIR = np.array(
    [
        [18, 15, 14],
        [38, 26, 20],
        [66, 44, 30],
        [104, 70, 42],
        [150, 108, 62],
        [196, 160, 104],
        [120, 56, 30],
        [150, 148, 146],
    ],
    np.uint8,
)
HAIR_STYLES = ("bald", "buzz", "short", "short", "side", "bob", "long", "bun")


@dataclass(frozen=True)
class Looks:
    """Appearance of an unclothed person.

    Attributes:
        tone, hair, iris: (3,) linear RGB of skin, hair and iris.
        style: hair style, one of `HAIR_STYLES`.
        volume: distance of the hair from the head, metres.
        beard: 0 (none) to 1 (full).
        made_up: strength of the lips' colour.
        seed: of blotches and strands.
    """

    tone: NDArray[np.float32]
    hair: NDArray[np.float32]
    iris: NDArray[np.float32]
    style: str
    volume: float
    beard: float
    made_up: float
    seed: int


def random_looks(rng: np.random.Generator, group: str) -> Looks:
    """Draw the looks of a "male", "female" or "child"."""
    tones = linear_from_srgb(_TONES)
    place = rng.uniform(0, len(tones) - 1)
    tone = tones[int(place)] + (place % 1) * (tones[min(int(place) + 1, len(tones) - 1)] - tones[int(place)])
    tone = tone * rng.normal(1, 0.05) * (1 + rng.normal(0, 0.02, 3))
    shades = linear_from_srgb(_HAIR)
    # Dark skin and light hair are rarely seen together.
    shade = shades[rng.integers(3)] if place > 3.5 and rng.random() < 0.85 else shades[rng.integers(len(shades))]
    styles = {
        "male": ("bald", "buzz", "short", "short", "side", "side", "long"),
        "female": ("short", "bob", "bob", "long", "long", "bun"),
    }
    style = str(rng.choice(styles.get(group, ("short", "side", "bob", "long"))))
    beard = float(np.clip(rng.normal(0.1, 0.5), 0, 1)) if group == "male" else 0.0
    made_up = float(rng.uniform(0, 1)) if group == "female" else float(rng.uniform(0, 0.2))
    volume = {"bald": 0.0, "buzz": 0.002, "short": 0.012, "side": 0.018, "bob": 0.025, "long": 0.022, "bun": 0.012}[
        style
    ]
    volume *= rng.uniform(0.6, 1.5)
    return Looks(
        tone.astype(np.float32),
        shade * np.float32(rng.uniform(0.7, 1.2)),
        linear_from_srgb(
            np.array([[90, 60, 40], [60, 40, 28], [80, 100, 120], [90, 100, 70]], np.uint8)[rng.integers(4)]
        ),
        style,
        volume,
        beard,
        made_up,
        int(rng.integers(2**31)),
    )


def paint_skin(points: SurfacePoints, looks: Looks) -> NDArray[np.float32]:
    """Linear RGB (K, 3) of skin, with blotches, redder places, darker folds, a face and eyes."""
    rng = np.random.default_rng(looks.seed)
    x, y, z = points.rest.T
    colour = np.broadcast_to(looks.tone, (len(points), 3)).astype(np.float32)
    colour = colour * (1 + 0.05 * fractal3(points.rest, 0.06, rng) + 0.03 * noise3(points.rest, 0.008, rng))[:, None]
    place = points.places
    wrist, knee, shoulder = place.joint["left_wrist"][0], place.joint["left_knee"], place.joint["left_shoulder"]
    # Palms are lighter; elbows, knees and knuckles are redder.
    palm = _soft(np.abs(x) - wrist, 0.02) * _soft(-points.normal[:, 1], 0.3)
    colour = colour + palm[:, None] * (0.35 * (np.array([0.55, 0.32, 0.25], np.float32) - colour))
    elbow = _blob(np.abs(x) - place.joint["left_elbow"][0], y - shoulder[1], z - shoulder[2] + 0.04, 0.03)
    knees = _blob(np.abs(x) - knee[0], y - knee[1], z - knee[2] - 0.06, 0.04)
    colour = colour * (1 - (elbow + knees)[:, None] * np.array([0.08, 0.18, 0.18], np.float32))
    colour = _paint_face(points, colour, looks)
    return _paint_eyes(points, np.clip(colour, 0.002, 0.95), looks.iris)


def _paint_face(points: SurfacePoints, colour: Floats, looks: Looks) -> NDArray[np.float32]:
    x, y, z = points.rest.T
    mark = points.places.landmark
    ahead = _soft(z - mark["left_ear"][2] - 0.02, 0.01) * points.head
    for side in ("left", "right"):
        eye = mark[f"{side}_eye"]
        outward = (x - eye[0]) * np.sign(eye[0])
        rise = y - eye[1]
        socket = ahead * np.exp(-(outward**2 / 0.0005 + (rise - 0.004) ** 2 / 0.00025))
        colour = colour * (1 - 0.3 * socket[:, None])
        lid = ahead * _line(rise - 0.0075 + 14 * outward**2, 0.0018) * _soft(0.018 - np.abs(outward), 0.003)
        lower = ahead * _line(rise + 0.008 - 10 * outward**2, 0.0012) * _soft(0.016 - np.abs(outward), 0.003)
        lash = np.clip(0.95 * lid + 0.45 * lower, 0, 1)[:, None]
        colour = colour * (1 - lash) + lash * 0.18 * looks.tone
        arch = 0.020 + 0.09 * outward - 7.0 * (outward - 0.004) ** 2
        brow = ahead * _line(rise - arch, 0.0036) * _soft(0.023 - np.abs(outward - 0.002), 0.004)
        colour = colour + 0.8 * brow[:, None] * (0.7 * looks.hair + 0.1 * looks.tone - colour)
        cheek = ahead * np.exp(-((outward - 0.014) ** 2 + (rise + 0.038) ** 2) / 0.0004)
        colour = colour * (1 + cheek[:, None] * np.array([0.06, -0.08, -0.06], np.float32))
    nose = mark["nose"]
    nostrils = ahead * np.exp(-((np.abs(x) - 0.008) ** 2 + (y - nose[1] + 0.013) ** 2) / 0.000025)
    flank = ahead * np.exp(-((np.abs(x) - 0.016) ** 2 / 0.00005 + (y - nose[1] - 0.002) ** 2 / 0.0004))
    bridge = ahead * np.exp(-(x**2 / 0.00004 + (y - nose[1] - 0.01) ** 2 / 0.0006))
    colour = colour * (1 - 0.6 * nostrils - 0.12 * flank + 0.08 * bridge)[:, None]
    mouth = (mark["mouth_left"] + mark["mouth_right"]) / 2
    half = abs(mark["mouth_left"][0]) * 1.08
    profile = np.sqrt(np.clip(1 - (x / half) ** 2, 0, 1))
    lips = ahead * _soft(0.0085 * profile - np.abs(y - mouth[1]), 0.0015) * (profile > 0)
    tint = looks.tone * np.array([0.85, 0.5, 0.5], np.float32) * (1 - looks.made_up) + looks.made_up * np.array(
        [0.42, 0.07, 0.08], np.float32
    )
    colour = colour + (0.75 * lips)[:, None] * (tint - colour)
    parting = ahead * _line(y - mouth[1], 0.0013) * _soft(half - np.abs(x), 0.003)
    colour = colour * (1 - 0.75 * parting[:, None])
    under = ahead * np.exp(-(x**2 / 0.0004 + (y - mouth[1] + 0.015) ** 2 / 0.00003))
    painted: NDArray[np.float32] = (colour * (1 - 0.15 * under[:, None])).astype(np.float32)
    return painted


def _paint_eyes(points: SurfacePoints, colour: NDArray[np.float32], iris: NDArray[np.float32]) -> NDArray[np.float32]:
    for part in (LEFT_EYE, RIGHT_EYE):
        here = np.flatnonzero(points.part == part)
        if not len(here):
            continue
        eye = points.rest[here]
        low, high = eye.min(0), eye.max(0)
        away = eye - (low + high) / 2
        radius = np.hypot(away[:, 0], away[:, 1]) / max(float(high[0] - low[0]), 1e-6) * 2
        rings = np.where(
            (radius < 0.2)[:, None],
            0.004,
            np.where((radius < 0.48)[:, None], iris, np.array([0.62, 0.58, 0.56], np.float32)),
        )
        colour[here] = np.where((away[:, 2] > 0)[:, None], rings, 0.3)
    return colour.astype(np.float32)


def hair_cover(points: SurfacePoints, looks: Looks) -> NDArray[np.float32]:
    """How much (K,) 0..1 of the skin is hidden by hair, beard included."""
    rng = np.random.default_rng(looks.seed + 1)
    x, y, z = points.rest.T
    mark = points.places.landmark
    eye, ear = mark["left_eye"], mark["left_ear"]
    jag = 0.005 * noise3(points.rest, 0.012, rng)
    cover = np.zeros(len(points), np.float32)
    if looks.style != "bald":
        nape = {"buzz": -0.055, "short": -0.055, "side": -0.06, "bun": -0.05, "bob": -0.115, "long": -0.12}[looks.style]
        # Height of the hairline as a function of depth: nape, behind the ear, temple, forehead.
        line = np.interp(
            z,
            [ear[2] - 0.06, ear[2] - 0.012, ear[2] + 0.004, ear[2] + 0.03, ear[2] + 0.07, ear[2] + 0.1],
            [ear[1] + nape, ear[1] + nape * 0.8, ear[1] + 0.01, eye[1] + 0.03, eye[1] + 0.056, eye[1] + 0.068],
        )
        cover = _soft(y - line + jag, 0.003) * _soft(points.head - 0.35, 0.1)
        if looks.style in ("short", "side", "buzz", "bun"):
            ears = (
                (np.abs(x) > ear[0] + 0.004)
                & (np.abs(y - ear[1] + 0.004) < 0.034)
                & (np.abs(z - ear[2] + 0.012) < 0.026)
            )
            cover = cover * ~ears
        if looks.style == "long":
            reach = 0.05 + 0.2 * rng.random()
            back = _soft(ear[2] - 0.02 - z, 0.01) * _soft(y - (points.places.joint["neck"][1] - reach) + 2 * jag, 0.008)
            cover = np.maximum(cover, back * _soft(0.105 - np.abs(x) + 2 * jag, 0.006) * (points.arm < 0.3))
        if looks.style == "buzz":
            cover = cover * 0.75
    if looks.beard > 0.3:
        mouth = (mark["mouth_left"] + mark["mouth_right"]) / 2
        jaw = _soft(mark["nose"][1] - 0.018 - y - np.clip((np.abs(x) - 0.02) * -0.2, 0, 1) + jag, 0.006) * _soft(
            y - mouth[1] + 0.075 + jag, 0.008
        )
        sides = _soft(z - ear[2] - 0.012 + jag, 0.008) * points.head
        lips = _soft(0.011 - np.abs(y - mouth[1]), 0.002) * _soft(0.026 - np.abs(x), 0.003)
        low_cheek = _soft(mouth[1] + 0.012 + 0.35 * np.clip(np.abs(x) - 0.03, 0, 1) - y, 0.006)
        cover = np.maximum(cover, np.clip(1.4 * looks.beard - 0.4, 0, 0.9) * jaw * sides * (1 - lips) * low_cheek)
    hair: NDArray[np.float32] = (cover * (points.part == BODY)).astype(np.float32)
    return hair


def skin_labels(points: SurfacePoints) -> NDArray[np.uint8]:
    """The classes (K,) of an unclothed, bald person: the face, to the chin and behind the ears, and skin."""
    _, y, z = points.rest.T
    mark = points.places.landmark
    mouth, ear = (mark["mouth_left"] + mark["mouth_right"]) / 2, mark["left_ear"]
    jaw = np.interp(z, [ear[2] - 0.03, ear[2], mouth[2]], [ear[1] - 0.02, ear[1] - 0.05, mouth[1] - 0.045])
    face = (points.head > 0.5) & (y > jaw) & ((z > ear[2] - 0.03) | (y > ear[1] + 0.02))
    return np.where(face | (points.part != BODY), ParseClass.FACE, ParseClass.SKIN).astype(np.uint8)


def paint_hair(points: SurfacePoints, looks: Looks) -> NDArray[np.float32]:
    """Linear RGB (K, 3) of hair in strands that run down from the crown."""
    rng = np.random.default_rng(looks.seed + 2)
    x, y, z = points.rest.T
    middle = points.places.joint["head"]
    turn = np.arctan2(x, z - middle[2] - 0.02)
    strands = np.stack([turn * 0.1, y * 0.08, np.zeros_like(turn)], -1)
    light = noise3(strands, 0.0016, rng) * 0.25 + noise3(strands, 0.006, rng) * 0.25
    # The sheen of hair forms a band round the head.
    band = np.exp(-((y - points.places.crown + 0.045) ** 2) / 0.0004) * 0.35
    painted: NDArray[np.float32] = (looks.hair * np.clip(1 + light + band, 0.3, 2.2)[:, None]).astype(np.float32)
    return painted


def _soft(values: Floats, width: float) -> NDArray[np.float32]:
    """Smooth step: 0 below -width, 1 above width."""
    t = np.clip(np.asarray(values, np.float32) / np.float32(2 * width) + np.float32(0.5), 0, 1)
    return t * t * (3 - 2 * t)


def _line(values: Floats, half: float) -> NDArray[np.float32]:
    """1 where |values| is under ``half``, with soft edges."""
    return _soft(half - np.abs(values), half * 0.5)


def _blob(x: Floats, y: Floats, z: Floats, radius: float) -> NDArray[np.float32]:
    blob: NDArray[np.float32] = np.exp(-(x**2 + y**2 + z**2) / radius**2).astype(np.float32)
    return blob
