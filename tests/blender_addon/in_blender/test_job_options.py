"""The job options in Blender are made from their declaration in the protocol."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import make_dataclass
from typing import Any

import bpy
import pytest

from uvatar_blender.protocol import options as protocol_options
from uvatar_blender.protocol.option import option
from uvatar_blender.ui.job_options import chosen_options, draw_job_options, option_properties


class Page:
    """A layout that notes which properties are drawn on it, and where."""

    def __init__(self, heading: str = "", drawn: list[tuple[str, str, bool]] | None = None) -> None:
        self.heading, self.active = heading, True
        self.drawn: list[tuple[str, str, bool]] = [] if drawn is None else drawn

    def column(self, heading: str = "") -> Page:
        return Page(heading, self.drawn)

    def row(self) -> Page:
        return Page(self.heading, self.drawn)

    def prop(self, settings: Any, name: str) -> None:
        self.drawn.append((self.heading, name, self.active))


@pytest.fixture
def settings(scene: Any) -> Iterator[Any]:
    """A property group with the options as they are declared, and with a made-up one."""
    declaration = protocol_options.Options
    field = option(False, "Give everybody a moustache.")
    protocol_options.Options = make_dataclass(  # type: ignore[assignment,misc]
        "Options", [("moustache", bool, field)], bases=(declaration,), frozen=True, kw_only=True
    )
    group = type("UVATAR_PG_trial", (bpy.types.PropertyGroup,), {"__annotations__": option_properties()})
    bpy.utils.register_class(group)
    bpy.types.Scene.trial = bpy.props.PointerProperty(type=group)
    try:
        yield scene.trial
    finally:
        del bpy.types.Scene.trial
        bpy.utils.unregister_class(group)
        protocol_options.Options = declaration  # type: ignore[misc]


def test_a_new_option_is_a_property(settings: Any) -> None:
    new = settings.bl_rna.properties["moustache"]
    assert (new.type, new.name, new.description) == ("BOOLEAN", "Moustache", "Give everybody a moustache")
    assert chosen_options(settings)["moustache"] is False
    settings.moustache = True
    assert chosen_options(settings)["moustache"] is True


def test_a_new_option_is_drawn_among_the_others(settings: Any) -> None:
    page, own = Page(), []
    draw_job_options(page, settings, {"body": lambda layout, _: own.append(layout)})
    without_heading = [name for heading, name, _ in page.drawn if not heading]
    assert own == [page] and without_heading == ["texture_size", "texture", "height"]
    made = [name for heading, name, _ in page.drawn if heading == "Make"]
    assert made == ["fast", "refine", "clothing", "shoes", "skirts", "hair", "uncertain", "moustache"]
    settings.texture, settings.fast = "predicted", True
    page = Page()
    draw_job_options(page, settings, {})
    assert ("", "texture_seed", True) in page.drawn and ("Make", "clothing", False) in page.drawn


def test_properties_are_as_declared(settings: Any) -> None:
    rna = settings.bl_rna.properties
    assert chosen_options(settings) == {
        name: option.default for name, option in protocol_options.declared().items() if option.panel is not None
    }
    sizes = [item.name for item in rna["texture_size"].enum_items]
    assert sizes == ["512 px", "1024 px", "2048 px", "4096 px", "Automatic"]
    assert [item.identifier for item in rna["texture"].enum_items] == ["AUTO", "combined", "projected", "predicted"]
    assert (rna["texture_seed"].hard_min, rna["texture_seed"].hard_max) == (0, 1_000_000)
    assert (rna["clothing"].name, rna["clothing"].default) == ("Clothes and hair", True)
    settings.texture_size = "4096"
    assert chosen_options(settings)["texture_size"] == 4096
