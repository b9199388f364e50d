"""Precomputed data of a body for clothing, shared by all people, and the tuned numbers of clothing."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from uvatar.body import BodyModel
from uvatar.body.data import BodyData
from uvatar.clothing.bridging import BridgingSettings
from uvatar.clothing.ears import Ear, EarSettings, find_ears
from uvatar.clothing.fields import FieldSettings, Nodes, nodes_on
from uvatar.clothing.outline import OutlineShiftSettings
from uvatar.clothing.unfolding import QuadMesh, UnfoldingSettings
from uvatar.data.arrays import Floats
from uvatar.data.joints import FOOT_JOINTS, HAND_JOINTS, WRIST_JOINTS, Joint
from uvatar.data.landmarks import EARS, EYES, MOUTH
from uvatar.geometry.mesh import unit
from uvatar.photos.colour import smoothstep

HANDS = [*WRIST_JOINTS, *HAND_JOINTS]  # their skin weights are 1 on hands and fall to 0 on the wrists
# How far flesh goes on beyond the last joints; how the numbers were chosen is not recorded.
CROWN = (0, 0.04, 0)  # metres from the middle of eyes and ears
FINGERS = 0.8  # of the way from wrist to hand
TOES = (0, 0, 0.05)  # metres


@dataclass(frozen=True)
class ClothedFaceSettings:
    """Where the face is, on which nothing is worn. How the numbers were chosen is not recorded.

    Attributes:
        brow: metres above the eyes at which it ends.
        chin: metres below the mouth at which it ends.
        ears: how far from the eyes to the ears it goes back, as a share of the way.
        fading: metres over which it falls to 0.
        head: least skin weight of the head.
    """

    brow: float = 0.035
    chin: float = 0.05
    ears: float = 0.45
    fading: float = 0.02
    head: float = 0.5


@dataclass(frozen=True)
class ClothingSettings:
    """Tuned numbers of clothing. Where nothing is said of how a number was chosen, that is not recorded.

    Weights of the least squares are against one for each unit of outline, a unit being the nodes' spacing.

    Attributes:
        rounds: (stiffness of the fields, size weight of the swelling), round by round: first whole cross-sections
            follow the outline, at last its rim alone.
        picture_side: pixels of the person's box side while measuring.
        swell_nodes, slide_nodes: that carry the two fields.
        limit: of a displacement, as a share of the body's height.
        limit_from: share of the limit from which on displacements are shortened smoothly.
        shrink_limit: of shrinking, as a share of a limb's radius: a mask that is thinner than the body is more often
            wrong than the body.
        least_radius: metres: a cross-section counts as at least so wide, so that what lies on a bone has a direction.
        section_rounds: of averaging a cross-section's radius over neighbouring nodes.
        swell_bending, swell_stretching, slide_bending, slide_stretching, slide_size: weights of the least squares.
        face_stiffness, hand_stiffness, foot_stiffness, hand_slide_stiffness: extra size weight where clothes do not
            reach: the face stays as it was fitted, hands and feet nearly so.
        shod_foot_stiffness: the same of feet in shoes, whose form is known, unlike their place. Of .1, 1 and
            5 on four people in photos, 1 kept both the toe caps and the outline.
        foot_height: metres above the bare sole, of the template, up to which feet in shoes keep their heights, and from
            which on they do not. Set while looking at 5 rendered people and 6 in photos; with (0.03, 0.10) hems were
            less like those of trousers.
        damping: of taking displacements from the pose back to rest, as a vertex between two bones that are twisted half
            around each other has no inverse.
        beyond_frame: metres outside the photo's frame over which clothes give way to the body's own form.
        bridged_before: rounds before the end at which cloth bridges hollows; these rounds meet the outline again.
        outline, fields, unfolding, face, ears, bridging: of the parts.
    """

    rounds: tuple[tuple[float, float], ...] = ((1.0, 0.001), (0.5, 0.001), (0.2, 0.02), (0.1, 0.05), (0.1, 0.05))
    picture_side: int = 400
    swell_nodes: int = 1600
    slide_nodes: int = 250
    limit: float = 0.12
    limit_from: float = 0.75
    shrink_limit: float = 0.3
    least_radius: float = 0.02
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
    shod_foot_stiffness: float = 1.0
    foot_height: tuple[float, float] = (0.07, 0.15)
    damping: float = 1e-3
    beyond_frame: float = 0.1
    bridged_before: int = 2
    outline: OutlineShiftSettings = field(default_factory=OutlineShiftSettings)
    fields: FieldSettings = field(default_factory=FieldSettings)
    unfolding: UnfoldingSettings = field(default_factory=UnfoldingSettings)
    face: ClothedFaceSettings = field(default_factory=ClothedFaceSettings)
    ears: EarSettings = field(default_factory=EarSettings)
    bridging: BridgingSettings = field(default_factory=BridgingSettings)


DEFAULT_SETTINGS = ClothingSettings()


@dataclass(frozen=True)
class ClothingModel:
    """Precomputed data for clothing that depends only on the body, not on the person.

    Attributes:
        body: the body.
        settings: tuned numbers.
        swell, slide: the nodes of the two fields; K and L of them.
        smoothness: (K + 2L, K + 2L) what roughness of the fields costs.
        size: (K + 2L,) what moving at all costs there: much on the face, some on hands and feet.
        shod: (K + 2L,) what moving costs more on feet in shoes.
        level: (V,) shares of the vertical displacements at rest that feet do without, so that soles stay flat.
        near: (V,) float32, 1 where clothes stand off little: on the hands, on which nothing is worn.
        mesh: the body's triangles for unfolding.
        ears: that keep their form; empty where the body has none.
    """

    body: BodyModel
    settings: ClothingSettings
    swell: Nodes
    slide: Nodes
    smoothness: sparse.csc_matrix
    size: Floats
    shod: Floats
    level: Floats
    near: NDArray[np.float32]
    mesh: QuadMesh
    ears: tuple[Ear, ...] = ()


def prepare_clothing(body: BodyModel, settings: ClothingSettings = DEFAULT_SETTINGS) -> ClothingModel:
    """Prepare a body for clothing."""
    data = body.data
    directions = np.array([end - start for start, end in bones_of(data, np.zeros(data.shapedirs.shape[2]))])
    bones = unit(data.weights @ unit(directions))
    swell, slide = (
        nodes_on(data, bones, count, settings.fields) for count in (settings.swell_nodes, settings.slide_nodes)
    )
    swell_smooth = settings.swell_bending * swell.bending + settings.swell_stretching * swell.stretching
    slide_smooth = settings.slide_bending * slide.bending + settings.slide_stretching * slide.stretching
    smoothness = sparse.block_diag([swell_smooth, slide_smooth, slide_smooth], "csc")
    face, hands, feet = (
        _face_share(data, settings.face),
        data.weights[:, HANDS].sum(1),
        data.weights[:, FOOT_JOINTS].sum(1),
    )
    swell_stiffness = settings.face_stiffness * face + settings.hand_stiffness * hands + settings.foot_stiffness * feet
    slide_stiffness = settings.face_stiffness * face + settings.hand_slide_stiffness * hands
    swell_size = swell.at_nodes(swell_stiffness[:, None])[:, 0]
    slide_size = slide.at_nodes(slide_stiffness[:, None])[:, 0]
    size = np.concatenate([swell_size, slide_size, slide_size])
    shod = np.zeros_like(size)
    shod[: len(swell_size)] = settings.shod_foot_stiffness * swell.at_nodes(feet[:, None])[:, 0]
    height = data.v_template[:, 1] - data.v_template[:, 1].min()
    level = (1 - smoothstep(height, *settings.foot_height)).astype(np.float64)
    near = hands.astype(np.float32)
    mesh, ears = QuadMesh.of(data), find_ears(data, settings.ears)
    return ClothingModel(body, settings, swell, slide, smoothness, size, shod, level, near, mesh, ears)


def _face_share(data: BodyData, settings: ClothedFaceSettings) -> Floats:
    """(V,) 1 on the face between brow, chin and ears, falling to 0 around it."""
    marks = data.landmark_template
    eyes, ears, mouth = marks[EYES].mean(0), marks[EARS].mean(0), marks[MOUTH].mean(0)
    brow, chin = eyes[1] + settings.brow, mouth[1] - settings.chin
    behind = eyes[2] * (1 - settings.ears) + ears[2] * settings.ears
    depth_inside = np.min(
        [brow - data.v_template[:, 1], data.v_template[:, 1] - chin, data.v_template[:, 2] - behind], axis=0
    )
    head = data.weights[:, Joint.HEAD]
    share: Floats = np.clip(1 + depth_inside / settings.fading, 0, 1) * (head > settings.head)
    return share


def bones_of(data: BodyData, betas: Floats) -> list[tuple[Floats, Floats]]:
    """(start, end) of the 24 bones in the rest pose; those without a joint at their end go on as far as flesh does.

    ``betas`` (10,) of the shape; starts and ends (3,), metres.
    """
    joints = data.joint_template + data.joint_shapedirs @ betas
    marks = data.landmark_template + data.landmark_shapedirs @ betas
    ends = {joint: joints[child] for child, joint in enumerate(data.parents)}
    # Of several children, the one that the flesh follows.
    ends[Joint.PELVIS], ends[Joint.SPINE3] = joints[Joint.SPINE1], joints[Joint.NECK]
    ends[Joint.HEAD] = marks[[*EYES, *EARS]].mean(0) + CROWN
    for wrist, hand in zip(WRIST_JOINTS, HAND_JOINTS, strict=True):
        ends[hand] = joints[hand] + FINGERS * (joints[hand] - joints[wrist])
    for foot in FOOT_JOINTS:
        ends[foot] = joints[foot] + TOES
    return [(joints[joint], ends[joint]) for joint in Joint]
