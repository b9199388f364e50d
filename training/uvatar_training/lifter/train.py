"""`uvatar-train lifter`: train the pose lifter on shards of rendered people."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from uvatar.body import load_open_body
from uvatar.data.joints import PARENTS
from uvatar.evaluation.pose_metrics import BODY_JOINTS, LIMB_JOINTS, pa_mpjpe, torso_direction_error
from uvatar.fitting.lifter import BETAS, BONE_COUNT, FLIP, MIRRORED_JOINTS, POSED, LifterNetwork, mirrored_features
from uvatar.fitting.terms.bones import BONES
from uvatar_training.lifter.people import Batch, Imagined, People, Skeleton, found
from uvatar_training.lifter.poses import PoseSampler
from uvatar_training.lifter.shards import read_shards

JOINT_WEIGHT, LANDMARK_WEIGHT, BETAS_WEIGHT, SPREAD_WEIGHT = 5.0, 5.0, 0.02, 0.02
LEAST_SPREAD = np.log(0.02)
WARM_UP = 200


@dataclass(frozen=True)
class LifterRecipe:
    """How to train.

    Attributes:
        steps, batch: of the optimiser; real: the share of a batch that was rendered and seen, the others are imagined.
        rate: learning rate at its highest, falling to nothing along a cosine.
        imagined: how many people to imagine.
        average: weight of the past in the averaged network, per step.
        report: steps between evaluations.
    """

    steps: int = 4000
    batch: int = 128
    real: float = 0.35
    rate: float = 1e-3
    weight_decay: float = 0.02
    imagined: int = 8000
    average: float = 0.998
    report: int = 500
    seed: int = 0


def train_lifter(
    data: Path,
    validation: Path,
    bank: Path,
    out: Path,
    recipe: LifterRecipe | None = None,
    progress: Callable[[int, float], None] = lambda step, loss: None,
) -> dict[str, float]:
    """Train on one CPU thread, the same numbers for the same data and seed, and write the averaged network.

    A run that was stopped goes on from ``out``.state.pt. Beside ``out``: .jsonl with the held-out errors along the way.

    Args:
        data, validation: folders of shards (`make_lifter_data`); bank: pose bank.
        out: .safetensors file to write.
        progress: called with each step and its loss.

    Returns the held-out errors at the end (`evaluate`).

    Raises:
        DataError: shards or bank are missing or broken.
        FloatingPointError: the loss is no number.
    """
    recipe = recipe or LifterRecipe()
    torch.set_num_threads(1)
    torch.manual_seed(recipe.seed)
    body = load_open_body()
    skeleton = Skeleton(body)
    rows = found(read_shards(list(data.glob("*.npz"))), skeleton)
    held_out = People.of(found(read_shards(list(validation.glob("*.npz"))), skeleton))
    real = People.of(rows)
    imagined = Imagined(rows, skeleton, body, PoseSampler.load(bank), recipe.imagined, recipe.seed)
    network, average = LifterNetwork(), LifterNetwork()
    _normalise(network, real)
    average.load_state_dict(network.state_dict())
    learned = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(learned, recipe.rate, weight_decay=recipe.weight_decay)
    state = out.with_suffix(".state.pt")
    first = 0
    if state.is_file():
        saved = torch.load(state, weights_only=True)
        network.load_state_dict(saved["network"])
        average.load_state_dict(saved["average"])
        optimiser.load_state_dict(saved["optimiser"])
        first = int(saved["step"])
    errors: dict[str, float] = {}
    for step in range(first, recipe.steps):
        rng = np.random.default_rng([recipe.seed, step])
        torch.manual_seed(
            int(rng.integers(2**62))
        )  # of dropout, so that a resumed run goes on as one that never stopped
        some = round(recipe.real * recipe.batch)
        loss = lifter_loss(network, skeleton, _joined([real.draw(some, rng), imagined.draw(recipe.batch - some, rng)]))
        if not torch.isfinite(loss):
            raise FloatingPointError(f"The loss of step {step} is {loss.item()}.")
        for group in optimiser.param_groups:
            group["lr"] = recipe.rate * min((step + 1) / WARM_UP, 0.5 + 0.5 * np.cos(np.pi * step / recipe.steps))
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learned, 1.0)
        optimiser.step()
        with torch.no_grad():
            share = 1 - min(recipe.average, step / (step + 10))
            for ours, theirs in zip(average.parameters(), network.parameters(), strict=True):
                ours.lerp_(theirs, share)
        progress(step, loss.item())
        if (step + 1) % recipe.report == 0 or step + 1 == recipe.steps:
            errors = evaluate(average, skeleton, held_out)
            with out.with_suffix(".jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": step + 1, "loss": round(loss.item(), 4), **errors}) + "\n")
            now: dict[str, Any] = {"network": network.state_dict(), "average": average.state_dict()}
            now |= {"optimiser": optimiser.state_dict(), "step": step + 1}
            _replace(state, partial(torch.save, now))
            # One entry, for the library writes several in any order and the file would not repeat itself.
            facts = {"facts": json.dumps({"recipe": asdict(recipe), "people": len(real.betas), "errors": errors})}
            _replace(
                out,
                partial(
                    save_file, {name: value.half() for name, value in average.state_dict().items()}, metadata=facts
                ),
            )
    return errors


def lifter_loss(network: LifterNetwork, skeleton: Skeleton, batch: Batch) -> Tensor:
    """Distance of rotations, joints and landmarks, and the negative log likelihood of the errors under the spreads
    given.
    """
    turns, betas, spreads = network(batch.features)
    with torch.no_grad():
        true_joints, true_landmarks = skeleton(batch.betas, batch.turns)
    joints, landmarks = skeleton(betas, turns)
    rotation = (turns - batch.turns).square().sum((-2, -1)).add(1e-4).sqrt().mean()
    place = (joints - true_joints).square().sum(-1).add(1e-5).sqrt().mean()
    surface = (landmarks - true_landmarks).square().sum(-1).add(1e-5).sqrt().mean()
    shape = (betas - batch.betas).abs().mean()
    # The spreads learn what the errors are; they do not pull at what errs.
    with torch.no_grad():
        errors = torch.cat(
            [_local_errors(turns, batch.turns), _bone_errors(landmarks, true_landmarks), (betas - batch.betas).abs()], 1
        )
    degrees = torch.tensor([3.0] * POSED + [2.0] * BONE_COUNT + [1.0] * BETAS)
    logs = spreads.clamp(LEAST_SPREAD, 2.0)
    # Student's t with five degrees of freedom: one swapped leg says little about the spread of the others.
    likelihood = (3.0 * torch.log1p((errors / logs.exp()).square() / (5.0 * degrees)) * degrees + degrees * logs).mean()
    return (
        rotation + JOINT_WEIGHT * place + LANDMARK_WEIGHT * surface + BETAS_WEIGHT * shape + SPREAD_WEIGHT * likelihood
    )


@torch.no_grad()
def evaluate(network: LifterNetwork, skeleton: Skeleton, people: People) -> dict[str, float]:
    """Held-out errors of the lifter alone, as `uvatar evaluate synthetic` measures them: cm and degrees, mean over the
    people.
    """
    network.eval()
    everybody = np.arange(len(people.betas))
    batch = people.batch(everybody, np.zeros_like(everybody), np.zeros(len(everybody), bool))
    mirrored = torch.from_numpy(mirrored_features(batch.features.numpy()).astype(np.float32))
    turns, betas, _ = network(batch.features)
    other, other_betas, _ = network(mirrored)
    flip = torch.from_numpy(FLIP).float()
    u, _, vt = torch.linalg.svd(turns + flip @ other[:, MIRRORED_JOINTS] @ flip)
    signs = torch.ones(*turns.shape[:2], 3)
    signs[..., 2] = torch.linalg.det(u @ vt)
    joints, _ = skeleton((betas + other_betas) / 2, (u * signs[..., None, :]) @ vt)
    truth, _ = skeleton(batch.betas, batch.turns)
    ours, theirs = joints.numpy(), truth.numpy()
    network.train()
    torso = [torso_direction_error(a, b) for a, b in zip(ours, theirs, strict=True)]
    return {
        "mpjpe_20": _rounded(100 * np.linalg.norm(ours - theirs, axis=-1)[:, BODY_JOINTS].mean(1)),
        "mpjpe_20_median": _rounded(np.median(100 * np.linalg.norm(ours - theirs, axis=-1)[:, BODY_JOINTS].mean(1))),
        "pa_mpjpe_limbs": _rounded(
            [100 * pa_mpjpe(a[LIMB_JOINTS], b[LIMB_JOINTS]) for a, b in zip(ours, theirs, strict=True)]
        ),
        "torso_direction": _rounded(torso),
        "torso_direction_median": _rounded(np.median(torso)),
    }


def _rounded(values: NDArray | Sequence[float] | np.floating) -> float:
    return round(float(np.mean(values)), 3)


def _local_errors(turns: Tensor, truth: Tensor) -> Tensor:
    """(B, 22) angle between the joints' turns against their parents (for the pelvis against the camera), radians."""
    parents = [max(int(parent), 0) for parent in PARENTS[:POSED]]
    ours, theirs = turns[:, parents].transpose(-1, -2) @ turns, truth[:, parents].transpose(-1, -2) @ truth
    ours, theirs = torch.cat([turns[:, :1], ours[:, 1:]], 1), torch.cat([truth[:, :1], theirs[:, 1:]], 1)
    return _angle((ours - theirs).square().sum((-2, -1)).sqrt() / np.sqrt(8))


def _bone_errors(landmarks: Tensor, truth: Tensor) -> Tensor:
    """(B, 19) angle between the directions of `BONES`, radians."""
    start, end = torch.from_numpy(BONES.T)
    ours, theirs = (
        torch.nn.functional.normalize(points[:, end] - points[:, start], dim=-1) for points in (landmarks, truth)
    )
    return _angle((ours - theirs).norm(dim=-1) / 2)


def _angle(half_sine: Tensor) -> Tensor:
    return 2 * torch.asin(half_sine.clamp(max=1.0))


def _normalise(network: LifterNetwork, real: People) -> None:
    values = real.features.reshape(-1, real.features.shape[-1])
    values = np.concatenate([values, mirrored_features(values)])
    network.mean.data = torch.from_numpy(values.mean(0).astype(np.float32))
    network.scale.data = torch.from_numpy(1 / (values.std(0) + 1e-3).astype(np.float32))


def _joined(batches: Sequence[Batch]) -> Batch:
    return Batch(*(torch.cat([getattr(batch, name) for batch in batches]) for name in ("features", "turns", "betas")))


def _replace(path: Path, write: Callable[[Path], None]) -> None:
    part = path.with_name(path.name + ".tmp")
    write(part)
    os.replace(part, path)
