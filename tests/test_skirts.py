"""A skirt and a ponytail from the photo to the result, with the shipped models on a sample photo."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from uvatar.data.view import View
from uvatar.engine.bodies import fit_bodies
from uvatar.engine.detect import detect
from uvatar.engine.engine import Engine
from uvatar.engine.finish import clothe, finish_person
from uvatar.engine.jobs import on_body
from uvatar.engine.timing import Stopwatch
from uvatar.protocol.options import Options
from uvatar.protocol.parts import part_entry, parts_of

SAMPLE = Path(__file__).resolve().parents[1] / "samples" / "woman.jpg"
OPTIONS = Options(texture_size=512, texture="projected")


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine.load(threads=1)


@pytest.fixture(scope="module")
def view(engine: Engine) -> View:
    def ignore(*_: Any) -> None:
        pass

    found = detect((SAMPLE.name, SAMPLE.read_bytes()), engine, OPTIONS, ignore, Stopwatch())
    (fit,) = fit_bodies(found, engine, OPTIONS, ignore)
    return View(found.photo, found.people[0], found.camera, fit)


def test_skirt_and_ponytail_become_parts_of_the_avatar(engine: Engine, view: View) -> None:
    person = finish_person(view, None, engine, OPTIONS)
    assert person.outline > 0.96
    skirt, ponytail = on_body(person, None, view.camera, engine).parts[-2:]
    rig = engine.body.data.rig
    assert rig is not None
    for part, name, shell in ((skirt, "Skirt", person.fit.skirt), (ponytail, "Hair", person.fit.hair)):
        assert part.name == name and part.two_sided and shell is not None
        (read,) = parts_of({"parts": [part_entry(part)]}, len(rig.joint_names), 10)
        # The part's rest pose, moved by the body's joints, is where the photo shows it.
        assert np.abs(engine.body.posed_part(person.fit.body, read) - shell.vertices).max() < 1e-3


@pytest.mark.parametrize(
    "options", [replace(OPTIONS, skirts=False), replace(OPTIONS, fast=True), replace(OPTIONS, clothing=False)]
)
def test_skirts_can_be_left_out(engine: Engine, view: View, options: Options) -> None:
    fit = clothe(view, engine, options)
    assert fit.skirt is None
