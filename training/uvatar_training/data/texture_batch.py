"""Prepares samples for training the Texture Predictor: a person's crop, the body's view, and the visible texture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from uvatar.body import BodyModel
from uvatar.geometry.mesh import vertex_normals
from uvatar.photos.colour import linear_from_srgb, srgb_from_linear
from uvatar.texture_predictor.config import Config
from uvatar.texture_predictor.inputs import Crop, pose_of
from uvatar_training.data.batch import Batch
from uvatar_training.data.problems import DataError
from uvatar_training.data.sample import PersonLabel, Sample
from uvatar_training.rendering import Cameras, PixelView, RenderError, UvMesh, see
from uvatar_training.rendering.unprojection import Texels, unproject

SMALLEST = 48  # least pixels of the longer side of a person's box


@dataclass(frozen=True)
class TextureBatch(Batch):
    """B people, each in a separate photo.

    Attributes:
        photo: (B, 3, S, S) sRGB 0..1 on mid-grey, for the style encoder.
        picture: (B, 3, P, P) the crop that renderings are compared with.
        mask: (B, 1, P, P) bool, the person's pixels in the crop.
        face, barycentric, uv, depth: fields of a `PixelView` of the bodies in the crops' cameras.
        pose: (B, 24, 3, 3), betas: (B, 10), camera: (B, 3), see `uvatar.texture_predictor.structure.Structure`.
        partial: (B, 4, R, R) colours of the texels that the pictures show, and where they are seen.
        truth: (B, 3, R, R) the whole texture in the picture's light, NaN where it is unknown.
    """

    photo: Tensor
    picture: Tensor
    mask: Tensor
    face: Tensor
    barycentric: Tensor
    uv: Tensor
    depth: Tensor
    pose: Tensor
    betas: Tensor
    camera: Tensor
    partial: Tensor
    truth: Tensor

    @property
    def view(self) -> PixelView:
        """The bodies seen by the crops' cameras."""
        return PixelView(self.face, self.barycentric, self.uv, self.depth)


@dataclass(frozen=True)
class TextureStage:
    """Precomputed data of the body that preparing needs.

    Attributes:
        body: the body.
        config: of the Texture Predictor.
        side: P, side of the compared pictures, pixels.
        mesh, texels: its triangles and texels.
        normals: unit normals of its rest shape.
    """

    body: BodyModel
    config: Config
    side: int
    mesh: UvMesh
    texels: Texels
    normals: NDArray[np.float32]

    @classmethod
    def of(cls, body: BodyModel, config: Config, side: int) -> TextureStage:
        """Precompute a stage; takes half a second at 256 texels."""
        data = body.data
        return cls(
            body,
            config,
            side,
            UvMesh.of(data),
            Texels.of(body, config.resolution),
            vertex_normals(data.v_template, data.faces),
        )


def prepare_texture(sample: Sample, rng: np.random.Generator, stage: TextureStage) -> TextureBatch:
    """A random person of the sample, with a probability by the size of the mask, as a batch of one.

    Raises:
        DataError: nobody is large enough, has this body, and is in front of the camera.
    """
    return prepare_person(sample, _choice(sample, rng, stage.body), stage)


def prepare_person(sample: Sample, number: int, stage: TextureStage) -> TextureBatch:
    """The sample's person ``number`` as a batch of one.

    Raises:
        DataError: the person is behind the camera or hidden, or no texel is visible.
    """
    person = sample.people[number]
    assert sample.mask is not None
    mask = (sample.mask == number + 1).astype(np.uint8) * np.uint8(255)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    crop = Crop.around(np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]))
    offsets = None if person.stand_off is None else person.stand_off[:, None] * stage.normals
    vertices, joints = stage.body.posed(person.parameters, offsets)
    if joints[0, 2] <= 0:
        raise DataError(sample.name, f"has person {number} behind the camera")
    side = stage.side
    camera = sample.camera
    scale = side / crop.side
    center = ((camera.center[0] - crop.left) * scale, (camera.center[1] - crop.top) * scale)
    cameras = Cameras(torch.tensor([camera.focal * scale]).float(), torch.tensor([center]).float(), side, side)
    points = torch.from_numpy(vertices)[None]
    picture = torch.from_numpy(crop.cut(sample.image, side)).permute(2, 0, 1)[None].float() / 255
    seen = torch.from_numpy(crop.cut(mask, side) > 127)[None, None]
    try:
        view = see(points, stage.mesh, cameras)
    except RenderError as error:
        raise DataError(sample.name, f"has a person who cannot be rendered: {error}") from error
    if not (view.mask & seen).any():
        raise DataError(sample.name, f"has person {number} whose body and mask share no pixel")
    partial = unproject(picture, points, stage.mesh, stage.texels, cameras, view)
    # Only the person's own pixels belong to the texture, not those of objects in front.
    own = unproject(seen.float().expand(-1, 3, -1, -1), points, stage.mesh, stage.texels, cameras, view)[:, :1] > 0.9
    partial = torch.cat([partial[:, :3], partial[:, 3:] * own], 1)
    if not partial[:, 3].any():
        raise DataError(sample.name, f"shows no texel of person {number}")
    betas = torch.from_numpy(person.betas[:10].copy())[None]
    photo, pose, place = (
        torch.from_numpy(values)
        for values in (
            crop.person(sample.image, mask, stage.config.photo_side),
            pose_of(person.parameters),
            crop.camera(joints[0], camera),
        )
    )
    truth = in_its_light(person, partial[0], stage.config.resolution)
    return TextureBatch(
        photo, picture, seen, view.face, view.barycentric, view.uv, view.depth, pose, betas, place, partial, truth,
    )  # fmt: skip


def usable_pixels(sample: Sample, body: BodyModel) -> NDArray[np.float64]:
    """Mask pixels per person, 0 for people who cannot be used: too small, with another body, or without parameters.

    Raises:
        DataError: the sample has no mask.
    """
    if sample.mask is None:
        raise DataError(sample.name, "has no mask")
    pixels = np.bincount(sample.mask.ravel(), minlength=len(sample.people) + 1)[1 : len(sample.people) + 1].astype(
        float
    )
    for number, person in enumerate(sample.people):
        usable = person.body == body.data.name and np.isfinite(person.betas).all() and np.isfinite(person.transl).all()
        if not usable or pixels[number] < SMALLEST**2 / 4:
            pixels[number] = 0
    return pixels


def _choice(sample: Sample, rng: np.random.Generator, body: BodyModel) -> int:
    pixels = usable_pixels(sample, body)
    if not pixels.sum():
        raise DataError(sample.name, f"shows no person of the body {body.data.name} large enough for a texture")
    return int(rng.choice(len(pixels), p=pixels / pixels.sum()))


def in_its_light(person: PersonLabel, partial: Tensor, size: int) -> Tensor:
    """The true texture (1, 3, R, R) with the brightness and tint of the photo; NaN where it is unknown.

    Textures of synthetic people are unlit, but photos are lit: one factor per channel, in linear light, is computed
    from the texels that the photo shows.
    """
    if person.texture is None:
        return torch.full((1, 3, size, size), torch.nan)
    truth = linear_from_srgb(
        np.asarray(cv2.resize(person.texture, (size, size), interpolation=cv2.INTER_AREA), np.uint8)
    )
    partial = F.interpolate(partial[None], (size, size), mode="nearest")[0]
    seen = partial[3].numpy() > 0
    shown = linear_from_srgb(np.round(partial[:3].permute(1, 2, 0).numpy() * 255).astype(np.uint8))
    gain = np.clip(shown[seen].mean(0) / np.maximum(truth[seen].mean(0), 1e-3), 0.2, 5)
    return torch.from_numpy(srgb_from_linear(truth * gain)).permute(2, 0, 1)[None].float() / 255
