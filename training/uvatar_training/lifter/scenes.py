"""Random scenes of one person, rendered, with perception's results for the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.body import BodyModel
from uvatar.data.arrays import Floats
from uvatar.data.camera import Camera
from uvatar.data.fit import BodyParameters
from uvatar.evaluation.outfits import random_outfit
from uvatar.evaluation.rendering import Paint, photograph, random_background, random_light, read_paint
from uvatar.evaluation.sampling import Framing, Lenses, Population, Viewpoints, parameters_of
from uvatar.geometry.adjacency import triangle_edges
from uvatar.geometry.mesh import vertex_normals
from uvatar.perception.geometry import Pyramid
from uvatar.perception.masks import doubted, person_masks
from uvatar.perception.models import Model
from uvatar.perception.pose import Pose, PoseEstimator, averaged
from uvatar.perception.search import hypotheses, kept_box
from uvatar_training.lifter.poses import PoseSampler

SIDE = 400  # pixels of a picture's shorter side; the landmark model sees 256
ASPECTS = (0.67, 0.75, 0.8, 1.0, 1.33, 1.5)  # width / height
POPULATION = Population(shares=(0.43, 0.39, 0.18))
LENSES = Lenses(0.8, 2.4)
# Mostly from the front, from above more often than from below, with little roll.
VIEWPOINTS = Viewpoints(front_share=0.6, front_yaw=75.0, pitch=(6, 10), pitch_range=(-20, 45), roll=4)
FRAMING = Framing(least_depth=0.6, clip=0.3)
CUT_SHARE, OCCLUDED_SHARE, CROWDED_SHARE, DRESSED_SHARE, BAKED_SHARE = 0.25, 0.25, 0.12, 0.6, 0.5
LEAST_SEEN = 0.2  # share of the person that is inside the picture and not hidden
BOX_JITTER = 0.03  # relative to the box's side, as in the detector's results
LEAST_QUALITY = 0.25


@dataclass(frozen=True)
class LifterScene:
    """One rendered person.

    Attributes:
        body: true parameters, in the camera frame.
        camera: the true camera.
        picture: (H, W, 3) uint8 sRGB.
        mask: (H, W) where the person is visible.
    """

    body: BodyParameters
    camera: Camera
    picture: NDArray[np.uint8]
    mask: NDArray[np.bool_]


@dataclass(frozen=True)
class LandmarkDetection:
    """Perception's results for a scene.

    Attributes:
        box: (4,) as the detector would return it.
        landmarks, world: (33, 3) as in `uvatar.perception.Person`.
        passes: (2, 33, 6) results of the two passes of which they are the mean; landmarks, then world landmarks.
    """

    box: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    world: NDArray[np.float32]
    passes: NDArray[np.float32]


class SceneMaker:
    """Draws and renders scenes.

    Args:
        body: the body that is rendered.
        poses: source of poses.
        textures: pictures of clothed UV textures for half of the people; the others wear procedural outfits.
    """

    def __init__(self, body: BodyModel, poses: PoseSampler, textures: Sequence[Path] = ()) -> None:
        self.body, self.poses, self.textures = body, poses, list(textures)
        self._edges = triangle_edges(body.data.faces)

    def draw(self, rng: np.random.Generator) -> LifterScene | None:
        """Draw one scene, or None if too little of the person would be visible."""
        camera = _camera(rng)
        parameters, vertices = self._person(camera, rng)
        background = random_background(camera.width, camera.height, rng)
        light = random_light(rng)
        picture, mask = photograph(vertices, self.body.data, self._paint(rng), camera, light, background, rng)
        whole = _area(vertices, camera)
        if rng.random() < CROWDED_SHARE:
            _, bystander = self._person(camera, rng)
            picture, hidden = photograph(bystander, self.body.data, self._paint(rng), camera, light, picture, rng)
            mask &= ~hidden
        if rng.random() < OCCLUDED_SHARE:
            hidden = _occlude(picture, mask, rng)
            mask &= ~hidden
        if mask.sum() < max(LEAST_SEEN * whole, 1000):
            return None
        return LifterScene(parameters, camera, picture, mask)

    def _person(self, camera: Camera, rng: np.random.Generator) -> tuple[BodyParameters, NDArray[np.float32]]:
        betas = POPULATION.betas(self.body.data, POPULATION.group(rng), rng)
        pose = self.poses.draw(rng)
        posed = np.concatenate([VIEWPOINTS.draw(rng).seen(pose[0])[None], pose[1:]])
        offsets = self._clothes(rng) if rng.random() < DRESSED_SHARE else None
        vertices, _ = self.body.posed(parameters_of(betas, posed, np.zeros(3)), offsets)
        transl = _framed(vertices, camera, rng)
        return parameters_of(betas, posed, transl), vertices + transl

    def _paint(self, rng: np.random.Generator) -> Paint:
        if not self.textures or rng.random() > BAKED_SHARE:
            return random_outfit(self.body.data, rng)
        return read_paint(self.textures[rng.integers(len(self.textures))])

    def _clothes(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """Offsets (V, 3) of clothes and hair from the rest body, metres: loose tops and trousers, hair on the crown."""
        data = self.body.data
        rest = data.v_template.astype(np.float64)
        joint = dict(zip(data.joint_names, data.joint_template, strict=True))
        x, y, z = rest.T
        waist = joint["pelvis"][1]
        sleeve = rng.choice([joint["left_shoulder"][0] + 0.13, joint["left_wrist"][0] - 0.03])
        hem = waist - rng.choice([0.05, 0.15, 0.3])
        top = (np.abs(x) < sleeve) & (y > hem) & (y < joint["neck"][1] - 0.01)
        trousers = (y < waist) & (y > joint["left_ankle"][1] + 0.02) & (np.abs(x) < 0.4)
        crown = (y > joint["head"][1] + 0.06) & ((z < joint["head"][2] + 0.04) | (y > joint["head"][1] + 0.16))
        loose = rng.uniform(0, [0.035, 0.03, 0.03]) * (rng.random(3) < 0.7)
        reach = np.maximum.reduce([loose[0] * top, loose[1] * trousers, loose[2] * crown])
        folds = 1 + 0.4 * np.sin(rng.uniform(15, 40) * y + rng.uniform(10, 30) * x + rng.uniform(0, 6))
        for _ in range(6):
            reach = self._smoothed(reach)
        offsets: NDArray[np.float32] = (vertex_normals(data.v_template, data.faces) * (reach * folds)[:, None]).astype(
            np.float32
        )
        return offsets

    def _smoothed(self, values: Floats) -> Floats:
        a, b = self._edges.T
        total = np.bincount(a, values[b], len(values)) + np.bincount(b, values[a], len(values))
        smoothed: Floats = 0.5 * values + 0.5 * total / np.maximum(
            np.bincount(self._edges.reshape(-1), minlength=len(values)), 1
        )
        return smoothed


class KnownBoxPerception:
    """Perception without its detector: the box is known; the landmark model gets the same input as in the product."""

    def __init__(self, weights: Path) -> None:
        self._poses = PoseEstimator(Model(weights, "pose_detector.tflite"), Model(weights, "pose_landmarks.tflite"))

    def landmarks_of(self, scene: LifterScene, rng: np.random.Generator) -> LandmarkDetection | None:
        """Perception's results for a scene, or None if it does not find the person."""
        rows, columns = np.flatnonzero(scene.mask.any(1)), np.flatnonzero(scene.mask.any(0))
        tight = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float64)
        tight += rng.normal(0, BOX_JITTER, 4) * np.max(tight[2:] - tight[:2])
        box = np.clip(tight, 0, [scene.camera.width, scene.camera.height] * 2).astype(np.float32)
        photo = Pyramid(scene.picture)
        best = max(hypotheses(photo, self._poses, 0, box), key=lambda hypothesis: hypothesis.worth)
        if best.quality < LEAST_QUALITY:
            return None
        again = self._poses.look(photo, best.pose.roi.flipped(), kept_box(box))
        pose = averaged(best.pose, again)
        ((window, mask, _),) = person_masks(photo, [pose])
        passes = np.stack([_numbers(best.pose), _numbers(again)])
        return LandmarkDetection(box, doubted(pose.landmarks, window, mask), pose.world, passes)


def _numbers(pose: Pose) -> NDArray[np.float32]:
    return np.concatenate([pose.landmarks, pose.world], 1)


def _camera(rng: np.random.Generator) -> Camera:
    aspect = ASPECTS[rng.integers(len(ASPECTS))]
    width, height = (round(SIDE * aspect), SIDE) if aspect > 1 else (SIDE, round(SIDE / aspect))
    return LENSES.camera(width, height, rng)


def _framed(vertices: Floats, camera: Camera, rng: np.random.Generator) -> NDArray[np.float32]:
    """The translation (3,), metres, that places a body in the picture: completely inside it, or close and cut off."""
    cut = rng.random() < CUT_SHARE
    fill = rng.uniform(0.8, 1.9) if cut else rng.uniform(0.5, 0.93)
    extent = FRAMING.extent(vertices, camera)
    room = np.maximum(1 - extent * fill / extent.max(), 0) / 2
    aside = rng.uniform(-1, 1, 2) * (room + cut * 0.35 * fill * np.array([0.5, 1.0]))
    return FRAMING.placed(vertices, camera, fill, aside).astype(np.float32)


def _area(vertices: Floats, camera: Camera) -> float:
    """Pixels that a person covers inside and outside the picture, estimated as a third of the box."""
    pixels = FRAMING.projected(vertices, camera)
    return float(np.prod(np.ptp(pixels, axis=0)) / 3)


def _occlude(picture: NDArray[np.uint8], mask: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw one or two objects in front of the person into ``picture``, and return their mask (H, W)."""
    height, width = mask.shape
    rows, columns = np.nonzero(mask)
    if len(rows) == 0:
        return np.zeros_like(mask)
    size = max(float(np.ptp(rows)), float(np.ptp(columns)), 10.0)
    cover = np.zeros((height, width), np.uint8)
    for _ in range(rng.integers(1, 3)):
        pick = rng.integers(len(rows))
        center = np.array([columns[pick], rows[pick]], float)
        half = rng.uniform(0.05, 0.3, 2) * size
        kind = rng.choice(["table", "pole", "thing", "ball"])
        if kind == "table":
            top = rng.uniform(0.45, 0.85) * np.ptp(rows) + rows.min()
            cv2.rectangle(
                cover, (int(center[0] - 2.5 * half[0]), int(top)), (int(center[0] + 2.5 * half[0]), height), [255.0], -1
            )
        elif kind == "pole":
            cv2.rectangle(cover, (int(center[0] - half[0] / 4), 0), (int(center[0] + half[0] / 4), height), [255.0], -1)
        elif kind == "thing":
            corners = cv2.boxPoints((center.tolist(), half.tolist(), float(rng.uniform(0, 90))))
            cv2.fillConvexPoly(cover, corners.astype(np.int32), [255.0])
        else:
            cv2.circle(cover, center.astype(int).tolist(), int(half[0] / 2), [255.0], -1)
    stuff = random_background(width, height, rng).astype(np.float32)
    soft = cv2.GaussianBlur(cover, (0, 0), 1.0)[..., None] / np.float32(255)
    picture[:] = (picture * (1 - soft) + stuff * rng.uniform(0.4, 1.1) * soft).clip(0, 255).astype(np.uint8)
    return cover > 0
