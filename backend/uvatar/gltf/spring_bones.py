"""Chains of bones on which long hair swings, as VRM's programs do it.

VRM Consortium, VRMC_springBone-1.0 specification, 2022. Chains hang around a part, below a joint that carries them, and
are kept out of the body by spheres and capsules. Skirts have none: between a few chains, thighs that walk come through
the cloth, while a skirt that follows the thighs by its weights does not let them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.gltf.document import Document
from uvatar.gltf.surface import Bone, Skeleton, Surface, shares_of, strongest
from uvatar.protocol.rig import RIG_NAMES

EXTENSION = "VRMC_springBone"


@dataclass(frozen=True)
class Settings:
    """How a part swings, chosen by eye in `@pixiv/three-vrm` while avatars turned and bowed their heads and walked.

    Attributes:
        joint: that carries the chains.
        below: metres below it at which they begin.
        blend: metres of height over which the part passes from its own weights to the chains.
        shortest: metres of a part below that height; what is shorter does not swing.
        chains: around the part.
        bone: metres of a bone.
        most: bones of a chain.
        stiffness: force towards the rest pose, in VRM's units, as the next two.
        gravity: force downward.
        drag: share of the speed that is lost in a step.
        radius: metres around a chain's joint that stay out of the body.
        around: the bones, from joint to joint, that keep chains off.
    """

    joint: str
    below: float
    blend: float
    shortest: float
    chains: int
    bone: float
    most: int
    stiffness: float
    gravity: float
    drag: float
    radius: float
    around: tuple[tuple[str, str], ...]


PARTS: Mapping[str, Settings] = {
    "Hair": Settings(
        joint="head", below=0.03, blend=0.06, shortest=0.07, chains=8, bone=0.08, most=4, stiffness=0.3, gravity=0.15,
        drag=0.4, radius=0.015, around=(
            ("head", "head"), ("neck", "head"), ("spine3", "neck"), ("left_collar", "left_shoulder"),
            ("right_collar", "right_shoulder"), ("left_shoulder", "left_elbow"), ("right_shoulder", "right_elbow"),
        ),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Collider:
    """A capsule, or a sphere if both ends are one.

    Attributes:
        joint: that it moves with.
        begin, end: (3,) metres, at rest.
        radius: metres.
    """

    joint: int
    begin: NDArray[np.float64]
    end: NDArray[np.float64]
    radius: float


@dataclass(frozen=True)
class Springs:
    """The chains of a part.

    Attributes:
        part: its name.
        first: number of the first bone in the whole skeleton.
        bones: of all chains, one chain after the other; the last of a chain only marks its end.
        angles: (C,) radians of the chains around the joint that carries them, 0 in front, rising to the left.
        ends: (C,) lowest height of each, metres.
        top: height at which they begin, metres.
        centre: (2,) x and z of the joint.
        colliders: that keep them off the body.
    """

    part: str
    first: int
    bones: tuple[Bone, ...]
    angles: NDArray[np.float64]
    ends: NDArray[np.float64]
    top: float
    centre: NDArray[np.float64]
    colliders: tuple[Collider, ...]

    @property
    def length(self) -> int:
        """How many bones a chain has, with the one that marks its end."""
        return len(self.bones) // len(self.angles)


def springs_of(name: str, surface: Surface, body: Surface, skeleton: Skeleton, first: int) -> Springs | None:
    """The chains of a part; None for a part that does not swing.

    Args:
        name: of the part.
        surface: the part's.
        body: the body's.
        skeleton: the body's.
        first: the number of the first new bone.
    """
    settings = PARTS.get(name)
    if settings is None or not len(surface.positions):
        return None
    carrier = RIG_NAMES.index(settings.joint)
    head = skeleton.heads[carrier]
    top, centre = float(head[1] - settings.below), head[[0, 2]]
    points = surface.positions.astype(np.float64)
    if top - points[:, 1].min() < settings.shortest:
        return None
    angle, sector = _angles(points, centre), 2 * np.pi / settings.chains
    hanging = [(number * sector, _apart(angle, number * sector) < sector / 2) for number in range(settings.chains)]
    found = [(around, points[near]) for around, near in hanging if _hangs(points[near], top, settings)]
    if not found:
        return None
    depth = top - min(near[:, 1].min() for _, near in found)
    steps = int(np.clip(round(depth / settings.bone), 1, settings.most))
    bones: list[Bone] = []
    for number, (_, near) in enumerate(found):
        heights = np.linspace(top, near[:, 1].min(), steps + 1)
        for step, height in enumerate(heights):
            level = near[np.argsort(np.abs(near[:, 1] - height))[: max(4, len(near) // (4 * steps))]]
            place = np.array([level[:, 0].mean(), height, level[:, 2].mean()])
            parent = carrier if step == 0 else first + len(bones) - 1
            bones.append(Bone(f"{name.lower()}_{number + 1}_{step + 1}", parent, place))
    ends = np.array([near[:, 1].min() for _, near in found])
    free = np.array([bone.head for number, bone in enumerate(bones) if number % (steps + 1)])
    colliders = tuple(_collider(*pair, body, skeleton, free, settings) for pair in settings.around)
    angles = np.array([around for around, _ in found])
    return Springs(name, first, tuple(bones), angles, ends, top, centre, colliders)


def with_chains(surface: Surface, springs: Springs, count: int) -> Surface:
    """A part that swings on its chains; ``count``: of all bones."""
    settings, steps = PARTS[springs.part], springs.length - 1
    points = surface.positions.astype(np.float64)
    shares = shares_of(surface, count)
    hung = np.clip((springs.top + settings.blend / 2 - points[:, 1]) / settings.blend, 0, 1)
    hung = hung * hung * (3 - 2 * hung)
    shares *= (1 - hung)[:, None]
    apart = _apart(_angles(points, springs.centre)[:, None], springs.angles)
    near = np.maximum(0, 1 - apart / (2 * np.pi / settings.chains))
    near[near.sum(1) == 0, :] = apart[near.sum(1) == 0] == apart[near.sum(1) == 0].min(1, keepdims=True)
    near /= near.sum(1, keepdims=True)
    for chain, end in enumerate(springs.ends):
        along = np.clip((springs.top - points[:, 1]) / (springs.top - end) * steps - 0.5, 0, steps - 1)
        for step in range(steps):
            share = hung * near[:, chain] * np.maximum(0, 1 - np.abs(along - step))
            shares[:, springs.first + chain * springs.length + step] += share
    joints, weights = strongest(shares)
    return replace(surface, joints=joints, weights=weights)


def add_springs(document: Document, springs: Sequence[Springs], skeleton: Skeleton, nodes: Sequence[int]) -> None:
    """Say in a document how chains swing; ``nodes`` of all bones, ``skeleton`` without the chains."""
    document.use_extension(EXTENSION)
    colliders: list[dict[str, Any]] = []
    groups: list[dict[str, Any]] = []
    chains: list[dict[str, Any]] = []
    for swinging in springs:
        settings = PARTS[swinging.part]
        members = []
        for collider in swinging.colliders:
            members.append(len(colliders))
            colliders.append({"node": nodes[collider.joint], "shape": _shape(collider, skeleton)})
        groups.append({"name": swinging.part, "colliders": members})
        physics = {
            "hitRadius": settings.radius,
            "stiffness": settings.stiffness,
            "gravityPower": settings.gravity,
            "gravityDir": [0.0, -1.0, 0.0],
            "dragForce": settings.drag,
        }
        for chain in range(len(swinging.angles)):
            begin = swinging.first + chain * swinging.length
            joints = [{"node": nodes[number], **physics} for number in range(begin, begin + swinging.length)]
            name = f"{swinging.part} {chain + 1}"
            chains.append({"name": name, "joints": joints, "colliderGroups": [len(groups) - 1]})
    document.content.extensions[EXTENSION] = {
        "specVersion": "1.0", "colliders": colliders, "colliderGroups": groups, "springs": chains
    }  # fmt: skip


def _shape(collider: Collider, skeleton: Skeleton) -> dict[str, Any]:
    """A collider in the axes of the bone that it moves with."""
    offset, tail = (end - skeleton.heads[collider.joint] for end in (collider.begin, collider.end))
    shape: dict[str, Any] = {"offset": offset.tolist(), "radius": collider.radius}
    if np.array_equal(offset, tail):
        return {"sphere": shape}
    return {"capsule": {**shape, "tail": tail.tolist()}}


def _collider(begin: str, end: str, body: Surface, skeleton: Skeleton, free: Floats, settings: Settings) -> Collider:
    """A capsule in the body along a bone, or a sphere in the skull, that no joint (N, 3) that swings is in at rest."""
    joint = RIG_NAMES.index(begin)
    leading = body.joints[np.arange(len(body.joints)), body.weights.argmax(1)]
    skin = body.positions[leading == joint].astype(np.float64)
    if begin == end:
        first = last = skin.mean(0)
    else:
        first, last = skeleton.heads[joint], skeleton.heads[RIG_NAMES.index(end)]
    radius = float(np.median(_distances(skin, first, last)))
    nearest = _distances(free, first, last).min() - settings.radius
    return Collider(joint, first, last, max(0.01, min(radius, float(nearest))))


def _distances(points: Floats, begin: Floats, end: Floats) -> NDArray[np.float64]:
    """(N,) distances of points (N, 3) from a segment."""
    along = np.asarray(end) - begin
    share = np.clip((points - begin) @ along / max(float(along @ along), 1e-12), 0, 1)
    distances: NDArray[np.float64] = np.linalg.norm(points - begin - share[:, None] * along, axis=1)
    return distances


def _hangs(near: Floats, top: float, settings: Settings) -> bool:
    return bool(len(near) >= 4 and top - near[:, 1].min() > settings.shortest / 2)


def _angles(points: Floats, centre: Floats) -> NDArray[np.float64]:
    """(N,) radians around a vertical line, 0 in front, rising to the left."""
    angles: NDArray[np.float64] = np.arctan2(points[:, 0] - centre[0], points[:, 2] - centre[1])
    return angles


def _apart(angles: Floats, other: Floats | float) -> NDArray[np.float64]:
    """How far angles are apart, 0 to pi."""
    apart: NDArray[np.float64] = np.abs((np.asarray(angles) - other + np.pi) % (2 * np.pi) - np.pi)
    return apart
