"""Which way is up in a photo: one estimate from its people, its vertical edges, the accelerometer, and a prior.

Directions on a grid of pitch and roll are each given a cost; the estimate is their mean, weighted by how likely they
are, and its error is their spread.

* The prior: photographers look down a little. An accelerometer's direction takes its place.
* People: whoever stands has the neck above the ankles and soles that face down, and the feet of several people are on
  one plane.
* Edges that are vertical in the world lie, in the picture, on lines through the vertical's vanishing point. They count
  only where so many of them agree that they settle the direction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.data.camera import Camera
from uvatar.data.gravity import Gravity, GravityEvidence
from uvatar.data.person import Person
from uvatar.fitting.chain import State
from uvatar.fitting.observations import image_landmarks, standing, unseen_legs
from uvatar.fitting.prepared import FittingModel
from uvatar.fitting.stance import Stance, robust, stance
from uvatar.protocol.levelling import pitch_and_roll, up_of


@dataclass(frozen=True)
class GravitySettings:
    """Tuned numbers of the estimate; angles in degrees.

    Attributes:
        pitch, roll: mean and standard deviation of the prior.
        measured: standard deviation of an accelerometer's direction: it is not known how well the sensor is aligned
            with the lens, and hands shake.
        reach: of the grid to both sides, in pitch and roll; around an accelerometer's direction twice what that needs.
        step: of the grid.
        width: standard deviations from which a difference in height counts no more.
        level: of the heights of several people's feet, as a share of the camera's height above them: their sizes, and
            so their distances, are known to a few per cent.
        stands: weight of a person from which there is ground under the feet.
        edge_error: standard deviation of an edge's direction.
        edge_unit: length of an edge that counts 1, as a share of the longer side; none counts more than ``edge_most``.
        edge_support: what edges must sum to ...
        edge_spread: ... and how far the directions may spread that they and the prior leave, for edges to be used.
    """

    pitch: tuple[float, float] = (5.0, 7.0)
    roll: tuple[float, float] = (0.0, 3.0)
    measured: float = 1.5
    reach: tuple[float, float] = (32.0, 14.0)
    step: float = 0.5
    width: float = 3.0
    level: float = 0.06
    stands: float = 0.3
    edge_error: float = 1.0
    edge_unit: float = 0.1
    edge_most: float = 2.0
    edge_support: float = 6.0
    edge_spread: float = 3.0


DEFAULT_SETTINGS = GravitySettings()


@dataclass(frozen=True)
class Candidates:
    """Directions that may be up, with what each costs before people are known.

    Attributes:
        ups: (G, 3) unit vectors, camera frame.
        costs: (G,) nats, without edges.
        support: (G,) nats that the photo's edges say for each.
        measured: whether an accelerometer's direction is among the evidence.
    """

    ups: NDArray[np.float64]
    costs: NDArray[np.float64]
    support: NDArray[np.float64]
    measured: bool
    settings: GravitySettings = field(default_factory=GravitySettings)


def candidates(evidence: GravityEvidence, camera: Camera, settings: GravitySettings = DEFAULT_SETTINGS) -> Candidates:
    """The grid of directions for a photo, with what all but its people say of each."""
    means, errors = np.array([settings.pitch, settings.roll]).T
    reach = np.array(settings.reach)
    if evidence.up is not None:
        means = np.degrees(pitch_and_roll(np.array(evidence.up)))
        errors = np.full(2, settings.measured)
        reach = np.full(2, 4 * settings.measured)
    axes = [np.arange(-far, far + 1e-9, settings.step) for far in reach]
    pitch, roll = (grid.ravel() for grid in np.meshgrid(*axes, indexing="ij"))
    costs = 0.5 * ((pitch / errors[0]) ** 2 + (roll / errors[1]) ** 2)
    ups = up_of(np.radians(pitch + means[0]), np.radians(roll + means[1]))
    support = _edge_support(ups, evidence.segments, camera, settings)
    return Candidates(ups, costs, support, evidence.up is not None, settings)


def stances_of(people: Sequence[Person], bodies: State, camera: Camera, model: FittingModel) -> list[Stance]:
    """How each of the people stands, whose fitted bodies are the rows of ``bodies``."""
    posed = model.skeleton.pose(bodies)
    soles = posed.place(model.soles).positions
    stances = []
    for i, person in enumerate(people):
        landmarks = image_landmarks(person)
        hidden = unseen_legs(landmarks, camera)
        stances.append(stance(posed.joints[i], posed.rotations[i], soles[i], standing(landmarks), hidden))
    return stances


def stances_and_gravity(
    people: Sequence[Person], bodies: State, camera: Camera, model: FittingModel, evidence: GravityEvidence
) -> tuple[list[Stance], Gravity]:
    """How each of the people stands, whose fitted bodies are the rows of ``bodies``, and the vertical they share."""
    stances = stances_of(people, bodies, camera, model)
    return stances, estimate(candidates(evidence, camera), stances)


def estimate(known: Candidates, stances: Sequence[Stance] = ()) -> Gravity:
    """The direction up of a photo, and its ground.

    Args:
        known: from `candidates`.
        stances: how each of the people stands.
    """
    costs = known.costs.copy()
    for one in stances:
        costs += one.cost(known.ups)
    costs += _plane_cost(known.ups, stances, known.settings)
    sources = ["accelerometer"] if known.measured else []
    agreed = known.support[np.argmin(costs - known.support)]
    # What edges leave open is not to be settled by people: edges at one side of a photo, or of what leans itself, agree
    # along a whole line of directions, and people would pick a wrong one of them.
    _, spread = _mean(known.ups, known.costs - known.support)
    if agreed > known.settings.edge_support and np.degrees(spread) < known.settings.edge_spread:
        costs, sources = costs - known.support, [*sources, "lines"]
    up, error = _mean(known.ups, costs)
    if any(one.tells for one in stances):
        sources.append("people")
    x, y, z = (float(value) for value in up)
    return Gravity((x, y, z), error, _ground(up, stances, known.settings), tuple(sources))


def _ground(up: Floats, stances: Sequence[Stance], settings: GravitySettings) -> float | None:
    """Metres from the camera straight down to the ground under those who stand, by their weighted median."""
    below = sorted((one.ground(up), one.weight) for one in stances if one.weight > settings.stands)
    if not below:
        return None
    heights, weights = np.array(below).T
    sums = weights.cumsum()
    return float(np.interp(0.5 * sums[-1], sums - weights / 2, heights))


def _plane_cost(ups: Floats, stances: Sequence[Stance], settings: GravitySettings) -> NDArray[np.float64]:
    """(G,) nats that it costs each of ``ups`` (G, 3) that the feet of those who stand are at different heights."""
    stand = [one for one in stances if one.weight > settings.stands]
    if len(stand) < 2:
        return np.zeros(len(ups))
    heights = np.stack([(one.soles @ ups.T).min(0) for one in stand], 1)
    weights = np.array([one.weight for one in stand])
    middle = np.median(heights, axis=1, keepdims=True)
    # Whoever is wrong by a factor in size is so in distance, and the feet are too high or too low by that share.
    squared = ((heights - middle) / (settings.level * np.maximum(np.abs(middle), 0.5))) ** 2
    cost: NDArray[np.float64] = (weights * robust(squared, settings.width)).sum(1)
    return cost


def _mean(ups: Floats, costs: Floats) -> tuple[NDArray[np.float64], float]:
    """The mean direction (3,), and the spread about it, radians."""
    weights = np.exp(costs.min() - costs)
    weights /= weights.sum()
    mean = weights @ ups
    mean /= np.linalg.norm(mean)
    spread = np.sqrt(weights @ (1 - np.clip(ups @ mean, -1, 1)) * 2)
    return mean, float(spread)


def _edge_support(
    ups: Floats, segments: NDArray[np.float32], camera: Camera, settings: GravitySettings
) -> NDArray[np.float64]:
    """(G,) how much of the edges, counted by their lengths, is vertical if each of ``ups`` (G, 3) is up."""
    if not len(segments):
        return np.zeros(len(ups))
    ends = segments.reshape(-1, 2, 2).astype(float)
    rays = camera.rays(ends)
    normals = np.cross(rays[:, 0], rays[:, 1])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    length = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1) / max(camera.width, camera.height)
    counts = np.minimum(length / settings.edge_unit, settings.edge_most).astype(np.float32)
    # The angle from the plane through camera and edge, whose sine is small where it matters.
    off = (ups.astype(np.float32) @ normals.astype(np.float32).T) / np.float32(np.radians(settings.edge_error))
    support: NDArray[np.float64] = (np.exp(-0.5 * off * off) @ counts).astype(np.float64)
    return support
