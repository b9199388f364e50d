"""Both predictors end to end: the Mesh Predictor's bodies carry the Texture Predictor's textures, and the picture corrects both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from backend.body import BodyModel, load_open_body
from backend.camera import Camera
from backend.mesh_predictor.decoding import PredictedBodies, sample
from backend.mesh_predictor.network import INPUT_SIDE
from backend.mesh_predictor.weak_perspective import PaddedSquare, translation
from backend.texture_predictor.encoders import Style
from backend.texture_predictor.inputs import Crop
from training.data.mesh_batch import MeshBatch, collate_mesh, prepare_mesh
from training.data.problems import DataError
from training.data.sample import Sample
from training.losses.features import EfficientNetFeatures, FeatureDistance
from training.losses.mesh import ROMP_WEIGHTS, MeshLoss
from training.losses.texture import TextureLoss
from training.losses.total import TotalLoss
from training.losses.uv import UnseenError, hide_half
from training.mesh_supervision import mesh_terms
from training.rendering import Cameras, RenderError, UvMesh, see
from training.rendering.unprojection import Texels, unproject
from training.targets import match
from training.texture_supervision import PhotoEvidence, Surroundings, placed_vertices, texture_terms
from training.trainers import mesh, texture
from training.trainers.gan import grid, texture_network
from training.trainers.mesh import MeshTrainer, maps_of
from training.trainers.recipe import Recipe, RecipeError
from training.trainers.run import Player, Turn, optimiser_for
from training.trainers.texture import on_device, texture_weights

OPTIONS: dict[str, Any] = {
    "network": "light", "imagenet": False, "mesh": "", "mesh_weights": {}, "config": "default", "texture": "", "weights": {}, "side": 256,
    "texture_share": 50.0,
}  # fmt: skip


@dataclass(frozen=True)
class JointBatch:
    """B whole pictures with their people, and of each picture the crop of one of them.

    Attributes:
        mesh: the pictures and labels. person: (B,) which row of the labels each crop shows.
        photo: (B, 3, S, S) the crop before mid-grey, for the style encoder.
        picture: (B, 3, P, P) the crop; mask: (B, 1, P, P) bool.
        crop: (B, 3) left, top and side of the crops in the square of 512; camera: (B, 3) focal length and principal point there, pixels.
    """

    mesh: MeshBatch
    person: Tensor
    photo: Tensor
    picture: Tensor
    mask: Tensor
    crop: Tensor
    camera: Tensor

    def to(self, device: torch.device | str) -> JointBatch:
        """The same on another device."""
        return JointBatch(**{item.name: getattr(self, item.name).to(device) for item in fields(self)})

    def pin_memory(self) -> JointBatch:
        """Page-locked, for `torch.utils.data.DataLoader`."""
        return JointBatch(**{item.name: getattr(self, item.name).pin_memory() for item in fields(self)})


class JointTrainer:
    """The recipe's options: ``network``, ``imagenet`` and ``mesh_weights`` as `MeshTrainer`'s network, imagenet and weights; ``config``,
    ``weights`` and ``side`` as `TextureTrainer`'s; ``mesh`` and ``texture``: checkpoints to start from; ``texture_share``: see
    `TotalLoss`."""

    def __init__(self, recipe: Recipe, body: BodyModel | None = None) -> None:
        """Raises RecipeError for unknown options."""
        options = {**OPTIONS, **recipe.options}
        if unknown := sorted(set(options) - set(OPTIONS)):
            raise RecipeError(f"The joint trainer has no options {', '.join(unknown)}; it has {', '.join(OPTIONS)}.")
        self.body = body or load_open_body()
        own = {"network": options["network"], "imagenet": options["imagenet"], "start": options["mesh"], "weights": options["mesh_weights"]}
        self.mesh = MeshTrainer(recipe.with_(options=own), self.body)
        generator = texture_network({"config": options["config"], "start": options["texture"]}, self.body)
        self.config, self.side = generator.network.config, int(options["side"])
        self.players = {**self.mesh.players, "generator": Player(generator, optimiser_for(generator.parameters(), recipe))}
        weights = {**ROMP_WEIGHTS, **options["mesh_weights"]}
        picture = texture_weights({"adversarial": 0.0, **options["weights"]})
        self.loss = TotalLoss(MeshLoss(weights), TextureLoss(picture), float(options["texture_share"]))
        self.surface, self.texels = UvMesh.of(self.body.data), Texels.of(self.body, self.config.resolution)
        self.surroundings = Surroundings.of(self.body, self.config.resolution, FeatureDistance(EfficientNetFeatures()))

    def state(self) -> dict[str, float]:
        """Nothing beside networks and optimisers."""
        return {}

    def load_state(self, state: Mapping[str, float]) -> None:
        """The inverse of `state`."""

    def prepare(self, sample: Sample, rng: np.random.Generator) -> tuple[Any, ...]:
        """The whole picture, and the crop of its largest person. Raises DataError where nobody is large enough."""
        item = prepare_mesh(sample, rng, self.body)
        if sample.mask is None:
            raise DataError(sample.name, "has no mask")
        seen = [number for number, person in enumerate(sample.people) if person.visible.any()]
        pixels = [int((sample.mask == number + 1).sum()) for number in seen]
        largest = int(np.argmax(pixels))
        if pixels[largest] < 600:
            raise DataError(sample.name, "shows nobody who is large enough for a texture")
        mask = (sample.mask == seen[largest] + 1).astype(np.uint8) * np.uint8(255)
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        crop = Crop.around(np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]))
        height, width = sample.image.shape[:2]
        scale = INPUT_SIDE / max(height, width)
        left, top = (INPUT_SIDE - width * scale) / 2, (INPUT_SIDE - height * scale) / 2
        camera, place = sample.camera, (crop.left * scale + left, crop.top * scale + top, crop.side * scale)
        own = (camera.focal * scale, camera.center[0] * scale + left, camera.center[1] * scale + top)
        photo = crop.person(sample.image, mask, self.config.photo_side)[0]
        picture = torch.from_numpy(crop.cut(sample.image, self.side)).permute(2, 0, 1).float() / 255
        return (
            item,
            largest,
            photo,
            picture,
            torch.from_numpy(crop.cut(mask, self.side) > 127)[None],
            torch.tensor(place),
            torch.tensor(own),
        )

    def collate(self, items: Sequence[tuple[Any, ...]]) -> JointBatch:
        """Prepared pictures -> batch."""
        pictures, largest, *tensors = zip(*items, strict=True)
        batch = collate_mesh(pictures)
        first = torch.searchsorted(batch.labels.picture, torch.arange(len(items)))
        photo, picture, mask, crop, camera = (torch.stack(part) for part in tensors)
        return JointBatch(batch, first + torch.tensor(largest), photo, picture, mask, crop.float(), camera.float())

    def step(self, turn: Turn, batch: JointBatch) -> dict[str, float]:
        """One step of both networks on the total loss; people whose predicted body misses their crop only teach the mesh."""
        device = batch.picture.device
        body = self.mesh.body_on(device)
        maps = maps_of(turn.networks["mesh"].train()(batch.mesh.pixels()))
        terms = mesh_terms(maps, batch.mesh.labels, body, self.mesh.prior_on(device))
        bodies = sample(maps, match(maps.center.detach(), batch.mesh.labels.centers()[0], batch.mesh.labels.picture).centers)
        chosen = PredictedBodies(*(getattr(bodies, name)[batch.person] for name in ("camera", "pose", "betas")))
        try:
            painted, log = self._painted(turn, batch, chosen, body)
            total, more = self.loss(terms, painted)
            log |= more
        except (RenderError, UnseenError):
            # Early bodies stand beside their people, or behind the camera.
            total, log = self.loss.mesh(terms)
            log = {f"mesh/{name}": value for name, value in log.items()} | {"missed": 1.0}
            # All processes of a run must call the same networks in every step.
            total = total + 0 * self._idle(turn, batch, chosen)
        turn.descend_together(("mesh", "generator"), total)
        return {"total": float(total.detach()), **log}

    def _idle(self, turn: Turn, batch: JointBatch, bodies: PredictedBodies) -> Tensor:
        """What the generator makes of nothing, as one number."""
        pose, betas, camera = bodies.pose.detach(), bodies.betas.detach(), torch.zeros_like(bodies.betas[:, :3])
        painted, mean, log_variance = turn.networks["generator"].train()(batch.photo, pose, betas, camera, None)
        return painted.float().mean() + mean.float().mean() + log_variance.float().mean()

    def _painted(
        self, turn: Turn, batch: JointBatch, bodies: PredictedBodies, body: BodyModel
    ) -> tuple[dict[str, Tensor], dict[str, float]]:
        """The texture's terms. Raises RenderError and UnseenError where a body shares nothing with its crop."""
        device = batch.picture.device
        square = PaddedSquare.around(INPUT_SIDE, INPUT_SIDE)
        placed, numbers = [], []
        for index, (focal, x, y) in enumerate(batch.camera.tolist()):
            one = PredictedBodies(bodies.camera[index, None], bodies.pose[index, None], bodies.betas[index, None])
            camera = Camera(focal, (x, y), INPUT_SIDE, INPUT_SIDE)
            placed.append(placed_vertices(one, body, square, camera))
            with torch.no_grad():
                joints = body.joints(one.betas, one.pose)
                pelvis = (joints + translation(joints, one.camera, square, camera)[:, None])[0, 0].cpu().numpy()
            if pelvis[2] <= 0.1:
                raise RenderError("A predicted body is behind the camera.", (index,))
            left, top, side = batch.crop[index].tolist()
            numbers.append(Crop(left, top, side).camera(pelvis, camera))
        scale = self.side / batch.crop[:, 2]
        center = (batch.camera[:, 1:] - batch.crop[:, :2]) * scale[:, None]
        cameras = Cameras(batch.camera[:, 0] * scale, center, self.side, self.side)
        vertices = torch.cat(placed)
        own = self.texels
        surface, texels = self.surface.to(device), Texels(own.size, own.place.to(device), own.face.to(device), own.barycentric.to(device))
        view = see(vertices, surface, cameras)
        partial = unproject(batch.picture, vertices.detach(), surface, texels, cameras, view.detach())
        shown, hidden = hide_half(partial, turn.rng)
        arguments = (batch.photo, bodies.pose.detach(), bodies.betas.detach(), torch.cat(numbers).to(device), shown)
        painted, mean, log_variance = turn.networks["generator"].train()(*arguments, None, turn.rng)
        evidence = PhotoEvidence(batch.picture, batch.mask, partial, hidden)
        surroundings = on_device(self.surroundings, device)
        return texture_terms(painted.float(), view, evidence, surroundings, Style(mean, log_variance)), {}

    @torch.no_grad()
    def pictures(self, batch: JointBatch, networks: Mapping[str, nn.Module]) -> NDArray[np.uint8]:
        """The Mesh Predictor's pictures above, crops below."""
        above = self.mesh.pictures(batch.mesh, networks)
        below = grid([batch.picture[:8]], above.shape[1] // min(8, len(batch.picture)))
        return np.concatenate([above, below[:, : above.shape[1]]])

    def export(self, networks: Mapping[str, nn.Module], folder: Path, note: str) -> list[Path]:
        """Both networks' files."""
        return mesh.export(networks["mesh"], folder, note) + texture.export(networks["generator"], folder, note)
