"""Training of the Mesh Predictor: people's centres, cameras, poses and shapes from whole pictures (ROMP)."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

from uvatar.body import BodyModel, load_open_body
from uvatar.body.torch_body import TorchBody
from uvatar.data.arrays import Floats
from uvatar.data.joints import JOINT_NAMES, PARENTS
from uvatar.fitting.prior import PosePrior
from uvatar.mesh_predictor.maps import INPUT_SIDE, Maps
from uvatar.mesh_predictor.networks.checkpoint import read_state_dict
from uvatar.mesh_predictor.networks.efficientnet_lite import STAGES, LightBackbone
from uvatar.mesh_predictor.networks.network import CENTER_HEAD, MeshPredictor, romp
from uvatar_training.data.mesh_batch import MeshBatch, Shaking
from uvatar_training.data.mosaics import collate_tiles, prepare_tiles
from uvatar_training.losses.features import EfficientNetFeatures
from uvatar_training.losses.mesh import ROMP_WEIGHTS, MeshLoss, MixturePrior, joint_maps_distance
from uvatar_training.networks.decoding import find_centers, sample
from uvatar_training.networks.depthwise import QuickDepthwise
from uvatar_training.networks.initialise import start_heads
from uvatar_training.networks.weak_perspective import project_weakly
from uvatar_training.supervision.mesh import mesh_terms
from uvatar_training.trainers.recipe import RecipeError, TrainingRecipe
from uvatar_training.trainers.run import Player, Turn, optimiser_for

OPTIONS = {
    "network": "light", "imagenet": True, "frozen": 0, "weights": {}, "shaking": True, "close_ups": 0.0, "mosaics": 0,
    "start": "",
    "only_centers": False,
}  # fmt: skip
WEIGHTS_FILE = "mesh_predictor.safetensors"


class MeshTrainer:
    """Trains the Mesh Predictor (task ``mesh``).

    The recipe's options are:

    - ``network``: "light" or "romp" (HRNet-W32).
    - ``imagenet``: start the light network's backbone from ImageNet weights.
    - ``frozen``: how many of the backbone's stages keep these weights.
    - ``weights``: loss weights that differ from ROMP's.
    - ``shaking``: augment the pictures.
    - ``close_ups``: the share of samples shown as close-ups of their people, up to sixteen in one picture.
    - ``mosaics``: how many pictures of a process's batch are composed of four other samples each.
    - ``start``: a .safetensors file to start from.
    - ``only_centers``: train only the head that finds people; this is quick, and the other outputs do not change.
    """

    def __init__(self, recipe: TrainingRecipe, body: BodyModel | None = None) -> None:
        """Raises RecipeError for unknown options, CheckpointError for a start that does not fit."""
        options = {**OPTIONS, **recipe.options}
        if unknown := sorted(set(options) - set(OPTIONS)):
            raise RecipeError(f"The mesh trainer has no options {', '.join(unknown)}; it has {', '.join(OPTIONS)}.")
        torch.manual_seed(recipe.seed)
        self.body = body or load_open_body()
        self.body_on = Copies(self.body)
        network = _network(str(options["network"]), bool(options["imagenet"]))
        if options["start"]:
            network.load_state_dict(read_state_dict(Path(str(options["start"]))))
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.frozen = _first_stages(network, int(options["frozen"]))
        if options["only_centers"]:
            self.frozen = [
                network.backbone,
                *(head for name, head in network.final_layers.items() if name != CENTER_HEAD),
            ]
        for module in self.frozen:
            module.requires_grad_(False)
        self.loss = MeshLoss({**ROMP_WEIGHTS, **options["weights"]})
        flat = AsTensors(network, joint_maps=self.loss.weights["joint_maps"] > 0)
        trained = [parameter for parameter in flat.parameters() if parameter.requires_grad]
        self.players = {"mesh": Player(flat, optimiser_for(trained, recipe))}
        shaking = Shaking() if options["shaking"] else None
        self.prepare = partial(prepare_tiles, body=self.body, shaking=shaking, close_ups=float(options["close_ups"]))
        self.collate = partial(collate_tiles, mosaics=int(options["mosaics"]))
        self.prior = pose_prior()

    def state(self) -> dict[str, float]:
        """Nothing beside network and optimiser."""
        return {}

    def load_state(self, state: Mapping[str, float]) -> None:
        """The inverse of `state`."""

    def step(self, turn: Turn, batch: MeshBatch) -> dict[str, float]:
        """One step on the 3D Mesh Loss."""
        _, terms = self.terms(turn.networks["mesh"], batch)
        total, log = self.loss(terms)
        with QuickDepthwise():
            turn.descend("mesh", total)
        return {"total": float(total.detach()), **log}

    def terms(self, network: nn.Module, batch: MeshBatch) -> tuple[Maps[Tensor], dict[str, Tensor]]:
        """The network's maps of a batch, and the terms of the loss by name."""
        device = batch.images.device
        network.train()
        for module in self.frozen:
            module.eval()
        *tensors, joint_maps = network(batch.pixels())
        maps = maps_of(tensors)
        terms = mesh_terms(maps, batch.labels, self.body_on(device), self.prior_on(device))
        if joint_maps is not None:
            terms["joint_maps"] = joint_maps_distance(
                joint_maps.float(), batch.labels.joint_heatmaps(), batch.labels.labelled
            )
        return maps, terms

    @torch.no_grad()
    def pictures(self, batch: MeshBatch, networks: Mapping[str, nn.Module]) -> NDArray[np.uint8]:
        """Up to 8 pictures with the true skeletons in green and the predicted ones in red; below, the centre maps."""
        network = networks["mesh"].eval()
        images = batch.pixels()[:8]
        *tensors, _ = network(images)
        maps = maps_of(tensors)
        people = sample(maps, found := find_centers(maps.center))
        joints = self.body_on(images.device).joints(people.betas, people.pose)
        drawn = [
            np.ascontiguousarray(image) for image in (images.permute(0, 2, 3, 1).cpu().numpy() * 255).astype(np.uint8)
        ]
        for points, picture, colour in (
            (batch.labels.joints_2d, batch.labels.picture, (60, 220, 60)),
            (project_weakly(joints, people.camera), found.picture, (230, 40, 40)),
        ):
            for skeleton, number in zip(((points + 1) * INPUT_SIDE / 2).cpu().numpy(), picture.tolist(), strict=True):
                if number < len(drawn):
                    draw_skeleton(drawn[number], skeleton, colour)
        heat = (maps.center[:, 0].clamp(0, 1).cpu().numpy() * 255).astype(np.uint8)
        heats = [cv2.applyColorMap(cv2.resize(part, (256, 256)), cv2.COLORMAP_VIRIDIS)[..., ::-1] for part in heat]
        small = [cv2.resize(image, (256, 256), interpolation=cv2.INTER_AREA) for image in drawn]
        sheet: NDArray[np.uint8] = np.concatenate([np.concatenate(small, 1), np.concatenate(heats, 1)]).astype(np.uint8)
        return sheet

    def export(self, networks: Mapping[str, nn.Module], folder: Path, note: str) -> list[Path]:
        """See `export`."""
        return export(networks["mesh"], folder, note)

    def prior_on(self, device: torch.device) -> MixturePrior:
        """The pose prior on a device."""
        return MixturePrior(**{name: value.to(device) for name, value in vars(self.prior).items()})


def export(network: nn.Module, folder: Path, note: str) -> list[Path]:
    """``mesh_predictor.safetensors``, which `uvatar.mesh_predictor.predictor.Predictor` loads."""
    path = folder / WEIGHTS_FILE
    inner = network.network if isinstance(network, AsTensors) else network
    save_file(
        {name: tensor.detach().cpu().contiguous() for name, tensor in inner.state_dict().items()}, path, {"note": note}
    )
    return [path]


class Copies:
    """A body as training poses it, on the devices that it trains on; the loading processes have NumPy's."""

    def __init__(self, body: BodyModel) -> None:
        self._copies = {torch.device("cpu"): TorchBody(body.data)}

    def __call__(self, device: torch.device) -> TorchBody:
        """The body on a device; copied there once."""
        if device not in self._copies:
            self._copies[device] = copy.deepcopy(self._copies[torch.device("cpu")]).to(device)
        return self._copies[device]


class AsTensors(nn.Module):
    """Wraps the network so that it returns plain tensors.

    Lightning Fabric inspects what a network returns, and refuses frozen dataclasses.

    With ``joint_maps`` there is an additional head that predicts heatmaps of joints, which is not exported. A centre
    supervises one cell of a picture, joints supervise hundreds, and the network has to know where limbs are before it
    can predict how they are rotated. The published network was pretrained with such a head, too.
    """

    def __init__(self, network: MeshPredictor, joint_maps: bool = False) -> None:
        super().__init__()
        self.network = network
        channels = int(network.backbone.channels)  # type: ignore[arg-type]
        self.joint_maps = nn.Conv2d(channels, len(JOINT_NAMES), 1, network.head_stride) if joint_maps else None
        if self.joint_maps is not None:  # no joints anywhere, to begin with
            nn.init.zeros_(self.joint_maps.weight)
            nn.init.zeros_(cast(nn.Parameter, self.joint_maps.bias))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """(B, 3, 512, 512) -> centre, camera and SMPL maps, and joints' (B, 24, 64, 64) or None."""
        features = self.network.backbone(image)
        maps = self.network.maps(features)
        return maps.center, maps.camera, maps.smpl, None if self.joint_maps is None else self.joint_maps(features)


def maps_of(tensors: Sequence[Tensor]) -> Maps[Tensor]:
    """Losses and decoding work in single precision whatever the network computed in."""
    return Maps(*(tensor.float() for tensor in tensors))


def draw_skeleton(image: NDArray[np.uint8], points: Floats, colour: tuple[int, int, int]) -> None:
    """Bones of one person (24, 2) pixels into ``image``."""
    places = [tuple(int(c) for c in np.clip(point, -2000, 2000)) for point in np.nan_to_num(points)]
    for joint, parent in enumerate(PARENTS):
        if parent >= 0:
            cv2.line(image, places[joint], places[parent], colour, 2, cv2.LINE_AA)


def pose_prior() -> MixturePrior:
    """The shipped pose prior for the loss's "prior" term."""
    prior = PosePrior.load()
    roots = torch.from_numpy(prior.whiteners).float()
    # Its costs are half the covariance's log determinant less the log weight; the loss computes the former from the
    # roots.
    log_weights = -torch.diagonal(roots, dim1=-2, dim2=-1).abs().log().sum(-1) - torch.from_numpy(prior.costs).float()
    return MixturePrior(log_weights, torch.from_numpy(prior.means).float(), roots)


def _first_stages(network: MeshPredictor, count: int) -> list[nn.Module]:
    """What computes the light trunk's first ``count`` stages. Raises RecipeError for another network."""
    if not count:
        return []
    if not isinstance(network.backbone, LightBackbone):
        raise RecipeError("Only the light network has stages that can be frozen.")
    trunk = network.backbone.trunk
    return [trunk._conv_stem, trunk._bn0, *trunk._blocks[: sum(stage.repeats for stage in STAGES[:count])]]


def _network(kind: str, imagenet: bool) -> MeshPredictor:
    if kind == "romp":
        network = romp()
    elif kind == "light":
        backbone = LightBackbone()
        if imagenet:
            backbone.trunk.load_state_dict(EfficientNetFeatures().trunk.state_dict())
        network = MeshPredictor(backbone)
    else:
        raise RecipeError(f"There is no network {kind!r}: choose 'light' or 'romp'.")
    start_heads(network)
    return network
