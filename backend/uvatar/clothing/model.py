"""Precomputed data of a body for clothing, shared by all people, and the tuned numbers of clothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from uvatar.body import BodyModel
from uvatar.body.data import BodyData
from uvatar.clothing.fields import Nodes, nodes_on
from uvatar.data.arrays import Floats
from uvatar.data.landmarks import EARS, EYES, MOUTH
from uvatar.geometry.adjacency import adjacency, averaging, triangle_edges
from uvatar.geometry.mesh import unit


@dataclass(frozen=True)
class ClothingSettings:
    """Tuned numbers of clothing. Where nothing is said of how a number was chosen, that is not recorded.

    Attributes:
        rounds: (stiffness of the fields, size weight of the swelling), round by round: first whole cross-sections
            follow the outline, at last its rim alone.
        picture_side: pixels of the person's box side while measuring.
        swell_nodes, slide_nodes: that carry the two fields.
        limit: of a displacement, as a share of the body's height.
        shrink_limit: of shrinking, as a share of a limb's radius: a mask that is thinner than the body is more often
            wrong than the body.
        section_rounds: of averaging a cross-section's radius over neighbouring nodes.
        swell_bending, swell_stretching, slide_bending, slide_stretching, slide_size: weights of the least squares.
        face_stiffness, hand_stiffness, foot_stiffness, hand_slide_stiffness: extra size weight where clothes do not
            reach: the face stays as it was fitted, hands and feet nearly so.
    """

    rounds: tuple[tuple[float, float], ...] = ((1.0, 0.001), (0.5, 0.001), (0.2, 0.02), (0.1, 0.05), (0.1, 0.05))
    picture_side: int = 400
    swell_nodes: int = 1600
    slide_nodes: int = 250
    limit: float = 0.12
    shrink_limit: float = 0.3
    section_rounds: int = 6
    swell_bending: float = 0.05
    swell_stretching: float = 0.1
    slide_bending: float = 5.0
    slide_stretching: float = 0.5
    slide_size: float = 0.01
    face_stiffness: float = 10.0
    hand_stiffness: float = 5.0
    foot_stiffness: float = 0.1
    hand_slide_stiffness: float = 0.1


@dataclass(frozen=True)
class ClothingModel:
    """Precomputed data for clothing that depends only on the body, not on the person.

    Attributes:
        body: the body.
        settings: tuned numbers.
        swell, slide: the nodes of the two fields; K and L of them.
        smoothness: (K + 2L, K + 2L) what roughness of the fields costs.
        size: (K + 2L,) what moving at all costs there: much on the face, some on hands and feet.
        hands: (V,) float32, 1 on the hands, on which nothing is worn.
        neighbours: (V, V) csr, replaces a vertex's value by the mean of its neighbours'.
    """

    body: BodyModel
    settings: ClothingSettings
    swell: Nodes
    slide: Nodes
    smoothness: sparse.csc_matrix
    size: Floats
    hands: NDArray[np.float32]
    neighbours: sparse.csr_matrix


def prepare_clothing(body: BodyModel, settings: ClothingSettings | None = None) -> ClothingModel:
    """Prepare a body for clothing."""
    settings, data = settings or ClothingSettings(), body.data
    directions = np.array([end - start for start, end in bones_of(data, np.zeros(data.shapedirs.shape[2]))])
    bones = unit(data.weights @ unit(directions))
    swell, slide = nodes_on(data, bones, settings.swell_nodes), nodes_on(data, bones, settings.slide_nodes)
    swell_smooth = settings.swell_bending * swell.bending + settings.swell_stretching * swell.stretching
    slide_smooth = settings.slide_bending * slide.bending + settings.slide_stretching * slide.stretching
    smoothness = sparse.block_diag([swell_smooth, slide_smooth, slide_smooth], "csc")
    swell_size = swell.at_nodes(_stiffness(data, settings)[:, None])[:, 0]
    hands = _hand_share(data)
    slide_size = slide.at_nodes(
        (settings.face_stiffness * _face_share(data) + settings.hand_slide_stiffness * hands)[:, None]
    )[:, 0]
    size = np.concatenate([swell_size, slide_size, slide_size])
    neighbours = averaging(adjacency(triangle_edges(data.faces), len(data.v_template)))
    return ClothingModel(body, settings, swell, slide, smoothness, size, hands.astype(np.float32), neighbours)


def _stiffness(data: BodyData, settings: ClothingSettings) -> Floats:
    """(V,) how much a vertex resists clothing: the face most, hands, feet."""
    feet = data.weights[:, _joints(data, "left_foot", "right_foot")].sum(1)
    stiffness: Floats = (
        settings.face_stiffness * _face_share(data)
        + settings.hand_stiffness * _hand_share(data)
        + settings.foot_stiffness * feet
    )
    return stiffness


def _hand_share(data: BodyData) -> Floats:
    """(V,) 1 on hands, falling to 0 on the wrists."""
    share: Floats = data.weights[:, _joints(data, "left_wrist", "right_wrist", "left_hand", "right_hand")].sum(1)
    return share


def _joints(data: BodyData, *names: str) -> list[int]:
    return [data.joint_names.index(name) for name in names]


def _face_share(data: BodyData) -> Floats:
    """(V,) 1 on the face between brow, chin and ears, falling to 0 over two centimetres."""
    marks = data.landmark_template
    eyes, ears, mouth = marks[EYES].mean(0), marks[EARS].mean(0), marks[MOUTH].mean(0)
    brow, chin = eyes[1] + 0.035, mouth[1] - 0.05
    behind = eyes[2] * 0.55 + ears[2] * 0.45
    depth_inside = np.min(
        [brow - data.v_template[:, 1], data.v_template[:, 1] - chin, data.v_template[:, 2] - behind], axis=0
    )
    head = data.weights[:, data.joint_names.index("head")]
    share: Floats = np.clip(1 + depth_inside / 0.02, 0, 1) * (head > 0.5)
    return share


def bones_of(data: BodyData, betas: Floats) -> list[tuple[Floats, Floats]]:
    """(start, end) of the 24 bones in the rest pose; those without a joint at their end go on as far as flesh does."""
    joints = data.joint_template + data.joint_shapedirs @ betas
    marks = data.landmark_template + data.landmark_shapedirs @ betas
    index = {name: number for number, name in enumerate(data.joint_names)}
    ends = {
        "pelvis": joints[index["spine1"]],
        "spine3": joints[index["neck"]],
        "head": marks[[*EYES, *EARS]].mean(0) + (0, 0.04, 0),
    }
    for side in ("left", "right"):
        hand, foot = joints[index[f"{side}_hand"]], joints[index[f"{side}_foot"]]
        ends[f"{side}_hand"] = hand + 0.8 * (hand - joints[index[f"{side}_wrist"]])
        ends[f"{side}_foot"] = foot + (0, 0, 0.05)
    children = {int(parent): joints[child] for child, parent in enumerate(data.parents)}
    return [
        (joints[number], ends[name] if name in ends else children[number])
        for number, name in enumerate(data.joint_names)
    ]
