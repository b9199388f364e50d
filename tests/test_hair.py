"""Long hair from the photo to the result, with the shipped models on a drawn person."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.clothing.test_hair import CHEST, portrait
from uvatar.engine.engine import Engine
from uvatar.engine.finish import clothe, finish_person
from uvatar.engine.jobs import on_body
from uvatar.protocol.options import Options
from uvatar.protocol.parts import part_entry, parts_of

OPTIONS = Options(texture_size=512, texture="projected")


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine.load(threads=1)


def test_long_hair_becomes_a_part_of_the_avatar(engine: Engine) -> None:
    view = portrait(engine.body, CHEST)
    person = finish_person(view, None, engine, OPTIONS)
    part = on_body(person, None, view.camera, engine).parts[-1]
    assert part.name == "Hair" and part.two_sided
    rig, hair = engine.body.data.rig, person.fit.hair
    assert rig is not None and hair is not None
    (read,) = parts_of({"parts": [part_entry(part)]}, len(rig.joint_names), 10)
    # The part's rest pose, moved by the body's joints, is where the photo shows the hair.
    posed = engine.body.posed_part(person.fit.body, read)
    assert np.abs(posed - hair.vertices[np.unique(hair.quads)]).max() < 1e-3


@pytest.mark.parametrize(
    "options", [replace(OPTIONS, hair=False), replace(OPTIONS, fast=True), replace(OPTIONS, clothing=False)]
)
def test_long_hair_can_be_left_out(engine: Engine, options: Options) -> None:
    assert clothe(portrait(engine.body, CHEST), engine, options).hair is None
