"""Who counts as found: a peak is somebody's if it is near for a person of that size, in the same picture, and nobody
else's.
"""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import torch

from uvatar_training.data.mesh_labels import MeshLabels
from uvatar_training.trainers.evaluate import paired, reach

_REST = {field.name: torch.empty(0) for field in fields(MeshLabels)}


def labels_of(extents: list[float], unseen: int = 0) -> MeshLabels:
    """People whose seen joints span ``extents`` of the picture's side upwards; ``unseen`` joints lie far off."""
    joints = torch.zeros(len(extents), 24, 2)
    joints[:, 1, 1] = 2 * torch.tensor(extents)
    joints[:, 2, 0] = torch.tensor(extents)  # wide half as much
    joints[:, 3 : 3 + unseen] = 50
    visible = torch.ones(len(extents), 24, dtype=torch.bool)
    visible[:, 3 : 3 + unseen] = False
    return MeshLabels(**{**_REST, "joints_2d": joints, "visible": visible})


def test_reach_is_four_cells_or_an_eighth_of_what_is_seen_of_a_person() -> None:
    for unseen in (0, 5):
        np.testing.assert_allclose(reach(labels_of([0.1, 0.5, 0.75, 1.0], unseen)), [4, 4, 6, 8], rtol=1e-6)
    nobody = labels_of([0.5])
    assert reach(MeshLabels(**{**vars(nobody), "visible": torch.zeros(1, 24, dtype=torch.bool)})).tolist() == [4]


def test_a_peak_is_of_one_person_who_is_near_for_their_size() -> None:
    people = torch.tensor([[10.0, 10], [40, 40], [10, 10]])
    picture, near = torch.tensor([0, 0, 1]), torch.tensor([4.0, 8.0, 4.0])
    # 5 cells off the small one, 7 off the large one, on the third's place but in the other picture, and a second one of
    # the large one's
    peaks = torch.tensor([[15.0, 10], [47, 40], [10, 11], [41, 40]])
    pairs, unmatched = paired(people, picture, near, peaks, torch.tensor([0, 0, 1, 0]))
    assert sorted(pairs) == [(1, 3), (2, 2)] and unmatched == 2
    pairs, unmatched = paired(people, picture, near, peaks[:2], torch.tensor([0, 0]))
    assert pairs == [(1, 1)] and unmatched == 1
    assert paired(people, picture, near, peaks[:0], torch.tensor([])) == ([], 0)
    assert paired(people[:0], picture[:0], near[:0], peaks, torch.tensor([0, 0, 1, 0])) == ([], 4)
