"""Inputs of the Texture Predictor's network: the person's crop, the fit as numbers, a body's UV plane."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from uvatar.body import BodyModel
from uvatar.data.arrays import Floats
from uvatar.data.camera import Camera
from uvatar.data.fit import BodyParameters
from uvatar.geometry.mesh import vertex_normals
from uvatar.geometry.torch_rotations import matrices_from_axis_angle
from uvatar.texture_predictor.encoders import Structure
from uvatar.texturing.atlas import Atlas
from uvatar.texturing.surface import AXIS_OF_PART, Part

# The crop's side, in longer sides of the person's box.
_MARGIN = 1.1
# Sides of the grids between which colours are spread where nothing is seen, and the Gaussians (metres, faintness) of
# that.
_CELLS, _PLACES = 32, 64
_GAUSSIANS = ((0.05, 1.0), (0.12, 1e-2), (0.3, 1e-4), (0.8, 1e-6))
_ROUND = 0.2  # of the distance across a limb, where both places are of the same part
# What stands for the background: the middle of the range, so that it is near zero after normalisation.
_BACKGROUND = 128


@dataclass(frozen=True)
class UvPlane:
    """A body's UV plane at R x R texels, row 0 at v = 1.

    Attributes:
        geometry: (1, 7, R, R), see `Structure`.
        mirror: (1, R, R, 2) where each texel's mirror image on the body lies, as `grid_sample` takes it; outside the
            islands far away from everything.
        spread: (T * T, C * C) how much each of T x T places takes from the C x C cells of the texture where it is
            filled smoothly.
    """

    geometry: Tensor
    mirror: Tensor
    spread: Tensor

    def mirrored(self, partial: Tensor) -> Tensor:
        """(B, 4, R, R) colours and alpha -> at each texel those of its mirror image."""
        alpha = partial[:, 3:]
        weighted = torch.cat([torch.where(alpha > 0, partial[:, :3] * alpha, 0), alpha], 1)
        grid = self.mirror.to(partial).expand(len(partial), -1, -1, -1)
        found = F.grid_sample(weighted, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        return torch.cat([found[:, :3] / found[:, 3:].clamp_min(1e-4), found[:, 3:]], 1)

    def completed(self, partial: Tensor, mirrored: Tensor | None = None) -> Tensor:
        """(B, 4, R, R) colours and alpha -> colours everywhere, (B, 3, R, R), as far as they can be had without
        learning.

        What is seen, then ``mirrored`` (None for not), then a mean of all that is seen, nearer on the body's surface
        counting more. Colours under alpha 0 may be anything; mid-grey where nothing is seen at all.
        """
        alpha = partial[:, 3:]
        colours = torch.where(alpha > 0, partial[:, :3] * alpha, 0)
        if mirrored is not None:
            own = (1 - alpha) * mirrored[:, 3:]
            colours = colours + torch.where(own > 0, mirrored[:, :3] * own, 0)
            alpha = alpha + own
        cells = F.adaptive_avg_pool2d(torch.cat([colours, alpha], 1), _CELLS).flatten(2)
        spread = (cells @ self.spread.T.to(cells)).unflatten(2, (_PLACES, _PLACES))
        known = spread[:, 3:] > 0
        far = torch.where(known, spread[:, :3] / torch.where(known, spread[:, 3:], 1), 0.5)
        return colours + (1 - alpha) * F.interpolate(far, partial.shape[-2:], mode="bilinear", align_corners=False)

    def structure(
        self, pose: Tensor, betas: Tensor, camera: Tensor, partial: Tensor, completed: Tensor | None = None
    ) -> Structure:
        """The structure of people (see `Structure`) whose partial textures (B, 4, R, R) lie in this plane.

        ``completed``: (B, 3, R, R) what is made of these without learning; None for the simplest, `completed`.
        """
        mirrored = self.mirrored(partial)
        completed = self.completed(partial, mirrored) if completed is None else completed
        return Structure(pose, betas, camera, self.geometry.to(partial), partial, mirrored, completed)


def uv_plane(body: BodyModel, size: int) -> UvPlane:
    """The UV plane of a body's rest shape at (size, size). Raises TexturingError if the body has no UV layout."""
    return plane_of(body, Atlas.of(body, size))


def plane_of(body: BodyModel, atlas: Atlas) -> UvPlane:
    """The UV plane of a body's rest shape at the size of its atlas."""
    surface, table, data = atlas.surface, atlas.table, body.data
    places = data.v_template - data.joint_template[0]
    values = table.interpolate(np.column_stack([places, vertex_normals(data.v_template, data.faces)]), surface.faces)
    values[:, 3:] /= np.maximum(np.linalg.norm(values[:, 3:], axis=1, keepdims=True), 1e-9)
    geometry = table.scatter(np.column_stack([values, np.ones(len(table))]).astype(np.float32))
    mirrored = table.interpolate_corners(surface.mirror_uv)
    grid = table.scatter(np.column_stack([2 * mirrored[:, 0] - 1, 1 - 2 * mirrored[:, 1]]).astype(np.float32))
    grid[geometry[..., 6] == 0] = -3
    maps = torch.from_numpy(geometry).permute(2, 0, 1)[None].contiguous()
    return UvPlane(maps, torch.from_numpy(grid)[None], _spread(body, maps, atlas))


def _spread(body: BodyModel, geometry: Tensor, atlas: Atlas) -> Tensor:
    """See `UvPlane`: a sum of Gaussians of the distance on the rest body, each wider one so faint that it counts only
    where no narrower one finds anything. Round a limb or the trunk is nearer than along it: garments end in rings.
    """
    surface, coarse, fine = atlas.surface, atlas.resized(_PLACES).table, atlas.table
    # with the gutters filled: enlarging must not mix in what lies beyond an island's border
    places = coarse.picture(coarse.interpolate(surface.template - body.data.joint_template[0], surface.faces)).reshape(
        -1, 3
    )
    part = coarse.picture(surface.part[surface.faces[coarse.face, 0]]).ravel()
    parts = np.eye(len(Part), dtype=np.float32)[surface.part[surface.faces[fine.face, 0]]]
    maps = torch.cat(
        [geometry[:, :3], geometry[:, 6:], torch.from_numpy(fine.scatter(parts)).permute(2, 0, 1)[None]], 1
    )
    cells = F.adaptive_avg_pool2d(maps, _CELLS)[0].flatten(1)
    inside = cells[3] > 0
    away = torch.from_numpy(places)[:, None] - (cells[:3] / cells[3].clamp_min(1e-6)).T
    together = torch.from_numpy(part)[:, None] == cells[4:].argmax(0)
    round_limb = torch.where(torch.eye(3, dtype=torch.bool)[torch.from_numpy(AXIS_OF_PART[part])], 1.0, _ROUND)
    round_limb[torch.from_numpy(part) == Part.HEAD] = 1
    squared = (away * torch.where(together[..., None], round_limb[:, None], 1.0)).square().sum(-1)
    kernel = sum(faintness * torch.exp(-squared / (2 * width**2)) for width, faintness in _GAUSSIANS)
    return torch.where(inside, kernel, 0)


@dataclass(frozen=True)
class Crop:
    """The square of a photo that shows a person: top-left corner and side in pixels of the photo."""

    left: float
    top: float
    side: float

    @classmethod
    def around(cls, box: Floats) -> Crop:
        """The crop for a person's box (x0, y0, x1, y1)."""
        x0, y0, x1, y1 = (float(value) for value in box)
        side = _MARGIN * max(x1 - x0, y1 - y0, 1.0)
        return cls((x0 + x1 - side) / 2, (y0 + y1 - side) / 2, side)

    def cut(self, pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
        """(H, W, ...) uint8 picture -> its crop (side, side, ...), 0 outside the picture."""
        shrink = max(1.0, self.side / side)
        # area average first: linear look-up alone would skip pixels of a large photo
        if shrink > 1:
            height, width = pixels.shape[:2]
            small = (max(1, round(width / shrink)), max(1, round(height / shrink)))
            picture = np.asarray(cv2.resize(pixels, small, interpolation=cv2.INTER_AREA), np.uint8)
            across, down = width / small[0], height / small[1]
        else:
            picture, across, down = pixels, 1.0, 1.0
        step = self.side / side
        # pixel centres lie at (i + 0.5): of the crop's pixel i, at (left + (i + 0.5) step) / across - 0.5 of the small
        # picture
        matrix = np.array([
            [step / across, 0, (self.left + 0.5 * step) / across - 0.5],
            [0, step / down, (self.top + 0.5 * step) / down - 0.5],
        ])  # fmt: skip
        how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(
            cv2.warpAffine(picture, matrix, (side, side), flags=how, borderMode=cv2.BORDER_CONSTANT), np.uint8
        )

    def person(self, pixels: NDArray[np.uint8], mask: NDArray[np.uint8], side: int) -> Tensor:
        """(1, 3, side, side) sRGB 0..1 of the person before mid-grey.

        ``pixels`` (H, W, 3), ``mask`` (H, W) 255 on the person.
        """
        alpha = self.cut(mask, side)[..., None].astype(np.float32) / 255
        picture = _BACKGROUND + (self.cut(pixels, side).astype(np.float32) - _BACKGROUND) * alpha
        return torch.from_numpy(picture / 255).permute(2, 0, 1)[None].contiguous()

    def camera(self, pelvis: Floats, camera: Camera) -> Tensor:
        """(1, 3) see `Structure.camera`; ``pelvis`` (3,) in the camera frame, metres."""
        x, y = camera.project(np.asarray(pelvis, np.float64))
        half = self.side / 2
        numbers = camera.focal / float(pelvis[2]) / half, (x - self.left) / half - 1, (y - self.top) / half - 1
        return torch.tensor([numbers], dtype=torch.float32)


def pose_of(body: BodyParameters) -> Tensor:
    """(1, 24, 3, 3) rotations of a fitted body's joints."""
    vectors = np.concatenate([np.reshape(body.global_orient, (1, 3)), np.reshape(body.body_pose, (23, 3))])
    return matrices_from_axis_angle(torch.from_numpy(vectors.astype(np.float32)))[None]
