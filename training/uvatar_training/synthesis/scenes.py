"""Draws the scene of one synthetic photo from a seed: people, poses, clothes, environment and camera.

Rendering is in `uvatar_training.synthesis.rendering`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from uvatar.body import BodyModel
from uvatar.data.arrays import Floats
from uvatar.data.camera import Camera
from uvatar.data.fit import BodyParameters
from uvatar.data.joints import HIP_JOINTS, Joint
from uvatar.data.parsing import ParseClass
from uvatar.evaluation.sampling import Framing, Lenses, Population, Viewpoints, heading, parameters_of
from uvatar_training.synthesis.attachments import CARRIED_SHARE, random_carried, worn
from uvatar_training.synthesis.dressing import Dressed
from uvatar_training.synthesis.environments import Environment
from uvatar_training.synthesis.poses import DrawnPose, PoseSource

POPULATION = Population(shares=(0.44, 0.42, 0.14), spread=0.9)
PEOPLE, PEOPLE_SHARES = (1, 2, 3, 4, 5, 6), (0.52, 0.22, 0.12, 0.07, 0.04, 0.03)
FRAMINGS, FRAMING_SHARES = ("full", "knees", "waist", "bust", "wide", "group"), (0.38, 0.12, 0.14, 0.08, 0.1, 0.18)
ASPECTS = ((3, 4), (2, 3), (1, 1), (4, 3), (3, 2), (16, 9), (9, 16))
LENSES = Lenses(0.65, 2.8)
VIEWPOINTS = Viewpoints(
    front_share=0.6, front_yaw=60.0, pitch=(7, 8), pitch_range=(-12, 35), steep=(35, 75), steep_share=0.07,
    roll=1.5, tilted=12, tilted_share=0.06,
)  # fmt: skip
NEAREST = 0.35  # metres in front of the camera; nearer figures are left out
FRAMING = Framing(rounds=12, step=(-0.5, 1), nearest=NEAREST + 0.05)


@dataclass(frozen=True)
class Figure:
    """One person of a scene.

    Attributes:
        parameters: in the camera frame.
        dressed: texture and offsets.
        group: "male", "female" or "child".
        pose: the kind of pose, as in `DrawnPose`.
        person: number of the figure's looks.
        vertices: (V, 3) of the clothed body, camera frame, metres.
        joints: (24, 3) camera frame, metres.
    """

    parameters: BodyParameters
    dressed: Dressed
    group: str
    pose: str
    person: int
    vertices: NDArray[np.float32]
    joints: NDArray[np.float32]


@dataclass(frozen=True)
class Prop:
    """An object.

    Attributes:
        vertices: (V, 3) camera frame, metres.
        faces: (F, 3) vertex indices.
        colour: (3,) linear RGB.
        grain: scale of the noise on its surface, metres.
        paint: (V, 3) linear RGB at its vertices, instead of one colour with noise.
        label: class in label images.
        wearer: index of the figure that wears or carries it, or -1.
    """

    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    colour: NDArray[np.float32]
    grain: float
    paint: NDArray[np.float32] | None = None
    label: ParseClass = ParseClass.BACKGROUND
    wearer: int = -1


@dataclass(frozen=True)
class Sensor:
    """Properties of the camera's sensor and lens.

    Attributes:
        exposure: factor on the metered exposure.
        blur: pixels.
        noise: 8-bit levels.
        vignette: 0..1, darkening of the corners.
        contrast: exponent of the tone curve.
        warmth: relative gain of red, and loss of blue.
    """

    exposure: float
    blur: float
    noise: float
    vignette: float
    contrast: float
    warmth: float


@dataclass(frozen=True)
class Scene:
    """The scene of one photo.

    Attributes:
        name: unique within its run.
        camera: at the origin; everything is in its frame.
        to_world: (3, 3) rotation from the camera's axes to the environment's (y up).
        floor: (4,) plane a, b, c, d with a x + b y + c z = d in the camera frame; the normal points up.
        floor_colour: (3,) linear RGB of a plain floor, or None to show the panorama's ground.
        figures, props: people and objects.
        environment: background and light.
        sensor: properties of the camera's sensor and lens.
        seed: of what the renderer draws at random.
    """

    name: str
    camera: Camera
    to_world: NDArray[np.float64]
    floor: NDArray[np.float64]
    floor_colour: NDArray[np.float32] | None
    figures: Sequence[Figure]
    props: Sequence[Prop]
    environment: Environment
    sensor: Sensor
    seed: int


@dataclass(frozen=True)
class Cast:
    """Sources of a scene's parts.

    Attributes:
        body: the body of all figures.
        poses: source of poses.
        looks: draws a figure's looks: their number, the group, and the dressed surface.
        environment: draws an environment.
        side: longer side of the picture, pixels.
    """

    body: BodyModel
    poses: PoseSource
    looks: Callable[[np.random.Generator], tuple[int, str, Dressed]]
    environment: Callable[[np.random.Generator], Environment]
    side: int


@dataclass(frozen=True)
class _Standing:
    """A figure in world axes (y up, floor at 0), before a camera has been chosen."""

    betas: Floats
    pose: Floats
    transl: Floats
    posed: DrawnPose
    dressed: Dressed
    group: str
    person: int
    vertices: Floats
    joints: Floats


def draw_scene(name: str, cast: Cast, rng: np.random.Generator) -> Scene:
    """Draw one scene; takes 50 ms plus the time to make its looks and environment."""
    count = int(rng.choice(PEOPLE, p=PEOPLE_SHARES))
    people = _place_people([_draw_person(cast, rng) for _ in range(count)], rng)
    main = people[0]
    framing = str(rng.choice(FRAMINGS, p=FRAMING_SHARES))
    if main.posed.support == "floor" and framing in ("knees", "waist"):
        framing = "full"
    camera, rotation, shift = _choose_camera(people, framing, cast.side, rng)
    figures: list[Figure] = []
    props: list[Prop] = []
    for person in people:
        figure = _in_camera(person, cast.body, rotation, shift)
        if figure.vertices[:, 2].min() > NEAREST:
            props += _attached(person, len(figures), cast.body, rng)
            figures.append(figure)
    seats = [_seat(person, cast.body, rng) for person in people if person.posed.support == "chair"]
    props += [prop for prop in seats + _furniture(people, rng) if prop is not None]
    if rng.random() < 0.3:
        props.append(_occluder(main, camera, rotation, shift, rng))
    placed = [replace(prop, vertices=(prop.vertices @ rotation.T + shift).astype(np.float32)) for prop in props]
    placed = [prop for prop in placed if prop.vertices[:, 2].min() > 0.05]
    up = rotation @ np.array([0.0, 1.0, 0.0])
    floor_colour = (
        None if rng.random() < 0.5 else (rng.uniform(0.05, 0.6) * (1 + rng.normal(0, 0.12, 3))).astype(np.float32)
    )
    sensor = Sensor(
        float(np.exp(rng.normal(0, 0.25))), float(rng.uniform(0.3, 0.9)), float(rng.uniform(0.5, 5)),
        float(rng.uniform(0, 0.35)),
        float(rng.uniform(0.85, 1.2)), float(rng.normal(0, 0.06)),
    )  # fmt: skip
    return Scene(
        name, camera, rotation.T, np.append(up, up @ shift), floor_colour, figures, placed, cast.environment(rng),
        sensor,
        int(rng.integers(2**31)),
    )  # fmt: skip


def _draw_person(cast: Cast, rng: np.random.Generator) -> _Standing:
    number, group, dressed = cast.looks(rng)
    betas = POPULATION.betas(cast.body.data, group, rng)
    posed = cast.poses.draw(rng)
    pose = posed.pose.copy()
    turn = Rotation.from_euler("y", rng.uniform(0, 2 * np.pi))
    pose[0] = (turn * Rotation.from_rotvec(pose[0])).as_rotvec()
    vertices, joints = cast.body.posed(parameters_of(betas, pose, np.zeros(3)), dressed.offsets)
    lift = np.array([-joints[0, 0], -vertices[:, 1].min(), -joints[0, 2]])
    return _Standing(betas, pose, lift, posed, dressed, group, number, vertices + lift, joints + lift)


def _place_people(people: list[_Standing], rng: np.random.Generator) -> list[_Standing]:
    """Place the first person at the origin and the others around it, near but not inside one another."""
    placed = [people[0]]
    for person in people[1:]:
        reach = np.abs(person.vertices[:, [0, 2]]).max()
        for _ in range(20):
            angle, distance = rng.uniform(0, 2 * np.pi), 0.35 + rng.gamma(2.0, 0.35)
            place = np.array([np.cos(angle) * distance, 0, np.sin(angle) * distance])
            gaps = [np.linalg.norm(place[[0, 2]] - other.joints[0, [0, 2]]) for other in placed]
            if min(gaps) > 0.35 + 0.25 * min(reach, 0.6):
                placed.append(_moved(person, place))
                break
    return placed


def _moved(person: _Standing, by: Floats) -> _Standing:
    moved = {"transl": person.transl + by, "vertices": person.vertices + by, "joints": person.joints + by}
    return _Standing(**{**vars(person), **moved})


def _choose_camera(
    people: list[_Standing], framing: str, side: int, rng: np.random.Generator
) -> tuple[Camera, Floats, Floats]:
    """A camera, and the rotation and translation from the world to its frame."""
    main = people[0]
    # "waist" is cut where the trunk ends in any pose: by height in the world.
    low = {"knees": Joint.LEFT_KNEE, "waist": Joint.PELVIS, "bust": Joint.SPINE3}.get(framing)
    points = main.vertices
    if framing == "group":
        points = np.concatenate([person.vertices[::7] for person in people])
    elif low is not None:
        above = points[points[:, 1] > main.joints[low, 1]]
        points = above if len(above) > 100 else points
    aspect = ASPECTS[rng.integers(len(ASPECTS))]
    if framing == "group" and len(people) > 2:
        aspect = ((4, 3), (3, 2), (16, 9))[rng.integers(3)]
    width, height = (round(side * a / max(aspect)) for a in aspect)
    camera = LENSES.camera(width, height, rng)
    view = VIEWPOINTS.draw(rng)
    view = replace(view, yaw=view.yaw - np.degrees(heading(main.pose[0])))
    fill = {"wide": rng.uniform(0.2, 0.5), "bust": rng.uniform(0.7, 1.0)}.get(framing, rng.uniform(0.55, 1.02))
    aside = rng.normal(0, 0.18 if framing == "wide" else 0.05, 2)
    for _ in range(4):
        rotation = view.matrix()
        seen = points @ rotation.T
        shift = replace(FRAMING, start=4.0 + np.ptp(seen[:, 2])).placed(seen, camera, fill, aside)
        if -(rotation.T @ shift)[1] > 0.12:
            break
        view = replace(view, pitch=view.pitch + 12)  # the camera would be under the floor: look from higher up
    return camera, rotation, shift


def _in_camera(person: _Standing, body: BodyModel, rotation: Floats, shift: Floats) -> Figure:
    pose = person.pose.copy()
    pose[0] = (Rotation.from_matrix(rotation) * Rotation.from_rotvec(pose[0])).as_rotvec()
    # The root rotation is about the pelvis, so the translation is that of the pelvis into the camera frame.
    rest = body.data.joint_template[0] + body.data.joint_shapedirs[0] @ person.betas
    transl = rotation @ person.joints[0] + shift - rest
    vertices = (person.vertices @ rotation.T + shift).astype(np.float32)
    joints = (person.joints @ rotation.T + shift).astype(np.float32)
    return Figure(
        parameters_of(person.betas, pose, transl),
        person.dressed,
        person.group,
        person.posed.kind,
        person.person,
        vertices,
        joints,
    )


# ---------------------------------------------------------------- props


def _attached(person: _Standing, number: int, body: BodyModel, rng: np.random.Generator) -> list[Prop]:
    """What a person wears as meshes of their own, and carries."""
    found = worn(person.dressed.pieces, person.vertices, person.joints, body.data)
    if rng.random() < CARRIED_SHARE:
        found += random_carried(person.joints, rng)
    return [Prop(one.vertices, one.faces, one.colours.mean(0), 0.1, one.colours, one.label, number) for one in found]


def box(low: Floats, high: Floats, turn: float) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """A box, rotated about the vertical axis through its middle.

    Args:
        low, high: (3,) opposite corners before the rotation, metres.
        turn: angle of the rotation, radians.

    Returns:
        Vertices (8, 3) and faces (F, 3).
    """
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], float) * (high - low) + low
    middle = (low + high) / 2
    corners = Rotation.from_euler("y", turn).apply(corners - middle) + middle
    quads = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])
    return corners.astype(np.float32), quads[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3).astype(np.int32)


def column(centre: Floats, radii: tuple[float, float], height: float) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """A round column.

    Args:
        centre: (3,) middle of its base, metres.
        radii: at its base and its top, metres.
        height: metres.

    Returns:
        Vertices (V, 3) and faces (F, 3).
    """
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    rings = [
        np.stack([np.cos(angle) * r, np.full_like(angle, y), np.sin(angle) * r], 1)
        for r, y in zip(radii, (0, height), strict=True)
    ]
    vertices = np.concatenate([*rings, [[0, 0, 0]], [[0, height, 0]]]) + centre
    k, n = np.arange(24), (np.arange(24) + 1) % 24
    sides = np.concatenate([np.stack([k, k + 24, n], 1), np.stack([n, k + 24, n + 24], 1)])
    caps = np.concatenate([np.stack([k, n, np.full(24, 48)], 1), np.stack([k + 24, np.full(24, 49), n + 24], 1)])
    return vertices.astype(np.float32), np.concatenate([sides, caps]).astype(np.int32)


def _coloured(shape: tuple[NDArray[np.float32], NDArray[np.int32]], rng: np.random.Generator) -> Prop:
    colour = np.clip(rng.uniform(0.03, 0.6) * (1 + rng.normal(0, 0.25, 3)), 0.01, 0.9)
    return Prop(*shape, colour.astype(np.float32), float(rng.uniform(0.02, 0.3)))


def _seat(person: _Standing, body: BodyModel, rng: np.random.Generator) -> Prop:
    """A box under the buttocks of a sitting person."""
    hips = body.data.weights[:, [Joint.PELVIS, *HIP_JOINTS]].sum(1) > 0.7
    under = person.vertices[hips]
    pelvis, width = person.joints[0], rng.uniform(0.2, 0.5)
    turn = heading(person.pose[0])
    back = Rotation.from_euler("y", turn).apply([0, 0, -rng.uniform(0.0, 0.12)])
    half = np.array([width, 0, rng.uniform(0.18, 0.26)])
    top = max(float(np.quantile(under[:, 1], 0.03)), 0.05)
    centre = np.array([pelvis[0], 0, pelvis[2]]) + back
    return _coloured(box(centre - half, centre + half + [0, top, 0], turn), rng)


def _furniture(people: list[_Standing], rng: np.random.Generator) -> list[Prop]:
    """Boxes and columns placed at random, away from people."""
    out = []
    for _ in range(int(rng.choice([0, 0, 1, 2, 4]))):
        angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(1.2, 5.0)
        centre = np.array([np.cos(angle) * distance, 0, np.sin(angle) * distance])
        if min(np.linalg.norm(centre[[0, 2]] - person.joints[0, [0, 2]]) for person in people) < 1.0:
            continue
        half = rng.uniform(0.08, 0.6, 3) * [1, 0, 1]
        if rng.random() < 0.6:
            out.append(
                _coloured(box(centre - half, centre + half + [0, rng.uniform(0.3, 2.2), 0], rng.uniform(0, np.pi)), rng)
            )
        else:
            out.append(_coloured(column(centre, tuple(rng.uniform(0.04, 0.35, 2)), rng.uniform(0.5, 2.5)), rng))
    return out


def _occluder(main: _Standing, camera: Camera, rotation: Floats, shift: Floats, rng: np.random.Generator) -> Prop:
    """An object between the camera and the main person that hides part of the person, like a table, post or shelf."""
    eye = -rotation.T @ shift
    low, high = main.vertices.min(0), main.vertices.max(0)
    target = np.array([rng.uniform(low[0], high[0]), 0, rng.uniform(low[2], high[2])])
    place = eye + (target - eye) * rng.uniform(0.5, 0.85)
    place[1] = 0
    tall = high[1] * rng.uniform(0.2, 0.75)
    if rng.random() < 0.6:
        half = np.array([rng.uniform(0.1, 0.6), 0, rng.uniform(0.05, 0.2)])
        turn = np.arctan2(eye[0] - place[0], eye[2] - place[2]) + rng.normal(0, 0.3)
        return _coloured(box(place - half, place + half + [0, tall, 0], turn), rng)
    return _coloured(column(place, (rng.uniform(0.03, 0.15), rng.uniform(0.03, 0.25)), tall * 1.5), rng)
