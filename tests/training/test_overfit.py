"""The training parts together: gradients reach every parameter, and a few pictures can be learnt by heart."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from rendered_people import pictures_of_people, prior_of_the_fitting
from scipy.spatial.transform import Rotation
from torch import nn

from uvatar.body import BodyModel, load_open_body
from uvatar.body.torch_body import TorchBody
from uvatar.mesh_predictor.maps import MAP_SIDE, Maps
from uvatar.mesh_predictor.networks.efficientnet_lite import LightBackbone
from uvatar.mesh_predictor.networks.network import MeshPredictor
from uvatar_training.data.mesh_labels import MeshLabels
from uvatar_training.losses.mesh import ROMP_WEIGHTS, MeshLoss
from uvatar_training.losses.targets import center_cells
from uvatar_training.networks.decoding import find_centers, sample
from uvatar_training.networks.initialise import start_heads
from uvatar_training.supervision.mesh import mesh_terms

COUNTS = [1, 2, 3, 4, 1, 2, 3, 4]
TERMS = {"center", "camera", "pose", "shape", "joints_2d", "joints_3d", "joints_aligned", "prior"}


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_open_body()


def light(seed: int = 0) -> MeshPredictor:
    torch.manual_seed(seed)
    network: Any = MeshPredictor(LightBackbone())
    start_heads(network)
    return network.to(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("term", "heads"),
    [("center", "2"), ("camera", "3"), ("joints_2d", "13")]
    + [(term, "1") for term in ("pose", "global_orient", "shape", "joints_3d", "joints_aligned")],
)
def test_every_term_s_gradient_reaches_its_heads_and_through_them_the_picture(
    term: str, heads: str, body: BodyModel
) -> None:
    images, labels = pictures_of_people([2], body)
    network = light().eval()
    images = (
        images[..., ::4, ::4].contiguous().requires_grad_()
    )  # a smaller picture: the maps are made 64 wide again below
    maps = network(images)
    maps = Maps(
        *(nn.functional.interpolate(part, (MAP_SIDE, MAP_SIDE)) for part in (maps.center, maps.camera, maps.smpl))
    )
    mesh_terms(maps, labels, TorchBody(body.data))[term].backward()
    for number in "123":
        head: Any = network.final_layers[number]
        gradient = head[-1].weight.grad
        moved = gradient is not None and bool(gradient.abs().sum() > 0)
        assert moved == (number in heads), f"{term} and head {number}"
        assert gradient is None or torch.isfinite(gradient).all()
    assert images.grad is not None and torch.isfinite(images.grad).all() and images.grad.abs().sum() > 0


def test_true_maps_cost_nothing_but_the_perspective(body: BodyModel) -> None:
    _, labels = pictures_of_people([3], body)
    cells = center_cells(labels.centers()[0])
    smpl = torch.zeros(1, 142, MAP_SIDE, MAP_SIDE)
    camera = torch.zeros(1, 3, MAP_SIDE, MAP_SIDE)
    from uvatar.geometry.torch_rotations import six_d_from_matrices
    from uvatar_training.networks.weak_perspective import fit_weak_camera

    cameras = fit_weak_camera(labels.joints, labels.joints_2d, labels.visible)
    cameras = torch.cat([cameras[:, :1].log() / np.log(1.1), cameras[:, 1:]], 1)
    for person, (x, y) in enumerate(cells.tolist()):
        smpl[0, :, y, x] = torch.cat([six_d_from_matrices(labels.pose[person, :22]).flatten(), labels.betas[person]])
        camera[0, :, y, x] = cameras[person]
    terms = mesh_terms(Maps(labels.heatmaps(), camera, smpl), labels, TorchBody(body.data))
    for name in ("pose", "shape", "camera", "joints_3d", "joints_aligned"):
        assert terms[name] < 1e-4, name
    assert terms["joints_2d"] < 0.02  # what a weak-perspective camera cannot say of people metres away


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_eight_pictures_are_learnt_by_heart(body: BodyModel) -> None:
    """All 20 people found, and their joints known to 15 mm after alignment. About a minute on two quiet cores.

    The trunk's features are computed once while pyramid and heads learn; then the whole network is trained on.
    """
    images, labels = pictures_of_people(COUNTS, body)
    images = images.contiguous(memory_format=torch.channels_last)
    network = light()
    _settle_statistics(network, images)
    trunk = network.backbone.trunk
    assert isinstance(trunk, nn.Module)
    with torch.no_grad():
        features = trunk(images)
    rest = [parameter for name, parameter in network.named_parameters() if not name.startswith("backbone.trunk")]
    pyramid: Callable[[list[torch.Tensor]], torch.Tensor] = network.backbone.pyramid  # type: ignore[assignment]
    _train(
        rest,
        lambda rows: network.maps(pyramid([level[rows] for level in features])),
        labels,
        body,
        rate=2e-3,
        epochs=90,
    )
    stem: Any = trunk._conv_stem
    before = stem.weight.detach().clone()
    last = _train(network.parameters(), lambda rows: network(images[rows]), labels, body, rate=2e-5, epochs=4)
    assert set(last) == TERMS
    assert not torch.equal(before, stem.weight)
    with torch.no_grad():
        maps = network(images)
    found = find_centers(maps.center)
    people = sample(maps, found)
    joints = body.joints(people.betas.numpy(), people.pose.numpy())
    true_cells = center_cells(labels.centers()[0])
    errors, used = [], set()
    for person, cell in enumerate(true_cells):
        apart = (found.xy - cell).abs().amax(1).masked_fill(found.picture != labels.picture[person], MAP_SIDE)
        nearest = int(apart.argmin())
        assert apart[nearest] <= 1, f"person {person} is not found"
        used.add(nearest)
        errors.append(aligned_error(joints[nearest], labels.joints[person].numpy()))
    assert len(used) == len(found.score) == sum(COUNTS)
    print(f"PA-MPJPE: mean {np.mean(errors) * 1e3:.1f} mm, worst person {np.max(errors) * 1e3:.1f} mm")
    assert np.mean(errors) < 0.015


def _settle_statistics(network: nn.Module, images: torch.Tensor) -> None:
    """Batch norms take the statistics of these pictures once and keep them: batches of four would make them noisy."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    with torch.no_grad():
        network.train()(images)
    network.eval()


def _train(
    parameters: Iterable[nn.Parameter],
    forward: Callable[[torch.Tensor], Maps[torch.Tensor]],
    labels: MeshLabels,
    body: BodyModel,
    rate: float,
    epochs: int,
    batch: int = 4,
) -> dict[str, float]:
    """Adam with one cycle of the learning rate, losses in float32; the last step's terms.

    Networks in bfloat16 where the processor computes in it: others imitate it, six to thirty times slower than float32.
    """
    half = torch.backends.cpu.get_cpu_capability() == "AVX512"
    optimiser = torch.optim.Adam(parameters, rate)
    steps = epochs * len(COUNTS) // batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=0.15)
    order = torch.Generator().manual_seed(0)
    loss = MeshLoss({**ROMP_WEIGHTS, "camera": 50.0})
    prior = prior_of_the_fitting()
    log: dict[str, float] = {}
    posing = TorchBody(body.data)
    for _ in range(epochs):
        for rows in torch.randperm(len(COUNTS), generator=order).split(batch):
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                maps = forward(rows)
            maps = Maps(maps.center.float(), maps.camera.float(), maps.smpl.float())
            total, log = loss(mesh_terms(maps, _pictures(labels, rows), posing, prior))
            optimiser.zero_grad()
            total.backward()
            optimiser.step()
            schedule.step()
    return log


def _pictures(labels: MeshLabels, rows: torch.Tensor) -> MeshLabels:
    """The labels of the pictures ``rows`` alone."""
    place = torch.full((len(COUNTS),), -1)
    place[rows] = torch.arange(len(rows))
    keep = place[labels.picture] >= 0
    people = {name: value[keep] for name, value in vars(labels).items() if name != "labelled"}
    return MeshLabels(**{**people, "picture": place[people["picture"]], "labelled": labels.labelled[rows]})


def aligned_error(predicted: NDArray[Any], true: NDArray[Any]) -> float:
    """Mean distance of joints (J, 3) after the best similarity, by scipy."""
    p, t = predicted - predicted.mean(0), true - true.mean(0)
    rotation, _ = Rotation.align_vectors(t, p)
    p = rotation.apply(p)
    return float(np.linalg.norm((p * t).sum() / (p * p).sum() * p - t, axis=-1).mean())
