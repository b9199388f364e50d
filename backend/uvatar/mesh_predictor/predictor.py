"""The Mesh Predictor as a stage of the pipeline: a photo in, predicted people out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.data.person import Person
from uvatar.mesh_predictor.decoding import Centers, centers_at, find_centers, sample
from uvatar.mesh_predictor.maps import CENTER_THRESHOLD, MAP_SIDE, Maps
from uvatar.mesh_predictor.prediction import OPEN_BODY, SMPL, Prediction, match_people, torso_centers
from uvatar.mesh_predictor.weak_perspective import PaddedSquare, network_input
from uvatar.runtime.devices import ANYWHERE, Placement
from uvatar.runtime.networks import Network, open_placed, wants_torch
from uvatar.runtime.torch_networks import require_torch

LIGHT_FILE, LIGHT_ONNX_FILE, ROMP_FILE = "mesh_predictor.safetensors", "mesh_predictor.onnx", "ROMP.pkl"
LIGHT_LICENCE = "Apache-2.0"
LIGHT_THRESHOLD = 0.3  # on pictures it was trained on about as many are missed as are found where nobody is
ROMP_LICENCE = "ROMP's weights: for non-commercial scientific research, as are the data they were trained on."


@dataclass(frozen=True)
class Look:
    """One photo after the network: the people it found, and what it would say of any other place."""

    maps: Maps[NDArray[np.float32]]
    found: Prediction
    predictor: Predictor

    def at(self, pixels: Floats) -> Prediction:
        """The people at given body centres (P, 2), pixels of the photo, whether or not the heatmap sees anybody
        there.
        """
        xy = self.found.square.to_normalised(np.asarray(pixels, np.float32))
        places = centers_at(self.maps.center, np.zeros(len(xy), np.int64), xy)
        return _decoded(self.maps, places, self.predictor, self.found.square)

    def of(self, people: Sequence[Person]) -> Prediction:
        """A prediction for each of ``people``: the one found at their torso, else what the maps say of that place."""
        matches = match_people(self.found, people)
        every = self.found.joined(self.at(torso_centers(people)))
        return every.rows(np.where(matches >= 0, matches, len(self.found) + np.arange(len(people))))


class Predictor:
    """A network with its weights, ready for photos."""

    def __init__(
        self,
        network: Network,
        name: str,
        betas_of: str,
        licence: str,
        root_aligned: bool = False,
        threshold: float = CENTER_THRESHOLD,
        coarse: bool = False,
    ) -> None:
        """Prepare a network for photos.

        Args:
            network: (1, 3, 512, 512) "image" to the maps by the names of `Maps`.
            name: for reports.
            betas_of: which body's betas it predicts, "smpl" or "open_body".
            licence: of the weights.
            root_aligned, coarse: as in `Prediction`.
            threshold: what the heatmap must say for somebody to be found.
        """
        self.network = network
        self.name, self.betas_of, self.licence = name, betas_of, licence
        self.root_aligned, self.threshold, self.coarse = root_aligned, threshold, coarse

    @classmethod
    def find(cls, weights: Path, models: Path, placement: Placement = ANYWHERE) -> Predictor | None:
        """The user's ROMP checkpoint in the folder ``models``, else the light network in ``weights``, None if there
        is neither.

        Raises:
            CheckpointError: the file cannot be used, or takes PyTorch, which is not installed.
            DeviceError: the device that was asked for by name cannot be used.
        """
        if (models / ROMP_FILE).is_file():
            return cls.load(models / ROMP_FILE, placement)
        if (weights / LIGHT_ONNX_FILE).is_file() and not wants_torch(placement):
            return cls.load(weights / LIGHT_ONNX_FILE, placement)
        return cls.load(weights / LIGHT_FILE, placement) if (weights / LIGHT_FILE).is_file() else None

    @classmethod
    def load(cls, path: Path, placement: Placement = ANYWHERE) -> Predictor:
        """From a file: .onnx and .safetensors hold the light network, all else ROMP's, which PyTorch runs as it runs
        .safetensors.

        Raises CheckpointError and DeviceError, as `find`.
        """
        if path.suffix == ".onnx":
            return cls._light(open_placed(path, placement))
        require_torch(path.name)
        from uvatar.mesh_predictor.networks.deployed import load_light, load_romp, on_torch

        if path.suffix == ".safetensors":
            return cls._light(on_torch(load_light(path), placement, in_sizes=True))
        network, root_aligned = load_romp(path)
        return cls(on_torch(network, placement), "romp", SMPL, ROMP_LICENCE, root_aligned)

    @classmethod
    def _light(cls, network: Network) -> Predictor:
        return cls(network, "light", OPEN_BODY, LIGHT_LICENCE, threshold=LIGHT_THRESHOLD, coarse=True)

    def look(self, pixels: NDArray[np.uint8]) -> Look:
        """(H, W, 3) sRGB photo -> its maps and the people in them.

        Raises ValueError for a photo under 32 pixels on a side.
        """
        image, square = network_input(pixels)
        maps = Maps(**self.network({"image": image}))
        found = find_centers(maps.center, self.threshold)
        return Look(maps, _decoded(maps, found, self, square), self)


def _decoded(maps: Maps[NDArray[np.float32]], centers: Centers, of: Predictor, square: PaddedSquare) -> Prediction:
    bodies = sample(maps, centers)
    # Cell (x, y) of the map is the published centre (8 x, 8 y) of 512.
    pixels = square.to_pixels(centers.xy.astype(np.float32) / MAP_SIDE * 2 - 1)
    return Prediction(
        score=centers.score,
        center=pixels.astype(np.float32),
        camera=bodies.camera,
        pose=bodies.pose,
        betas=bodies.betas,
        betas_of=of.betas_of,
        square=square,
        root_aligned=of.root_aligned,
        coarse=of.coarse,
    )
