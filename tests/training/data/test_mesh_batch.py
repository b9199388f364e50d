"""What the Mesh Predictor is given: labels stay on the picture however it is shaken, and what is unknown is
said to be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from uvatar.body import BodyModel
from uvatar.mesh_predictor.maps import INPUT_SIDE
from uvatar_training.data.mesh_batch import Shaking, collate_mesh, prepare_mesh
from uvatar_training.data.problems import DataError
from uvatar_training.data.sample import PersonLabel, Sample
from uvatar_training.networks.weak_perspective import fit_weak_camera, project_weakly

Dotted = Callable[[Sample, PersonLabel, int], Sample]

SHAKEN = Shaking(turned=1.0, turn=40.0, mirrored=0.0, coloured=0.0)
MIRRORED = Shaking(turned=1.0, turn=40.0, mirrored=1.0, coloured=0.0)


OTHER_SIDE = [0, 2, 1, 3, 5, 4, 6, 8, 7, 9, 11, 10, 12, 14, 13, 15, 17, 16, 19, 18, 21, 20, 23, 22]


@pytest.mark.parametrize("shaking", [None, SHAKEN, MIRRORED])
def test_labels_stay_on_the_picture(
    samples: list[Sample],
    body: BodyModel,
    shaking: Shaking | None,
    dotted: Dotted,
    middle_of: Callable[[Tensor], Tensor],
) -> None:
    checked = 0
    for number, sample in enumerate(samples):
        person = next(person for person in sample.people if person.visible.any())
        joint = int(np.flatnonzero(person.visible)[0])
        x, y = person.joints_2d[joint]
        try:
            item = prepare_mesh(dotted(sample, person, joint), np.random.default_rng(number), body, shaking)
        except DataError:
            continue  # shaken out of the picture
        joint = OTHER_SIDE[joint] if shaking is MIRRORED else joint
        if not item.rows["visible"][0, joint]:
            continue
        centre = middle_of(item.image)
        found = (item.rows["joints_2d"][0, joint].double() + 1) * INPUT_SIDE / 2
        inside = (
            (found > 12).all()
            and (found < INPUT_SIDE - 12).all()
            and 3 < x < sample.camera.width - 3
            and 3 < y < sample.camera.height - 3
        )
        if inside:
            assert (centre - found).abs().max() < 0.6
            checked += 1
    assert checked >= 2


def test_a_turned_picture_s_people_are_turned(samples: list[Sample], body: BodyModel) -> None:
    """The weak-perspective camera explains shaken people as well as straight ones only where bodies turn with their
    pictures.
    """

    def misfit(shaking: Shaking | None) -> float:
        labels = collate_mesh(
            [prepare_mesh(sample, np.random.default_rng(7), body, shaking) for sample in samples]
        ).labels
        camera = fit_weak_camera(labels.joints, labels.joints_2d, labels.joints_known)
        away = (project_weakly(labels.joints, camera) - labels.joints_2d).norm(dim=-1)
        size = (labels.joints_2d.amax(1) - labels.joints_2d.amin(1)).norm(dim=-1, keepdim=True)
        return float((away / size).median())

    for shaking in (SHAKEN, MIRRORED):
        assert misfit(shaking) < 1.3 * misfit(None) + 0.005


def test_a_mirrored_person_is_a_mirrored_body(samples: list[Sample], body: BodyModel) -> None:
    plain, mirrored = (
        prepare_mesh(samples[0], np.random.default_rng(3), body, replace(MIRRORED, mirrored=share, turned=0.0))
        for share in (0.0, 1.0)
    )
    assert torch.equal(plain.image.flip(2), mirrored.image)
    # The symmetric body in the mirrored pose stands where the mirrored joints are, to the body's own asymmetry.
    joints = torch.from_numpy(body.joints(mirrored.rows["betas"].numpy(), mirrored.rows["pose"].numpy()))
    expected = plain.rows["joints"][:, OTHER_SIDE] * torch.tensor([-1.0, 1.0, 1.0])
    assert (joints - expected).norm(dim=-1).max() < 0.005
    assert (mirrored.rows["joints"] - expected).abs().max() < 1e-6


def test_what_is_unknown_is_said_to_be(samples: list[Sample], body: BodyModel) -> None:
    sample = samples[0]
    nan = np.full(3, np.nan, np.float32)
    strange = tuple(
        replace(person, body="smpl-neutral", betas=np.ones(11, np.float32), transl=nan) for person in sample.people
    )
    row = prepare_mesh(replace(sample, people=strange), np.random.default_rng(0), body).rows
    assert not row["betas_known"].any() and not row["betas"].any() and row["pose_known"].all()
    true = np.stack([person.joints for person in sample.people if person.visible.any()])
    np.testing.assert_allclose(np.diff(row["joints"].numpy(), axis=1), np.diff(true, axis=1), atol=1e-5)
    blind = tuple(replace(person, visible=np.zeros(24, bool)) for person in sample.people)
    with pytest.raises(DataError, match=f"{sample.name}: shows nobody"):
        prepare_mesh(replace(sample, people=blind), np.random.default_rng(0), body)
