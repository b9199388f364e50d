"""Recipes: small YAML files that say how a network is trained; everything else is code."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

TASKS = ("mesh", "gan", "complete", "texture", "joint", "lifter", "parser")


class RecipeError(ValueError):
    """A recipe that cannot be used; the message names the file and the entry."""


@dataclass(frozen=True)
class TrainingRecipe:
    """How long, how fast and on what a network is trained.

    Attributes:
        task: one of `TASKS`.
        steps: optimiser steps; batch: pictures per step over all processes.
        learning_rate: at its highest; warmup: steps in which it rises to that; milestones: {step: factor} by which it
            is multiplied from that step on; cosine: falls to 0 along a half wave over all steps.
        optimiser: "adam" or "adamw"; betas, weight_decay: its settings.
        clip: largest norm of the gradient, 0 for no limit.
        average: samples after which weights count half in the running average that ships, 0 for no average.
        precision: "32-true", "bf16-mixed" or "16-mixed" as Lightning Fabric names them.
        checkpoint_every, picture_every, log_every: steps.
        options: of the task, see each trainer.
    """

    task: str
    steps: int
    batch: int
    learning_rate: float
    warmup: int = 0
    milestones: Mapping[int, float] = field(default_factory=dict)
    cosine: bool = False
    optimiser: str = "adam"
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    clip: float = 0.0
    average: float = 0.0
    precision: str = "32-true"
    seed: int = 0
    checkpoint_every: int = 500
    picture_every: int = 1000
    log_every: int = 20
    options: Mapping[str, Any] = field(default_factory=dict)

    def rate(self, step: int) -> float:
        """The learning rate of a step: a function of nothing else, so that resuming needs no schedule's state."""
        rate = self.learning_rate * min(1.0, (step + 1) / self.warmup if self.warmup else 1.0)
        for milestone, factor in self.milestones.items():
            rate *= factor if step >= int(milestone) else 1.0
        return rate * (0.5 + 0.5 * math.cos(math.pi * min(1.0, step / self.steps))) if self.cosine else rate

    def with_(self, **changes: Any) -> TrainingRecipe:
        """The recipe with some entries changed; None leaves an entry as it is."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return TrainingRecipe(**values | {name: value for name, value in changes.items() if value is not None})


def recipe_names(task: str) -> list[str]:
    """Names of the recipes that ship for a task."""
    folder = resources.files("uvatar_training.recipes")
    return sorted(
        item.name.removeprefix(f"{task}_").removesuffix(".yaml")
        for item in folder.iterdir()
        if item.name.startswith(f"{task}_")
    )


def load_recipe(task: str, name: str) -> TrainingRecipe:
    """A recipe that ships ("paper", "default", "toy"), or a file's.

    Raises RecipeError naming the file and what is wrong in it.
    """
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise RecipeError(f"There is no recipe {path}.")
        text, label = path.read_text(encoding="utf-8"), str(path)
    else:
        shipped = resources.files("uvatar_training.recipes") / f"{task}_{name}.yaml"
        if not shipped.is_file():
            raise RecipeError(
                f"There is no recipe {name!r} for {task}: choose {', '.join(recipe_names(task))} or give a .yaml file."
            )
        text, label = shipped.read_text(encoding="utf-8"), shipped.name
    try:
        entries = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"{label} is not valid YAML: {error}") from None
    return _recipe(entries, task, label)


def _recipe(entries: Any, task: str, label: str) -> TrainingRecipe:
    known = {item.name: item for item in fields(TrainingRecipe)}
    if not isinstance(entries, dict):
        raise RecipeError(f"{label} holds no entries.")
    if unknown := sorted(set(entries) - set(known)):
        raise RecipeError(f"{label} has unknown entries: {', '.join(map(str, unknown))}. Known are {', '.join(known)}.")
    if missing := sorted({"task", "steps", "batch", "learning_rate"} - set(entries)):
        raise RecipeError(f"{label} lacks {', '.join(missing)}.")
    if entries["task"] != task:
        raise RecipeError(f"{label} is a recipe for {entries['task']!r}, not for {task!r}.")
    for name in ("steps", "batch"):
        if not isinstance(entries[name], int) or entries[name] < 1:
            raise RecipeError(f"{label}: {name} must be a whole number above 0, not {entries[name]!r}.")
    try:
        entries["learning_rate"] = float(entries["learning_rate"])
        if "betas" in entries:
            entries["betas"] = tuple(float(value) for value in entries["betas"])
    except (TypeError, ValueError):
        raise RecipeError(f"{label}: learning_rate and betas must be numbers.") from None
    return TrainingRecipe(**entries)
