"""A body and people for the renderer and the texture losses."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from uvatar.body import BodyModel, load_open_body
from uvatar.body.torch_body import TorchBody
from uvatar.data.camera import Camera
from uvatar_training.rendering import Cameras, UvMesh
from uvatar_training.synthesis.order import SynthesisOrder
from uvatar_training.synthesis.synthesize import synthesize


@pytest.fixture(scope="session")
def body() -> BodyModel:
    return load_open_body().in_network_layout()


@pytest.fixture(scope="session")
def mesh(body: BodyModel) -> UvMesh:
    return UvMesh.of(body.data)


@pytest.fixture(scope="session")
def people(body: BodyModel) -> Tensor:
    """(2, V, 3) a man turned to the side with his arms down, and a child who leans; three metres away."""
    pose = torch.zeros(2, 24, 3)
    pose[:, 0, 0] = math.pi  # upright in the camera's frame, whose y axis points down
    pose[0, 0] = torch.tensor([0.95 * math.pi, 0.0, 0.9])
    pose[:, 16, 2], pose[:, 17, 2] = -1.1, 1.1
    pose[1, 3, 2] = 0.4
    betas = torch.zeros(2, 10)
    betas[1, 0], betas[1, 3] = -2.0, -2.0
    with torch.no_grad():
        return TorchBody(body.data)(betas, pose, torch.tensor([[0.03, 0.05, 3.0], [-0.05, 0.0, 3.3]])).vertices


def square_camera(side: int) -> Camera:
    """A camera that holds the people, its axis a little beside the picture's middle."""
    return Camera(1.4 * side, (0.507 * side, 0.496 * side), side, side)


@pytest.fixture(scope="session")
def camera() -> Camera:
    return square_camera(256)


@pytest.fixture(scope="session")
def cameras(camera: Camera) -> Cameras:
    return Cameras.of([camera])


@pytest.fixture(scope="session")
def texture() -> Tensor:
    """(1, 3, 64, 64) a texture with detail at all sizes, no two places alike."""
    rng = np.random.default_rng(0)
    layers = [torch.from_numpy(rng.random((1, 3, n, n))).float() for n in (4, 16, 64)]
    return (
        torch.stack([torch.nn.functional.interpolate(layer, (64, 64), mode="bicubic") for layer in layers])
        .mean(0)
        .clamp(0, 1)
    )


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of six training and three held-out pictures of synthetic people, small and procedural."""
    folder = tmp_path_factory.mktemp("shards")
    for split, count in (("train", 6), ("held_out", 3)):
        synthesize(SynthesisOrder(folder, count, seed=3, split=split, side=192, texture=64, per_shard=3))
    return folder
