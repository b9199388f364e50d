# SPDX-License-Identifier: GPL-3.0-or-later
"""The shape sliders of an avatar: its shape keys, with descriptive names and tooltips."""

# No "from __future__ import annotations" here: Blender reads the properties from the annotations.

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import bpy

from ..scene.mesh import BETA_LIMIT, set_slider
from ..scene.rig import RigError, beta_names, find_body
from .live_joints import follow_soon

_MOST = 10.0  # standard deviations that Blender allows a shape key
_SMPL_BETAS = 10


@dataclass(frozen=True)
class Slider:
    """Label and tooltip of a shape component on the panel."""

    label: str
    tip: str


# By the names of the components: the open body's, from its file (weights/open_body.md), and SMPL's.
SLIDERS = {
    "stature": Slider("Stature", "Shorter to taller. One step is 19 cm"),
    "body mass index": Slider(
        "Body mass index", "Thinner to heavier at the same stature. One step is a factor of 1.26"
    ),
    "gender": Slider(
        "Masculine – Feminine", "Lower is more masculine, higher more feminine. Men are near -1, women near +1"
    ),
    "maturity": Slider(
        "Child – Adult", "Lower gives more childlike proportions. Adults are near 0, a four-year-old child near -3.6"
    ),
    "trunk length": Slider("Trunk length", "Shorter to longer trunk at the same stature"),
    "shoulder width": Slider("Shoulder width", "Narrower to wider shoulders"),
    "shin length": Slider("Shin length", "Shorter to longer shins at the same stature"),
    "hip girth": Slider("Hip girth", "Narrower to wider hips"),
    "chest girth": Slider("Chest girth", "Smaller to larger chest"),
    "waist girth": Slider("Waist girth", "Smaller to larger waist"),
    **{
        f"SMPL beta {k}": Slider(
            f"SMPL beta {k}", f"Component {k} of SMPL's shape space, in standard deviations. 0 is SMPL's mean body"
        )
        for k in range(_SMPL_BETAS)
    },
}


def identifier(name: str) -> str:
    """Return the name of the property for a shape component."""
    return name.replace(" ", "_").lower()


def _reader(name: str) -> Callable[[bpy.types.PropertyGroup], float]:
    def read(group: bpy.types.PropertyGroup) -> float:
        try:
            return float(find_body(group.id_data).data.shape_keys.key_blocks[name].value)
        except (RigError, KeyError):
            return 0.0

    return read


def _writer(name: str) -> Callable[[bpy.types.PropertyGroup, float], None]:
    def write(group: bpy.types.PropertyGroup, value: float) -> None:
        try:
            set_slider(find_body(group.id_data).data.shape_keys.key_blocks[name], value)
        except (RigError, KeyError, AttributeError):  # the mesh was deleted, or is linked from another file
            return
        follow_soon(group.id_data)

    return write


class UVATAR_PG_shape(bpy.types.PropertyGroup):
    """The shape of an avatar. The properties read and write its shape keys.

    The shape keys hold the values; keyframes and drivers belong on them.
    """

    __annotations__ = {
        identifier(name): bpy.props.FloatProperty(
            name=slider.label,
            description=slider.tip,
            soft_min=-BETA_LIMIT,
            soft_max=BETA_LIMIT,
            min=-_MOST,
            max=_MOST,
            step=10,
            options=set(),
            get=_reader(name),
            set=_writer(name),
        )
        for name, slider in SLIDERS.items()
    }


def draw_sliders(layout: bpy.types.UILayout, rig: bpy.types.Object, body: bpy.types.Object) -> None:
    """Draw a slider for each shape component.

    If one of them is keyed or driven, the sliders are those of the shape keys themselves, which show it.
    """
    keys, names = body.data.shape_keys, beta_names(rig)
    animated = _animated(keys, names)
    for name in names:
        if name in SLIDERS and not animated:
            layout.prop(rig.uvatar_shape, identifier(name), slider=True)
        else:
            layout.prop(
                keys.key_blocks[name],
                "value",
                text=SLIDERS[name].label if name in SLIDERS else name.capitalize(),
                slider=True,
            )


def _animated(keys: bpy.types.Key, names: Sequence[str]) -> bool:
    """Whether there is motion on a mesh's shape keys, or a driver on one of these; those of pose correctives may be."""
    animation = keys.animation_data
    if animation is None:
        return False
    paths = {keys.key_blocks[name].path_from_id("value") for name in names}
    driven = any(curve.data_path in paths for curve in animation.drivers)
    return driven or animation.action is not None or len(animation.nla_tracks) > 0


CLASSES = (UVATAR_PG_shape,)
