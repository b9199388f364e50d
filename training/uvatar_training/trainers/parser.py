"""Training of the parser's decoder on stored features of crops (task ``parser``)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

from uvatar.data.parsing import ParseClass
from uvatar.parsing.inputs import CLASSES
from uvatar.parsing.network import ParserDecoder
from uvatar.parsing.shipped import FILE
from uvatar_training.data.batch import joined
from uvatar_training.parsing.features import FeatureCrops, ParserBatch, frozen_trunk, prepare_crop
from uvatar_training.trainers.recipe import TrainingRecipe
from uvatar_training.trainers.run import Player, Turn, optimiser_for

# Weights of the classes in the loss: background is easy, and faces, shoes and hats are small.
WEIGHTS = {ParseClass.BACKGROUND: 0.5, ParseClass.FACE: 1.3, ParseClass.SKIN: 1.2, ParseClass.UPPER: 0.8,
           ParseClass.LOWER: 0.8, ParseClass.SHOES: 1.5, ParseClass.CARRIED: 1.2, ParseClass.HAT: 1.2}  # fmt: skip
COARSE = 0.3  # weight of the loss of the coarse classes
_SHOWN, _CELL, _AT_ONCE = 6, 128, 8


class ParserTrainer:
    """Trains the decoder; the trunk stays as ImageNet left it."""

    def __init__(self, recipe: TrainingRecipe, held_out: FeatureCrops) -> None:
        """``held_out``: crops for scores during training."""
        torch.manual_seed(recipe.seed)
        self.recipe, self.held_out = recipe, held_out
        decoder = ParserDecoder()
        self.players = {"parser": Player(decoder, optimiser_for(decoder.parameters(), recipe))}
        self.prepare, self.collate = prepare_crop, joined
        self.weights = torch.tensor([WEIGHTS.get(one, 1.0) for one in CLASSES])

    def state(self) -> dict[str, float]:
        """Empty: there is no state in addition to the network and the optimiser."""
        return {}

    def load_state(self, state: Mapping[str, float]) -> None:
        """The inverse of `state`."""

    def step(self, turn: Turn, batch: ParserBatch) -> dict[str, float]:
        """One step of cross entropy at both sizes."""
        fine, coarse = _logits(turn.networks["parser"].train(), batch)
        weights = self.weights.to(batch.labels.device)
        terms = {
            "classes": F.cross_entropy(fine, _reduced(batch.labels, fine), weights),
            "coarse": COARSE * F.cross_entropy(coarse, _reduced(batch.labels, coarse), weights),
        }
        turn.descend("parser", terms["classes"] + terms["coarse"])
        return {name: float(term.detach()) for name, term in terms.items()}

    @torch.no_grad()
    def scores(self, networks: Mapping[str, nn.Module]) -> dict[str, float]:
        """Intersection over union of each class over all held-out crops, and their mean without background."""
        network, count = networks["parser"].eval(), len(CLASSES)
        confusion = torch.zeros(count * count)
        device = next(network.parameters()).device
        for start in range(0, len(self.held_out), _AT_ONCE):
            numbers = range(start, min(start + _AT_ONCE, len(self.held_out)))
            rng = np.random.default_rng(0)
            batch = joined([prepare_crop(self.held_out.read(number), rng) for number in numbers]).to(device)
            logits, _ = _logits(network, batch)
            pairs = _reduced(batch.labels, logits) * count + logits.argmax(1)
            confusion += torch.bincount(pairs.flatten(), minlength=count * count).cpu()
        table = confusion.reshape(count, count)
        union = table.sum(0) + table.sum(1) - table.diag()
        ious = (table.diag() / union.clamp(min=1)).tolist()
        known = [iou for iou, of in zip(ious[1:], union[1:].tolist(), strict=True) if of]
        return {
            **{f"iou/{one.name.lower()}": iou for one, iou in zip(CLASSES, ious, strict=True)},
            "iou": float(np.mean(known)),
        }

    @torch.no_grad()
    def pictures(self, batch: ParserBatch, networks: Mapping[str, nn.Module]) -> NDArray[np.uint8]:
        """Six crops: the classes as they are, and below as the network sees them."""
        logits, _ = _logits(networks["parser"].eval(), batch)
        rows = [
            np.concatenate([_coloured(labels) for labels in maps[:_SHOWN].cpu().numpy()], 1)
            for maps in (_reduced(batch.labels, logits), logits.argmax(1))
        ]
        return np.concatenate(rows)

    def export(self, networks: Mapping[str, nn.Module], folder: Path, note: str) -> list[Path]:
        """Write parser.safetensors, trunk included, in half precision, with recipe and scores in its metadata."""
        parts = {"trunk": frozen_trunk(), "decoder": networks["parser"]}
        weights = {
            f"{part}.{name}": (value.half() if value.is_floating_point() else value).cpu().contiguous()
            for part, network in parts.items()
            for name, value in network.state_dict().items()
        }
        facts = {"note": note, "recipe": asdict(self.recipe), "scores": self.scores(networks)}
        path = folder / FILE
        save_file(weights, path, metadata={"facts": json.dumps(facts)})
        return [path]


def _logits(network: nn.Module, batch: ParserBatch) -> tuple[Tensor, Tensor]:
    logits: tuple[Tensor, Tensor] = network([batch.fine, batch.middle, batch.coarse], batch.mask, batch.places)
    return logits


def _reduced(labels: Tensor, logits: Tensor) -> Tensor:
    """Labels (B, S, S) at the middle of the cells of logits (B, C, h, w)."""
    step = labels.shape[-1] // logits.shape[-1]
    return labels[:, step // 2 :: step, step // 2 :: step]


def _coloured(labels: NDArray[np.int64]) -> NDArray[np.uint8]:
    shades = (labels * (255 // len(CLASSES))).astype(np.uint8)
    picture = cv2.applyColorMap(shades, cv2.COLORMAP_TURBO)[..., ::-1]
    return np.asarray(cv2.resize(picture, (_CELL, _CELL), interpolation=cv2.INTER_NEAREST), np.uint8)
