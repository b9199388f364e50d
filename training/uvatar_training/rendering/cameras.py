"""Pinhole cameras of a batch of pictures, as tensors that may have gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from uvatar.data.camera import Camera


@dataclass(frozen=True)
class Cameras:
    """B cameras whose pictures have one size; each sits at the origin of its person's frame (OpenCV: x right, y down, z
    forward).

    Attributes:
        focal: (B,) focal lengths in pixels.
        center: (B, 2) principal points in pixels; the top-left corner of the picture is (0, 0).
        height, width: pixels.
    """

    focal: Tensor
    center: Tensor
    height: int
    width: int

    @classmethod
    def of(cls, cameras: Sequence[Camera], device: torch.device | str | None = None) -> Cameras:
        """The cameras of photos of one size. Raises ValueError if the sizes differ or there are none."""
        sizes = {(camera.height, camera.width) for camera in cameras}
        if len(sizes) != 1:
            raise ValueError(f"The cameras of a batch need one picture size, not {sorted(sizes)}.")
        ((height, width),) = sizes
        focal = torch.tensor([camera.focal for camera in cameras], dtype=torch.float32, device=device)
        center = torch.tensor([camera.center for camera in cameras], dtype=torch.float32, device=device)
        return cls(focal, center, height, width)

    def __len__(self) -> int:
        return len(self.focal)

    def project(self, points: Tensor) -> Tensor:
        """(B, P, 3) points in the camera frames -> (B, P, 2) pixels. Points must be in front of the camera (z > 0)."""
        return points[..., :2] / points[..., 2:] * self.focal[:, None, None] + self.center[:, None]

    def slopes(self, picture: Tensor, row: Tensor, column: Tensor) -> Tensor:
        """The ratios x / z and y / z, (K, 2) float64, along the rays through the centres of the K pixels."""
        pixels = torch.stack([column, row], -1).double() + 0.5
        return (pixels - self.center.double()[picture]) / self.focal.double()[picture, None]

    def to(self, device: torch.device | str) -> Cameras:
        """The same cameras on another device."""
        return Cameras(self.focal.to(device), self.center.to(device), self.height, self.width)

    def __getitem__(self, pictures: slice | Tensor) -> Cameras:
        """The cameras of some of the pictures."""
        return Cameras(self.focal[pictures], self.center[pictures], self.height, self.width)
