"""People whose whole texture is known, on whom textures are scored and tests of overfitting train.

They have random shapes and poses of the open body and random painted outfits, unlit, with one photo each. Lighting in
the photo would add its shading to every score; `uvatar.evaluation.synthetic` measures textures under light.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from uvatar.body import BodyModel
from uvatar.data.arrays import Floats
from uvatar.data.camera import Camera
from uvatar.evaluation.outfits import random_outfit
from uvatar.evaluation.rendering import Paint
from uvatar.evaluation.sitters import Sitter, random_sitter
from uvatar.photos.colour import srgb_from_linear
from uvatar.texture_predictor.inputs import Crop, pose_of
from uvatar.texture_predictor.structure import Structure
from uvatar.texturing.layout.atlas import Atlas
from uvatar_training.metrics.baselines import completed
from uvatar_training.networks.uv_plane import TorchUvPlane
from uvatar_training.rendering import Cameras, PixelView, UvMesh, paint, see
from uvatar_training.rendering.unprojection import Texels, unproject

# Each pixel of the photo averages this number squared of samples, to avoid jagged edges.
_SUPERSAMPLE = 2


@dataclass(frozen=True)
class Subject:
    """One person with one photo and the whole true texture, as a batch of one.

    Attributes:
        sitter: shape, pose and position.
        vertices: (1, V, 3) in the camera frame, metres.
        camera, cameras: of the photo.
        view: what the photo's camera sees.
        photo: (1, 3, H, W) sRGB 0..1, white around the person.
        texture: (1, 3, N, N) the truth, sRGB 0..1, gutters filled.
        behind: what the same camera sees of the person rotated by 180 degrees.
        photo_behind: (1, 3, H, W) the picture of ``behind``.
        mask: (1, 1, H, W) bool, the person's own pixels in the photo: the part of ``view`` that is not hidden and lies
            inside the picture.
    """

    sitter: Sitter
    vertices: Tensor
    camera: Camera
    cameras: Cameras
    view: PixelView
    photo: Tensor
    texture: Tensor
    behind: PixelView
    photo_behind: Tensor
    mask: Tensor

    def partial(self, mesh: UvMesh, texels: Texels) -> Tensor:
        """The part (1, 4, R, R) of the texture that the photo shows, at the texels' size."""
        seen = unproject(self.photo, self.vertices, mesh, texels, self.cameras, self.view)
        own = (
            unproject(self.mask.float().expand(-1, 3, -1, -1), self.vertices, mesh, texels, self.cameras, self.view)[
                :, :1
            ]
            > 0.9
        )
        return torch.cat([seen[:, :3], seen[:, 3:] * own], 1)


def random_subject(body: BodyModel, pose: Floats, side: int, size: int, rng: np.random.Generator) -> Subject:
    """A random person in a square photo.

    Args:
        body: the person's body.
        pose: (24, 3) axis-angles, radians.
        side: side of the photo, pixels.
        size: side of the texture, texels.
        rng: source of all randomness.
    """
    sitter = random_sitter("", pose, body, rng)
    # The sitter's picture is in portrait format; the square around its middle shows the same person.
    scale = side / sitter.camera.height
    margin = (sitter.camera.height - sitter.camera.width) / 2
    window = -int(margin), 0, sitter.camera.width + int(margin), sitter.camera.height
    camera = sitter.camera.cropped(window, scale)
    vertices = torch.from_numpy(body.posed(sitter.body)[0])[None]
    texture = baked(random_outfit(body.data, rng), body, size)
    mesh, cameras = UvMesh.of(body.data), Cameras.of([camera])
    view = see(vertices, mesh, cameras)
    half_round = turned(vertices)
    behind = see(half_round, mesh, cameras)
    photo, photo_behind = (
        photographed(v, mesh, texture, camera, seen.mask) for v, seen in ((vertices, view), (half_round, behind))
    )
    return Subject(sitter, vertices, camera, cameras, view, photo, texture, behind, photo_behind, view.mask)


def network_inputs(
    subjects: Sequence[Subject], body: BodyModel, plane: TorchUvPlane, photo_side: int, materials: int = 0
) -> tuple[Tensor, Structure[Tensor]]:
    """The Texture Predictor's inputs for these people: crops (B, 3, photo_side, photo_side) and structure.

    The textures are completed smoothly, as with ``--fast``: nothing tells their ``materials`` to a network that takes
    so many maps.
    """
    mesh, texels = UvMesh.of(body.data), Texels.of(body, plane.geometry.shape[-1])
    atlas = Atlas.of(body, texels.size)
    crops, cameras = [], []
    for subject in subjects:
        mask = subject.mask[0, 0].numpy()
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        crop = Crop.around(np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]))
        pixels = (subject.photo[0].permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
        crops.append(torch.from_numpy(crop.person(pixels, np.where(mask, 255, 0).astype(np.uint8), photo_side)))
        cameras.append(torch.from_numpy(crop.camera(body.posed(subject.sitter.body)[1][0], subject.camera)))
    pose = torch.cat([torch.from_numpy(pose_of(subject.sitter.body)) for subject in subjects])
    betas = torch.stack([torch.from_numpy(subject.sitter.body.betas) for subject in subjects])
    partial = [subject.partial(mesh, texels) for subject in subjects]
    whole = torch.cat([completed(part, plane, atlas) for part in partial])
    untold = torch.zeros(len(subjects), materials, texels.size, texels.size) if materials else None
    return torch.cat(crops), plane.structure(pose, betas, torch.cat(cameras), torch.cat(partial), whole, untold)


def baked(outfit: Paint, body: BodyModel, size: int) -> Tensor:
    """The UV texture (1, 3, size, size), sRGB 0..1, of a surface painted by ``outfit``; gutters filled."""
    atlas = Atlas.of(body, size)
    data, table = body.data, atlas.table
    rest, uv = table.interpolate(data.v_template, data.faces), table.interpolate_corners(data.uv[data.face_uv])
    colours = srgb_from_linear(outfit(rest.astype(np.float64), uv, data.part[data.faces[table.face, 0]]))
    return torch.from_numpy(table.picture(colours)).permute(2, 0, 1)[None].float() / 255


def photographed(vertices: Tensor, mesh: UvMesh, texture: Tensor, camera: Camera, mask: Tensor) -> Tensor:
    """A picture (1, 3, H, W) of the body as a sensor records it.

    Each pixel of ``mask`` is the mean of the surface visible in it; the others are white.
    """
    fine = see(vertices, mesh, Cameras.of([camera.cropped((0, 0, camera.width, camera.height), _SUPERSAMPLE)]))
    covered = fine.mask.float()
    colour = F.avg_pool2d(paint(fine, texture) * covered, _SUPERSAMPLE) / F.avg_pool2d(covered, _SUPERSAMPLE).clamp_min(
        1e-3
    )
    seen = F.avg_pool2d(covered, _SUPERSAMPLE) > 0
    return torch.where(mask & seen, colour, 1.0)


def joined(views: Sequence[PixelView]) -> PixelView:
    """Views with a common picture size, joined in one batch."""
    parts = ("face", "barycentric", "uv", "depth")
    return PixelView(*(torch.cat([getattr(view, name) for view in views]) for name in parts))


def turned(vertices: Tensor) -> Tensor:
    """The bodies (B, V, 3) rotated by 180 degrees about the vertical through their middle."""
    middle = (vertices.amin(1, keepdim=True) + vertices.amax(1, keepdim=True)) / 2
    return (vertices - middle) * torch.tensor([-1.0, 1.0, -1.0]) + middle
