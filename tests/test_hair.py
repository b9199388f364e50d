"""Long hair from the photo to the result, with the shipped models on a drawn person."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests.clothing.test_hair import CHEST, portrait
from uvatar.engine.engine import Engine
from uvatar.engine.finish import clothe, finish_person, without_shells
from uvatar.engine.jobs import on_body
from uvatar.protocol.options import Options
from uvatar.protocol.parts import MASK, part_entry, parts_of

OPTIONS = Options(texture_size=512, texture="projected")


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine.load(threads=1)


def test_long_hair_becomes_a_part_of_the_avatar(engine: Engine) -> None:
    view = portrait(engine.body, CHEST)
    person = finish_person(view, None, engine, OPTIONS)
    part = on_body(person, None, view.camera, engine).parts[-1]
    assert part.name == "Hair" and part.two_sided and part.alpha == MASK
    with Image.open(io.BytesIO(part.texture)) as picture:
        assert picture.mode == "RGBA" and np.asarray(picture)[..., 3].min() == 0
    rig, hair = engine.body.data.rig, person.fit.hair
    assert rig is not None and hair is not None
    (read,) = parts_of({"parts": [part_entry(part)]}, len(rig.joint_names), 10)
    # The part's rest pose, moved by the body's joints, is where the photo shows the hair.
    posed = engine.body.posed_part(person.fit.body, read)
    assert np.abs(posed - hair.vertices[np.unique(hair.quads)]).max() < 1e-3


@pytest.mark.parametrize(
    "options", [replace(OPTIONS, hair="surface"), replace(OPTIONS, fast=True), replace(OPTIONS, clothing=False)]
)
def test_long_hair_can_be_left_out(engine: Engine, options: Options) -> None:
    assert clothe(portrait(engine.body, CHEST), engine, options).hair is None


def test_none_leaves_a_bare_head_and_no_hair_on_the_chest(engine: Engine) -> None:
    view = portrait(engine.body, CHEST)
    crown = engine.body.data.v_template[:, 1] > engine.body.data.v_template[:, 1].max() - 0.08
    surface, bare = (clothe(view, engine, replace(OPTIONS, hair=choice)) for choice in ("surface", "none"))
    assert bare.hair is None and bare.bared is not None
    bulge, none = (np.linalg.norm(fit.offsets[crown], axis=1).max() for fit in (surface, bare))
    assert none < 0.012 and none < bulge
    person = without_shells(view.person, bare)
    assert (person.mask[bare.bared > 127] == 0).all() and (bare.bared > 127).any()


def test_a_chosen_style_is_a_part_in_its_place(engine: Engine) -> None:
    view = portrait(engine.body, None)
    person = finish_person(view, None, engine, replace(OPTIONS, hair="bun"))
    assert [part.name for part in person.parts] == ["Hair"]
    assert person.fit.hair is not None and not person.fit.hair.as_seen
