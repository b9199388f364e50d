"""What people wear and carry beside their own surface: skirts, coat tails, long hair, bags, balls and sticks.

They are built on a posed and dressed body, in its frame. What is worn belongs to its wearer in the picture; what is
carried does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from uvatar.body import BODY, BodyData
from uvatar.data.arrays import Floats
from uvatar.data.joints import Joint
from uvatar.data.parsing import ParseClass
from uvatar.geometry.mesh import unit
from uvatar_training.synthesis.anatomy import SurfacePoints, places_of
from uvatar_training.synthesis.fabrics import Fabric, random_colour

_ROWS, _COLUMNS = 44, 64
_MARGIN = 0.006  # metres between cloth and what is below
CARRIED_SHARE = 0.3


@dataclass(frozen=True)
class HairMesh:
    """A hair style as a mesh on the rest body's head.

    Attributes:
        vertices: (V, 3) metres.
        faces: (F, 3).
        colours: (V, 3) linear RGB.
    """

    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    colours: NDArray[np.float32]


@dataclass(frozen=True)
class Tube:
    """Cloth around both legs.

    Attributes:
        label: class in label images.
        fabric: its colours.
        top, hem: heights on the rest body, metres.
        flare: by which its radius grows from top to hem, as a share.
        folds: depth of its folds at the hem, metres.
        seed: of its folds.
    """

    label: ParseClass
    fabric: Fabric
    top: float
    hem: float
    flare: float
    folds: float
    seed: int


@dataclass(frozen=True)
class Attachment:
    """A mesh that somebody wears or carries.

    Attributes:
        vertices: (V, 3) metres, in the frame of the body that it was made for.
        faces: (F, 3).
        colours: (V, 3) linear RGB.
        label: class in label images.
    """

    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    colours: NDArray[np.float32]
    label: ParseClass


def similarity(points: Floats, target: Floats) -> tuple[Floats, Floats]:
    """Scaled rotation (3, 3) and translation (3,) that take points (N, 3) nearest to target (N, 3) (Umeyama 1991)."""
    middle, target_middle = points.mean(0), target.mean(0)
    u, size, v = np.linalg.svd((target - target_middle).T @ (points - middle))
    signs = np.array([1, 1, np.sign(np.linalg.det(u @ v))])
    turn = u @ (signs[:, None] * v) * ((size * signs).sum() / ((points - middle) ** 2).sum())
    return turn, target_middle - turn @ middle


def worn(pieces: Sequence[Tube | HairMesh], vertices: Floats, joints: Floats, body: BodyData) -> list[Attachment]:
    """Tubes and hair on a posed, dressed body (V, 3) with its joints (24, 3)."""
    return [
        _hair(piece, vertices, body) if isinstance(piece, HairMesh) else _tube(piece, vertices, joints, body)
        for piece in pieces
    ]


def _hair(piece: HairMesh, vertices: Floats, body: BodyData) -> Attachment:
    head = (body.weights[:, Joint.HEAD] > 0.8) & (body.part == BODY)
    turn, shift = similarity(body.v_template[head].astype(np.float64), vertices[head].astype(np.float64))
    posed = (piece.vertices @ turn.T + shift).astype(np.float32)
    return Attachment(posed, piece.faces, piece.colours, ParseClass.HAIR)


def _tube(piece: Tube, vertices: Floats, joints: Floats, body: BodyData) -> Attachment:
    """Rings around what the body has between two heights of the rest body, from the hull of one slice to the next."""
    rng = np.random.default_rng(piece.seed)
    rest, arms = body.v_template, body.weights[:, [Joint.LEFT_SHOULDER, Joint.RIGHT_SHOULDER, Joint.LEFT_ELBOW, Joint.RIGHT_ELBOW, Joint.LEFT_WRIST, Joint.RIGHT_WRIST, Joint.LEFT_HAND, Joint.RIGHT_HAND]].sum(1)  # fmt: skip  # noqa: E501
    heights = np.linspace(piece.top, piece.hem, _ROWS)
    angle = np.linspace(0, 2 * np.pi, _COLUMNS, endpoint=False)
    slices = [
        vertices[(np.abs(rest[:, 1] - height) < 0.025) & (arms < 0.3) & (body.part == BODY)] for height in heights
    ]
    centres = np.array([(points.min(0) + points.max(0)) / 2 for points in slices], np.float64)
    down = unit(np.gradient(_eased(centres), axis=0))
    left = joints[Joint.LEFT_HIP] - joints[Joint.RIGHT_HIP]
    folds = rng.normal(0, 1, 3) * piece.folds
    phases, counts = rng.uniform(0, 2 * np.pi, 3), rng.integers(3, 12, 3)
    waves = sum(f * np.sin(n * angle + p) for f, n, p in zip(folds, counts, phases, strict=True))
    rings, radius = [], np.zeros(_COLUMNS)
    for row, (points, centre, axis) in enumerate(zip(slices, centres, down, strict=True)):
        side = unit(left - axis * (left @ axis))
        ahead = np.cross(side, axis)
        outwards = np.sin(angle)[:, None] * side + np.cos(angle)[:, None] * ahead
        share = row / (_ROWS - 1)
        hull = ((points - centre) @ outwards.T).max(0) + _MARGIN
        # Cloth hangs from where it is widest.
        radius = np.maximum(hull, 0.985 * radius)
        wide = radius * (1 + piece.flare * share) + share * waves
        rings.append(centre + np.maximum(wide, hull)[:, None] * outwards)
    shape = (_ROWS, _COLUMNS)
    turned, high = np.broadcast_to(angle, shape).ravel(), np.repeat(heights, _COLUMNS)
    normal = np.stack([np.sin(turned), np.zeros_like(turned), np.cos(turned)], 1).astype(np.float32)
    flat = (normal * 0.15 + np.stack([0 * high, high, 0 * high], 1)).astype(np.float32)
    zero = np.zeros(len(flat), np.float32)
    points = SurfacePoints(
        flat, normal, zero, zero, zero + 1, (turned * 0.15).astype(np.float32), high.astype(np.float32),
        np.full(len(flat), BODY, np.uint8), places_of(body),
    )  # fmt: skip
    colours = np.clip(piece.fabric(points), 0.002, 0.95).astype(np.float32)
    index = np.arange(_ROWS * _COLUMNS).reshape(shape)
    a, b, c, d = index[:-1], np.roll(index, -1, 1)[:-1], index[1:], np.roll(index, -1, 1)[1:]
    faces = np.concatenate([np.stack([a, c, b], -1).reshape(-1, 3), np.stack([b, c, d], -1).reshape(-1, 3)])
    return Attachment(np.concatenate(rings).astype(np.float32), faces.astype(np.int32), colours, piece.label)


def _eased(centres: Floats) -> Floats:
    """Centres (R, 3) with less of the turns from slice to slice."""
    padded = np.concatenate([centres[:1]] * 6 + [centres] + [centres[-1:]] * 6)
    eased: Floats = np.mean([padded[k : k + len(centres)] for k in range(13)], axis=0)
    eased[0], eased[-1] = centres[0], centres[-1]
    return eased


def random_carried(joints: Floats, rng: np.random.Generator) -> list[Attachment]:
    """At most two things that a person with these joints (24, 3), in world axes (y up), carries."""
    things = []
    for _ in range(rng.choice([1, 2], p=[0.75, 0.25])):
        things.append(_THINGS[rng.integers(len(_THINGS))](joints, rng))
    return things


def _hand(joints: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """A hand and the direction from its elbow."""
    hand, elbow = ((Joint.LEFT_HAND, Joint.LEFT_ELBOW), (Joint.RIGHT_HAND, Joint.RIGHT_ELBOW))[rng.integers(2)]
    towards: Floats = unit(joints[hand] - joints[elbow])
    return joints[hand] + 0.04 * towards, towards


def _bag(joints: Floats, rng: np.random.Generator) -> Attachment:
    hand, _ = _hand(joints, rng)
    half = np.array([rng.uniform(0.06, 0.22), rng.uniform(0.08, 0.22), rng.uniform(0.03, 0.08)])
    handle = rng.uniform(0.0, 0.25)
    turn = Rotation.from_euler("y", rng.uniform(0, np.pi))
    return _block(hand - [0, half[1] + handle, 0], half, turn, rng)


def _backpack(joints: Floats, rng: np.random.Generator) -> Attachment:
    up = unit(joints[Joint.NECK] - joints[Joint.PELVIS])
    left = joints[Joint.LEFT_SHOULDER] - joints[Joint.RIGHT_SHOULDER]
    left = unit(left - up * (left @ up))
    half = np.array([rng.uniform(0.11, 0.17), rng.uniform(0.15, 0.26), rng.uniform(0.06, 0.12)])
    back = np.cross(up, left)
    place = joints[Joint.SPINE3] + back * (0.1 + half[2]) + up * rng.uniform(-0.15, 0.02)
    return _block(place, half, Rotation.from_matrix(np.stack([left, up, -back], 1)), rng)


def _stick(joints: Floats, rng: np.random.Generator) -> Attachment:
    hand, towards = _hand(joints, rng)
    length, thick = rng.uniform(0.2, 0.8), rng.uniform(0.008, 0.03)
    direction = unit(towards + rng.normal(0, 0.8, 3))
    turn, _ = Rotation.align_vectors([direction], [[0.0, 1.0, 0.0]])
    half = np.array([thick if rng.random() < 0.6 else rng.uniform(0.03, 0.12), length, thick])
    return _block(hand + direction * length * rng.uniform(0, 0.9), half, turn, rng)


def _device(joints: Floats, rng: np.random.Generator) -> Attachment:
    """A phone, book or tablet."""
    hand, towards = _hand(joints, rng)
    half = np.array([rng.uniform(0.03, 0.12), rng.uniform(0.05, 0.16), rng.uniform(0.004, 0.02)])
    return _block(hand + 0.06 * towards, half, Rotation.random(random_state=rng.integers(2**31)), rng)


def _ball(joints: Floats, rng: np.random.Generator) -> Attachment:
    hand, towards = _hand(joints, rng)
    radius = rng.uniform(0.03, 0.14)
    rows, columns = 10, 16
    up, around = np.meshgrid(np.linspace(0, np.pi, rows), np.linspace(0, 2 * np.pi, columns), indexing="ij")
    sphere = np.stack([np.sin(up) * np.cos(around), np.cos(up), np.sin(up) * np.sin(around)], -1).reshape(-1, 3)
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = (index[i : rows - 1 + i, j : columns - 1 + j].ravel() for i in (0, 1) for j in (0, 1))
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([b, d, c], 1)]).astype(np.int32)
    vertices = (hand + towards * (radius + 0.02) + radius * sphere).astype(np.float32)
    return Attachment(vertices, faces, _paint(len(vertices), rng), ParseClass.CARRIED)


def _block(centre: Floats, half: Floats, turn: Rotation, rng: np.random.Generator) -> Attachment:
    """A box of half lengths (3,), turned about its centre (3,), divided so that its colours may vary."""
    grid = np.linspace(-1, 1, 5)
    first, second = np.meshgrid(grid, grid, indexing="ij")
    sides = []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            side = np.insert(np.stack([first, second], -1).reshape(-1, 2), axis, sign, axis=1)
            sides.append(side)
    points = np.concatenate(sides) * half
    index = np.arange(25).reshape(5, 5)
    a, b, c, d = (index[i : 4 + i, j : 4 + j].ravel() for i in (0, 1) for j in (0, 1))
    one = np.concatenate([np.stack([a, b, c], 1), np.stack([b, d, c], 1)])
    faces = np.concatenate([one + 25 * k for k in range(6)]).astype(np.int32)
    return Attachment((turn.apply(points) + centre).astype(np.float32), faces, _paint(150, rng), ParseClass.CARRIED)


def _paint(count: int, rng: np.random.Generator) -> NDArray[np.float32]:
    colours = random_colour(rng, 0.6) * np.exp(rng.normal(0, rng.uniform(0, 0.4), (count, 1)))
    painted: NDArray[np.float32] = np.clip(colours, 0.002, 0.95).astype(np.float32)
    return painted


_THINGS = (_bag, _bag, _backpack, _stick, _device, _ball)
