"""Comparing masks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def mask_iou(a: NDArray[np.bool_], b: NDArray[np.bool_], known: NDArray[np.bool_] | None = None) -> float:
    """Intersection over union of two masks of one shape, counting only ``known`` pixels; NaN where both are empty."""
    if known is not None:
        a, b = a & known, b & known
    union = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / union if union else float("nan")
