# SPDX-License-Identifier: GPL-3.0-or-later
"""Types of arrays of which only the kind matters; fields that are stored name the precise type."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.floating[Any]]  # float32 or float64
Integers: TypeAlias = NDArray[np.integer[Any]]
