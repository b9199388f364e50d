"""The result of fitting: one posed, shaped, clothed body per person."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from uvatar.data.shell import Hair, Shell, Skirt


@dataclass(frozen=True)
class BodyParameters:
    """SMPL-style parameters of one body in the camera frame (so a standing person's global_orient is near pi about x).

    Fingers, jaw, eyes and expression count on a body that has them, and are left out on others.

    Attributes:
        betas: (10,) shape coefficients.
        global_orient: (3,) axis-angle of the pelvis, radians.
        body_pose: (23, 3) axis-angle of joints 1..23 relative to their parents, radians.
        transl: (3,) metres, added to the posed vertices (SMPL convention: rotation is about the rest pelvis joint).
        hand_pose: (30, 3) axis-angle of the fingers' joints, left hand first, each relative to its parent
            (`uvatar.protocol.rig`); None: straight fingers.
        jaw_pose: (3,) axis-angle of the jaw, or None.
        eye_pose: (2, 3) axis-angle of the left and the right eye, or None.
        expression: (52,) weights of `uvatar.protocol.expressions.EXPRESSIONS`, or None.
    """

    betas: NDArray[np.float32]
    global_orient: NDArray[np.float32]
    body_pose: NDArray[np.float32]
    transl: NDArray[np.float32]
    hand_pose: NDArray[np.float32] | None = None
    jaw_pose: NDArray[np.float32] | None = None
    eye_pose: NDArray[np.float32] | None = None
    expression: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Fit:
    """A body fitted to one person of one photo.

    Attributes:
        body: the parameters.
        offsets: (V, 3) displacement of every vertex in the rest pose (added after the shape blend shapes, before
            skinning) by the form of the face, clothes and hair, metres; zeros where there is none.
        landmark_error_median, landmark_error_p95: distance of the projected body landmarks from the seen ones
            (visibility > 0.5), as fractions of the person's box side (the longer side).
        confidence: 0..1, for the user: how likely there is a person, how much of them is seen, and how well the body
            explains landmarks and, once all stages are done, mask and texture (docs/confidence.md).
        start: which start won ("landmarks", "mesh_predictor", ...).
        notes: what the user should know, in plain words ("legs are outside the photo: posed by the prior").
        group: of people whose shapes the body was drawn towards ("adult", "female", "child"), or "all".
        cost: what the fit leaves unexplained, nats; comparable between fits to the same evidence alone. NaN where
            nothing was fitted.
        shoes: the kind of shoe on the left and the right foot, None for a bare one; the shoes are in ``offsets``.
        skirt: a skirt, dress or long coat that is a mesh beside the body, or None.
        hair: hair that is a mesh beside the body, or None.
        bared: uint8 of the person's window, 255 where the photo shows hair beside the head or before neck and trunk
            that the avatar does not wear; None if it wears what the photo shows.
    """

    body: BodyParameters
    offsets: NDArray[np.float32]
    landmark_error_median: float
    landmark_error_p95: float
    confidence: float
    start: str = "landmarks"
    notes: tuple[str, ...] = field(default=())
    group: str = "all"
    cost: float = float("nan")
    shoes: tuple[str | None, str | None] = (None, None)
    skirt: Skirt | None = None
    hair: Hair | None = None
    bared: NDArray[np.uint8] | None = None

    @property
    def shells(self) -> tuple[Shell, ...]:
        """The meshes beside the body."""
        return tuple(shell for shell in (self.skirt, self.hair) if shell is not None)

    def joined_to_shells(
        self, vertices: NDArray[np.float32], faces: NDArray[np.int32]
    ) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Vertices (V, 3), camera frame, and triangles (F, 3) of the body and its shells."""
        for shell in self.shells:
            vertices, faces = shell.joined_to(vertices, faces)
        return vertices, faces
