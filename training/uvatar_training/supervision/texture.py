"""From a predicted texture and the photo to the terms of the Texture Loss; the counterpart of
`uvatar_training.supervision.mesh`.

No texture is ever given as the truth: the renderer puts the prediction on the body, and the picture is compared with
the photo.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from uvatar.body import BodyModel
from uvatar.body.torch_body import TorchBody
from uvatar.data.camera import Camera
from uvatar.mesh_predictor.maps import PredictedBodies
from uvatar.mesh_predictor.weak_perspective import PaddedSquare
from uvatar.texture_predictor.networks.encoders import Style
from uvatar.texturing.surface import build_surface
from uvatar_training.losses.adversarial import generator_loss
from uvatar_training.losses.features import Perceptual
from uvatar_training.losses.texture import TextureWeights, face_distance, perceptual_distance, reconstruction
from uvatar_training.losses.uv import Seams, mirror_distance, seam_distance, seen_distance
from uvatar_training.networks.uv_plane import UvPlane, uv_plane
from uvatar_training.networks.weak_perspective import translation
from uvatar_training.rendering import PixelView, RenderError, UvMesh, paint


@dataclass(frozen=True)
class Surroundings:
    """What the terms need of the body and of pretrained networks; the same for all people.

    Attributes:
        perceptual: distance of pictures by their features.
        plane: the texture's UV plane; seams: its seams.
        face: (F,) bool, triangles of the face's front.
    """

    perceptual: Perceptual
    plane: UvPlane
    seams: Seams
    face: Tensor

    @classmethod
    def of(cls, body: BodyModel, size: int, perceptual: Perceptual) -> Surroundings:
        """For textures of (size, size) on this body. Raises TexturingError if it has no UV layout."""
        return cls(perceptual, uv_plane(body, size), Seams.of(UvMesh.of(body.data)), face_triangles(body))


def face_triangles(body: BodyModel) -> Tensor:
    """(F,) bool, the triangles from the chin to the hairline and cheek to cheek."""
    front = torch.from_numpy(build_surface(body.data).face_front)
    return front[torch.from_numpy(body.data.faces).long()].all(1)


@dataclass(frozen=True)
class PhotoEvidence:
    """What B photos say.

    Attributes:
        photo: (B, 3, H, W) sRGB 0..1.
        mask: (B, 1, H, W) bool, the person's pixels.
        partial: (B, 4, R, R) the texels that the photo sees (`uvatar_training.rendering.unprojection`), and how far; or
            None.
        hidden: (B, 1, R, R) the part of that which the network was not shown (`uvatar_training.losses.uv.hide_half`);
            or None.
    """

    photo: Tensor
    mask: Tensor
    partial: Tensor | None = None
    hidden: Tensor | None = None


def texture_terms(
    texture: Tensor,
    view: PixelView,
    evidence: PhotoEvidence,
    surroundings: Surroundings,
    style: Style | None = None,
    fake_logits: Tensor | None = None,
    weights: TextureWeights | None = None,
) -> dict[str, Tensor]:
    """The terms of the loss by the names of `uvatar_training.losses.texture.TextureWeights`.

    Args:
        texture: (B, 3, R, R) predicted. view: of the bodies in the photos' cameras, with or without gradients.
        style: the encoder's, for "kl"; fake_logits: the discriminator's on the textures, for "adversarial"; left out
            where None. "seen" likewise needs the evidence's ``hidden``.
        weights: terms of weight 0 are not computed; None: all are.

    Raises:
        RenderError: a texture that is not finite, or a body that shares no pixel with its person.
    """
    both = view.mask & evidence.mask
    apart = ~both.flatten(1).any(1)
    if apart.any():
        people = tuple(apart.nonzero()[:, 0].tolist())
        raise RenderError(
            f"The body of person {', '.join(map(str, people))} of the batch shares no pixel with the photo's mask.",
            people,
        )
    image = paint(view, texture)
    photo, perceptual = evidence.photo, surroundings.perceptual
    face = both & surroundings.face.to(view.face.device)[view.face.clamp_min(0)][:, None]
    seen = torch.zeros_like(texture[:, :1]) if evidence.partial is None else evidence.partial[:, 3:]
    terms: dict[str, Callable[[], Tensor]] = {
        "perceptual": lambda: perceptual_distance(image, photo, both, perceptual),
        "reconstruction": lambda: reconstruction(image, photo, both),
        "face": lambda: face_distance(image, photo, face, perceptual),
        "mirror": lambda: mirror_distance(texture, surroundings.plane, seen),
        "seam": lambda: seam_distance(texture, surroundings.seams),
    }
    partial, hidden = evidence.partial, evidence.hidden
    if partial is not None and hidden is not None:
        terms["seen"] = lambda: seen_distance(texture, partial, hidden)
    if style is not None:
        terms["kl"] = lambda: style.divergence().mean()
    if fake_logits is not None:
        terms["adversarial"] = lambda: generator_loss(fake_logits)
    return {name: term() for name, term in terms.items() if weights is None or getattr(weights, name)}


def placed_vertices(bodies: PredictedBodies[Tensor], body: TorchBody, square: PaddedSquare, camera: Camera) -> Tensor:
    """Vertices (N, V, 3) of predicted bodies where the photo's own camera sees them as the Mesh Predictor's does.

    Gradients lead to pose, shape and the predicted camera: through these the picture teaches the mesh.
    """
    posed = body(bodies.betas, bodies.pose)
    placed: Tensor = posed.vertices + translation(posed.joints, bodies.camera, square, camera)[:, None]
    return placed
