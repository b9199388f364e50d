"""The parser's network: a small decoder on the first stages of EfficientNet-Lite0, which stay as ImageNet left them.

Beside the picture it is given the person's mask, which says who is meant, and where some of their landmarks are.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from uvatar.mesh_predictor.networks.efficientnet_lite import STAGES, EfficientNetLite0
from uvatar.parsing.inputs import CLASSES, PLACES
from uvatar.protocol.errors import first_line
from uvatar.runtime.networks import CheckpointError

TRUNK_STAGES = 5  # to 1/16 of the picture
RETURNED = (1, 2, 4)  # the last stages at 1/4, 1/8 and 1/16
_FINE, _MIDDLE, _COARSE = 32, 56, 96  # the decoder's channels at these sizes
_SCALE = 4.0  # of mask and places, so that they count beside the trunk's features


class _Block(nn.Module):
    """A residual block: a filter per channel, then a perceptron per pixel."""

    def __init__(self, channels: int, kernel: int = 5) -> None:
        super().__init__()
        self.filter = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.expand = nn.Conv2d(channels, 2 * channels, 1)
        self.project = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        out: Tensor = x + self.project(F.relu(self.expand(self.norm(self.filter(x)))))
        return out


class ParserDecoder(nn.Module):
    """From the trunk's features to classes."""

    def __init__(self) -> None:
        super().__init__()
        fine, middle, coarse = (STAGES[stage].outputs for stage in RETURNED)
        self.lateral_coarse = nn.Conv2d(coarse + 1 + PLACES, _COARSE, 1)
        self.coarse = nn.Sequential(*(_Block(_COARSE) for _ in range(3)))
        self.context = nn.Sequential(nn.Linear(_COARSE, _COARSE), nn.ReLU(), nn.Linear(_COARSE, _COARSE))
        self.lateral_middle = nn.Conv2d(middle + 1 + PLACES, _MIDDLE, 1)
        self.up_middle = nn.Conv2d(_COARSE, _MIDDLE, 1)
        self.middle = nn.Sequential(*(_Block(_MIDDLE) for _ in range(2)))
        self.lateral_fine = nn.Conv2d(fine + 1, _FINE, 1)
        self.up_fine = nn.Conv2d(_MIDDLE, _FINE, 1)
        self.fine = _Block(_FINE, 3)
        self.classes = nn.Conv2d(_FINE, len(CLASSES), 1)
        self.coarse_classes = nn.Conv2d(_MIDDLE, len(CLASSES), 1)  # for training alone

    def forward(self, features: list[Tensor], mask: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """Logits at 1/4 and at 1/8 of the picture.

        Args:
            features: of the trunk, finest first.
            mask: (B, 1, S, S) 0..1.
            places: (B, 8, S / 8, S / 8) of `uvatar.parsing.inputs`.
        """
        fine, middle, coarse = features
        quarter, eighth, sixteenth = (_SCALE * F.avg_pool2d(mask, size) for size in (4, 8, 16))
        x = self.lateral_coarse(torch.cat([coarse, sixteenth, _SCALE * F.avg_pool2d(places, 2)], 1))
        x = self.coarse(x)
        x = x + self.context(x.mean((2, 3)))[:, :, None, None]
        x = self.lateral_middle(torch.cat([middle, eighth, _SCALE * places], 1)) + _twice(self.up_middle(x))
        x = self.middle(x)
        at_eighth: Tensor = self.coarse_classes(x)
        x = self.fine(self.lateral_fine(torch.cat([fine, quarter], 1)) + _twice(self.up_fine(x)))
        return self.classes(F.relu(x)), at_eighth


class ParserNetwork(nn.Module):
    """Trunk and decoder."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = EfficientNetLite0(STAGES[:TRUNK_STAGES], RETURNED)
        self.decoder = ParserDecoder()

    def forward(self, image: Tensor, mask: Tensor, places: Tensor) -> dict[str, Tensor]:
        """Picture (B, 3, S, S) sRGB in [0, 1], mask (B, 1, S, S), places (B, 8, S / 8, S / 8) -> "probabilities",
        (B, classes, S / 2, S / 2).
        """
        logits, _ = self.decoder(self.trunk(image), mask, places)
        return {"probabilities": _twice(logits).softmax(1)}


def _twice(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def load_parser_network(path: Path) -> ParserNetwork:
    """The network with the weights in a safetensors file, in evaluation mode. Raises CheckpointError."""
    network = ParserNetwork()
    try:
        stored = load_file(path)
        state = {name: part.float() if part.is_floating_point() else part for name, part in stored.items()}
        network.load_state_dict(state)
    except (OSError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(f"{path.name} cannot be used: {first_line(error)}") from error
    return network.eval()
