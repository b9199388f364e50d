"""From samples to what the Texture Predictor is trained on: a person's crop, its body's view of the texture, and what
is seen of that.
"""

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

SMALLEST = 48  # pixels across the longer side of a person's box


@dataclass(frozen=True)
class TextureBatch(Batch):
    """B people, each in its own photo.

    Attributes:
        photo: (B, 3, S, S) sRGB 0..1 before mid-grey, for the style encoder.
        picture: (B, 3, P, P) the crop that renderings are compared with; mask: (B, 1, P, P) bool.
        face, barycentric, uv, depth: of a `PixelView` of the bodies in the crops' cameras.
        pose: (B, 24, 3, 3); betas: (B, 10); camera: (B, 3), see `uvatar.texture_predictor.structure.Structure`.
        partial: (B, 4, R, R) what the pictures show of the texture, and where.
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
        """What the crops' cameras see of the bodies."""
        return PixelView(self.face, self.barycentric, self.uv, self.depth)


@dataclass(frozen=True)
class TextureStage:
    """What preparing needs of the body, made once.

    Attributes:
        side: P, pixels of the compared pictures.
    """

    body: BodyModel
    config: Config
    side: int
    mesh: UvMesh
    texels: Texels
    normals: NDArray[np.float32]

    @classmethod
    def of(cls, body: BodyModel, config: Config, side: int) -> TextureStage:
        """Half a second at 256."""
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
    """One person of the sample, chosen by the size of its mask, as a batch of one.

    Raises DataError if nobody is large enough, of this body, and in front of the camera.
    """
    return prepare_person(sample, _choice(sample, rng, stage.body), stage)


def prepare_person(sample: Sample, number: int, stage: TextureStage) -> TextureBatch:
    """The sample's person ``number`` as a batch of one.

    Raises DataError if the person is behind the camera, hidden or shows no texel.
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
    # Only the person's own pixels are its texture: what stands before it is not.
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
    """Pixels of the mask per person, 0 for those of no use: too small, of another body, or without parameters.

    Raises DataError if there is no mask.
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
    """(1, 3, R, R) the true texture as bright and as coloured as the photo shows it; NaN where it is unknown.

    Textures of synthetic people are unlit, photos are lit: one factor per channel, from the texels that the photo sees,
        in linear light.
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
