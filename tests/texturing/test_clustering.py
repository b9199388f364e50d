"""Colours that differ little join to materials, and no pair of them is compared more often than it must be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse

from uvatar.texturing.materials import clustering
from uvatar.texturing.materials.settings import MaterialSettings

CLUSTERS, EACH = 12, 60


def _row_of_clusters(last: float) -> tuple[Any, ...]:
    """Clusters along a strip, brighter by little from one to the next, and the last one by ``last``; strip and skin."""
    labels = np.repeat(np.arange(CLUSTERS, dtype=np.int32), EACH)
    feature = np.full((len(labels), 3), 0.01, np.float32)
    feature[:, 0] = 0.3 + 0.002 * labels + last * (labels == CLUSTERS - 1)
    at = np.arange(len(labels))
    row, column = (np.concatenate([at[:-1], at[:-2], at[:-9]]), np.concatenate([at[1:], at[2:], at[9:]]))
    both = np.concatenate([row, column]), np.concatenate([column, row])
    graph = sparse.coo_matrix((np.ones(len(both[0])), both), (len(labels), len(labels)))
    return labels, feature, graph, np.array([0.6, 0.2, 0.05], np.float32)


def test_gradual_colours_join_and_others_do_not() -> None:
    settings = MaterialSettings()
    labels, feature, graph, skin = _row_of_clusters(0.5)
    joined = clustering.joined(labels, feature, feature, skin, graph, settings)
    assert len(np.unique(joined)) == 2
    assert (joined[labels == CLUSTERS - 1] != joined[0]).all()
    labels, feature, graph, skin = _row_of_clusters(0.0)
    assert not clustering.joined(labels, feature, feature, skin, graph, settings).any()


def test_a_pair_is_compared_again_only_if_one_of_it_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    score = clustering._join_score
    monkeypatch.setattr(clustering, "_join_score", lambda *arguments: calls.append(1) or score(*arguments))
    labels, feature, graph, skin = _row_of_clusters(0.0)
    clustering.joined(labels, feature, feature, skin, graph, MaterialSettings())
    pairs = CLUSTERS * (CLUSTERS - 1) // 2
    assert len(calls) <= 2 * pairs
