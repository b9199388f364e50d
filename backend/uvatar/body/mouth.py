"""Teeth, tongue and lashes of the open body, fitted to the head of one person."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.protocol.parts import Part, PartKeys

FILE = "open_mouth.npz"  # beside the body's file
_RIDGE = 0.05  # of the affine fit's linear part, per anchor: a few displaced vertices do not shear the teeth
_LIP_GAP = 0.0008  # metres between the lips' inner side and the teeth at least
_MOST_BACK = 0.008  # metres by which teeth are moved back for that at most
_AT_EDGE = 0.8  # share of a lip's vertices that count as its edge
_SEAM_NEAR = 0.0028  # metres across which the lips' edges are compared
_OVERLAP, _MOST_GAP = 0.0012, 0.003  # metres by which the lips overlap, and apart from which a mouth is open
_NEIGHBOURS = 3  # lip vertices that say where the lip is in front of a tooth


@dataclass(frozen=True)
class Seam:
    """The vertices of both lips where they meet.

    Attributes:
        vertices: (S,) of the body.
        lower: (S,) which belong to the lower lip.
        share: (S,) by which each follows the lip's edge, 1 at the edge to 0 where the lip stays.
    """

    vertices: NDArray[np.int32]
    lower: NDArray[np.bool_]
    share: NDArray[np.float32]


class UndressedBody(Protocol):
    """What is needed of a body: its mean (V, 3), and what each beta adds (V, 3, 10)."""

    @property
    def v_template(self) -> NDArray[np.float32]:
        """(V, 3) metres."""

    @property
    def shapedirs(self) -> NDArray[np.float32]:
        """(V, 3, 10) metres."""


@dataclass(frozen=True)
class PartTemplate:
    """A part on the mean body.

    Attributes:
        part: with the template's vertices and without shapedirs.
        anchors: (A,) the body's vertices that it follows: as a whole, or (V, 8) each vertex by its own.
        shares: (V, 8) how much each of a vertex's own anchors counts; None for a part that follows as a whole.
        front: (N,) the vertices that must stay behind the lips; empty for parts of no account.
    """

    part: Part
    anchors: NDArray[np.int32]
    shares: NDArray[np.float32] | None
    front: NDArray[np.int32]


@dataclass(frozen=True)
class Mouth:
    """The parts of the open body's head.

    Attributes:
        templates: of the parts.
        lips: (L,) the body's vertices of the lips' inner side.
        flesh: (P,) the body's vertices inside the closed mouth.
        depth: (P,) how far each lies behind the lips' seam along the surface, metres.
        seam: where the lips meet.
    """

    templates: tuple[PartTemplate, ...]
    lips: NDArray[np.int32]
    flesh: NDArray[np.int32]
    depth: NDArray[np.float32]
    seam: Seam

    def closed_lips(self, body: UndressedBody, betas: Floats, offsets: Floats) -> NDArray[np.float32]:
        """The offsets (V, 3) with which the lips touch at rest.

        The mean body's lips are some tenths of a millimetre apart, and those of other shapes farther, so that teeth
        would be seen between them. A mouth that the offsets open farther stays open.

        Args:
            body: the open body.
            betas: (10,).
            offsets: (V, 3).
        """
        seam = self.seam
        rows = seam.vertices
        across = body.v_template[rows, 0]
        height = (body.v_template[rows] + body.shapedirs[rows] @ betas + offsets[rows])[:, 1]
        edge = seam.share > _AT_EDGE
        near = np.abs(across[:, None] - across) < _SEAM_NEAR
        above = np.where(near & edge & ~seam.lower, height, np.inf).min(1)
        below = np.where(near & edge & seam.lower, height, -np.inf).max(1)
        gap = above - below
        apart = np.where(gap < _MOST_GAP, np.clip(gap + _OVERLAP, 0, None), 0.0)
        closed: NDArray[np.float32] = np.array(offsets, np.float32)
        closed[rows, 1] += seam.share * np.where(seam.lower, 0.5, -0.5) * apart
        return closed

    def fitted(self, body: UndressedBody, betas: Floats, offsets: Floats) -> tuple[Part, ...]:
        """The parts of a person, at rest in the T pose.

        Teeth and tongue follow the region of the mouth as a whole, by the affine map that comes closest to what the
        region does; lashes follow the lids. Teeth that would reach the lips are moved back.

        Args:
            body: the open body.
            betas: (10,).
            offsets: (V, 3) that are added to the shaped body, whatever made them.
        """
        parts = [_fitted(template, body, betas, offsets) for template in self.templates]
        back = max(
            (
                self._too_far(part, template, body, betas, offsets)
                for part, template in zip(parts, self.templates, strict=True)
            ),
            default=0.0,
        )
        return tuple(
            replace(part, vertices=part.vertices - np.array([0, 0, back], np.float32))
            if template.shares is None
            else part
            for part, template in zip(parts, self.templates, strict=True)
        )

    def _too_far(
        self, part: Part, template: PartTemplate, body: UndressedBody, betas: Floats, offsets: Floats
    ) -> float:
        """By how many metres the foremost tooth is too close to the lips."""
        if not len(template.front):
            return 0.0
        lips = body.v_template[self.lips] + body.shapedirs[self.lips] @ betas + offsets[self.lips]
        teeth = part.vertices[template.front]
        apart = np.linalg.norm(teeth[:, None, :2] - lips[None, :, :2], axis=2)
        nearest = np.argsort(apart, axis=1)[:, :_NEIGHBOURS]
        share = 1 / (np.take_along_axis(apart, nearest, 1) + 1e-4) ** 2
        wall = (share * lips[nearest, 2]).sum(1) / share.sum(1)
        return float(np.clip((teeth[:, 2] + _LIP_GAP - wall).max(), 0, _MOST_BACK))


def _fitted(template: PartTemplate, body: UndressedBody, betas: Floats, offsets: Floats) -> Part:
    anchors, part = template.anchors, template.part
    if template.shares is not None:
        by_shape = np.einsum("vk,vkcb->vcb", template.shares, body.shapedirs[anchors])
        moved = by_shape @ betas + np.einsum("vk,vkc->vc", template.shares, offsets[anchors])
    else:
        middle = body.v_template[anchors].mean(0)
        known, wanted = _affine(body.v_template[anchors] - middle), _affine(part.vertices - middle)
        ridge = _RIDGE * len(anchors) * np.diag([0.0, *(known[:, 1:] ** 2).mean(0)])
        solve = wanted @ np.linalg.solve(known.T @ known + ridge, known.T)  # (V, A)
        by_shape = np.einsum("va,acb->vcb", solve, body.shapedirs[anchors])
        moved = by_shape @ betas + solve @ offsets[anchors]
    return replace(part, vertices=(part.vertices + moved).astype(np.float32), shapedirs=by_shape.astype(np.float32))


def _affine(points: Floats) -> NDArray[np.float64]:
    return np.concatenate([np.ones((len(points), 1)), points], 1)


def save_mouth(mouth: Mouth, path: Path) -> None:
    """Write an npz."""
    arrays: dict[str, Any] = {
        "names": np.array([template.part.name for template in mouth.templates]),
        "lips": mouth.lips,
        "flesh": mouth.flesh,
        "depth": mouth.depth,
        "seam_vertices": mouth.seam.vertices,
        "seam_lower": mouth.seam.lower,
        "seam_share": mouth.seam.share,
    }
    for template in mouth.templates:
        part, own = template.part, f"{template.part.name}_"
        assert part.uv is not None and part.face_uv is not None and part.keys is not None
        arrays |= {
            own + "vertices": part.vertices.astype(np.float32),
            own + "faces": part.faces.astype(np.uint16),
            own + "uv": part.uv.astype(np.float16),
            own + "skin_joints": part.skin_joints,
            own + "skin_weights": part.skin_weights,
            own + "key_names": np.array(part.keys.names),
            own + "key_starts": part.keys.starts,
            own + "key_vertices": part.keys.vertices.astype(np.uint16),
            own + "key_deltas": part.keys.deltas.astype(np.float16),
            own + "texture": np.frombuffer(part.texture, np.uint8),
            own + "look": np.array([part.alpha, str(part.two_sided), str(part.roughness)]),
            own + "anchors": template.anchors.astype(np.uint16),
            own + "front": template.front,
        }
        if template.shares is not None:
            arrays[own + "shares"] = template.shares.astype(np.float16)
    np.savez_compressed(path, **arrays)


def load_mouth(path: Path) -> Mouth:
    """Read what `save_mouth` wrote. Raises OSError, KeyError or ValueError where it cannot be read."""
    with np.load(path, allow_pickle=False) as file:
        stored = {key: file[key] for key in file.files}
    names = tuple(str(name) for name in stored["names"])
    templates = tuple(_template(name, stored) for name in names)
    seam = Seam(stored["seam_vertices"], stored["seam_lower"], stored["seam_share"])
    return Mouth(templates, stored["lips"], stored["flesh"], stored["depth"], seam)


def _template(name: str, stored: dict[str, NDArray[Any]]) -> PartTemplate:
    own = {key.removeprefix(f"{name}_"): value for key, value in stored.items() if key.startswith(f"{name}_")}
    faces = own["faces"].astype(np.int32)
    alpha, two_sided, roughness = (str(value) for value in own["look"])
    keys = PartKeys(
        tuple(str(key) for key in own["key_names"]),
        own["key_starts"],
        own["key_vertices"].astype(np.int32),
        own["key_deltas"].astype(np.float32),
    )
    part = Part(
        name=name,
        vertices=own["vertices"],
        faces=faces,
        skin_joints=own["skin_joints"],
        skin_weights=own["skin_weights"],
        uv=own["uv"].astype(np.float32),
        face_uv=faces,  # each vertex has one texture coordinate
        keys=keys,
        texture=own["texture"].tobytes(),
        alpha=alpha,
        two_sided=two_sided == "True",
        roughness=float(roughness),
    )
    shares = own["shares"].astype(np.float32) if "shares" in own else None
    return PartTemplate(part, own["anchors"].astype(np.int32), shares, own["front"])
