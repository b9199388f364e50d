"""Fingers, face and their poses in a result, and in results that have none."""

from __future__ import annotations

import numpy as np
import pytest

from uvatar.body import BodyModel, load_open_body
from uvatar.data.fit import BodyParameters, Fit
from uvatar.protocol.expressions import EXPRESSIONS
from uvatar.protocol.framing import pack, unpack
from uvatar.protocol.people import with_rig
from uvatar.protocol.rig import LEFT_HAND, RIG_NAMES, posed_hands
from uvatar.results.present import body_entry, person_entry


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_open_body()


def fit_of(body: BodyModel) -> Fit:
    assert body.data.rig is not None
    zero = np.zeros(3, np.float32)
    hands = posed_hands("fist", body.data.rig.finger_axes).astype(np.float32)
    parameters = BodyParameters(np.zeros(10, np.float32), zero, np.ones((23, 3), np.float32) / 10, zero, hands)
    return Fit(parameters, np.zeros((len(body.data.v_template), 3), np.float32), 0.0, 0.0, 1.0)


def test_result_carries_body_once_and_the_pose_with_every_person(body: BodyModel) -> None:
    person = person_entry("p0", fit_of(body), body, np.zeros(4), {}, {})
    shared = unpack([bytes(frame) for frame in pack(body_entry(body))])
    assert shared["rig"]["joint_names"] == list(RIG_NAMES)
    assert shared["face"]["names"] == list(EXPRESSIONS)
    assert not {"rig", "face"} & person.keys()
    assert person["expression"].shape == (52,)
    assert person["jaw_pose"].shape == (3,)
    whole = with_rig({**shared, **person})
    assert whole["pose"].shape == (55, 3)
    np.testing.assert_array_equal(whole["pose"][LEFT_HAND.start :], person["hand_pose"])
    np.testing.assert_array_equal(whole["pose"][:22], person["pose"][:22])
    assert len(whole["parents"]) == 55
    assert whole["skin_joints"].max() == 54


def test_body_without_fingers_stays_as_it_is(body: BodyModel) -> None:
    from dataclasses import replace

    plain = BodyModel(replace(body.data, rig=None, face=None))
    person = person_entry("p0", fit_of(body), plain, np.zeros(4), {}, {})
    assert not {"hand_pose", "jaw_pose", "eye_pose", "expression"} & person.keys()
    entry = {**body_entry(plain), **person}
    assert with_rig(entry).keys() == entry.keys()
    assert with_rig(entry)["pose"].shape == (24, 3)
