"""The table of scores of predictors and baselines in both protocols."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor

from uvatar.body import BodyModel
from uvatar.evaluation.tables import Row
from uvatar.texturing.layout.atlas import Atlas
from uvatar.texturing.layout.surface import Part, build_surface
from uvatar_training.losses.features import Perceptual
from uvatar_training.metrics.baselines import completed, flat_colour, oracle, projected, projected_and_mirrored
from uvatar_training.metrics.frechet import FrechetDistance
from uvatar_training.metrics.pictures import PictureScores, score_picture
from uvatar_training.metrics.subjects import Subject
from uvatar_training.metrics.texels import TexelScores, score_texels, surface_per_texel
from uvatar_training.networks.uv_plane import plane_of
from uvatar_training.rendering import PixelView, UvMesh, paint
from uvatar_training.rendering.unprojection import Texels
from uvatar_training.supervision.texture import face_triangles

ORACLE_SIZES = (64, 128, 256)


@dataclass(frozen=True)
class Judge:
    """What scoring needs besides the textures.

    Attributes:
        body: the subjects' body.
        size: side of the texture at which seen and unseen texels are distinguished, texels.
        perceptual: a perceptual distance, or None.
        name: of the perceptual distance; "LPIPS" only for LPIPS.
        frechet: the Frechet distance over all subjects' photos, or None.
    """

    body: BodyModel
    size: int = 256
    perceptual: Perceptual | None = None
    name: str = "LPIPS"
    frechet: FrechetDistance | None = None

    def rows(self, subjects: Sequence[Subject], textures: Mapping[str, Sequence[Tensor]]) -> list[Row]:
        """Score textures: a row of means for every name.

        The columns are the paper's protocol (full frame on white), the person alone in the photo's view and in the view
        from behind, seen and unseen texels weighted by the surface that they cover, and the face.

        Args:
            subjects: the people.
            textures: name -> one texture (1, 3, R, R) per subject.

        Raises:
            ValueError: the numbers of textures and subjects differ, or a texture is not finite.
        """
        return [self._row(name, subjects, of) for name, of in textures.items()]

    def _row(self, name: str, subjects: Sequence[Subject], textures: Sequence[Tensor]) -> Row:
        if len(subjects) != len(textures) or not subjects:
            raise ValueError(f"'{name}' has {len(textures)} textures for {len(subjects)} people.")
        mesh, texels = UvMesh.of(self.body.data), Texels.of(self.body, self.size)
        surface = surface_per_texel(self.body, texels)[0, 0]
        on_face = face_triangles(self.body)
        part = torch.from_numpy(build_surface(self.body.data).part).to(torch.long)
        on_head = (part == Part.HEAD)[mesh.faces[:, 0]]
        head_texels, face_texels = (
            texels.picture(of[texels.face].float()[None, :, None])[0, 0] for of in (on_head, on_face)
        )
        front, back, uv, images = [], [], [], []
        for subject, texture in zip(subjects, textures, strict=True):
            images.append(torch.where(subject.mask, paint(subject.view, texture).clamp(0, 1), 1.0))
            front.append(self._picture(images[-1], subject.photo, subject.view, subject.mask, on_face))
            back.append(
                self._picture(
                    paint(subject.behind, texture), subject.photo_behind, subject.behind, subject.behind.mask, on_face
                )
            )
            seen = subject.partial(mesh, texels)[0, 3]
            uv.append(score_texels(texture[0], subject.texture[0], seen, head_texels, face_texels, surface))
        picture, behind, texel = mean(front), mean(back), mean(uv)
        row: dict[str, str | float | int | bool] = {
            "texture": name,
            "paper PSNR": picture["paper_psnr"], "paper SSIM": picture["paper_ssim"],
            f"paper {self.name}": picture["paper_perceptual"],
            "PSNR": picture["psnr"], "SSIM": picture["ssim"], self.name: picture["perceptual"],
            "face": picture["face_psnr"],
            "PSNR behind": behind["psnr"], "SSIM behind": behind["ssim"], f"{self.name} behind": behind["perceptual"],
            "seen texels": texel["seen"], "unseen texels": texel["unseen"],
            "unseen head": texel["unseen_head"], "unseen body": texel["unseen_body"], "face texels": texel["face"],
        }  # fmt: skip
        if self.frechet is not None and len(subjects) > 1:
            score = self.frechet(images, [subject.photo for subject in subjects])
            row[f"{score.name}, {score.pictures} pictures"] = score.value
        return row

    def _picture(self, image: Tensor, photo: Tensor, view: PixelView, mask: Tensor, on_face: Tensor) -> PictureScores:
        face = mask[0, 0] & on_face[view.face[0].clamp_min(0)]
        return score_picture(torch.where(mask, image, 1.0)[0], photo[0], mask[0, 0], face, self.perceptual)


def baseline_textures(subjects: Sequence[Subject], body: BodyModel, size: int) -> dict[str, list[Tensor]]:
    """Textures of all subjects by the baselines' names, at (size, size) unless the baseline defines its own size.

    "mean texture" and "another person's" are made from the other subjects, and need at least two.
    """
    atlas = Atlas.of(body, size)
    mesh, texels, plane = UvMesh.of(body.data), Texels.of(body, size), plane_of(body, atlas)
    partials = [subject.partial(mesh, texels) for subject in subjects]
    truths = [oracle(subject.texture, size) for subject in subjects]
    textures = {
        "white": [torch.ones_like(truth) for truth in truths],
        "flat colour": [flat_colour(subject.photo, subject.mask, size) for subject in subjects],
    }
    if len(subjects) > 1:
        total = torch.stack(truths).sum(0)
        textures["mean texture"] = [(total - truth) / (len(truths) - 1) for truth in truths]
        textures["another person's"] = truths[1:] + truths[:1]
    textures["projection"] = [projected(partial, plane) for partial in partials]
    textures["projection, mirrored"] = [projected_and_mirrored(partial, plane) for partial in partials]
    textures["the product without weights"] = [completed(partial, plane, atlas) for partial in partials]
    textures |= {f"oracle {side}": [oracle(subject.texture, side) for subject in subjects] for side in ORACLE_SIZES}
    return textures


def mean(scores: Sequence[PictureScores] | Sequence[TexelScores]) -> dict[str, float]:
    """The mean of each score over the people for whom it is not NaN; NaN if there are none."""
    columns = {name: np.array([asdict(score)[name] for score in scores]) for name in asdict(scores[0])}
    return {
        name: float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")
        for name, values in columns.items()
    }
