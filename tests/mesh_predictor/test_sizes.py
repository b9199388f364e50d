"""One photo in two sizes: everybody is reported once, by the size that suits them, in the terms of the whole photo."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from uvatar.mesh_predictor.maps import Maps
from uvatar.mesh_predictor.networks.efficientnet_lite import LightBackbone
from uvatar.mesh_predictor.networks.network import CAMERA_HEAD, CENTER_HEAD, MeshPredictor, coordinate_channels
from uvatar.mesh_predictor.networks.sizes import LIMIT, InSizes, of_all
from uvatar_training.networks.decoding import find_centers, sample

FULL, SMALL = 1.0, 2.0  # first number of the betas that each look gives: says where a body comes from


class Sees(nn.Module):
    """Finds a person of a known camera (s, tx, ty of the whole photo) in whatever size it is shown, as a trained
    network would.
    """

    def __init__(self, camera: tuple[float, float, float], confidence: tuple[float, float] = (0.8, 0.8)) -> None:
        super().__init__()
        self.camera, self.confidence = camera, confidence

    def forward(self, image: Tensor, share: float = 1.0) -> Maps[Tensor]:
        side = image.shape[-1] // 8
        s, x, y = self.camera
        ys, xs = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
        column, row = ((value + 1) / 2 * side for value in (x, y))
        hill = torch.exp(-((xs + 0.5 - column) ** 2 + (ys + 0.5 - row) ** 2) / 8)
        # it believes to see the middle of 512x512, where all is ``share`` as large
        raw = torch.tensor([math.log(s * share, 1.1), x * share, y * share])
        smpl = torch.zeros(1, 142, side, side)
        smpl[:, 132] = FULL if share == 1 else SMALL
        return Maps(
            hill[None, None] * self.confidence[share != 1], raw.reshape(1, 3, 1, 1).expand(1, 3, side, side), smpl
        )


@pytest.mark.parametrize(
    ("metre", "look"),
    [(LIMIT / 4, FULL), (LIMIT / 1.1, FULL), (LIMIT * 1.1, SMALL), (LIMIT * 3, SMALL)],
    ids=lambda value: f"{value:.0f}",
)
def test_everybody_is_reported_once_by_the_size_that_suits_them(metre: float, look: float) -> None:
    rng = np.random.default_rng(int(metre))
    for _ in range(20):
        camera = (metre / 256, *rng.uniform(-0.9, 0.9, 2))
        maps = InSizes(Sees(camera))(torch.zeros(1, 3, 512, 512))
        found = find_centers(maps.center)
        assert len(found.score) == 1
        bodies = sample(maps, found)
        np.testing.assert_allclose(bodies.camera[0], camera, rtol=1e-4, atol=1e-5)
        assert bodies.betas[0, 0] == look
        # a cell of the smaller photo is two wide
        assert ((found.xy[0] + 0.5) / 32 - 1 - torch.tensor(camera[1:])).abs().max() <= (1 if look == FULL else 2) / 32
        assert 0.6 < float(found.score) <= 0.8


def test_who_is_seen_in_one_size_alone_is_found_but_must_be_sure() -> None:
    octave = (2 * LIMIT / 256, 0.1, -0.2)
    of = [
        find_centers(InSizes(Sees(octave, confidence))(torch.zeros(1, 3, 512, 512)).center)
        for confidence in ((0.8, 0.0), (0.4, 0.0))
    ]
    assert [len(found.score) for found in of] == [1, 0]
    np.testing.assert_allclose(of[0].score, 0.4, rtol=0.1)


def test_a_smaller_photo_has_the_coordinates_of_the_middle_of_512() -> None:
    whole, middle = coordinate_channels(torch.zeros(1, 1, 64, 64)), coordinate_channels(torch.zeros(1, 1, 32, 32), 0.5)
    torch.testing.assert_close(middle, whole[:, :, 16:48, 16:48])


@pytest.mark.parametrize("metre", [LIMIT / 8, LIMIT * 8], ids=["small", "large"])
def test_of_a_network_s_two_looks_every_map_is_one_s_own(metre: float) -> None:
    torch.manual_seed(1)
    network = MeshPredictor(LightBackbone()).eval()
    for name, says in ((CENTER_HEAD, 0.6), (CAMERA_HEAD, math.log(metre / 256, 1.1))):
        head: Any = network.final_layers[name]
        nn.init.zeros_(head[-1].weight)
        nn.init.constant_(head[-1].bias, says)
    image = torch.rand(2, 3, 512, 512)
    with torch.inference_mode():
        both = InSizes(network)(image)
        if metre < LIMIT:
            own = network(image)
        else:
            small = image.unflatten(2, (256, 2)).unflatten(4, (256, 2)).mean((3, 5))
            own = of_all(network(small, 0.5))
    for name in ("center", "camera", "smpl"):
        torch.testing.assert_close(getattr(both, name), getattr(own, name))
