"""Inputs of the Texture Predictor's network: the person's crop, the fit as numbers, a body's UV plane.

`uvatar_training.networks.uv_plane` has the UV plane in PyTorch, with gradients.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from uvatar.body import BodyModel
from uvatar.data.arrays import Floats
from uvatar.data.camera import Camera
from uvatar.data.fit import BodyParameters
from uvatar.geometry import rotations
from uvatar.geometry.mesh import vertex_normals
from uvatar.texture_predictor.structure import Structure
from uvatar.texturing.layout.atlas import Atlas

# The crop's side, in longer sides of the person's box.
_MARGIN = 1.1
# What stands for the background: the middle of the range, so that it is near zero after normalisation.
_BACKGROUND = 128
_FAR_AWAY = -3  # where the mirror image of what lies outside the islands is, in -1..1 across the texture

Arrays = NDArray[np.float32]


@dataclass(frozen=True)
class UvPlane:
    """A body's UV plane at R x R texels, row 0 at v = 1.

    Attributes:
        geometry: (1, 7, R, R), see `Structure`.
        mirror: (R * R, R * R) what each texel takes from which texels for its mirror image on the body, bilinearly.
    """

    geometry: Arrays
    mirror: sparse.csr_array

    def mirrored(self, partial: Arrays) -> Arrays:
        """(1, 4, R, R) colours and alpha -> at each texel those of its mirror image."""
        colours, alpha = partial[0, :3].reshape(3, -1), partial[0, 3:].reshape(1, -1)
        weighted = np.concatenate([np.where(alpha > 0, colours * alpha, 0), alpha])
        found = (self.mirror @ weighted.T).T
        image: Arrays = np.concatenate([found[:3] / np.maximum(found[3:], np.float32(1e-4)), found[3:]])
        return image.reshape(partial.shape)

    def structure(
        self,
        pose: Arrays,
        betas: Arrays,
        camera: Arrays,
        partial: Arrays,
        completed: Arrays,
        materials: Arrays | None = None,
    ) -> Structure[Arrays]:
        """The structure of a person (see `Structure`) whose partial texture (1, 4, R, R) lies in this plane.

        ``completed``: (1, 3, R, R) what is made of it without learning; ``materials``: see `Structure`.
        """
        mirrored = self.mirrored(partial)
        return Structure(pose, betas, camera, self.geometry, partial, mirrored, completed, materials)


def uv_plane(body: BodyModel, size: int) -> UvPlane:
    """The UV plane of a body's rest shape at (size, size). Raises TexturingError if the body has no UV layout."""
    return plane_of(body, Atlas.of(body, size))


def plane_of(body: BodyModel, atlas: Atlas) -> UvPlane:
    """The UV plane of a body's rest shape at the size of its atlas."""
    geometry, grid = plane_maps(body, atlas)
    return UvPlane(np.ascontiguousarray(geometry.transpose(2, 0, 1))[None], _look_up(grid))


def plane_maps(body: BodyModel, atlas: Atlas) -> tuple[Arrays, Arrays]:
    """(R, R, 7) the geometry (see `Structure`), and (R, R, 2) where each texel's mirror image on the body lies, x right
    and y down, -1..1 across the texture; outside the islands far away from everything.
    """
    surface, table, data = atlas.surface, atlas.table, body.data
    places = data.v_template - data.joint_template[0]
    values = table.interpolate(np.column_stack([places, vertex_normals(data.v_template, data.faces)]), surface.faces)
    values[:, 3:] /= np.maximum(np.linalg.norm(values[:, 3:], axis=1, keepdims=True), 1e-9)
    geometry = table.scatter(np.column_stack([values, np.ones(len(table))]).astype(np.float32))
    mirrored = table.interpolate_corners(surface.mirror_uv)
    grid = table.scatter(np.column_stack([2 * mirrored[:, 0] - 1, 1 - 2 * mirrored[:, 1]]).astype(np.float32))
    grid[geometry[..., 6] == 0] = _FAR_AWAY
    return geometry, grid


def _look_up(grid: Arrays) -> sparse.csr_array:
    """See `UvPlane.mirror`; what lies beyond the texture's border counts as nothing."""
    size = len(grid)
    at = ((grid.reshape(-1, 2) + 1) * np.float32(size) - 1) / 2
    low = np.floor(at)
    part, cell = at - low, low.astype(np.int64)
    rows, columns, weights = [], [], []
    for right, down in ((0, 0), (1, 0), (0, 1), (1, 1)):
        x, y = cell[:, 0] + right, cell[:, 1] + down
        inside = np.flatnonzero((x >= 0) & (x < size) & (y >= 0) & (y < size))
        weight = (part[:, 0] if right else 1 - part[:, 0]) * (part[:, 1] if down else 1 - part[:, 1])
        rows.append(inside)
        columns.append((y * size + x)[inside])
        weights.append(weight[inside])
    entries = np.concatenate(weights).astype(np.float32), (np.concatenate(rows), np.concatenate(columns))
    return sparse.csr_array(entries, shape=(size * size, size * size))


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

    def person(self, pixels: NDArray[np.uint8], mask: NDArray[np.uint8], side: int) -> Arrays:
        """(1, 3, side, side) sRGB 0..1 of the person before mid-grey.

        ``pixels`` (H, W, 3), ``mask`` (H, W) 255 on the person.
        """
        alpha = self.cut(mask, side)[..., None].astype(np.float32) / 255
        picture = _BACKGROUND + (self.cut(pixels, side).astype(np.float32) - _BACKGROUND) * alpha
        return np.ascontiguousarray((picture / 255).transpose(2, 0, 1), np.float32)[None]

    def camera(self, pelvis: Floats, camera: Camera) -> Arrays:
        """(1, 3) see `Structure.camera`; ``pelvis`` (3,) in the camera frame, metres."""
        x, y = camera.project(np.asarray(pelvis, np.float64))
        half = self.side / 2
        numbers = camera.focal / float(pelvis[2]) / half, (x - self.left) / half - 1, (y - self.top) / half - 1
        return np.array([numbers], np.float32)


def pose_of(body: BodyParameters) -> Arrays:
    """(1, 24, 3, 3) rotations of a fitted body's joints."""
    vectors = np.concatenate([np.reshape(body.global_orient, (1, 3)), np.reshape(body.body_pose, (23, 3))])
    return rotations.exp(vectors.astype(np.float64)).astype(np.float32)[None]
