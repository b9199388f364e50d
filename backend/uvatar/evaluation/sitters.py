"""The people of the evaluation in 3D, with their cameras."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from uvatar.body import BodyModel
from uvatar.data.arrays import Floats
from uvatar.data.camera import Camera
from uvatar.data.fit import BodyParameters
from uvatar.evaluation.sampling import Framing, Lenses, Population, Viewpoints, heading, parameters_of

WIDTH, HEIGHT = 640, 800
POPULATION = Population(shares=(0.45, 0.4, 0.15), spread=0.8)
# Most photos show people from the front; the others are from all sides.
VIEWPOINTS = Viewpoints(front_share=0.7, front_yaw=60.0, pitch=(6, 7), pitch_range=(-10, 25))
LENSES = Lenses(1.0, 1.8, logarithmic=False)
FRAMING = Framing()


@dataclass(frozen=True)
class Sitter:
    """A synthetic person and the camera that sees it.

    Attributes:
        name: for tables and files.
        group: "male", "female" or "child".
        yaw: rotation from facing the camera, degrees.
        body: the truth, in the frame of ``camera``.
        up: (3,) unit vector against gravity, in the frame of ``camera``.
    """

    name: str
    group: str
    yaw: float
    body: BodyParameters
    camera: Camera
    up: tuple[float, float, float] = (0.0, -1.0, 0.0)


def random_sitter(
    name: str,
    pose: Floats,
    body: BodyModel,
    rng: np.random.Generator,
    population: Population = POPULATION,
    viewpoints: Viewpoints = VIEWPOINTS,
) -> Sitter:
    """A person of random shape in ``pose`` (24, 3), with a random viewpoint and lens, filling most of the picture."""
    group = population.group(rng)
    betas = population.betas(body.data, group, rng)
    view = viewpoints.draw(rng)
    turned = replace(view, yaw=view.yaw - np.degrees(heading(pose[0])))
    camera = LENSES.camera(WIDTH, HEIGHT, rng)
    posed = np.concatenate([turned.seen(pose[0])[None], pose[1:]])
    vertices, _ = body.posed(parameters_of(betas, posed, np.zeros(3)))
    transl = FRAMING.placed(vertices, camera, rng.uniform(0.72, 0.9), rng.uniform(-0.03, 0.03, 2))
    x, y, z = (float(value) for value in turned.matrix() @ [0.0, 1.0, 0.0])
    return Sitter(name, group, float(view.yaw), parameters_of(betas, posed, transl), camera, (x, y, z))
