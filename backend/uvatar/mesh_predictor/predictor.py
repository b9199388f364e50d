"""The Mesh Predictor as a stage of the pipeline: a photo in, predicted people out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from uvatar.data.arrays import Floats
from uvatar.data.person import Person
from uvatar.mesh_predictor.checkpoint import load_checkpoint
from uvatar.mesh_predictor.decoding import CENTER_THRESHOLD, Centers, centers_at, find_centers, sample
from uvatar.mesh_predictor.efficientnet_lite import LightBackbone
from uvatar.mesh_predictor.inference import for_inference
from uvatar.mesh_predictor.network import MAP_SIDE, Maps, MeshPredictor, romp
from uvatar.mesh_predictor.prediction import OPEN_BODY, SMPL, Prediction, match_people, torso_centers
from uvatar.mesh_predictor.sizes import InSizes
from uvatar.mesh_predictor.weak_perspective import PaddedSquare, network_input

LIGHT_FILE, ROMP_FILE = "mesh_predictor.safetensors", "ROMP.pkl"
LIGHT_LICENCE = "Apache-2.0"
LIGHT_THRESHOLD = 0.3  # on pictures it was trained on about as many are missed as are found where nobody is
ROMP_LICENCE = "ROMP's weights: for non-commercial scientific research, as are the data they were trained on."


@dataclass(frozen=True)
class Look:
    """One photo after the network: the people it found, and what it would say of any other place."""

    maps: Maps
    found: Prediction

    def at(self, pixels: Floats) -> Prediction:
        """The people at given body centres (P, 2), pixels of the photo, whether or not the heatmap sees anybody
        there.
        """
        xy = self.found.square.to_normalised(torch.from_numpy(np.asarray(pixels, np.float32)))
        places = centers_at(self.maps.center, torch.zeros(len(xy), dtype=torch.long), xy)
        return _decoded(self.maps, places, self.found.square, self.found.betas_of, self.found.root_aligned)

    def of(self, people: Sequence[Person]) -> Prediction:
        """A prediction for each of ``people``: the one found at their torso, else what the maps say of that place."""
        matches = match_people(self.found, people)
        every = self.found.joined(self.at(torso_centers(people)))
        return every.rows(np.where(matches >= 0, matches, len(self.found) + np.arange(len(people))))


class Predictor:
    """A network with its weights, ready for photos."""

    def __init__(
        self,
        network: nn.Module,
        name: str,
        betas_of: str,
        licence: str,
        root_aligned: bool = False,
        threshold: float = CENTER_THRESHOLD,
        in_sizes: bool = False,
    ) -> None:
        """Prepare a network for photos.

        Args:
            network: with trained weights; it is copied.
            name: for reports.
            betas_of: which body's betas it predicts, "smpl" or "open_body".
            licence: of the weights.
            root_aligned: as in `Prediction`.
            threshold: what the heatmap must say for somebody to be found.
            in_sizes: whether it is to look at photos in two sizes.
        """
        fast = for_inference(network)
        self.network = InSizes(fast) if in_sizes else fast
        self.name, self.betas_of, self.licence, self.root_aligned, self.threshold = (
            name,
            betas_of,
            licence,
            root_aligned,
            threshold,
        )

    @classmethod
    def find(cls, weights: Path, models: Path) -> Predictor | None:
        """The user's ROMP checkpoint in the folder ``models``, else the light network in ``weights``, None if there
        is neither.

        Raises CheckpointError if the file cannot be used.
        """
        if (models / ROMP_FILE).is_file():
            return cls.load(models / ROMP_FILE)
        if (weights / LIGHT_FILE).is_file():
            return cls.load(weights / LIGHT_FILE)
        return None

    @classmethod
    def load(cls, path: Path) -> Predictor:
        """From a file: .safetensors holds the light network, all else ROMP's.

        Raises CheckpointError if it cannot be used.
        """
        light = path.suffix == ".safetensors"
        network = MeshPredictor(LightBackbone()) if light else romp()
        root_aligned = load_checkpoint(network, path)
        if light:
            return cls(network, "light", OPEN_BODY, LIGHT_LICENCE, threshold=LIGHT_THRESHOLD, in_sizes=True)
        return cls(network, "romp", SMPL, ROMP_LICENCE, root_aligned)

    def look(self, pixels: NDArray[np.uint8]) -> Look:
        """(H, W, 3) sRGB photo -> its maps and the people in them.

        Raises ValueError for a photo under 32 pixels on a side.
        """
        image, square = network_input(pixels)
        with torch.inference_mode():
            maps = self.network(image.contiguous(memory_format=torch.channels_last))
            return Look(
                maps,
                _decoded(maps, find_centers(maps.center, self.threshold), square, self.betas_of, self.root_aligned),
            )


def _decoded(maps: Maps, centers: Centers, square: PaddedSquare, betas_of: str, root_aligned: bool) -> Prediction:
    bodies = sample(maps, centers)
    # Cell (x, y) of the map is the published centre (8 x, 8 y) of 512.
    pixels = square.to_pixels(centers.xy.float() / MAP_SIDE * 2 - 1)
    return Prediction(
        score=centers.score.numpy(),
        center=pixels.numpy(),
        camera=bodies.camera.numpy(),
        pose=bodies.pose.numpy(),
        betas=bodies.betas.numpy(),
        betas_of=betas_of,
        square=square,
        root_aligned=root_aligned,
    )
