"""Training of the pose lifter, from perception's results for rendered people to their poses."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import nn

from uvatar.body import BodyModel, load_open_body
from uvatar.data.arrays import Floats
from uvatar.data.joints import PARENTS
from uvatar.fitting.lifter import FILE, mirrored_features
from uvatar.fitting.lifter_network import LifterNetwork
from uvatar_training.lifter.errors import found
from uvatar_training.lifter.losses import lifter_terms
from uvatar_training.lifter.people import LifterBatch, People, prepare_person
from uvatar_training.lifter.poses import PoseSampler
from uvatar_training.lifter.scores import lifter_scores
from uvatar_training.lifter.shards import read_shards
from uvatar_training.lifter.simulated import Mixture, SimulatedPeople
from uvatar_training.lifter.skeleton import RotatedSkeleton
from uvatar_training.trainers.recipe import RecipeError, TrainingRecipe
from uvatar_training.trainers.run import Player, Turn, optimiser_for

OPTIONS: dict[str, Any] = {"real": 0.35, "simulated": 8000}
_SHOWN, _CELL = 8, 160
_TRUE, _LIFTED = (170, 170, 170), (200, 60, 30)


@dataclass(frozen=True)
class LifterData:
    """The data that the lifter is trained and evaluated on.

    Attributes:
        rows: rows of the shards, without people whom perception confused with somebody else.
        people: the same people as samples.
        held_out: people in held-out poses.
        poses: the poses of simulated people.
        body: the body of simulated people.
    """

    rows: Mapping[str, NDArray[Any]]
    people: People
    held_out: People
    poses: PoseSampler
    body: BodyModel

    @classmethod
    def open(cls, data: Path, validation: Path, bank: Path) -> LifterData:
        """Read folders of shards (`uvatar-train lifter-data`) and a pose bank.

        Raises:
            DataError: shards or the bank are missing or damaged.
        """
        body = load_open_body()
        skeleton = RotatedSkeleton(body)
        rows = found(read_shards(list(data.glob("*.npz"))), skeleton)
        held_out = People.of(found(read_shards(list(validation.glob("*.npz"))), skeleton))
        return cls(rows, People.of(rows), held_out, PoseSampler.load(bank), body)


class LifterTrainer:
    """Trains the pose lifter (task ``lifter``).

    The recipe's options are ``real``, the share of a batch that was rendered and seen by perception, the others being
    simulated; and ``simulated``, the number of simulated people, whose limbs are recombined in each batch.
    """

    def __init__(self, recipe: TrainingRecipe, data: LifterData) -> None:
        """Raises RecipeError for unknown options."""
        options = {**OPTIONS, **recipe.options}
        if unknown := sorted(set(options) - set(OPTIONS)):
            raise RecipeError(f"The lifter trainer has no options {', '.join(unknown)}; it has {', '.join(OPTIONS)}.")
        torch.manual_seed(recipe.seed)
        self.recipe, self.data = recipe, data
        skeleton = RotatedSkeleton(data.body)
        simulated = SimulatedPeople(
            dict(data.rows), skeleton, data.body, data.poses, int(options["simulated"]), seed=recipe.seed
        )
        # A copy of its own: this one follows the network to its device, the loading processes' stays on the CPU.
        self.skeleton = copy.deepcopy(skeleton)
        network = LifterNetwork()
        _normalise(network, data.people)
        learned = [parameter for parameter in network.parameters() if parameter.requires_grad]
        self.players = {"lifter": Player(network, optimiser_for(learned, recipe))}
        self.prepare = prepare_person
        self.collate = Mixture(simulated, float(options["real"]))

    def state(self) -> dict[str, float]:
        """Empty: there is no state in addition to the network and the optimiser."""
        return {}

    def load_state(self, state: Mapping[str, float]) -> None:
        """The inverse of `state`."""

    def step(self, turn: Turn, batch: LifterBatch) -> dict[str, float]:
        """One step towards the true poses."""
        skeleton = self.skeleton.to(batch.features.device)
        terms = lifter_terms(turn.networks["lifter"].train(), skeleton, batch)
        total = torch.stack(list(terms.values())).sum()
        turn.descend("lifter", total)
        return {"total": float(total.detach()), **{name: float(term.detach()) for name, term in terms.items()}}

    def scores(self, networks: Mapping[str, nn.Module]) -> dict[str, float]:
        """Errors on held-out poses (`lifter_scores`)."""
        network = networks["lifter"]
        skeleton = self.skeleton.to(next(network.parameters()).device)
        return lifter_scores(network, skeleton, self.data.held_out)

    @torch.no_grad()
    def pictures(self, batch: LifterBatch, networks: Mapping[str, nn.Module]) -> NDArray[np.uint8]:
        """Eight people as stick figures, from the front and, below, from the left; truth in grey, prediction red."""
        network, skeleton = networks["lifter"].eval(), self.skeleton.to(batch.features.device)
        rotations, betas, _ = network(batch.features[:_SHOWN])
        lifted = skeleton(betas, rotations)[0].cpu().numpy()
        truth = skeleton(batch.betas[:_SHOWN], batch.rotations[:_SHOWN])[0].cpu().numpy()
        columns = [np.concatenate(_two_views(*pair)) for pair in zip(truth, lifted, strict=True)]
        return np.concatenate(columns, 1)

    def export(self, networks: Mapping[str, nn.Module], folder: Path, note: str) -> list[Path]:
        """Write pose_lifter.safetensors in half precision, with the recipe and the held-out errors in its metadata."""
        network = networks["lifter"]
        errors = self.scores(networks)
        # One entry, for the library writes several in any order and the file would not repeat itself.
        facts = {"note": note, "recipe": asdict(self.recipe), "people": len(self.data.people), "errors": errors}
        path = folder / FILE
        weights = {name: value.half().cpu().contiguous() for name, value in network.state_dict().items()}
        save_file(weights, path, metadata={"facts": json.dumps(facts)})
        return [path]


def _normalise(network: LifterNetwork, people: People) -> None:
    values = people.features.reshape(-1, people.features.shape[-1])
    values = np.concatenate([values, mirrored_features(values)])
    network.mean.data = torch.from_numpy(values.mean(0).astype(np.float32))
    network.scale.data = torch.from_numpy(1 / (values.std(0) + 1e-3).astype(np.float32))


def _two_views(truth: Floats, lifted: Floats) -> list[NDArray[np.uint8]]:
    """Two pictures of joints (24, 3) from the pelvis: x against y, and z against y."""
    pictures = []
    for axis in (0, 2):
        picture = np.full((_CELL, _CELL, 3), 255, np.uint8)
        for joints, colour in ((truth, _TRUE), (lifted, _LIFTED)):
            places = (joints[:, [axis, 1]] / 2.4 + 0.5) * _CELL
            for joint, parent in enumerate(PARENTS):
                if parent >= 0:
                    ends = [tuple(int(value) for value in places[k].round()) for k in (int(parent), joint)]
                    cv2.line(picture, ends[0], ends[1], colour, 2, cv2.LINE_AA)
        pictures.append(picture)
    return pictures
