"""Pre-training of the generator on textures alone, without photos: StyleGAN2 in the UV plane (Karras et al. 2020)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from uvatar.body import BodyModel, load_open_body
from uvatar.texture_predictor.config import CONFIGS, Config
from uvatar.texture_predictor.networks.checkpoint import load_checkpoint, save_checkpoint
from uvatar.texture_predictor.networks.network import TextureNetwork
from uvatar.texture_predictor.predictor import FILE
from uvatar.texture_predictor.structure import Structure
from uvatar_training.adversarial.augmentation import Strength, augmented
from uvatar_training.adversarial.discriminator import Discriminator, DiscriminatorConfig
from uvatar_training.adversarial.penalties import Lazy, PathLength, r1_gamma
from uvatar_training.data.batch import joined
from uvatar_training.data.gan_batch import GanBatch, prepare_gan
from uvatar_training.losses.adversarial import generator_loss
from uvatar_training.metrics.pictures import grid
from uvatar_training.networks.initialise import grown
from uvatar_training.networks.uv_plane import TorchUvPlane, uv_plane
from uvatar_training.trainers.judging import judge
from uvatar_training.trainers.recipe import RecipeError, TrainingRecipe
from uvatar_training.trainers.run import Player, Turn, optimiser_for

OPTIONS = {
    "config": "default",
    "mixing": 0.9,
    "r1_every": 16,
    "path_every": 4,
    "path_weight": 2.0,
    "augment": True,
    "start": "",
}
_SHOWN = 8


class Generator(nn.Module):
    """The Texture Predictor with plain tensors in and out, as Lightning Fabric wants them, on one body's UV plane."""

    def __init__(self, network: TextureNetwork, plane: TorchUvPlane) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("geometry", plane.geometry, persistent=False)
        self.register_buffer("mirror", plane.mirror, persistent=False)
        self.register_buffer("spread", plane.spread, persistent=False)

    def structure(
        self,
        pose: Tensor,
        betas: Tensor,
        camera: Tensor,
        partial: Tensor | None,
        completed: Tensor | None = None,
        materials: Tensor | None = None,
    ) -> Structure[Tensor]:
        """People of whom the ``partial`` texture (B, 4, R, R) is known, None for nothing.

        ``completed``, ``materials``: see `TorchUvPlane.structure`; without materials, a network that takes them sees
        none.
        """
        if not self.network.config.spatial:
            return Structure(pose, betas, camera)
        size = self.network.config.resolution
        shown = pose.new_zeros(len(pose), 4, size, size) if partial is None else partial
        if materials is None and (count := self.network.config.materials):
            materials = pose.new_zeros(len(pose), count, size, size)
        plane = TorchUvPlane(self.geometry, self.mirror, self.spread)  # type: ignore[arg-type]
        return plane.structure(pose, betas, camera, shown, completed, materials)

    def forward(
        self,
        photo: Tensor | None,
        pose: Tensor,
        betas: Tensor,
        camera: Tensor,
        partial: Tensor | None,
        latent: Tensor | None = None,
        rng: torch.Generator | None = None,
        mixing: float = 0.0,
        completed: Tensor | None = None,
        materials: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """With a photo: texture (B, 3, R, R), the style's mean and log-variance (B, latent).

        With a latent instead: texture alone.
        """
        structure = self.structure(pose, betas, camera, partial, completed, materials)
        if photo is None:
            assert latent is not None
            return (self.network.generate(latent, structure, rng, mixing=mixing),)
        prediction = self.network(photo, structure, rng)
        return prediction.texture, prediction.style.mean, prediction.style.log_variance


def texture_network(options: Mapping[str, object], body: BodyModel) -> Generator:
    """A network of the option ``config`` (a name of `CONFIGS`) at the option ``resolution`` (0: its own), with the
    weights of the option ``start`` where that is a file, of the same or a smaller resolution; then the file's
    configuration is the network's.

    Raises RecipeError for an unknown configuration, CheckpointError and ConfigError for a start that cannot be used.
    """
    name = str(options["config"])
    if name not in CONFIGS:
        raise RecipeError(f"There is no configuration {name!r} of the Texture Predictor: choose {', '.join(CONFIGS)}.")
    config: Config = CONFIGS[name]()
    if options.get("resolution"):
        config = replace(config, resolution=int(str(options["resolution"])))
    if not options["start"]:
        return Generator(TextureNetwork(config), uv_plane(body, config.resolution))
    network = load_checkpoint(Path(str(options["start"])))
    return Generator(
        grown(network, replace(network.config, resolution=config.resolution)), uv_plane(body, config.resolution)
    )


class GanTrainer:
    """Trains the texture generator on textures alone, as StyleGAN2 (task ``gan``).

    The recipe's options are ``config``, the network's configuration; ``mixing``, the probability that styles are mixed;
    ``r1_every`` and ``path_every``, the number of steps between the two penalties; ``path_weight``, the weight of the
    path length penalty; ``augment``, whether to use adaptive discriminator augmentation; and ``start``, a checkpoint to
    start from.
    """

    def __init__(self, recipe: TrainingRecipe, body: BodyModel | None = None) -> None:
        """Raises RecipeError for unknown options."""
        self.options = {**OPTIONS, **recipe.options}
        if unknown := sorted(set(self.options) - set(OPTIONS)):
            raise RecipeError(f"The GAN trainer has no options {', '.join(unknown)}; it has {', '.join(OPTIONS)}.")
        torch.manual_seed(recipe.seed)
        generator = texture_network(self.options, body or load_open_body().in_network_layout())
        self.generator, self.config = generator, generator.network.config
        self.prepare, self.collate = partial(prepare_gan, size=self.config.resolution), joined
        discriminator = Discriminator(DiscriminatorConfig.like(self.config))
        # The photo's encoder is not used here.
        generator.network.style_encoder.requires_grad_(False)
        trained = [parameter for parameter in generator.parameters() if parameter.requires_grad]
        self.players = {
            "generator": Player(generator, optimiser_for(trained, recipe)),
            "discriminator": Player(discriminator, optimiser_for(discriminator.parameters(), recipe), averaged=False),
        }
        self.r1, self.path = Lazy(int(self.options["r1_every"])), Lazy(int(self.options["path_every"]))
        self.gamma = r1_gamma(self.config.resolution, recipe.batch)
        self.path_length, self.strength = PathLength(), Strength()

    def state(self) -> dict[str, float]:
        """The state that a checkpoint must hold in addition to networks and optimisers."""
        return {"path_length": self.path_length.mean, "augmentation": self.strength.p}

    def load_state(self, state: Mapping[str, float]) -> None:
        """The inverse of `state`."""
        self.path_length.mean, self.strength.p = state["path_length"], state["augmentation"]

    def step(self, turn: Turn, batch: GanBatch) -> dict[str, float]:
        """One step of the generator and one of the discriminator."""
        generator = turn.networks["generator"].train()
        latent = self._latents(len(batch.texture), turn.rng)
        arguments = (None, batch.pose, batch.betas, batch.camera, None)
        strength = self.strength.p if self.options["augment"] else 0.0
        # The bare network: across processes nothing of it is to be averaged here.
        critic = self.players["discriminator"].network.train().requires_grad_(False)
        (fake,) = generator(*arguments, latent, turn.rng, float(self.options["mixing"]))
        loss = generator_loss(critic(augmented(fake, strength, turn.rng)))
        log = {"generator": float(loss.detach())}
        if self.path.due(turn.step) and self.options["path_weight"]:
            penalty = self._path_penalty(turn, batch)
            loss = loss + self.path.weighted(penalty, float(self.options["path_weight"]))
            log["path"] = float(penalty.detach())
        turn.descend("generator", loss)
        return log | judge(
            turn,
            critic,
            self.r1,
            self.gamma,
            self.strength,
            batch.texture,
            fake,
            lambda texture: augmented(texture, strength, turn.rng),
        )

    def _path_penalty(self, turn: Turn, batch: GanBatch) -> Tensor:
        """Of half the batch, as published."""
        half = max(1, len(batch.texture) // 2)
        inner = self.generator
        network = inner.network
        structure = inner.structure(batch.pose[:half], batch.betas[:half], batch.camera[:half], None)
        vector, features = network.structure_encoder(structure)
        codes = network.codes(self._latents(half, turn.rng), vector)
        textures = network.synthesis(codes, features, network.synthesis.noise(half, turn.rng))
        return self.path_length(2 * textures - 1, codes, turn.rng)

    def _latents(self, count: int, rng: torch.Generator) -> Tensor:
        return torch.randn(count, self.config.latent, generator=rng, device=rng.device)

    @torch.no_grad()
    def pictures(self, batch: GanBatch, networks: Mapping[str, nn.Module]) -> NDArray[np.uint8]:
        """Real textures above, generated ones below."""
        count = min(_SHOWN, len(batch.texture))
        rng = torch.Generator(batch.texture.device).manual_seed(0)
        arguments = (batch.pose[:count], batch.betas[:count], batch.camera[:count])
        (fake,) = networks["generator"].eval()(None, *arguments, None, self._latents(count, rng), rng)
        return grid([batch.texture[:count], fake])

    def export(self, networks: Mapping[str, nn.Module], folder: Path, note: str) -> list[Path]:
        """``texture_predictor.safetensors``: a start for `texture`; its encoder has seen no photo."""
        path = folder / FILE
        save_checkpoint(networks["generator"].network, path, note=note)  # type: ignore[arg-type]
        return [path]
