"""Training of the Texture Predictor in UV space alone, from the part of a known texture that a picture shows.

Nothing is rendered, so a step costs little more than the network, and two CPU cores are enough. It needs synthetic
people; `texture` continues from there with photos, whose true textures are unknown.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor, nn

from uvatar.body import BodyModel, load_open_body
from uvatar.data.joints import OTHER_SIDE_JOINTS
from uvatar.texture_predictor.networks.encoders import Style
from uvatar.texture_predictor.structure import BARE, MATERIALS
from uvatar_training.adversarial.augmentation import Strength, augmented
from uvatar_training.adversarial.discriminator import Discriminator, DiscriminatorConfig
from uvatar_training.adversarial.penalties import Lazy, r1_gamma
from uvatar_training.data.batch import Batch, joined
from uvatar_training.data.uv_people import UvPerson
from uvatar_training.losses.adversarial import generator_loss
from uvatar_training.losses.structure import fine_change, patch_distance
from uvatar_training.losses.uv import Seams, seam_distance, seen_distance
from uvatar_training.metrics.pictures import grid
from uvatar_training.metrics.texels import surface_per_texel
from uvatar_training.networks.initialise import start_from_completion, with_materials
from uvatar_training.networks.uv_plane import TorchUvPlane, uv_plane
from uvatar_training.rendering import UvMesh
from uvatar_training.rendering.unprojection import Texels
from uvatar_training.trainers.gan import texture_network
from uvatar_training.trainers.judging import judge
from uvatar_training.trainers.recipe import RecipeError, TrainingRecipe
from uvatar_training.trainers.run import Player, Turn, optimiser_for
from uvatar_training.trainers.texture import export

OPTIONS: dict[str, Any] = {
    "config": "light", "resolution": 0, "start": "", "adversarial": 0.0, "seam": 0.1, "kl": 1e-4, "seen": 0.3,
    "patches": 0.0, "kept": 0.0, "r1_every": 16,
}  # fmt: skip
_COARSE = 8  # texels on a side of the patches whose mean colours are compared too
_SHOWN = 8


@dataclass(frozen=True)
class UvBatch(Batch):
    """B people, channels first, colours 0..1.

    ``partial`` (B, 4, R, R), ``completed`` (B, 3, R, R) and ``materials`` (B, 9, R, R) are as in
    `uvatar.texture_predictor.structure.Structure`, the rest as in `uvatar_training.data.uv_people.UvPerson`.
    """

    photo: Tensor
    partial: Tensor
    completed: Tensor
    materials: Tensor
    truth: Tensor
    pose: Tensor
    betas: Tensor
    camera: Tensor


class CompleteTrainer:
    """Trains the Texture Predictor to correct completed textures (task ``complete``).

    The recipe's options are ``config``, the network's configuration; ``resolution``, if it differs from the
    configuration's; ``start``, a checkpoint to start from (for example of `gan`, or of fewer texels); the weights of
    the loss terms ``adversarial``, ``seam``, ``kl``, ``patches`` (the statistics of what is not seen, by material) and
    ``kept`` (fine structure that is changed in clothes), and of ``seen`` (texels that the picture shows, relative to
    the others); and ``r1_every``, the number of steps between penalties of the discriminator's gradient.
    """

    def __init__(self, recipe: TrainingRecipe, body: BodyModel | None = None) -> None:
        """Raises RecipeError for unknown options."""
        options = {**OPTIONS, **recipe.options}
        if unknown := sorted(set(options) - set(OPTIONS)):
            raise RecipeError(f"The complete trainer has no options {', '.join(unknown)}; it has {', '.join(OPTIONS)}.")
        torch.manual_seed(recipe.seed)
        body = body or load_open_body().in_network_layout()
        self.options = options
        generator = texture_network(options, body)
        self.config = generator.network.config
        if not self.config.spatial:
            raise RecipeError(
                "The complete trainer needs a configuration with spatial conditioning: choose another config."
            )
        if not options["start"]:
            start_from_completion(generator.network)
        generator.network = with_materials(generator.network)
        self.config = generator.network.config
        generator.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.players = {"generator": Player(generator, optimiser_for(generator.parameters(), recipe))}
        if options["adversarial"]:
            discriminator = Discriminator(DiscriminatorConfig.like(self.config))
            discriminator.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            self.players["discriminator"] = Player(
                discriminator, optimiser_for(discriminator.parameters(), recipe), averaged=False
            )
        self.r1, self.gamma, self.strength = (
            Lazy(int(options["r1_every"])),
            r1_gamma(self.config.resolution, recipe.batch),
            Strength(),
        )
        self.plane = uv_plane(body, self.config.resolution)
        self.prepare = functools.partial(prepare_uv, plane=self.plane)
        self.collate = joined
        self.seams = Seams.of(UvMesh.of(body.data))
        surface = surface_per_texel(body, Texels.of(body, self.config.resolution))
        # Half by texels, half by surface: faces have more texels than their share of the body, backs fewer.
        self.weight = self.plane.geometry[:, 6:] * (0.5 + 0.5 * surface / surface[surface > 0].mean())

    def state(self) -> dict[str, float]:
        """The state that a checkpoint must hold in addition to networks and optimisers."""
        return {"augmentation": self.strength.p}

    def load_state(self, state: Mapping[str, float]) -> None:
        """The inverse of `state`."""
        self.strength.p = state["augmentation"]

    def step(self, turn: Turn, batch: UvBatch) -> dict[str, float]:
        """One step towards the true textures and, with an adversarial weight, one of the discriminator."""
        photo = batch.photo.contiguous(memory_format=torch.channels_last)
        partial = batch.partial.contiguous(memory_format=torch.channels_last)
        texture, mean, log_variance = turn.networks["generator"].train()(
            photo, batch.pose, batch.betas, batch.camera, partial, None, turn.rng, completed=batch.completed,
            materials=batch.materials,
        )  # fmt: skip
        texture = texture.float()
        weight = self.weight.to(texture) * (1 - (1 - float(self.options["seen"])) * batch.partial[:, 3:])
        terms = {
            "fine": seen_distance(texture, batch.truth, weight * (1 - self._kept(batch))),
            "coarse": _coarse_distance(texture, batch.truth, weight),
            "seam": float(self.options["seam"]) * seam_distance(texture, self.seams.to(texture.device)),
            "kl": float(self.options["kl"]) * Style(mean, log_variance).divergence().mean(),
        }
        terms |= self._structure_terms(texture, batch, turn)
        if self.options["adversarial"]:
            critic = self.players["discriminator"].network.train().requires_grad_(False)
            terms["adversarial"] = float(self.options["adversarial"]) * generator_loss(
                critic(self._shown(texture, turn))
            )
        total = torch.stack(list(terms.values())).sum()
        turn.descend("generator", total)
        log = {"total": float(total.detach()), **{name: float(term.detach()) for name, term in terms.items()}}
        log["simple"] = float(seen_distance(batch.completed, batch.truth, weight))  # the measure of the rest
        if not self.options["adversarial"]:
            return log
        return log | judge(
            turn,
            critic,
            self.r1,
            self.gamma,
            self.strength,
            batch.truth,
            texture,
            lambda texture: self._shown(texture, turn),
        )

    def _structure_terms(self, texture: Tensor, batch: UvBatch, turn: Turn) -> dict[str, Tensor]:
        """Those that have a weight."""
        terms = {}
        inside = self.plane.geometry[:, 6:].to(texture)
        if self.options["patches"]:
            unseen = batch.materials * (1 - batch.partial[:, 3:]) * inside
            terms["patches"] = float(self.options["patches"]) * patch_distance(texture, batch.truth, unseen, turn.rng)
        if self.options["kept"]:
            where = self.weight.to(texture) * self._kept(batch)
            terms["kept"] = float(self.options["kept"]) * fine_change(texture, batch.completed, where, inside)
        return terms

    def _kept(self, batch: UvBatch) -> Tensor:
        """(B, 1, R, R) 0..1, where the completion's fine structure shall stay: with the term ``kept``, in clothes. A
        mean of colours would blur it there.
        """
        bare = batch.materials[:, [MATERIALS.index(kind) for kind in BARE]].sum(1, keepdim=True)
        return (batch.materials.sum(1, keepdim=True) - bare).clamp(0, 1) * bool(self.options["kept"])

    def _shown(self, texture: Tensor, turn: Turn) -> Tensor:
        """The discriminator's input: only the UV islands, because only the truth has its gutters filled."""
        inside = self.plane.geometry[:, 6:].to(texture)
        return augmented(torch.where(inside > 0, texture, 0.5), self.strength.p, turn.rng)

    @torch.no_grad()
    def pictures(self, batch: UvBatch, networks: Mapping[str, nn.Module]) -> NDArray[np.uint8]:
        """Rows: photo, the texels it shows, their completion without a network, the prediction, the truth."""
        few = UvBatch(**{name: value[:_SHOWN] for name, value in vars(batch).items()})
        texture, *_ = networks["generator"].eval()(
            few.photo, few.pose, few.betas, few.camera, few.partial, completed=few.completed, materials=few.materials
        )
        inside = self.plane.geometry[:, 6:].to(texture)
        shown = few.partial[:, :3] * few.partial[:, 3:]
        return grid([few.photo, shown, *(part.float() * inside for part in (few.completed, texture, few.truth))])

    def export(self, networks: Mapping[str, nn.Module], folder: Path, note: str) -> list[Path]:
        """See `uvatar_training.trainers.texture.export`."""
        return export(networks["generator"], folder, note)


def prepare_uv(person: UvPerson, rng: np.random.Generator, plane: TorchUvPlane) -> UvBatch:
    """One person at the network's resolution, randomly augmented: fewer seen texels, other colours, mirrored."""
    size, which = plane.geometry.shape[-1], rng.integers(len(person.shown))
    matrix = _tint(rng)

    def tinted(picture: NDArray[np.number[Any]]) -> Tensor:
        return torch.from_numpy(np.clip(picture.astype(np.float32) @ (matrix / 255), 0, 1)).permute(2, 0, 1)[None]

    colours, alpha = _reduced(person.completed[which], person.shown[which], size)
    partial = torch.cat([tinted(colours), torch.from_numpy(alpha)[None, None]], 1)
    completed, truth = (
        cv2.resize(part, (size, size), interpolation=cv2.INTER_AREA) for part in (person.completed[which], person.truth)
    )
    kinds = (person.materials[which][..., None] == np.arange(1, 1 + len(MATERIALS))).astype(np.float32)
    materials = torch.from_numpy(cv2.resize(kinds, (size, size), interpolation=cv2.INTER_AREA)).permute(2, 0, 1)[None]
    pose, betas, camera = (torch.from_numpy(part.copy())[None] for part in (person.pose, person.betas, person.camera))
    batch = UvBatch(tinted(person.photo), partial, tinted(completed), materials, tinted(truth), pose, betas, camera)
    return mirror_image(batch, plane) if rng.random() < 0.5 else batch


def mirror_image(batch: UvBatch, plane: TorchUvPlane) -> UvBatch:
    """The same people, mirrored."""
    flip = torch.tensor([-1.0, 1.0, 1.0])
    opaque = torch.ones_like(batch.partial[:, 3:])

    def mirrored(values: Tensor) -> Tensor:
        return plane.mirrored(torch.cat([values, opaque], 1))[:, :3]

    # colours by threes, as the plane mirrors them; no material differs between left and right
    materials = torch.cat([mirrored(three) for three in batch.materials.split(3, 1)], 1)
    return UvBatch(
        batch.photo.flip(3),
        plane.mirrored(batch.partial),
        mirrored(batch.completed),
        materials,
        mirrored(batch.truth),
        flip[:, None] * batch.pose[:, OTHER_SIDE_JOINTS] * flip,
        batch.betas,
        batch.camera * flip[[1, 0, 1]],
    )


def _coarse_distance(texture: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean absolute difference of the patches' mean colours, for regions whose pattern cannot be known."""
    away = F.avg_pool2d((texture - truth) * weight, _COARSE).abs().sum()
    return away / (3 * F.avg_pool2d(weight, _COARSE).sum()).clamp_min(1e-6)


def _reduced(
    colours: NDArray[np.uint8], shown: NDArray[np.bool_], size: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(R, R, 3), (R, R) -> colours (size, size, 3) 0..255 and alpha (size, size) 0..1."""
    alpha = shown[..., None].astype(np.float32)
    weighted = np.concatenate([colours * alpha, alpha], 2)
    small = np.asarray(cv2.resize(weighted, (size, size), interpolation=cv2.INTER_AREA), np.float32)
    return small[..., :3] / np.maximum(small[..., 3:], 1e-4), small[..., 3]


def _tint(rng: np.random.Generator) -> NDArray[np.float32]:
    """A random (3, 3) matrix for rows of RGB: exposure, white balance and saturation, and in half of the cases hue.

    Unnatural skin colours do no harm: the network must continue clothes of any colour, and it learns skin from the
    other half.
    """
    gain = np.exp(rng.normal(0, 0.15) + rng.normal(0, 0.05, 3))
    strength = rng.uniform(0.6, 1.3)
    grey = np.full((3, 3), 1 / 3)
    turn = Rotation.from_rotvec(
        rng.choice([rng.normal(0, 0.1), rng.uniform(-np.pi, np.pi)]) / np.sqrt(3) * np.ones(3)
    ).as_matrix()
    tint: NDArray[np.float32] = ((strength * np.eye(3) + (1 - strength) * grey) @ turn * gain).astype(np.float32)
    return tint
