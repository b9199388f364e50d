"""People in clothes whose form is known from all sides: MakeHuman's garments, and skirts and coats of our own.

Outfits that numbers may be tuned on share no garment, shoe, hair or cut with those that are only reported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from uvatar.body import BodyModel
from uvatar.clothing.limbs import limbs
from uvatar.data.arrays import Floats
from uvatar.data.joints import ANKLE_JOINTS, HIP_JOINTS, Joint
from uvatar.evaluation.draping import Cloth, Cut, drape
from uvatar.evaluation.garments import WornGarment, carried
from uvatar.evaluation.sampling import parameters_of
from uvatar.evaluation.sitters import Sitter
from uvatar.geometry.adjacency import adjacency, averaging, triangle_edges
from uvatar.geometry.mesh import unit, vertex_normals

CLOSE, LOOSE, SKIRT, COAT = KINDS = ("close", "loose", "skirt", "coat")
STRIDE = 0.55  # metres between the ankles of whoever wears a skirt or a coat, at most
WAIST = 0.04  # metres above the hips, of the open body at rest, from which a garment is a top
SOFT_ROUNDS = 12  # of averaging normals before a garment is let out: it grows as a whole, not fold by fold


@dataclass(frozen=True)
class Outfit:
    """What somebody wears.

    Attributes:
        kind: of `KINDS`.
        garment: MakeHuman's.
        let_out: metres by which that stands off more.
        cut: of the skirt or the coat over it, or None.
        bare_legs: whether only the garment's upper part is worn.
        shoes, hair: MakeHuman's.
    """

    kind: str
    garment: str
    shoes: str
    hair: str
    let_out: float = 0.0
    cut: Cut | None = None
    bare_legs: bool = False


# Cuts: waist or chest to hem, in metres; a pencil skirt, a straight one, gathered ones, coats.
TUNING = (
    Outfit(CLOSE, "female_casualsuit01", "shoes01", "bob02"),
    Outfit(CLOSE, "male_casualsuit03", "shoes02", "short01"),
    Outfit(LOOSE, "male_casualsuit04", "shoes02", "short02", let_out=0.025),
    Outfit(LOOSE, "male_worksuit01", "shoes01", "short01", let_out=0.035),
    Outfit(SKIRT, "female_casualsuit01", "shoes01", "ponytail01", cut=Cut(0.05, 0.5, 0.01, 0.6), bare_legs=True),
    Outfit(SKIRT, "female_casualsuit01", "shoes02", "bob02", cut=Cut(0.05, 0.85, 0.01, 1.3), bare_legs=True),
    Outfit(COAT, "male_casualsuit03", "shoes02", "short02", let_out=0.02, cut=Cut(0.2, 0.7, 0.03, 0.5)),
    Outfit(COAT, "male_casualsuit04", "shoes01", "short01", let_out=0.02, cut=Cut(0.2, 0.8, 0.03, 0.7, opening=0.18)),
)
FINAL = (
    Outfit(CLOSE, "female_sportsuit01", "shoes03", "long01"),
    Outfit(CLOSE, "male_casualsuit05", "shoes04", "short03"),
    Outfit(CLOSE, "male_elegantsuit01", "shoes05", "short04"),
    Outfit(LOOSE, "male_casualsuit02", "shoes06", "short03", let_out=0.015),
    Outfit(LOOSE, "male_casualsuit06", "shoes04", "short04", let_out=0.03),
    Outfit(LOOSE, "female_elegantsuit01", "shoes05", "long01", let_out=0.02),
    Outfit(SKIRT, "female_elegantsuit01", "shoes05", "braid01"),
    Outfit(SKIRT, "female_sportsuit01", "shoes03", "long01", cut=Cut(0.06, 0.42, 0.008, 1.8, waves=0.006),
           bare_legs=True),
    Outfit(SKIRT, "female_sportsuit01", "shoes03", "braid01", cut=Cut(0.1, 0.98, 0.01, 0.9), bare_legs=True),
    Outfit(SKIRT, "female_sportsuit01", "shoes06", "long01", cut=Cut(0.04, 0.6, 0.008, 0.25), bare_legs=True),
    Outfit(COAT, "male_casualsuit06", "shoes06", "short04", let_out=0.02, cut=Cut(0.18, 0.9, 0.025, 0.9)),
    Outfit(COAT, "male_casualsuit05", "shoes04", "short03", let_out=0.015, cut=Cut(0.22, 0.62, 0.035, 0.35)),
    Outfit(COAT, "male_casualsuit05", "shoes04", "short03", let_out=0.015, cut=Cut(0.2, 0.75, 0.03, 0.6, opening=0.24)),
)  # fmt: skip
OUTFITS: Mapping[str, Sequence[Outfit]] = {"tuning": TUNING, "final": FINAL}


@dataclass(frozen=True)
class DressedPerson:
    """A person and the surface that a camera sees of them.

    Attributes:
        sitter: body and camera.
        outfit: what is worn.
        vertices: (N, 3) of body and clothes, camera frame.
        faces: (F, 3).
        colours: (F, 3) linear RGB.
        pelvis: (3,) about whose vertical the person is turned.
    """

    sitter: Sitter
    outfit: Outfit
    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    colours: NDArray[np.float32]
    pelvis: Floats


def dressed(
    sitter: Sitter, outfit: Outfit, garments: Mapping[str, WornGarment], body: BodyModel, rng: np.random.Generator
) -> DressedPerson:
    """Dress a person; ``rng`` of the colours and of the cloth's folds."""
    data, outer = body.data, _colour(rng)
    skin, joints = (np.asarray(points, np.float64) for points in body.posed(sitter.body))
    hidden = np.zeros(len(skin), bool)
    meshes = []
    for name in (outfit.shoes, outfit.hair):
        worn = garments[name]
        hidden |= worn.hidden
        colour = _hair_colour(rng) if name == outfit.hair else _colour(rng)
        meshes.append((carried(worn.attachment, skin, data), worn.faces, colour))
    garment = garments[outfit.garment]
    places = _let_out(carried(garment.attachment, skin, data), garment.faces, outfit.let_out)
    waist = data.joint_template[HIP_JOINTS, 1].mean() + WAIST
    above = (garment.attachment.places[:, 1] > waist)[garment.faces].all(1)
    meshes.append((places, garment.faces[above], outer))
    if outfit.bare_legs:
        hidden |= garment.hidden & (data.v_template[:, 1] > waist)
    else:
        hidden |= garment.hidden
        meshes.append((places, garment.faces[~above], _colour(rng) if outfit.cut or rng.uniform() < 0.5 else outer))
    if outfit.cut is not None:
        under = np.concatenate([data.faces[~hidden[data.faces].all(1)], garment.faces + len(skin)])
        arms = limbs(data)[0]
        arms = np.concatenate([arms, arms[garment.attachment.vertices[:, 0]]])
        cloth = _draped(
            outfit.cut, sitter, np.concatenate([skin, places]), under[~arms[under].any(1)], joints, body, rng
        )
        meshes.append((cloth.vertices, cloth.faces, _colour(rng) if outfit.bare_legs else outer))
    meshes.append((skin, data.faces[~hidden[data.faces].all(1)], _skin_colour(rng)))
    return _joined(sitter, outfit, meshes, joints[Joint.PELVIS])


def can_wear(outfit: Outfit, pose: Floats, body: BodyModel) -> bool:
    """Whether the pose (24, 3) of somebody who stands upright lets the outfit's cloth hang."""
    if outfit.kind not in (SKIRT, COAT):
        return True
    _, joints = body.posed(parameters_of(np.zeros(body.data.shapedirs.shape[2]), pose, np.zeros(3)))
    apart = joints[ANKLE_JOINTS[0]] - joints[ANKLE_JOINTS[1]]
    return bool(np.linalg.norm(apart) < STRIDE)


def _let_out(places: Floats, faces: NDArray[np.int32], amount: float) -> Floats:
    """A garment's vertices (N, 3), farther out."""
    if amount == 0:
        return places
    mean = averaging(adjacency(triangle_edges(faces), len(places)))
    normals = np.asarray(vertex_normals(places, faces), np.float64)
    for _ in range(SOFT_ROUNDS):
        normals = mean @ normals
    return places + amount * normals


def _draped(
    cut: Cut,
    sitter: Sitter,
    vertices: Floats,
    faces: NDArray[np.int32],
    joints: Floats,
    body: BodyModel,
    rng: np.random.Generator,
) -> Cloth:
    """The cloth in the frame of the camera; it lies on the mesh of ``vertices`` (N, 3) and ``faces`` (F, 3)."""
    up, data = np.array(sitter.up), body.data
    across = joints[HIP_JOINTS[0]] - joints[HIP_JOINTS[1]]
    left = unit(across - (across @ up) * up)
    world = np.stack([left, up, np.cross(left, up)])  # rows: x left, y up, z forward
    size = float(np.ptp(data.v_template[:, 1] + data.shapedirs[:, 1] @ sitter.body.betas)) / 1.7
    used = np.unique(faces)
    at = (vertices[used] - joints[Joint.PELVIS]) @ world.T
    normals = np.asarray(vertex_normals(vertices, faces)[used], np.float64) @ world.T
    grown = replace(cut, top=cut.top * size, length=cut.length * size)
    cloth = drape(grown, at, normals, np.zeros(3), np.array([0.0, 0.0, 1.0]), rng)
    return Cloth(cloth.vertices @ world + joints[Joint.PELVIS], cloth.faces)


def _joined(
    sitter: Sitter, outfit: Outfit, meshes: Sequence[tuple[Floats, NDArray[np.int32], Floats]], pelvis: Floats
) -> DressedPerson:
    starts = np.cumsum([0, *(len(vertices) for vertices, _, _ in meshes)])
    return DressedPerson(
        sitter,
        outfit,
        np.concatenate([vertices for vertices, _, _ in meshes]).astype(np.float32),
        np.concatenate([faces + start for (_, faces, _), start in zip(meshes, starts, strict=False)]).astype(np.int32),
        np.concatenate([np.broadcast_to(colour, faces.shape) for _, faces, colour in meshes]).astype(np.float32),
        pelvis,
    )


def _colour(rng: np.random.Generator) -> Floats:
    """A dye, linear RGB."""
    colour: Floats = np.clip(rng.uniform(0.03, 0.75) * (1 + rng.normal(0, 0.5, 3)), 0.01, 0.85)
    return colour


def _skin_colour(rng: np.random.Generator) -> Floats:
    """From dark to fair."""
    colour: Floats = np.array([0.13, 0.06, 0.03]) + rng.uniform() * np.array([0.5, 0.36, 0.28])
    return colour


def _hair_colour(rng: np.random.Generator) -> Floats:
    """From black through brown to fair."""
    colour: Floats = np.array([0.01, 0.008, 0.006]) + rng.uniform() ** 2 * np.array([0.4, 0.26, 0.13])
    return colour
