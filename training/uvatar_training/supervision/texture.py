"""Computes the terms of the Texture Loss from a predicted texture and the photo.

It is the counterpart of `uvatar_training.supervision.mesh`. No true texture is used: the renderer draws the body with
the predicted texture, and the picture is compared with the photo.
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
from uvatar.texturing.layout.surface import build_surface
from uvatar_training.losses.adversarial import generator_loss
from uvatar_training.losses.features import Perceptual
from uvatar_training.losses.texture import TextureWeights, face_distance, perceptual_distance, reconstruction
from uvatar_training.losses.uv import Seams, mirror_distance, seam_distance, seen_distance
from uvatar_training.networks.uv_plane import TorchUvPlane, uv_plane
from uvatar_training.networks.weak_perspective import translation
from uvatar_training.rendering import PixelView, RenderError, UvMesh, paint


@dataclass(frozen=True)
class Surroundings:
    """The body's layout and pretrained networks, which the terms need for all people.

    Attributes:
        perceptual: perceptual distance of pictures.
        plane: the texture's UV plane.
        seams: of the UV layout.
        face: (F,) bool, triangles of the front of the face.
    """

    perceptual: Perceptual
    plane: TorchUvPlane
    seams: Seams
    face: Tensor

    @classmethod
    def of(cls, body: BodyModel, size: int, perceptual: Perceptual) -> Surroundings:
        """Make the surroundings for textures of (size, size) on a body.

        Raises:
            TexturingError: the body has no UV layout.
        """
        return cls(perceptual, uv_plane(body, size), Seams.of(UvMesh.of(body.data)), face_triangles(body))


def face_triangles(body: BodyModel) -> Tensor:
    """The triangles (F,), bool, from chin to hairline and from cheek to cheek."""
    front = torch.from_numpy(build_surface(body.data).face_front)
    return front[torch.from_numpy(body.data.faces).long()].all(1)


@dataclass(frozen=True)
class PhotoEvidence:
    """B photos, and the parts of the texture that they show.

    Attributes:
        photo: (B, 3, H, W) sRGB 0..1.
        mask: (B, 1, H, W) bool, the person's pixels.
        partial: (B, 4, R, R) the texels that the photo shows, and how well
            (`uvatar_training.rendering.unprojection`), or None.
        hidden: (B, 1, R, R) the alpha of those that were hidden from the network
            (`uvatar_training.losses.uv.hide_half`), or None.
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
        texture: (B, 3, R, R) predicted.
        view: of the bodies in the photos' cameras, with or without gradients.
        evidence: the photos; the term "seen" is left out if ``partial`` or ``hidden`` is None.
        surroundings: what the terms need for all people.
        style: of the encoder, for the term "kl", which is left out if None.
        fake_logits: the discriminator's logits for the textures, for the term "adversarial", which is left out if None.
        weights: terms with weight 0 are not computed; None computes all.

    Raises:
        RenderError: a texture is not finite, or a body shares no pixel with its person's mask.
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
    """Vertices (N, V, 3), metres, of predicted bodies in the frame of the photo's camera.

    They are placed where this camera sees them as the Mesh Predictor's weak-perspective camera does. Gradients lead to
    pose, shape and the predicted camera: through these, the picture trains the mesh.
    """
    posed = body(bodies.betas, bodies.pose)
    placed: Tensor = posed.vertices + translation(posed.joints, bodies.camera, square, camera)[:, None]
    return placed
