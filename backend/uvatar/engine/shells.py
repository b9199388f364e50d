"""A person's skirt and long hair on their way from clothing to the result: texture, rest pose, sliders."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from uvatar.body import BodyModel
from uvatar.clothing.limbs import limbs
from uvatar.clothing.shells import at_rest
from uvatar.data.fit import BodyParameters, Fit
from uvatar.data.shell import Hair, Shell, Skirt
from uvatar.data.view import View
from uvatar.photos.encoding import encode_png
from uvatar.protocol.parts import MASK, OPAQUE, Part
from uvatar.results.present import strongest_influences
from uvatar.texturing.shells.hair import hair_texture
from uvatar.texturing.shells.hair_ends import hair_opacity
from uvatar.texturing.shells.skirt import skirt_texture

if TYPE_CHECKING:
    from uvatar.engine.engine import Engine

ROUGHNESS = {Skirt.NAME: 0.85, Hair.NAME: 0.6}
ALPHA = {Skirt.NAME: OPAQUE, Hair.NAME: MASK}
NEIGHBOURS = 12  # vertices of the body whose mean movement by a slider a shell follows
TEXTURE_SHARE = 2  # a shell has about a quarter of a body's surface


def shell_parts(view: View, texture_size: int, engine: Engine) -> tuple[Part, ...]:
    """The skirt and the hair of the view's fit, textured from its photo, as parts of the open body."""
    fit, body = view.fit, engine.body
    size = max(256, texture_size // TEXTURE_SHARE)
    parts = []
    if fit.skirt is not None:
        surface = engine.atlases.at(texture_size).surface
        vertices = body.posed(fit.body, fit.offsets)[0]
        texture = skirt_texture(fit.skirt, view, vertices, surface, size)
        parts.append(_part(Skirt.NAME, fit.skirt, fit.body, body, encode_png(texture)))
    if fit.hair is not None:
        colours, opacity = hair_texture(fit.hair, view, size), hair_opacity(fit.hair, size)
        parts.append(_part(Hair.NAME, fit.hair, fit.body, body, encode_png(np.dstack([colours, opacity]))))
    return tuple(parts)


def parts_on(fit: Fit, parts: tuple[Part, ...], body: BodyModel) -> tuple[Part, ...]:
    """The parts of a person who was transferred to another body: shells, which lie where they lay in the photo."""
    shells = {Skirt.NAME: fit.skirt, Hair.NAME: fit.hair}
    return tuple(
        _part(part.name, shell, fit.body, body, part.texture)
        for part in parts
        if (shell := shells.get(part.name)) is not None
    )


def dressed_mesh(fit: Fit, body: BodyModel) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Vertices, camera frame, and triangles of the body with its clothes, the skirt and the hair."""
    return fit.joined_to_shells(body.posed(fit.body, fit.offsets)[0], body.data.faces)


def _part(name: str, shell: Shell, parameters: BodyParameters, body: BodyModel, texture: bytes) -> Part:
    used, quads = np.unique(shell.quads, return_inverse=True)
    transforms = body.transforms_of(parameters)
    vertices = at_rest(shell, transforms[: shell.weights.shape[1]])[used]
    joints, weights = strongest_influences(shell.weights[used])
    data = body.data
    trunk = np.flatnonzero(~limbs(data)[0])
    rest = (data.v_template + data.shapedirs @ parameters.betas)[trunk]
    _, nearest = cKDTree(rest).query(vertices, NEIGHBOURS)
    return Part(
        name=name,
        vertices=vertices,
        faces=quads.reshape(shell.quads.shape).astype(np.int32),
        skin_joints=joints,
        skin_weights=weights,
        uv=shell.uv,
        face_uv=shell.quad_uv,
        shapedirs=data.shapedirs[trunk][nearest].mean(1),
        texture=texture,
        two_sided=True,
        roughness=ROUGHNESS[name],
        alpha=ALPHA[name],
    )
