"""The Texture Predictor as a stage of the pipeline: a person's texture as it is completed without learning in, a better
one out.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from uvatar.body import BodyModel
from uvatar.data.labels import Label
from uvatar.data.texture import Texture
from uvatar.data.view import View
from uvatar.texture_predictor.checkpoint import load_checkpoint
from uvatar.texture_predictor.encoders import Structure
from uvatar.texture_predictor.inputs import Crop, UvPlane, plane_of, pose_of
from uvatar.texture_predictor.network import TextureNetwork
from uvatar.texturing.atlas import Atlas
from uvatar.texturing.membrane import without_seams

FILE = "texture_predictor.safetensors"
LICENCE = "Apache-2.0"


def changes(texture: torch.Tensor, structure: Structure, trust: float) -> torch.Tensor:
    """Of the network's textures (B, 3, R, R), what is laid on the completed ones; without these, the textures
    themselves.
    """
    return texture if structure.completed is None else trust * (texture - structure.completed)


class PredictionError(ValueError):
    """No texture can be predicted for this person; the message says why."""


class TexturePredictor:
    """A network with its weights, ready for people."""

    def __init__(self, network: TextureNetwork, body: BodyModel, licence: str = LICENCE) -> None:
        """Prepare a network for one body.

        Args:
            network: with trained weights, in evaluation mode.
            body: whose UV layout the textures have.
            licence: of the weights.

        Raises TexturingError if the body has no UV layout.
        """
        # convolutions on CPUs are fastest with the channels side by side in memory
        self.network = network.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.body, self.licence = body, licence
        self.atlas = Atlas.of(body, network.config.resolution)
        self.plane: UvPlane = plane_of(body, self.atlas)

    @classmethod
    def find(cls, weights: Path, models: Path, body: BodyModel) -> TexturePredictor | None:
        """With the user's own checkpoint in the folder ``models``, else the one in ``weights``.

        None if there is neither.

        Raises CheckpointError if the file cannot be used.
        """
        for folder in (models, weights):
            if (folder / FILE).is_file():
                return cls(
                    load_checkpoint(folder / FILE), body, LICENCE if folder == weights else "that of your own weights"
                )
        return None

    @property
    def resolution(self) -> int:
        """Texels on a side of the network's textures."""
        resolution: int = self.network.config.resolution
        return resolution

    def predict(
        self, view: View, completed: Texture, seed: int | None = None, truncation: float = 1.0
    ) -> NDArray[np.uint8]:
        """The full texture of a person.

        Args:
            view: the photo that the style is taken from.
            completed: (N, N) texture; what is labelled SEEN is the photo's.
            seed: another number, another texture in the same style; None: the most likely one.
            truncation: 1 takes the style as it is, 0 the average of training; between: tamer textures.

        Returns:
            (N, N, 3) uint8 sRGB, gutters dilated. What the network changes is enlarged or reduced from its resolution;
            a network without spatial conditioning makes all of it anew.

        Raises:
            PredictionError: the photo shows nothing of the person's surface, the fit is not finite, or the network's
                answer is not.
        """
        structure, photo = self._inputs(view, completed)
        rng = None if seed is None else torch.Generator().manual_seed(seed)
        with torch.inference_mode():
            made = self.network(photo.contiguous(memory_format=torch.channels_last), structure, rng, truncation).texture
            texture = changes(made, structure, self.network.config.trust)[0]
        if not torch.isfinite(texture).all():
            raise PredictionError(
                "The Texture Predictor's output is not finite: its weights are damaged or do not suit this body."
            )
        texels = texture.permute(1, 2, 0).reshape(-1, 3).numpy()[self.atlas.table.pixel]
        # the network sees the two sides of a UV seam as places far apart
        picture = _resized(self.atlas.table.picture(without_seams(texels, self.atlas)), len(completed.image))
        if structure.completed is not None:
            picture = picture + completed.image * np.float32(1 / 255)
        return np.asarray((255 * picture.clip(0, 1)).round(), np.uint8)

    def _inputs(self, view: View, completed: Texture) -> tuple[Structure, torch.Tensor]:
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
        photo = crop.person(view.photo.pixels, mask, self.network.config.photo_side)
        betas = torch.from_numpy(np.asarray(fit.betas, np.float32))[None]
        camera = crop.camera(joints[0], view.camera)
        if not self.network.config.spatial:
            return Structure(pose_of(fit), betas, camera), photo
        shown = torch.from_numpy(_averaged(completed.image, seen, self.resolution)).permute(2, 0, 1)[None]
        whole = torch.from_numpy(_resized(completed.image * np.float32(1 / 255), self.resolution)).permute(2, 0, 1)[
            None
        ]
        return self.plane.structure(pose_of(fit), betas, camera, shown, whole), photo


def _averaged(image: NDArray[np.uint8], seen: NDArray[np.bool_], size: int) -> NDArray[np.float32]:
    """(N, N, 3) sRGB and (N, N) -> (size, size, 4): the mean colour, 0..1, of the seen texels, and their share."""
    weighted = np.dstack([image * (seen[..., None] / np.float32(255)), seen]).astype(np.float32)
    how = cv2.INTER_AREA if size < len(image) else cv2.INTER_LINEAR
    small = cv2.resize(weighted, (size, size), interpolation=how)
    return np.dstack([small[..., :3] / np.maximum(small[..., 3:], 1e-4), small[..., 3:]]).astype(np.float32)


def _resized(picture: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    how = cv2.INTER_AREA if size < len(picture) else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, (size, size), interpolation=how), np.float32)
