"""The options that all training commands share."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from uvatar.runtime.terminal import terminal

if TYPE_CHECKING:
    from uvatar_training.data.problems import Skipped
    from uvatar_training.data.stream import Samples
    from uvatar_training.trainers.recipe import TrainingRecipe
    from uvatar_training.trainers.run import Trainer

OPTIONAL = tyro.conf.arg(help_behavior_hint="(optional)")
FROM_THE_RECIPE = tyro.conf.arg(help_behavior_hint="(default: the recipe's)")


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """The run's folder, its recipe, and changes to the recipe.

    Attributes:
        out: Folder of the run: checkpoints, TensorBoard logs, pictures, and the weights at the end.
        recipe: A shipped recipe (default, toy; for some networks paper, coarse), or a .yaml file.
        steps: Number of optimiser steps.
        batch: Samples per step, over all processes.
        learning_rate: Peak learning rate.
        precision: 32-true, bf16-mixed or 16-mixed.
        seed: Random seed; the same seed and data give the same run.
        device: cpu, cuda or auto.
        workers: Number of loading processes; 0 loads in the training process.
        stop_at: Stop at this step; run the same command again to continue.
        minutes: Stop after this many minutes; run the same command again to continue.
    """

    out: Path
    recipe: str = "default"
    steps: Annotated[int | None, FROM_THE_RECIPE] = None
    batch: Annotated[int | None, FROM_THE_RECIPE] = None
    learning_rate: Annotated[float | None, FROM_THE_RECIPE] = None
    precision: Annotated[str | None, FROM_THE_RECIPE] = None
    seed: Annotated[int | None, FROM_THE_RECIPE] = None
    device: str = "auto"
    workers: int = 0
    stop_at: Annotated[int | None, OPTIONAL] = None
    minutes: Annotated[float | None, OPTIONAL] = None

    def __post_init__(self) -> None:
        """Raises ValueError for numbers that make no sense."""
        at_least(1, steps=self.steps, batch=self.batch, stop_at=self.stop_at)
        at_least(0, workers=self.workers)

    def changed_recipe(self, task: str, **options: str | Path | None) -> TrainingRecipe:
        """The task's recipe with the command line's changes; ``options`` that are None keep the recipe's value."""
        from uvatar_training.trainers.recipe import load_recipe

        shipped = load_recipe(task, self.recipe)
        return shipped.with_(
            steps=self.steps,
            batch=self.batch,
            learning_rate=self.learning_rate,
            precision=self.precision,
            seed=self.seed,
            options={**shipped.options, **{name: str(value) for name, value in options.items() if value is not None}},
        )

    def train(self, trainer: Trainer, recipe: TrainingRecipe, samples: Samples[Any]) -> None:
        """Train, and print the outcome."""
        from uvatar_training.trainers.run import run

        seconds = None if self.minutes is None else 60 * self.minutes
        result = run(
            trainer, recipe, samples, self.out, self.device, workers=self.workers, stop_at=self.stop_at, seconds=seconds
        )
        if result.files:
            terminal().print(f"Trained to step {result.step}: {', '.join(map(str, result.files))}")
        elif int(os.environ.get("RANK", "0")) == 0:
            terminal().print(f"Stopped at step {result.step} of {recipe.steps}. Run the same command to continue.")


def at_least(least: int, **values: float | None) -> None:
    """Raise ValueError, naming the option, for a value below ``least``."""
    for name, value in values.items():
        if value is not None and value < least:
            raise ValueError(f"--{name.replace('_', '-')} must be at least {least}, not {value}.")


def progress() -> Progress:
    """A progress bar for countable steps."""
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    return Progress(TextColumn("{task.description}"), *columns, console=terminal())


def tell_skipped(skipped: Skipped) -> None:
    """Print which samples were left out, and why."""
    if report := skipped.report():
        terminal().print(report, style="yellow")
