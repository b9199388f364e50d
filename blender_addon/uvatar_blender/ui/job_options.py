# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a job in Blender: properties and panel, made from their declarations in `protocol.options`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import bpy

from ..protocol.option import Option, Panel
from ..protocol.options import declared


def option_properties() -> dict[str, Any]:
    """Make the annotations of a property group: a Blender property for each option on the panel."""
    return {name: _property(name, option, panel) for name, option, panel in _in_panel()}


def chosen_options(settings: bpy.types.PropertyGroup) -> dict[str, Any]:
    """Read the values of the options, as the protocol has them, from the properties in ``settings``."""
    return {name: _value(getattr(settings, name), option, panel) for name, option, panel in _in_panel()}


def draw_job_options(
    layout: bpy.types.UILayout,
    settings: bpy.types.PropertyGroup,
    own: Mapping[str, Callable[[bpy.types.UILayout, bpy.types.PropertyGroup], None]],
) -> None:
    """Draw the options in the order of their declaration.

    Args:
        own: option name -> the function that draws an option with more to show than its property.
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
    if option.kind is str:
        return bpy.props.StringProperty(default=option.default, **facts)
    number = bpy.props.IntProperty if option.kind is int else bpy.props.FloatProperty
    return number(default=option.default, min=option.low, max=option.high, **facts)


def _items(option: Option, panel: Panel) -> Mapping[Any, tuple[str, str, str]]:
    """Return identifier, label and tooltip of each menu item, by value."""
    return panel.choices or {choice: (str(choice), str(choice), "") for choice in option.choices or ()}


def _value(stored: Any, option: Option, panel: Panel) -> Any:
    """Convert the value of a property to the protocol's."""
    if option.kind is bool or option.choices is None:
        return stored
    return next(value for value, (identifier, *_) in _items(option, panel).items() if identifier == stored)
