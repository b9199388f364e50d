"""Rendered pictures of people whose pose, shape and place are known: what the Mesh Predictor is made to learn
by heart.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from uvatar.body import BodyModel
from uvatar.body.torch_body import TorchBody
from uvatar.data.camera import Camera
from uvatar.fitting.prior import PosePrior
from uvatar.geometry.raster import rasterize
from uvatar.geometry.torch_rotations import matrices_from_6d, six_d_from_matrices
from uvatar.mesh_predictor.maps import INPUT_SIDE
from uvatar_training.data.mesh_labels import MeshLabels
from uvatar_training.losses.mesh import MixturePrior

CAMERA = Camera.for_photo(INPUT_SIDE, INPUT_SIDE)


def pictures_of_people(counts: list[int], body: BodyModel, seed: int = 0) -> tuple[torch.Tensor, MeshLabels]:
    """Pictures (B, 3, 512, 512) with so many people each, side by side in random poses, every body part in a colour of
    its own.
    """
    rng = np.random.default_rng(seed)
    number = sum(counts)
    picture = torch.tensor(np.repeat(np.arange(len(counts)), counts))
    betas = torch.from_numpy(rng.normal(0, 0.7, (number, 10))).float()
    pose = torch.from_numpy(np.stack([_pose(rng) for _ in range(number)])).float()
    # One place beside another across the picture, the more people the further away.
    places = [
        (((k + 0.5) / n * 2 - 1) * 0.75 if n > 1 else rng.uniform(-0.4, 0.4), n) for n in counts for k in range(n)
    ]
    depth = np.array([rng.uniform(3.0, 4.0) + 0.5 * (n - 1) for _, n in places])
    across = np.array([x for x, _ in places]) * depth * CAMERA.center[0] / CAMERA.focal
    posed = TorchBody(body.data)(betas, pose)
    root = posed.joints[:, :1]
    transl = torch.from_numpy(np.stack([across, rng.uniform(-0.2, 0.2, number), depth], 1)).float() - root[:, 0]
    joints = posed.joints
    pixels = torch.from_numpy(CAMERA.project((joints + transl[:, None]).numpy()))
    joints_2d = (pixels / (INPUT_SIDE / 2) - 1).float()
    inside = (joints_2d.abs() < 1).all(-1)
    vertices = (posed.vertices + transl[:, None]).numpy()
    images = np.stack([_picture(rng, vertices[picture.numpy() == i], body) for i in range(len(counts))])
    known = torch.ones(number, 24, dtype=torch.bool)
    labels = MeshLabels(
        picture,
        pose,
        known,
        betas,
        known[:, 0],
        joints,
        known,
        joints_2d,
        inside,
        torch.ones(len(counts), dtype=torch.bool),
    )
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255, labels


def _pose(rng: np.random.Generator) -> NDArray[Any]:
    """(24, 3, 3) a plausible pose, turned any way within 60 degrees from facing the camera."""
    prior = PosePrior.load()
    component = rng.integers(len(prior.means))
    joints = prior.means[component] + 0.5 * np.linalg.solve(prior.whiteners[component], rng.normal(size=63))
    turn = Rotation.from_rotvec([np.pi, 0, 0]) * Rotation.from_rotvec([0, rng.uniform(-1, 1), 0])
    vectors = np.concatenate([joints.reshape(21, 3), np.zeros((2, 3))])
    matrices = np.concatenate([turn.as_matrix()[None], Rotation.from_rotvec(vectors).as_matrix()])
    return matrices_from_6d(six_d_from_matrices(torch.from_numpy(matrices))).numpy()


def _picture(rng: np.random.Generator, people: NDArray[Any], body: BodyModel) -> NDArray[np.uint8]:
    data = body.data
    parts = data.weights.argmax(1)
    coarse = rng.uniform(0, 255, (6, 6, 3)).astype(np.float32)
    image = cv2.resize(coarse, (INPUT_SIDE, INPUT_SIDE), interpolation=cv2.INTER_CUBIC)
    nearest = np.full(image.shape[:2], np.inf)
    for vertices in people:
        colours = rng.uniform(20, 235, (24, 3))[parts]
        seen = rasterize(vertices, data.faces, CAMERA)
        front = seen.mask & (seen.depth < nearest)
        image[front] = seen.interpolate(colours, data.faces)[front]
        nearest[front] = seen.depth[front]
    return np.clip(image, 0, 255).astype(np.uint8)


def prior_of_the_fitting() -> MixturePrior:
    """The fitting's pose prior in the loss's form."""
    prior = PosePrior.load()
    roots = torch.from_numpy(prior.whiteners).float()
    # Costs are half the covariance's log determinant less the log weight; the loss computes the former from the roots.
    log_weights = (
        torch.diagonal(roots, dim1=-2, dim2=-1).abs().log().sum(-1) * -1 - torch.from_numpy(prior.costs).float()
    )
    return MixturePrior(log_weights, torch.from_numpy(prior.means).float(), roots)
