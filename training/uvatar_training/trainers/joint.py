"""Joint training of both predictors: the predicted textures are rendered on the predicted bodies, end to end."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from uvatar.body import BodyModel, load_open_body
from uvatar.body.torch_body import TorchBody
from uvatar.data.camera import Camera
from uvatar.mesh_predictor.maps import INPUT_SIDE, PredictedBodies
from uvatar.mesh_predictor.weak_perspective import PaddedSquare
from uvatar.texture_predictor.inputs import Crop
from uvatar.texture_predictor.networks.encoders import Style
from uvatar_training.data.joint_batch import JointBatch, collate_joint, prepare_joint
from uvatar_training.losses.features import EfficientNetFeatures, FeatureDistance
from uvatar_training.losses.mesh import ROMP_WEIGHTS, MeshLoss
from uvatar_training.losses.targets import match
from uvatar_training.losses.texture import TextureLoss
from uvatar_training.losses.total import TotalLoss
from uvatar_training.losses.uv import UnseenError, hide_half
from uvatar_training.metrics.pictures import grid
from uvatar_training.networks.decoding import sample
from uvatar_training.networks.depthwise import QuickDepthwise
from uvatar_training.networks.weak_perspective import translation
from uvatar_training.rendering import Cameras, RenderError, UvMesh, see
from uvatar_training.rendering.unprojection import Texels, unproject
from uvatar_training.supervision.texture import PhotoEvidence, Surroundings, placed_vertices, texture_terms
from uvatar_training.trainers import mesh, texture
from uvatar_training.trainers.gan import texture_network
from uvatar_training.trainers.mesh import MeshTrainer
from uvatar_training.trainers.recipe import RecipeError, TrainingRecipe
from uvatar_training.trainers.run import Player, Turn, optimiser_for
from uvatar_training.trainers.texture import on_device, texture_weights

OPTIONS: dict[str, Any] = {
    "network": "light", "imagenet": False, "mesh": "", "mesh_weights": {}, "config": "default", "texture": "",
    "weights": {}, "side": 256,
    "texture_share": 50.0,
}  # fmt: skip


class JointTrainer:
    """Trains the Mesh Predictor and the Texture Predictor together (task ``joint``).

    The recipe's options are ``network``, ``imagenet`` and ``mesh_weights``, as `MeshTrainer`'s network, imagenet and
    weights; ``config``, ``weights`` and ``side``, as `TextureTrainer`'s; ``mesh`` and ``texture``, checkpoints to start
    from; and ``texture_share`` (see `TotalLoss`).
    """

    def __init__(self, recipe: TrainingRecipe, body: BodyModel | None = None) -> None:
        """Raises RecipeError for unknown options."""
        options = {**OPTIONS, **recipe.options}
        if unknown := sorted(set(options) - set(OPTIONS)):
            raise RecipeError(f"The joint trainer has no options {', '.join(unknown)}; it has {', '.join(OPTIONS)}.")
        self.body = body or load_open_body().in_network_layout()
        own = {
            "network": options["network"],
            "imagenet": options["imagenet"],
            "start": options["mesh"],
            "weights": options["mesh_weights"],
        }
        self.mesh = MeshTrainer(recipe.with_(options=own), self.body)
        generator = texture_network({"config": options["config"], "start": options["texture"]}, self.body)
        self.config, self.side = generator.network.config, int(options["side"])
        self.prepare = partial(prepare_joint, body=self.body, photo_side=self.config.photo_side, side=self.side)
        self.collate = collate_joint
        self.players = {
            **self.mesh.players,
            "generator": Player(generator, optimiser_for(generator.parameters(), recipe)),
        }
        weights = {**ROMP_WEIGHTS, **options["mesh_weights"]}
        picture = texture_weights({"adversarial": 0.0, **options["weights"]})
        self.loss = TotalLoss(MeshLoss(weights), TextureLoss(picture), float(options["texture_share"]))
        self.surface, self.texels = UvMesh.of(self.body.data), Texels.of(self.body, self.config.resolution)
        self.surroundings = Surroundings.of(self.body, self.config.resolution, FeatureDistance(EfficientNetFeatures()))

    def state(self) -> dict[str, float]:
        """Empty: there is no state in addition to networks and optimisers."""
        return {}

    def load_state(self, state: Mapping[str, float]) -> None:
        """The inverse of `state`."""

    def step(self, turn: Turn, batch: JointBatch) -> dict[str, float]:
        """One step of both networks on the total loss; people whose body misses their crop train only the mesh."""
        device = batch.picture.device
        body = self.mesh.body_on(device)
        maps, terms = self.mesh.terms(turn.networks["mesh"], batch.mesh)
        bodies = sample(
            maps, match(maps.center.detach(), batch.mesh.labels.centers()[0], batch.mesh.labels.picture).centers
        )
        chosen = PredictedBodies(*(getattr(bodies, name)[batch.person] for name in ("camera", "pose", "betas")))
        try:
            painted, log = self._painted(turn, batch, chosen, body)
            total, more = self.loss(terms, painted)
            log |= more
        except (RenderError, UnseenError):
            # Early in training, bodies are beside their people, or behind the camera.
            total, log = self.loss.mesh(terms)
            log = {f"mesh/{name}": value for name, value in log.items()} | {"missed": 1.0}
            # All processes of a run must call the same networks in every step.
            total = total + 0 * self._idle(turn, batch, chosen)
        with QuickDepthwise():
            turn.descend_together(("mesh", "generator"), total)
        return {"total": float(total.detach()), **log}

    def _idle(self, turn: Turn, batch: JointBatch, bodies: PredictedBodies[Tensor]) -> Tensor:
        """What the generator makes of nothing, as one number."""
        pose, betas, camera = bodies.pose.detach(), bodies.betas.detach(), torch.zeros_like(bodies.betas[:, :3])
        painted, mean, log_variance = turn.networks["generator"].train()(batch.photo, pose, betas, camera, None)
        zero_gradient: Tensor = painted.float().mean() + mean.float().mean() + log_variance.float().mean()
        return zero_gradient

    def _painted(
        self, turn: Turn, batch: JointBatch, bodies: PredictedBodies[Tensor], body: TorchBody
    ) -> tuple[dict[str, Tensor], dict[str, float]]:
        """The texture's terms. Raises RenderError and UnseenError if a body shares nothing with its crop."""
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
            numbers.append(torch.from_numpy(Crop(left, top, side).camera(pelvis, camera)))
        scale = self.side / batch.crop[:, 2]
        center = (batch.camera[:, 1:] - batch.crop[:, :2]) * scale[:, None]
        cameras = Cameras(batch.camera[:, 0] * scale, center, self.side, self.side)
        vertices = torch.cat(placed)
        own = self.texels
        surface, texels = (
            self.surface.to(device),
            Texels(own.size, own.place.to(device), own.face.to(device), own.barycentric.to(device)),
        )
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
