"""The Texture Predictor as a stage of the pipeline: a person's texture as it is completed without learning in, a better
one out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.body import BodyModel
from uvatar.data.labels import Label
from uvatar.data.texture import Texture
from uvatar.data.view import View
from uvatar.runtime.devices import ANYWHERE, Placement
from uvatar.runtime.networks import CheckpointError, Network, open_placed, wants_torch
from uvatar.runtime.torch_networks import require_torch
from uvatar.runtime.weights import check_belonging
from uvatar.texture_predictor.config import Config, ConfigError
from uvatar.texture_predictor.inputs import Crop, UvPlane, plane_of, pose_of
from uvatar.texture_predictor.noise import random_inputs
from uvatar.texture_predictor.structure import BARE, MATERIALS, Structure
from uvatar.texturing.completion.membrane import SeamSystem, without_seams
from uvatar.texturing.layout.atlas import Atlas
from uvatar.texturing.layout.layouts import LayoutChange

FILE, ONNX_FILE = "texture_predictor.safetensors", "texture_predictor.onnx"
_FINER = 4  # times the network's resolution, at which textures change their layout, at most
LICENCE, OWN_LICENCE = "Apache-2.0", "that of your own weights"


def changes(texture: Any, structure: Structure[Any], trust: float) -> Any:
    """Of the network's textures (B, 3, R, R), what is laid on the completed ones; without these, the textures
    themselves.
    """
    return texture if structure.completed is None else trust * (texture - structure.completed)


@dataclass(frozen=True)
class PlacementSettings:
    """Tuned numbers of laying what a network changes on a completed texture.

    Attributes:
        garment_blur: standard deviation, in sides of the texture, of the Gaussian that clears the change in clothes of
            what is fine: there completion has the structure of what the photo shows. Of 0, 1.5 and 3 texels of 256,
            the widest keeps the statistics of patches best, with perceptual distances .02 apart (12 rendered people).
    """

    garment_blur: float = 3 / 256


DEFAULT_SETTINGS = PlacementSettings()


class PredictionError(ValueError):
    """No texture can be predicted for this person; the message says why."""


class TexturePredictor:
    """A network with its weights, ready for people."""

    def __init__(
        self,
        network: Network,
        config: Config,
        body: BodyModel,
        licence: str = LICENCE,
        settings: PlacementSettings = DEFAULT_SETTINGS,
    ) -> None:
        """Prepare a network for one body.

        Args:
            network: inputs by the names of `Structure`'s fields, of `random_inputs`, "photo" and "truncation" to
                "texture".
            config: of the network.
            body: whose textures are made; the network itself sees them in the networks' layout.
            licence: of the weights.
            settings: tuned numbers.

        Raises TexturingError if the body has no UV layout.
        """
        self.network, self.config, self.body, self.licence, self.settings = network, config, body, licence, settings
        self.atlas = Atlas.of(body.in_network_layout(), config.resolution)
        self.plane: UvPlane = plane_of(body, self.atlas)
        self._changes: dict[int, tuple[LayoutChange, LayoutChange]] = {}

    @classmethod
    def find(
        cls, weights: Path, models: Path, body: BodyModel, placement: Placement = ANYWHERE
    ) -> TexturePredictor | None:
        """With the user's own network in the folder ``models``, else the one in ``weights``.

        None if there is neither.

        Raises:
            CheckpointError: the file cannot be used, or takes PyTorch, which is not installed.
            DeviceError: the device that was asked for by name cannot be used.
        """
        by_torch = wants_torch(placement)
        for folder in (models, weights):
            licence = LICENCE if folder == weights else OWN_LICENCE
            exported, trained = folder / ONNX_FILE, folder / FILE
            if exported.is_file() and not (by_torch and trained.is_file()):
                if folder != weights:
                    check_belonging(exported)
                return cls.load(exported, body, placement, licence)
            if trained.is_file():
                return cls.load(trained, body, placement, licence)
        return None

    @classmethod
    def load(
        cls, path: Path, body: BodyModel, placement: Placement = ANYWHERE, licence: str = LICENCE
    ) -> TexturePredictor:
        """From a file: .onnx, or .safetensors, which PyTorch runs. Raises as `find` does."""
        network: Network
        if path.suffix == ".onnx":
            network = open_placed(path, placement)
        else:
            require_torch(path.name)
            from uvatar.texture_predictor.networks.checkpoint import load_checkpoint
            from uvatar.texture_predictor.networks.deployed import on_torch

            network = on_torch(load_checkpoint(path), placement)
        try:
            config = Config.from_dict(json.loads(network.metadata.get("config", "")))
        except (ConfigError, json.JSONDecodeError) as error:
            raise CheckpointError(f"{path.name} has no usable configuration: {error}") from None
        return cls(network, config, body, licence)

    @cached_property
    def seams(self) -> SeamSystem:
        """Of the body at the network's resolution."""
        return SeamSystem.of(self.atlas)

    @property
    def resolution(self) -> int:
        """Texels on a side of the network's textures."""
        return self.config.resolution

    def predict(
        self, view: View, completed: Texture, seed: int | None = None, truncation: float = 1.0
    ) -> NDArray[np.uint8]:
        """The full texture of a person.

        Args:
            view: the photo that the style is taken from.
            completed: (N, N) texture; what is labelled SEEN is the photo's. Its materials are for networks that are
                given them.
            seed: another number, another texture in the same style; None: the most likely one.
            truncation: 1 takes the style as it is, 0 the average of training; between: tamer textures.

        Returns:
            (N, N, 3) uint8 sRGB, gutters dilated. What the network changes is enlarged or reduced from its resolution;
            a network without spatial conditioning makes all of it anew.

        Raises:
            PredictionError: the photo shows nothing of the person's surface, the fit is not finite, or the network's
                answer is not.
        """
        materials = self._to_network(material_maps(completed, _FINER * self.resolution), gutters=False)
        structure, photo = self._inputs(view, completed, materials)
        known = {name: values for name, values in vars(structure).items() if values is not None}
        random = random_inputs(self.config, seed)
        tamed = np.array([truncation], np.float32)
        made = self.network({"photo": photo, "truncation": tamed, **known, **random})["texture"]
        texture = changes(made, structure, self.config.trust)[0]
        if not np.isfinite(texture).all():
            raise PredictionError(
                "The Texture Predictor's output is not finite: its weights are damaged or do not suit this body."
            )
        texture = texture.transpose(1, 2, 0)
        if structure.completed is not None:
            texture = without_fine_change(texture, materials, self.settings)
        texels = np.take(texture.reshape(-1, 3), self.atlas.table.pixel, axis=0)
        # the network sees the two sides of a UV seam as places far apart
        whole = self._from_network(self.atlas.table.picture(without_seams(texels, self.seams)), len(completed.image))
        if structure.completed is not None:
            whole += completed.image * np.float32(1 / 255)
        np.clip(whole, 0, 1, out=whole)
        whole *= 255
        return np.asarray(np.rint(whole, out=whole), np.uint8)

    def _inputs(
        self, view: View, completed: Texture, materials: NDArray[np.float32]
    ) -> tuple[Structure[NDArray[np.float32]], NDArray[np.float32]]:
        """Structure and photo for the network; ``materials`` (R, R, 9) as `material_maps`, in the network's layout."""
        seen = completed.source == Label.SEEN
        if not seen.any():
            raise PredictionError(
                "The photo shows nothing of this person's surface, so its texture cannot be predicted."
            )
        fit = view.fit.body
        if not all(np.isfinite(numbers).all() for numbers in (fit.betas, fit.global_orient, fit.body_pose, fit.transl)):
            raise PredictionError("The fitted body is not finite, so no texture can be predicted for it.")
        _, joints = self.body.posed(fit)
        if joints[0, 2] <= 0:
            raise PredictionError("The fitted body is behind the camera, so no texture can be predicted for it.")
        crop = Crop.around(view.person.box)
        mask = np.zeros(view.photo.pixels.shape[:2], np.uint8)
        x0, y0, x1, y1 = view.person.window
        mask[y0:y1, x0:x1] = view.person.mask
        photo = crop.person(view.photo.pixels, mask, self.config.photo_side)
        betas = np.asarray(fit.betas, np.float32)[None]
        camera = crop.camera(joints[0], view.camera)
        if not self.config.spatial:
            return Structure(pose_of(fit), betas, camera), photo
        shown = _unweighted(self._to_network(_weighted(completed.image, seen), gutters=False))
        whole = self._to_network(completed.image * np.float32(1 / 255), gutters=True)
        told = _planes(materials) if self.config.materials else None
        return self.plane.structure(pose_of(fit), betas, camera, _planes(shown), _planes(whole), told), photo

    def _to_network(self, picture: NDArray[np.float32], gutters: bool) -> NDArray[np.float32]:
        """(N, N, C) in the body's layout -> (R, R, C) in the network's; ``gutters``: whether these are filled there."""
        if self.atlas.body is not self.body:
            size = min(len(picture), _FINER * self.resolution)
            change = self._changes_at(size)[0]
            picture = change.picture(_resized(picture, size))
            if not gutters:
                picture[~change.inside] = 0
        return _resized(picture, self.resolution, cv2.INTER_CUBIC if gutters else cv2.INTER_LINEAR)

    def _from_network(self, picture: NDArray[np.float32], size: int) -> NDArray[np.float32]:
        """(R, R, C) in the network's layout, gutters filled -> (size, size, C) in the body's."""
        if self.atlas.body is not self.body:
            between = min(size, _FINER * self.resolution)
            picture = self._changes_at(between)[1].picture(_resized(picture, between))
        return _resized(picture, size)

    def _changes_at(self, size: int) -> tuple[LayoutChange, LayoutChange]:
        """From the body's layout to the network's and back, at ``size`` texels; made when it is first asked for."""
        if size not in self._changes:
            ends = self.body, self.atlas.body
            self._changes[size] = LayoutChange.between(*ends, size), LayoutChange.between(*ends[::-1], size)
        return self._changes[size]


def material_maps(texture: Texture, largest: int) -> NDArray[np.float32]:
    """(M, M, 9) one for each of `MATERIALS`: 1 where the texture is of it; 0 everywhere if it has no materials.

    M is the texture's side, or ``largest`` if that is smaller.
    """
    size = min(len(texture.source), largest)
    maps = np.zeros((size, size, len(MATERIALS)), np.float32)
    if texture.materials is not None:
        codes = cv2.resize(texture.materials, (size, size), interpolation=cv2.INTER_NEAREST)
        for code, name in enumerate(texture.material_names, start=1):
            kind = name.split()[0]  # without the number of a second one
            if kind in MATERIALS:
                maps[..., MATERIALS.index(kind)][codes == code] = 1
    return maps


def without_fine_change(
    change: NDArray[np.float32], materials: NDArray[np.float32], settings: PlacementSettings
) -> NDArray[np.float32]:
    """What a network changes (R, R, 3), without what is fine in clothes; ``materials`` (R, R, 9) as `material_maps`."""
    share = materials[..., [kind not in BARE for kind in MATERIALS]].sum(-1)
    deviation = settings.garment_blur * len(change)
    weight = cv2.GaussianBlur(share, (0, 0), deviation)[..., None]
    coarse = cv2.GaussianBlur(change * share[..., None], (0, 0), deviation) / np.maximum(weight, 1e-4)
    return np.asarray(change + (coarse - change) * share[..., None], np.float32)


def _planes(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, N, C) -> (1, C, N, N)."""
    return np.ascontiguousarray(picture.transpose(2, 0, 1))[None]


def _weighted(image: NDArray[np.uint8], seen: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(N, N, 3) sRGB and (N, N) -> (N, N, 4): the colours of the seen texels, 0..1, and 1 there."""
    weighted = np.empty((*seen.shape, 4), np.float32)
    weighted[..., 3] = seen
    for channel in range(3):
        np.multiply(image[..., channel], weighted[..., 3] / np.float32(255), out=weighted[..., channel])
    return weighted


def _unweighted(means: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means (R, R, 4) of what `_weighted` makes -> the mean colour of the seen texels, and their share."""
    return np.dstack([means[..., :3] / np.maximum(means[..., 3:], 1e-4), means[..., 3:]]).astype(np.float32)


def _resized(picture: NDArray[np.float32], size: int, enlarged: int = cv2.INTER_CUBIC) -> NDArray[np.float32]:
    how = cv2.INTER_AREA if size < len(picture) else enlarged
    return np.asarray(cv2.resize(picture, (size, size), interpolation=how), np.float32)
