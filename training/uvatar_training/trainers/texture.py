"""Training of the Texture Predictor from photos: what it paints is put on the body and compared with the photo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from uvatar.body import BodyModel, load_open_body
from uvatar.texture_predictor.networks.checkpoint import save_checkpoint
from uvatar.texture_predictor.networks.encoders import Style
from uvatar.texture_predictor.predictor import FILE
from uvatar_training.adversarial.augmentation import Strength, augmented
from uvatar_training.adversarial.discriminator import Discriminator, DiscriminatorConfig
from uvatar_training.adversarial.penalties import Lazy, r1_gamma
from uvatar_training.data.batch import joined
from uvatar_training.data.texture_batch import TextureBatch, TextureStage, prepare_texture
from uvatar_training.losses.features import EfficientNetFeatures, FeatureDistance
from uvatar_training.losses.texture import TextureLoss, TextureWeights
from uvatar_training.losses.uv import hide_half
from uvatar_training.metrics.pictures import grid
from uvatar_training.networks.uv_plane import TorchUvPlane
from uvatar_training.rendering import paint
from uvatar_training.supervision.texture import PhotoEvidence, Surroundings, texture_terms
from uvatar_training.trainers.gan import texture_network
from uvatar_training.trainers.judging import judge
from uvatar_training.trainers.recipe import RecipeError, TrainingRecipe
from uvatar_training.trainers.run import Player, Turn, optimiser_for

OPTIONS: dict[str, Any] = {
    "config": "default", "start": "", "side": 256, "weights": {}, "truth": 0.0, "imagenet": False, "r1_every": 16,
    "augment": True,
}  # fmt: skip


class TextureTrainer:
    """Trains the Texture Predictor on photos (task ``texture``).

    The recipe's options are ``config``, the network's configuration; ``start``, a checkpoint to start from (for example
    of `gan`); ``side``, the size in pixels of the pictures that are compared; ``weights`` of the loss's terms;
    ``truth``, the weight of the difference from the true texture, which is known for synthetic people; ``imagenet``,
    whether to start the style encoder from torchvision's weights (downloaded); ``r1_every``, the number of steps
    between penalties of the discriminator's gradient; and ``augment``, adaptive discriminator augmentation.
    """

    def __init__(self, recipe: TrainingRecipe, body: BodyModel | None = None) -> None:
        """Raises RecipeError for unknown options."""
        options = {**OPTIONS, **recipe.options}
        if unknown := sorted(set(options) - set(OPTIONS)):
            raise RecipeError(f"The texture trainer has no options {', '.join(unknown)}; it has {', '.join(OPTIONS)}.")
        torch.manual_seed(recipe.seed)
        self.options, self.body = options, body or load_open_body().in_network_layout()
        generator = texture_network(options, self.body)
        if options["imagenet"] and not options["start"]:
            generator.network.style_encoder.fetch_imagenet_weights()
        self.config = generator.network.config
        self.loss = TextureLoss(texture_weights(options["weights"]))
        self.players = {"generator": Player(generator, optimiser_for(generator.parameters(), recipe))}
        self.adversarial = self.loss.weights.adversarial > 0
        if self.adversarial:
            discriminator = Discriminator(DiscriminatorConfig.like(self.config))
            self.players["discriminator"] = Player(
                discriminator, optimiser_for(discriminator.parameters(), recipe), averaged=False
            )
        self.r1, self.gamma, self.strength = (
            Lazy(int(options["r1_every"])),
            r1_gamma(self.config.resolution, recipe.batch),
            Strength(),
        )
        self.prepare = partial(prepare_texture, stage=TextureStage.of(self.body, self.config, int(options["side"])))
        self.collate = joined
        self.surroundings = Surroundings.of(self.body, self.config.resolution, FeatureDistance(EfficientNetFeatures()))

    def state(self) -> dict[str, float]:
        """What a checkpoint must hold beside networks and optimisers."""
        return {"augmentation": self.strength.p}

    def load_state(self, state: Mapping[str, float]) -> None:
        """The inverse of `state`."""
        self.strength.p = state["augmentation"]

    def step(self, turn: Turn, batch: TextureBatch) -> dict[str, float]:
        """One step on the Texture Loss, and one of the discriminator where textures are known to be like."""
        shown, hidden = hide_half(batch.partial, turn.rng)
        texture, mean, log_variance = turn.networks["generator"].train()(
            batch.photo, batch.pose, batch.betas, batch.camera, shown, None, turn.rng
        )
        texture = texture.float()
        known = torch.isfinite(batch.truth).flatten(1).all(1)
        game = self.adversarial and bool(known.any())
        logits = None
        if game:
            # The bare network: across processes nothing of it is to be averaged here.
            logits = (
                self.players["discriminator"]
                .network.train()
                .requires_grad_(False)(augmented(texture, self._strength(), turn.rng))
            )
        evidence = PhotoEvidence(batch.picture, batch.mask, batch.partial, hidden)
        terms = texture_terms(
            texture,
            batch.view,
            evidence,
            on_device(self.surroundings, texture.device),
            Style(mean, log_variance),
            logits,
        )
        total, log = self.loss(terms)
        if self.options["truth"] and known.any():
            inside = self.surroundings.plane.geometry[:, 6:].to(texture)
            away = ((texture - batch.truth).abs() * inside)[known].sum() / (3 * inside.sum() * known.sum())
            total = total + float(self.options["truth"]) * away
            log["truth"] = float(away.detach())
        turn.descend("generator", total)
        log = {"total": float(total.detach()), **log}
        return log | (self._judge(turn, batch.truth[known], texture.detach()) if game else {})

    def _strength(self) -> float:
        return self.strength.p if self.options["augment"] else 0.0

    def _judge(self, turn: Turn, real: Tensor, fake: Tensor) -> dict[str, float]:
        bare = self.players["discriminator"].network
        return judge(
            turn,
            bare,
            self.r1,
            self.gamma,
            self.strength,
            real,
            fake,
            lambda texture: augmented(texture, self._strength(), turn.rng),
        )

    @torch.no_grad()
    def pictures(self, batch: TextureBatch, networks: Mapping[str, nn.Module]) -> NDArray[np.uint8]:
        """Rows: photo, what it shows of the texture, the prediction, the prediction on the body, and the truth."""
        few = TextureBatch(**{name: value[:8] for name, value in vars(batch).items()})
        texture, *_ = networks["generator"].eval()(few.photo, few.pose, few.betas, few.camera, few.partial)
        painted = paint(few.view, texture.float().clamp(0, 1))
        return grid([few.picture, few.partial[:, :3] * few.partial[:, 3:], texture, painted, few.truth.nan_to_num(0.5)])

    def export(self, networks: Mapping[str, nn.Module], folder: Path, note: str) -> list[Path]:
        """See `export`."""
        return export(networks["generator"], folder, note)


def export(network: nn.Module, folder: Path, note: str) -> list[Path]:
    """``texture_predictor.safetensors`` in half precision, which `uvatar.texture_predictor.predictor.TexturePredictor`
    loads.
    """
    path = folder / FILE
    save_checkpoint(network.network, path, torch.float16, note)  # type: ignore[arg-type]
    return [path]


def texture_weights(weights: Mapping[str, float]) -> TextureWeights:
    """The default weights with some changed. Raises RecipeError for a term that does not exist."""
    try:
        return replace(TextureWeights(), **weights)
    except TypeError as error:
        raise RecipeError(f"The texture loss has no such term: {error}.") from None


def on_device(surroundings: Surroundings, device: torch.device) -> Surroundings:
    """The same on another device; nothing is copied where it is there already."""
    perceptual = (
        surroundings.perceptual.to(device)
        if isinstance(surroundings.perceptual, nn.Module)
        else surroundings.perceptual
    )
    plane = TorchUvPlane(*(part.to(device) for part in vars(surroundings.plane).values()))
    return Surroundings(perceptual, plane, surroundings.seams.to(device), surroundings.face.to(device))
