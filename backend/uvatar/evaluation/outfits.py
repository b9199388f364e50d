"""Painted people: skin, hair, face, shirt, trousers and shoes, and what each place of the body is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from uvatar.body import LEFT_EYE, RIGHT_EYE, BodyData
from uvatar.data.arrays import Floats, Integers
from uvatar.data.landmarks import LANDMARK_NAMES


class Worn(IntEnum):
    """What a place of a painted person is made of."""

    SKIN = 0
    HAIR = 1
    SHIRT = 2
    TROUSERS = 3
    SHOES = 4
    EYES = 5


@dataclass(frozen=True)
class Fabric:
    """A fabric: plain, striped or checked, with creases.

    Attributes:
        base, second: (3,) linear RGB of the ground and of the pattern.
        pattern: "plain", "across", "down" or "checks".
        pitch: metres, of the pattern.
    """

    base: NDArray[np.float64]
    second: NDArray[np.float64]
    pattern: str
    pitch: float

    @property
    def patterned(self) -> bool:
        """Whether it is not plain."""
        return self.pattern != "plain"

    def __call__(self, rest: Floats) -> NDArray[np.float64]:
        """Linear RGB (K, 3) at rest positions (K, 3)."""
        across = np.sin(2 * np.pi * rest[:, 1] / self.pitch) > 0.3
        down = np.sin(2 * np.pi * rest[:, 0] / self.pitch) > 0.3
        amounts = {"plain": 0.0 * across, "across": across, "down": down, "checks": 0.5 * across + 0.5 * down}
        amount = np.asarray(amounts[self.pattern], np.float64)
        creases = 1 + 0.10 * np.sin(60 * rest[:, 1] + 25 * rest[:, 0]) * np.sin(45 * rest[:, 0] + 31 * rest[:, 2])
        light: NDArray[np.float64] = (self.base + amount[:, None] * (self.second - self.base)) * creases[:, None]
        return light


@dataclass(frozen=True)
class PaintedOutfit:
    """A painted person, by position on the rest body; a `Paint`.

    Colours (3,) are linear RGB, lengths metres, heights those of the rest body.

    Attributes:
        skin, hair, shoes, iris: colours.
        fabrics: of shirt and trousers.
        sleeve: distance from the middle at which sleeves end.
        leg_end, waist, neckline: heights at which trousers end, shirt and trousers meet, and the shirt begins.
        hair_length: how far the hair falls below the hairline.
        landmark, joint: places (3,) of the rest body by name.
        eyes: (K, 3) vertices of each eyeball, by part.
        lowest: height of the soles.
    """

    skin: NDArray[np.float64]
    hair: NDArray[np.float64]
    shoes: NDArray[np.float64]
    iris: NDArray[np.float64]
    fabrics: Mapping[Worn, Fabric]
    sleeve: float
    leg_end: float
    waist: float
    neckline: float
    hair_length: float
    landmark: Mapping[str, Floats]
    joint: Mapping[str, Floats]
    eyes: Mapping[int, Floats]
    lowest: float

    def materials(self, rest: Floats, part: Integers) -> NDArray[np.uint8]:
        """`Worn` (K,) at rest positions (K, 3) of parts (K,)."""
        x, y, z = rest.T
        worn = np.full(len(rest), Worn.SKIN, np.uint8)
        brow, behind = self.landmark["left_eye"][1], self.landmark["left_ear"][2]
        # The hairline runs from high on the forehead to behind the ears; long hair falls to the nape.
        crown = (
            (y > brow + 0.055 - np.clip((behind - z) * 4, -0.02, 0.05 + self.hair_length))
            & (y > self.neckline)
            & (z < behind + 0.075)
        )
        top = y > brow + 0.07
        worn[(crown | top) & (np.abs(x) < 0.12) & (y > self.joint["neck"][1] + 0.02)] = Worn.HAIR
        covered = (np.abs(x) < self.sleeve) & (y > self.waist - 0.03)
        dressed = (y < self.neckline - 0.35 * np.clip(z - 0.06, 0, 0.2)) & covered
        arms = (np.abs(x) > self.joint["left_shoulder"][0] - 0.03) & (np.abs(x) < self.sleeve) & (y > self.waist)
        worn[dressed | arms] = Worn.SHIRT
        worn[(y < self.waist) & (y > self.leg_end) & (np.abs(x) < 0.35)] = Worn.TROUSERS
        worn[y < self.joint["left_ankle"][1] + 0.015] = Worn.SHOES
        worn[np.isin(part, list(self.eyes))] = Worn.EYES
        return worn

    def __call__(self, rest: Floats, uv: Floats, part: Integers) -> Floats:
        """Linear RGB (K, 3) at rest positions (K, 3) of parts (K,)."""
        worn = self.materials(rest, part)
        x, y, z = rest.T
        colour = np.tile(self.skin, (len(rest), 1)) * (1 + 0.06 * np.sin(37 * x) * np.sin(41 * y + 2))[:, None]
        _face(colour, rest, self.landmark, self.skin, self.hair)
        haired = worn == Worn.HAIR
        colour[haired] = self.hair * (1 + 0.35 * np.sin(600 * x + 140 * z))[:, None][haired]
        for garment, fabric in self.fabrics.items():
            colour[worn == garment] = fabric(rest[worn == garment])
        colour[worn == Worn.SHOES] = self.shoes
        colour[y < self.lowest + 0.018] = 0.03
        for side, points in self.eyes.items():
            here = part == side
            outward = rest[here] - points.mean(0)
            radius = np.linalg.norm(outward[:, :2], axis=1) / np.ptp(points[:, 0]) * 2
            front = outward[:, 2] > 0
            white = np.array([0.65, 0.62, 0.6])
            rings = np.where((radius < 0.22)[:, None], 0.005, np.where((radius < 0.52)[:, None], self.iris, white))
            colour[here] = np.where(front[:, None], rings, white)
        clipped: Floats = np.clip(colour, 0, 1)
        return clipped


def random_outfit(body: BodyData, rng: np.random.Generator) -> PaintedOutfit:
    """A random painted person; fabrics are striped, checked or plain."""
    landmark = dict(zip(LANDMARK_NAMES, body.landmark_template.astype(np.float64), strict=True))
    joint = dict(zip(body.joint_names, body.joint_template.astype(np.float64), strict=True))
    tone = rng.uniform(0, 1)
    return PaintedOutfit(
        skin=(1 - tone) * np.array([0.62, 0.36, 0.26]) + tone * np.array([0.10, 0.05, 0.03]),
        hair=np.array([0.02, 0.013, 0.01]) + rng.choice([0, 0.3, 1.0]) * np.array([0.25, 0.13, 0.05]),
        fabrics={Worn.SHIRT: _random_fabric(rng), Worn.TROUSERS: _random_fabric(rng)},
        shoes=rng.uniform(0.01, 0.25) * np.ones(3) + rng.uniform(0, 0.05, 3),
        sleeve=float(rng.choice([joint["left_shoulder"][0] + 0.13, joint["left_wrist"][0] - 0.01])),
        leg_end=float(rng.choice([joint["left_ankle"][1] + 0.02, joint["left_knee"][1] + 0.05], p=[0.75, 0.25])),
        waist=float(joint["pelvis"][1] + rng.uniform(-0.02, 0.06)),
        neckline=float(joint["neck"][1] - rng.uniform(0.01, 0.05)),
        hair_length=float(rng.uniform(0.0, 0.14)),
        iris=rng.uniform(0.02, 0.1, 3),
        landmark=landmark,
        joint=joint,
        eyes={part: body.v_template[body.part == part].astype(np.float64) for part in (LEFT_EYE, RIGHT_EYE)},
        lowest=float(body.v_template[:, 1].min()),
    )


def _random_fabric(rng: np.random.Generator) -> Fabric:
    base, second = (np.clip(rng.uniform(0.02, 0.6) + rng.normal(0, 0.12, 3), 0.01, 0.85) for _ in range(2))
    pattern = str(rng.choice(["plain", "plain", "across", "down", "checks"]))
    return Fabric(base, second, pattern, float(rng.uniform(0.02, 0.07)))


def _face(colour: Floats, rest: Floats, landmark: Mapping[str, Floats], skin: Floats, hair: Floats) -> None:
    """Paint brows, lashes, lips, nostril shade and cheeks into ``colour`` (K, 3) of points ``rest`` (K, 3)."""
    x, y, z = rest.T
    front = z > landmark["left_ear"][2] + 0.02
    for side in ("left", "right"):
        eye = landmark[f"{side}_eye"]
        across = (x - eye[0]) * np.sign(eye[0])
        arch = eye[1] + 0.0215 + 0.05 * across - 8 * (across - 0.005) ** 2
        brow = front & (np.abs(across) < 0.024) & (np.abs(y - arch) < 0.0042)
        colour[brow] = 0.75 * hair + 0.25 * colour[brow]
        lid = front & (np.abs(across) < 0.017) & (np.abs(y - eye[1] - 0.0075 + 12 * across**2) < 0.0022)
        colour[lid] = 0.35 * skin
        socket = front * np.exp(-(across**2 + (y - eye[1]) ** 2) / 0.0006)
        colour *= 1 - 0.22 * socket[:, None]
        cheek = front * np.exp(-((across - 0.015) ** 2 + (y - eye[1] + 0.04) ** 2) / 0.0005)
        colour *= 1 + cheek[:, None] * np.array([0.1, -0.05, -0.05])
    mouth = (landmark["mouth_left"] + landmark["mouth_right"]) / 2
    half = abs(landmark["mouth_left"][0]) * 1.05
    lips = front & (np.abs(x) < half) & (np.abs(y - mouth[1]) < 0.009 * np.sqrt(np.clip(1 - (x / half) ** 2, 0, 1)))
    colour[lips] = skin * np.array([0.85, 0.42, 0.45])
    parting = lips & (np.abs(y - mouth[1]) < 0.0012)
    colour[parting] = 0.25 * skin
    nose = landmark["nose"]
    nostrils = front * np.exp(-((np.abs(x) - 0.008) ** 2 + (y - nose[1] + 0.012) ** 2) / 0.00003)
    colour *= 1 - 0.5 * nostrils[:, None]
