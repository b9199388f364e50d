# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a job in Blender: its properties and its part of the panel, made from their declaration
(`protocol.options`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import bpy

from ..protocol.options import Option, Panel, declared


def option_properties() -> dict[str, Any]:
    """Annotations of a property group: a Blender property for each option on the panel."""
    return {name: _property(name, option, panel) for name, option, panel in _in_panel()}


def chosen_options(settings: bpy.types.PropertyGroup) -> dict[str, Any]:
    """The options' values as in the protocol; ``settings`` holds the properties."""
    return {name: _value(getattr(settings, name), option, panel) for name, option, panel in _in_panel()}


def draw_job_options(
    layout: bpy.types.UILayout,
    settings: bpy.types.PropertyGroup,
    own: Mapping[str, Callable[[bpy.types.UILayout, bpy.types.PropertyGroup], None]],
) -> None:
    """Draw the options in the order of their declaration.

    Args:
        own: what draws an option that has more to show than its property.
    """
    chosen, columns = chosen_options(settings), {"": layout}
    for name, _, panel in _in_panel():
        if any(chosen[other] not in values for other, values in panel.shown_if.items()):
            continue
        if panel.group not in columns:
            columns[panel.group] = layout.column(heading=panel.group)
        place = columns[panel.group]
        if panel.active_if:
            place = place.row()
            place.active = all(chosen[other] == value for other, value in panel.active_if.items())
        if name in own:
            own[name](place, settings)
        else:
            place.prop(settings, name)


def _in_panel() -> Iterator[tuple[str, Option, Panel]]:
    for name, option in declared().items():
        if option.panel is not None:
            yield name, option, option.panel


def _property(name: str, option: Option, panel: Panel) -> Any:
    facts: dict[str, Any] = {
        "name": panel.label or name.replace("_", " ").capitalize(),
        "description": panel.tooltip or option.about.removesuffix("."),
    }
    if option.kind is bool:
        return bpy.props.BoolProperty(default=option.default, **facts)
    if option.choices is not None:
        items = _items(option, panel)
        return bpy.props.EnumProperty(items=list(items.values()), default=items[option.default][0], **facts)
    number = bpy.props.IntProperty if option.kind is int else bpy.props.FloatProperty
    return number(default=option.default, min=option.low, max=option.high, **facts)


def _items(option: Option, panel: Panel) -> Mapping[Any, tuple[str, str, str]]:
    """Identifier, label and tooltip of each menu item."""
    return panel.choices or {choice: (str(choice), str(choice), "") for choice in option.choices or ()}


def _value(stored: Any, option: Option, panel: Panel) -> Any:
    """A property's value as in the protocol."""
    if option.kind is bool or option.choices is None:
        return stored
    return next(value for value, (identifier, *_) in _items(option, panel).items() if identifier == stored)
