"""The training loop that all networks share: devices, resuming, logs, pictures, and what to do when a loss is no
number.

What is random in a step is drawn from generators seeded by the run's seed and the step, and the learning rate is a
function of the step, so a checkpoint holds weights, optimisers and the step, and a run that goes on from it is the run
that was never stopped, to the last bit on a CPU.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn

from uvatar.runtime.terminal import terminal
from uvatar_training.adversarial.averaging import Average
from uvatar_training.data.problems import Skipped
from uvatar_training.data.stream import Delivery, Plan, Samples, stream
from uvatar_training.trainers.checkpoints import load, save
from uvatar_training.trainers.logs import RunLog, progress_bar
from uvatar_training.trainers.recipe import TrainingRecipe

_LOST = 0.2  # share of damaged samples above which a run stops: the data, not a sample, are wrong
_LOST_AT_LEAST = 50
Averages: TypeAlias = Mapping[str, Average[nn.Module]]  # by the names of the players


class TrainingError(RuntimeError):
    """A run that cannot go on; the message says why, and which files to look at."""


@dataclass(frozen=True)
class Player:
    """A network that is trained.

    Attributes:
        network: its module.
        optimiser: of its parameters.
        averaged: whether a running average of it is kept, which is then what ships.
    """

    network: nn.Module
    optimiser: torch.optim.Optimizer
    averaged: bool = True


class Trainer(Protocol):
    """What is particular about one network's training.

    Networks and optimisers are made before the run and belong to it.
    """

    @property
    def players(self) -> Mapping[str, Player]:
        """The networks that are trained, with their optimisers, by name."""
        ...

    @property
    def prepare(self) -> Callable[[Any, np.random.Generator], Any]:
        """A sample -> one item; it raises DataError for a sample that is of no use.

        Like ``collate`` it is pickled into every loading process, so it holds what preparing needs and no network.
        """
        ...

    @property
    def collate(self) -> Callable[[Sequence[Any]], Any]:
        """Items -> a batch with methods ``to(device)`` and ``pin_memory()``."""
        ...

    def state(self) -> dict[str, float]:
        """Numbers that a checkpoint must hold beside networks and optimisers."""
        ...

    def load_state(self, state: Mapping[str, float]) -> None:
        """The inverse of `state`."""
        ...

    def step(self, turn: Turn, batch: Any) -> dict[str, float]:
        """One step of all players; returns the losses by name. Use ``turn.descend`` for gradients and steps."""
        ...

    def pictures(self, batch: Any, networks: Mapping[str, nn.Module]) -> NDArray[np.uint8]:
        """(H, W, 3) what the averaged networks make of a batch."""
        ...

    def export(self, networks: Mapping[str, nn.Module], folder: Path, note: str) -> list[Path]:
        """Write the averaged networks as files that the product loads."""
        ...


@runtime_checkable
class ScoredTrainer(Trainer, Protocol):
    """A trainer that has held-out data of its own, which are scored whenever pictures are made."""

    def scores(self, networks: Mapping[str, nn.Module]) -> dict[str, float]:
        """Errors of the averaged networks by name."""
        ...


@dataclass
class Turn:
    """One step's means: the step, its generator, and how gradients become weights."""

    fabric: Fabric
    recipe: TrainingRecipe
    step: int
    rng: torch.Generator
    networks: Mapping[str, nn.Module]
    players: Mapping[str, Player]
    log: dict[str, float] = field(default_factory=dict)

    def descend(self, name: str, loss: Tensor) -> None:
        """Gradients of ``loss`` and an optimiser step of the player ``name``; others' gradients are dropped.

        Raises FloatingPointError if the loss is no number.
        """
        self.descend_together((name,), loss)

    def descend_together(self, names: Sequence[str], loss: Tensor) -> None:
        """`descend` for several players with one loss."""
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the loss of {' and '.join(names)} is {float(loss)}")
        for name in names:
            self.players[name].optimiser.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        for name in names:
            optimiser = self.players[name].optimiser
            for group in optimiser.param_groups:
                group["lr"] = self.recipe.rate(self.step)
            if self.recipe.clip:
                self._clip(name, optimiser)
            optimiser.step()

    def _clip(self, name: str, optimiser: torch.optim.Optimizer) -> None:
        norm = self.fabric.clip_gradients(
            self.networks[name], optimiser, max_norm=self.recipe.clip, error_if_nonfinite=False
        )
        if norm is not None:
            self.log[f"gradient/{name}"] = float(norm)
            if not math.isfinite(float(norm)) and self.recipe.precision != "16-mixed":
                raise FloatingPointError(f"the gradient of {name} is {float(norm)}")


@dataclass(frozen=True)
class Result:
    """How a run ended: the last losses, what was skipped, and the files written."""

    step: int
    losses: dict[str, float]
    skipped: Skipped
    files: list[Path]


def optimiser_for(parameters: Any, recipe: TrainingRecipe) -> torch.optim.Optimizer:
    """The recipe's optimiser."""
    kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    if recipe.optimiser not in kinds:
        raise TrainingError(f"There is no optimiser {recipe.optimiser!r}: choose {' or '.join(kinds)}.")
    optimiser: torch.optim.Optimizer = kinds[recipe.optimiser](
        parameters, lr=recipe.learning_rate, betas=recipe.betas, weight_decay=recipe.weight_decay
    )
    return optimiser


def run(
    trainer: Trainer,
    recipe: TrainingRecipe,
    samples: Samples[Any],
    out: Path,
    device: str = "auto",
    devices: int | str = "auto",
    workers: int = 0,
    stop_at: int | None = None,
    seconds: float | None = None,
    split: str | None = "train",
) -> Result:
    """Train to the recipe's last step, going on from the newest checkpoint in ``out``; write weights there at the end.

    Args:
        device: "cpu", "cuda" or "auto"; devices: how many; under torchrun its processes.
        workers: loading processes per process.
        stop_at: step to stop at, and seconds: wall-clock time after which to stop, both with a checkpoint to go on
            from.

    Raises:
        TrainingError: a loss that is no number (the batch is saved beside the checkpoint), too much damaged data, a
            checkpoint of another recipe.
        DataError, CheckpointProblem: files that cannot be used.
    """
    fabric = _fabric(recipe, device, devices)
    fabric.launch()
    networks, players, averages = _set_up(trainer, recipe, fabric)
    first = step = _restore(out, recipe, trainer, averages)
    last = min(recipe.steps, stop_at or recipe.steps)
    plan = Plan(len(samples), recipe.batch, recipe.seed, fabric.global_rank, fabric.world_size)
    pinned = fabric.device.type == "cuda"
    skipped, losses, started = Skipped(), {}, time.monotonic()
    with (
        RunLog(out, first, fabric.is_global_zero) as log,
        progress_bar(fabric.is_global_zero) as bar,
        stream(samples, trainer.prepare, trainer.collate, plan, first, last, workers, split, pinned) as deliveries,
    ):
        task = bar.add_task(recipe.task, total=recipe.steps, completed=first, losses="")
        for delivery in deliveries:
            for problem in delivery.skipped:
                skipped.add(problem)
            _check_loss_of_data(skipped, (delivery.step + 1 - first) * recipe.batch // fabric.world_size)
            losses = _one_step(trainer, fabric, recipe, delivery, networks, players, out)
            for name, average in averages.items():
                average.update(trainer.players[name].network, recipe.batch)
            step = delivery.step + 1
            bar.update(task, completed=step, losses=_shortly(losses))
            if step % recipe.log_every == 0 or step == last:
                rate = recipe.rate(delivery.step)
                log.scalars(step, {**losses, "learning_rate": rate, "skipped": float(len(skipped))})
            if fabric.is_global_zero and (step % recipe.picture_every == 0 or step == recipe.steps):
                _show(log, step, trainer, delivery.batch.to(fabric.device), _shown(trainer, averages))
            over = seconds is not None and time.monotonic() - started > seconds
            if step % recipe.checkpoint_every == 0 or step == last or over:
                _store(out, recipe, step, trainer, averages, fabric)
            if over:
                break
    files = _finish(trainer, recipe, step, out, skipped, averages) if fabric.is_global_zero else []
    return Result(step, losses, skipped, files)


def _set_up(
    trainer: Trainer, recipe: TrainingRecipe, fabric: Fabric
) -> tuple[dict[str, nn.Module], dict[str, Player], dict[str, Average[nn.Module]]]:
    """By the players' names: networks as Fabric runs them, the same with their optimisers, and running averages."""
    networks: dict[str, nn.Module] = {}
    players: dict[str, Player] = {}
    averages: dict[str, Average[nn.Module]] = {}
    for name, player in trainer.players.items():
        network, optimiser = fabric.setup(player.network, player.optimiser)
        networks[name], players[name] = network, Player(network, optimiser, player.averaged)
        if player.averaged and recipe.average:
            averages[name] = Average(player.network, recipe.average)
    return networks, players, averages


def _shortly(losses: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {value:.3g}" for name, value in list(losses.items())[:6])


def _show(log: RunLog, step: int, trainer: Trainer, batch: Any, networks: Mapping[str, nn.Module]) -> None:
    """Log what the averaged networks make of a batch, and their scores where the trainer has held-out data."""
    log.picture(step, trainer.pictures(batch, networks))
    if isinstance(trainer, ScoredTrainer):
        log.scalars(step, {f"held_out/{name}": value for name, value in trainer.scores(networks).items()})


def _finish(
    trainer: Trainer,
    recipe: TrainingRecipe,
    step: int,
    out: Path,
    skipped: Skipped,
    averages: Averages,
) -> list[Path]:
    """Report what was skipped and, after the last step, write the weights; returns the files."""
    if report := skipped.report():
        terminal().print(report, style="yellow")
    if step < recipe.steps:
        return []
    return trainer.export(_shown(trainer, averages), out, f"{recipe.task}, {step} steps, seed {recipe.seed}")


def _fabric(recipe: TrainingRecipe, device: str, devices: int | str) -> Fabric:
    """One process, or those that torchrun started."""
    local, world = int(os.environ.get("LOCAL_WORLD_SIZE", "1")), int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        return Fabric(accelerator=device, devices=devices, precision=recipe.precision)  # type: ignore[arg-type]
    return Fabric(
        accelerator=device,
        devices=local,
        num_nodes=world // local,
        strategy="ddp",
        precision=recipe.precision,  # type: ignore[arg-type]
    )


def _one_step(
    trainer: Trainer,
    fabric: Fabric,
    recipe: TrainingRecipe,
    delivery: Delivery[Any],
    networks: Mapping[str, nn.Module],
    players: Mapping[str, Player],
    out: Path,
) -> dict[str, float]:
    """One step, all of whose random numbers depend on seed, step and process alone."""
    seed = int(np.random.SeedSequence([recipe.seed, delivery.step, fabric.global_rank]).generate_state(1)[0])
    torch.manual_seed(seed)
    turn = Turn(fabric, recipe, delivery.step, torch.Generator(fabric.device).manual_seed(seed), networks, players)
    batch = delivery.batch.to(fabric.device)
    try:
        losses = trainer.step(turn, batch)
        if bad := [name for name, value in losses.items() if not math.isfinite(value)]:
            raise FloatingPointError(f"the term {bad[0]} is {losses[bad[0]]}")
    except FloatingPointError as error:
        path = out / f"bad-batch-{delivery.step}-{fabric.global_rank}.pt"
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save({"step": delivery.step, "names": delivery.names, "batch": delivery.batch}, path)
        raise TrainingError(
            f"At step {delivery.step} {error}. The batch is in {path}, its samples are {', '.join(delivery.names)}. "
            "The last checkpoint is from before; try a lower learning rate, or clip gradients."
        ) from error
    return {**losses, **turn.log}


def _check_loss_of_data(skipped: Skipped, drawn: int) -> None:
    if len(skipped) >= _LOST_AT_LEAST and len(skipped) > _LOST * drawn:
        raise TrainingError(f"{len(skipped)} of the first {drawn} samples cannot be used:\n{skipped.report()}")


def _shown(trainer: Trainer, averages: Averages) -> dict[str, nn.Module]:
    return {
        name: averages[name].network if name in averages else player.network for name, player in trainer.players.items()
    }


def _store(
    out: Path,
    recipe: TrainingRecipe,
    step: int,
    trainer: Trainer,
    averages: Averages,
    fabric: Fabric,
) -> None:
    players = trainer.players
    if fabric.is_global_zero:
        state = {
            "recipe": repr(recipe.with_(steps=0)),
            "step": step,
            "trainer": trainer.state(),
            "networks": {name: player.network.state_dict() for name, player in players.items()},
            "optimisers": {name: player.optimiser.state_dict() for name, player in players.items()},
            "averages": {name: (average.network.state_dict(), average.samples) for name, average in averages.items()},
        }
        save(out, state)
    fabric.barrier()


def _restore(out: Path, recipe: TrainingRecipe, trainer: Trainer, averages: Averages) -> int:
    """The step to go on from, 0 for a new run."""
    state = load(out)
    if state is None:
        return 0
    if state["recipe"] != repr(recipe.with_(steps=0)):
        raise TrainingError(
            f"{out} holds a run of another recipe: choose another folder, or train with the recipe it was begun with."
        )
    trainer.load_state(state["trainer"])
    for name, player in trainer.players.items():
        player.network.load_state_dict(state["networks"][name])
        player.optimiser.load_state_dict(state["optimisers"][name])
    for name, average in averages.items():
        weights, average.samples = state["averages"][name]
        average.network.load_state_dict(weights)
    return int(state["step"])
