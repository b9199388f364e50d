"""Pinhole cameras of a batch of pictures, as tensors that can have gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from uvatar.data.camera import Camera


@dataclass(frozen=True)
class Cameras:
    """B cameras with a common picture size, each at the origin of its frame (OpenCV: x right, y down, z forward).

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
        """The cameras of photos with a common size.

        Raises:
            ValueError: the sizes differ, or there are no cameras.
        """
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
        """Project points (B, P, 3) in the camera frames, in front of the cameras (z > 0), to pixels (B, P, 2)."""
        return points[..., :2] / points[..., 2:] * self.focal[:, None, None] + self.center[:, None]

    def slopes(self, picture: Tensor, row: Tensor, column: Tensor) -> Tensor:
        """The slopes x / z and y / z, (K, 2) float64, of the rays through the centres of K pixels.

        Args:
            picture, row, column: (K,) index of the picture, row and column of each pixel.
        """
        pixels = torch.stack([column, row], -1).double() + 0.5
        return (pixels - self.center.double()[picture]) / self.focal.double()[picture, None]

    def to(self, device: torch.device | str) -> Cameras:
        """The same cameras on another device."""
        return Cameras(self.focal.to(device), self.center.to(device), self.height, self.width)

    def __getitem__(self, pictures: slice | Tensor) -> Cameras:
        """The cameras of some of the pictures."""
        return Cameras(self.focal[pictures], self.center[pictures], self.height, self.width)
