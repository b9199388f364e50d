# SPDX-License-Identifier: GPL-3.0-or-later
"""Shape keys that keep the volume of shoulders and elbows, which the bones drive (see `core.limb_correctives`)."""

from __future__ import annotations

from collections.abc import Iterator

import bpy
import numpy as np

from ..core.arrays import Floats
from ..core.limb_correctives import BODY, CORRECTIVES, SIDES, Factor, load_shapes
from ..core.result import AvatarData
from ..core.skeleton import ARMATURE_FROM_BODY
from ..protocol.bone_names import SMPL_NAMES
from .mesh import CORRECTIVE, add_key, key_vertices, to_armature_axes
from .pose_drivers import drive, rotation_entry
from .rig import bone_axes, joint_names, rest_frames

_LIMITS = (-3.0, 3.0)  # of the values; a collar bone raised by 40 degrees gives 2
_LEAST = 1e-3  # smaller coefficients are left out of an expression


def add_limb_correctives(body: bpy.types.Object, rig: bpy.types.Object, avatar: AvatarData) -> Iterator[None]:
    """Give an open body its limb correctives, in slices; other bodies stay as they are.

    Args:
        body: the mesh object, with a Basis.
        rig: the armature object that drives the shape keys.
        avatar: the person, in the rest pose of the mesh.

    Yields:
        None, after each slice.
    """
    if avatar.body_model != BODY:
        return
    shapes, count = load_shapes()
    if len(avatar.template) != count:
        return
    basis = key_vertices(body.data.shape_keys.key_blocks[0])
    _, own = rest_frames(rig)
    yield
    for corrective in CORRECTIVES:
        for side in SIDES:
            shape = shapes[corrective.name, side]
            weights = avatar.skin_weights[shape.vertices]
            turns = np.einsum("nk,nkab->nab", weights, own[avatar.skin_joints[shape.vertices]])
            moved = basis.copy()
            moved[shape.vertices] += np.einsum("nab,nb->na", turns, to_armature_axes(shape.deltas)).astype(np.float32)
            key = add_key(body, f"{CORRECTIVE}{side} {corrective.name}", moved)
            key.slider_min, key.slider_max = _LIMITS
            bones, expression = _expression(rig, side, corrective.factors, corrective.signed)
            _follow_skinning(drive(key, rig, bones, f"p*({expression})"), body)
            yield


def _follow_skinning(driver: bpy.types.Driver, body: bpy.types.Object) -> None:
    """Make the variable p 1 while the body is skinned with dual quaternions, for which the shapes are made, else 0."""
    variable = driver.variables.new()
    variable.name, variable.type = "p", "SINGLE_PROP"
    modifier = next(modifier for modifier in body.modifiers if modifier.type == "ARMATURE")
    variable.targets[0].id = body
    variable.targets[0].data_path = f"{modifier.path_from_id()}.use_deform_preserve_volume"


def _expression(rig: bpy.types.Object, side: str, factors: tuple[Factor, ...], signed: bool) -> tuple[list[str], str]:
    """Return the bones of the factors, and the expression of their product, less its value at rest."""
    names, (before, own), axes = joint_names(rig), rest_frames(rig), bone_axes(rig)
    bones, terms, rest = [], [], 1.0
    for number, factor in enumerate(factors):
        joint = SMPL_NAMES.index(f"{side}_{factor.joint}")
        axis = ARMATURE_FROM_BODY @ factor.direction(side)
        arm = ARMATURE_FROM_BODY @ ((1.0, 0.0, 0.0) if side == "left" else (-1.0, 0.0, 0.0))
        at_rest = factor.offset + factor.gain * float(axis @ before[joint].T @ own[joint] @ arm)
        bones.append(names[joint])
        terms.append(_reach(at_rest, factor.gain * axis @ before[joint].T @ axes[joint], number))
        rest *= at_rest
    product = "*".join(f"({term})" for term in terms)
    if not signed:
        product, rest = f"max(0,{product})", max(0.0, rest)
    return bones, product if abs(rest) < _LEAST else f"{product}-{rest:.4f}"


def _reach(at_rest: float, row: Floats, bone: int) -> str:
    """Return the expression of ``at_rest + row @ (R - I) @ (0, 1, 0)``: a bone's direction is its y axis."""
    terms = [
        f"{share:+.4f}*{rotation_entry(axis, 1, bone)}"
        for axis, share in enumerate(row.tolist())
        if abs(share) > _LEAST
    ]
    return f"{at_rest:.4f}{''.join(terms)}"
