"""The loss of joint training: mesh and texture together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from uvatar_training.losses.mesh import MeshLoss
from uvatar_training.losses.texture import TextureLoss


@dataclass(frozen=True)
class TotalLoss:
    """The 3D Mesh Loss plus ``texture_share`` times the Texture Loss.

    The mesh terms' published weights are in the hundreds, the texture's about 1: ``texture_share`` makes them of one
    size, so that the picture may correct the mesh without carrying it off.
    """

    mesh: MeshLoss = field(default_factory=MeshLoss)
    texture: TextureLoss = field(default_factory=TextureLoss)
    texture_share: float = 50.0

    def __call__(
        self, mesh_terms: Mapping[str, Tensor], texture_terms: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, float]]:
        """Both losses' terms -> total, and all weighted terms for the log, named "mesh/..." and "texture/...".

        Raises KeyError as `MeshLoss` and `TextureLoss` do.
        """
        mesh, mesh_log = self.mesh(mesh_terms)
        texture, texture_log = self.texture(texture_terms)
        log = {f"mesh/{name}": value for name, value in mesh_log.items()}
        log |= {f"texture/{name}": self.texture_share * value for name, value in texture_log.items()}
        return mesh + self.texture_share * texture, log
