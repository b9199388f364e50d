# SPDX-License-Identifier: GPL-3.0-or-later
"""Array types for arguments whose precision does not matter; stored fields have precise types."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.floating[Any]]  # float32 or float64
Integers: TypeAlias = NDArray[np.integer[Any]]
