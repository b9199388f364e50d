from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from uvatar.data.joints import PARENTS


@pytest.fixture(scope="session")
def packed() -> dict[str, torch.Tensor]:
    """The content of a packed SMPL_NEUTRAL.pth, with random numbers for SMPL's."""
    rng = np.random.default_rng(1)
    regressors = {name: rng.random((rows, 6890)) ** 40 for name, rows in
                  (("J_regressor", 24), ("J_regressor_extra9", 9), ("J_regressor_h36m17", 17))}  # fmt: skip
    regressors = {name: rows / rows.sum(1, keepdims=True) for name, rows in regressors.items()}
    weights = rng.random((6890, 24)) ** 8
    arrays = {
        **regressors,
        "v_template": rng.normal(0, 0.3, (6890, 3)),
        "shapedirs": rng.normal(0, 0.01, (6890, 3, 10)),
        "posedirs": rng.normal(0, 0.001, (207, 20670)),
        "weights": weights / weights.sum(1, keepdims=True),
        "f": rng.integers(0, 6890, (13776, 3)),
        "kintree_table": np.array(PARENTS),
    }
    return {name: torch.from_numpy(array).float() for name, array in arrays.items()}


@pytest.fixture(scope="session")
def models(packed: dict[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    torch.save(packed, folder / "SMPL_NEUTRAL.pth")
    return folder
