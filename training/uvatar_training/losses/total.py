"""The loss for training both predictors jointly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from uvatar_training.losses.mesh import MeshLoss
from uvatar_training.losses.texture import TextureLoss


@dataclass(frozen=True)
class TotalLoss:
    """The 3D Mesh Loss plus ``texture_share`` times the Texture Loss.

    The published weights of the mesh terms are in the hundreds, those of the texture terms about 1. ``texture_share``
    balances them: the picture can correct the mesh without dominating it.
    """

    mesh: MeshLoss = field(default_factory=MeshLoss)
    texture: TextureLoss = field(default_factory=TextureLoss)
    texture_share: float = 50.0

    def __call__(
        self, mesh_terms: Mapping[str, Tensor], texture_terms: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, float]]:
        """Sum the terms of both losses.

        Returns:
            The total, and the weighted terms for the log, named "mesh/..." and "texture/...".

        Raises:
            KeyError: as in `MeshLoss` and `TextureLoss`.
        """
        mesh, mesh_log = self.mesh(mesh_terms)
        texture, texture_log = self.texture(texture_terms)
        log = {f"mesh/{name}": value for name, value in mesh_log.items()}
        log |= {f"texture/{name}": self.texture_share * value for name, value in texture_log.items()}
        return mesh + self.texture_share * texture, log
