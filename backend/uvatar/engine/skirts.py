"""A person's skirt on its way from clothing to the result: texture, rest pose, sliders."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from uvatar.body import BodyModel
from uvatar.clothing.skirt.mesh import at_rest
from uvatar.clothing.skirt.plane import limbs
from uvatar.data.fit import BodyParameters, Fit
from uvatar.data.skirt import SKIRT, Skirt
from uvatar.data.view import View
from uvatar.photos.encoding import encode_png
from uvatar.protocol.parts import Part
from uvatar.results.present import strongest_influences
from uvatar.texturing.skirt import skirt_texture

if TYPE_CHECKING:
    from uvatar.engine.engine import Engine

ROUGHNESS = 0.85  # cloth
NEIGHBOURS = 12  # vertices of the body whose mean movement by a slider the skirt follows
TEXTURE_SHARE = 2  # a skirt has about a quarter of a body's surface


def skirt_parts(view: View, texture_size: int, engine: Engine) -> tuple[Part, ...]:
    """The skirt of the view's fit, textured from its photo, as a part of the open body; empty without one."""
    fit, body = view.fit, engine.body
    if fit.skirt is None:
        return ()
    surface = engine.atlases.at(texture_size).surface
    vertices = body.posed(fit.body, fit.offsets)[0]
    texture = skirt_texture(fit.skirt, view, vertices, surface, max(256, texture_size // TEXTURE_SHARE))
    return (_part(fit.skirt, fit.body, body, encode_png(texture)),)


def parts_on(fit: Fit, parts: tuple[Part, ...], body: BodyModel) -> tuple[Part, ...]:
    """The parts of a person who was transferred to another body: the skirt, which lies where it lay in the photo."""
    return tuple(
        _part(fit.skirt, fit.body, body, part.texture) for part in parts if part.name == SKIRT and fit.skirt is not None
    )


def dressed_mesh(fit: Fit, body: BodyModel) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Vertices, camera frame, and triangles of the body with its clothes and the skirt."""
    vertices, faces = body.posed(fit.body, fit.offsets)[0], body.data.faces
    return (vertices, faces) if fit.skirt is None else fit.skirt.joined_to(vertices, faces)


def _part(skirt: Skirt, parameters: BodyParameters, body: BodyModel, texture: bytes) -> Part:
    transforms = body.transforms_of(parameters)
    vertices = at_rest(skirt, transforms[: skirt.weights.shape[1]])
    joints, weights = strongest_influences(skirt.weights)
    data = body.data
    trunk = np.flatnonzero(~limbs(data)[0])
    rest = (data.v_template + data.shapedirs @ parameters.betas)[trunk]
    _, nearest = cKDTree(rest).query(vertices, NEIGHBOURS)
    return Part(
        name=SKIRT,
        vertices=vertices,
        faces=skirt.quads,
        skin_joints=joints,
        skin_weights=weights,
        uv=skirt.uv,
        face_uv=skirt.quad_uv,
        shapedirs=data.shapedirs[trunk][nearest].mean(1),
        texture=texture,
        two_sided=True,
        roughness=ROUGHNESS,
    )
