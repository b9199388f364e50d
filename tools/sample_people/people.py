"""The people in the sample photos: their shapes, clothes and poses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tools.makehuman import (
    BASE_MESH,
    Garment,
    ObjMesh,
    add_targets,
    bone_transforms,
    read_garment,
    read_obj,
    read_skeleton,
    skin,
)
from uvatar.data.arrays import Floats

LEFT_EYE, RIGHT_EYE = slice(14598, 14670), slice(14670, 14742)  # the base mesh's eye vertices


@dataclass(frozen=True)
class SamplePerson:
    """A person to render.

    Attributes:
        targets: shape target -> strength.
        clothes, hair: folder names of assets.
        skin, hair_colour, iris: linear RGB.
        pose: bone -> rotation vector about the body's axes, degrees.
        turn: rotation of the body to its left, degrees.
        hue: garment -> shift of its hue, 0.5 for none.
        shaven: whether to leave out the strips of hair in front of the ears.
    """

    targets: Mapping[str, float]
    clothes: tuple[str, ...]
    hair: str
    skin: tuple[float, float, float]
    hair_colour: tuple[float, float, float]
    iris: tuple[float, float, float]
    pose: Mapping[str, tuple[float, float, float]]
    turn: float
    hue: Mapping[str, float] = field(default_factory=dict)
    shaven: bool = False


def _fingers(curl: float) -> dict[str, tuple[float, float, float]]:
    """Relaxed hands, in which each finger is bent a little more than the previous one."""
    pose = {}
    for finger in range(2, 6):
        for part, share in ((1, 0.8), (2, 1.0), (3, 0.7)):
            angle = curl * share * (0.8 + 0.12 * (finger - 2))
            pose[f"finger{finger}-{part}.L"] = (0.0, angle * 0.3, -angle)
            pose[f"finger{finger}-{part}.R"] = (0.0, -angle * 0.3, angle)
    return pose


MAN = SamplePerson(
    targets={
        "macrodetails/universal-male-young-averagemuscle-averageweight": 1.0,
        "macrodetails/caucasian-male-young": 0.6,
        "macrodetails/african-male-young": 0.4,
        "macrodetails/proportions/male-young-averagemuscle-averageweight-idealproportions": 0.2,
    },
    clothes=("male_casualsuit03", "shoes01"),
    hair="short04",
    skin=(0.42, 0.22, 0.135),
    hair_colour=(0.02, 0.013, 0.009),
    iris=(0.08, 0.04, 0.02),
    pose={
        "upperarm01.L": (4, 6, -43), "upperarm01.R": (8, -6, 41), "lowerarm01.L": (-6, 0, -7),
        "lowerarm01.R": (-12, 0, 10),
        "upperleg01.L": (-5, 8, -4), "upperleg01.R": (2, -4, 7), "lowerleg01.L": (9, 0, 0), "foot.L": (-3, 0, 0),
        "spine03": (0, -3, 1), "spine01": (1, 4, -1), "neck02": (0, 6, 0), "head": (2, 8, -2), **_fingers(22),
    },
    turn=-18,
    shaven=True,
)  # fmt: skip


WOMAN = SamplePerson(
    targets={
        "macrodetails/universal-female-young-averagemuscle-averageweight": 1.0,
        "macrodetails/caucasian-female-young": 0.7,
        "macrodetails/asian-female-young": 0.3,
        "macrodetails/proportions/female-young-averagemuscle-averageweight-idealproportions": 0.6,
    },
    clothes=("female_elegantsuit01", "shoes04"),
    hair="ponytail01",
    skin=(0.66, 0.40, 0.29),
    hair_colour=(0.09, 0.035, 0.015),
    iris=(0.05, 0.09, 0.06),
    pose={
        "upperarm01.L": (8, 0, -32), "upperarm01.R": (-2, -4, 36), "lowerarm01.L": (-10, 10, -14),
        "lowerarm01.R": (-34, -10, 14),
        "upperleg01.L": (3, 4, -6), "upperleg01.R": (-5, -8, 5), "lowerleg01.R": (9, 0, 0),
        "spine03": (0, 4, -1), "spine01": (0, -3, 1), "neck02": (0, -4, 0), "head": (2, -8, 2), **_fingers(24),
    },
    turn=24,
    hue={"female_elegantsuit01": 0.08},
)  # fmt: skip


@dataclass(frozen=True)
class PosedSample:
    """A posed person, metres, z up, facing -y: the base mesh and all garments."""

    base: ObjMesh
    rest: NDArray[np.float64]
    vertices: NDArray[np.float64]
    garments: dict[str, tuple[Garment, NDArray[np.float64]]]


def pose_person(person: SamplePerson, makehuman: Path, assets: Path) -> PosedSample:
    """Shape, dress and pose a person, with the soles on z = 0."""
    base = read_obj(makehuman / BASE_MESH)
    shaped = add_targets(base.vertices, makehuman / "targets", person.targets)
    skeleton = read_skeleton(makehuman, shaped)
    motions = bone_transforms(skeleton, {**person.pose, "root": (0, person.turn, 0)})
    garments = {}
    for kind, name in [*(("clothes", name) for name in person.clothes), ("hair", person.hair)]:
        garment = read_garment(assets / kind / name / f"{name}.mhclo")
        garments[name] = garment, skin(garment.fitted(shaped), garment.skin_weights(skeleton.weights), motions)
    posed = skin(shaped, skeleton.weights, motions)
    floor = min(vertices[:, 1].min() for _, vertices in garments.values())

    def upright(vertices: Floats) -> Floats:
        metres: Floats = np.stack([vertices[:, 0], -vertices[:, 2], vertices[:, 1] - floor], -1) / 10
        return metres

    return PosedSample(
        base,
        shaped,
        upright(posed),
        {name: (garment, upright(vertices)) for name, (garment, vertices) in garments.items()},
    )
