"""A smile or an open mouth stays out of the rest shape, and comes back as an expression."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.fitting.face.faces import CAMERA, seen, standing
from uvatar.body import BodyModel
from uvatar.fitting.face.expression import KEYS
from uvatar.fitting.face.field import FaceField
from uvatar.fitting.face.identity import FaceEvidence, face_evidence, face_form, with_face
from uvatar.protocol.expressions import EXPRESSIONS

LAUGH = {"jawOpen": 0.4, "mouthSmileLeft": 0.7, "mouthSmileRight": 0.7}


def weights_of(expression: dict[str, float]) -> NDArray[np.float32]:
    return np.array([expression.get(name, 0.0) for name in EXPRESSIONS], np.float32)


def evidence_of(
    expression: dict[str, float],
    scores: dict[str, float] | None,
    field: FaceField,
    body: BodyModel,
    turn: float = 0,
) -> FaceEvidence:
    fit = standing(body, turn)
    shown = replace(fit, body=replace(fit.body, expression=weights_of(expression)))
    person = replace(seen(shown, body, field), face_expression=None if scores is None else weights_of(scores))
    evidence = face_evidence(fit, person, CAMERA, body, field)
    assert evidence is not None
    return evidence


def lip_gap(values: NDArray[np.float64], field: FaceField) -> float:
    """Metres between the lips, for landmarks (K, 3)."""
    assert field.keys is not None
    upper, lower = field.keys.lips.T
    return float((values[upper] - values[lower])[:, 1].mean())


@pytest.mark.parametrize("turn", [0, 25])
def test_a_laugh_is_found_and_leaves_the_form(field: FaceField, body: BodyModel, turn: float) -> None:
    evidence = evidence_of(LAUGH, LAUGH, field, body, turn)
    assert evidence.expression is not None
    for name, weight in LAUGH.items():
        assert evidence.expression[EXPRESSIONS.index(name)] == pytest.approx(weight, abs=0.15), name
    mistaken = face_form([evidence_of(LAUGH, None, field, body, turn)], field)
    form = face_form([evidence], field)
    assert np.linalg.norm(form, axis=1).mean() < 0.65 * np.linalg.norm(mistaken, axis=1).mean()


def test_an_open_mouth_that_the_scores_miss_is_closed_at_rest(field: FaceField, body: BodyModel) -> None:
    evidence = evidence_of(LAUGH, {}, field, body)
    assert evidence.expression is not None
    assert evidence.expression[EXPRESSIONS.index("jawOpen")] > 0.2
    assert abs(lip_gap(face_form([evidence], field), field)) < 1e-4


def test_a_closed_mouth_stays_closed(field: FaceField, body: BodyModel) -> None:
    evidence = evidence_of({}, {}, field, body)
    assert evidence.expression is not None and evidence.expression.max() < 0.05


def test_the_photos_expression_opens_the_mouth_of_the_made_body_as_in_the_photo(
    field: FaceField, body: BodyModel
) -> None:
    fit, evidence = standing(body), evidence_of(LAUGH, LAUGH, field, body)
    made = with_face(fit, evidence, face_form([evidence], field), 1.0, body, field)
    assert made.body.expression is not None
    rest = replace(made.body, expression=None)
    neutral, shown = (field.points.at(body.posed(one, made.offsets)[0]).astype(np.float64) for one in (rest, made.body))
    truth = replace(fit.body, expression=weights_of(LAUGH))
    true = field.points.at(body.posed(truth)[0]).astype(np.float64)
    # the camera's y goes down
    at_rest = lip_gap(field.points.at(body.data.v_template).astype(np.float64), field)
    assert -lip_gap(neutral, field) == pytest.approx(at_rest, abs=0.001)
    assert lip_gap(shown, field) == pytest.approx(lip_gap(true, field), abs=0.003)


def test_without_scores_nothing_is_said_of_the_expression(field: FaceField, body: BodyModel) -> None:
    fit = standing(body)
    evidence = face_evidence(fit, seen(fit, body, field), CAMERA, body, field)
    assert evidence is not None and evidence.expression is None
    made = with_face(fit, evidence, face_form([evidence], field), 1.0, body, field)
    assert made.body.expression is None


def test_only_mouth_and_jaw_are_read(field: FaceField, body: BodyModel) -> None:
    evidence = evidence_of({}, dict.fromkeys(EXPRESSIONS, 1.0), field, body)
    assert evidence.expression is not None
    others = [row for row, name in enumerate(EXPRESSIONS) if name not in KEYS]
    assert not evidence.expression[others].any()
