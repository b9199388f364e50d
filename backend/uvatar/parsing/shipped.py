"""The parser that comes with Uvatar, trained on people that we rendered (weights/parser.md)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from uvatar.data.parsing import ParseClass
from uvatar.parsing.inputs import CLASSES, network_inputs
from uvatar.runtime.devices import Placement
from uvatar.runtime.networks import Network, open_placed, wants_torch
from uvatar.runtime.torch_networks import require_torch

if TYPE_CHECKING:
    from uvatar.parsing.parsers import PersonPicture

FILE, ONNX_FILE = "parser.safetensors", "parser.onnx"


class ShippedParser:
    """The network with its weights."""

    def __init__(self, network: Network) -> None:
        """``network``: "image", "mask" and "places" of `uvatar.parsing.inputs` to "probabilities"."""
        self.network = network

    @classmethod
    def load(cls, folder: Path, placement: Placement) -> ShippedParser | None:
        """The parser in a folder of weights; None if there is none.

        Raises CheckpointError where its file cannot be used, or only PyTorch can run it, which is not installed.
        """
        exported, trained = folder / ONNX_FILE, folder / FILE
        if exported.is_file() and not (wants_torch(placement) and trained.is_file()):
            return cls(open_placed(exported, placement))
        if not trained.is_file():
            return None
        require_torch(FILE)
        from uvatar.parsing.network import load_parser_network
        from uvatar.runtime.torch_networks import TorchNetwork

        return cls(TorchNetwork(load_parser_network(trained), placement))

    @property
    def classes(self) -> Sequence[ParseClass]:
        """All but `ParseClass.CLOTHES`."""
        return CLASSES

    def parse(self, person: PersonPicture) -> NDArray[np.float32]:
        """Probabilities (128, 128, 11)."""
        inputs = network_inputs(person.pixels, person.mask, person.landmarks)
        return np.moveaxis(self.network(inputs)["probabilities"][0], 0, -1).astype(np.float32)
