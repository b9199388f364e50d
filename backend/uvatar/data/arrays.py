"""Types of arrays of which only the kind matters; fields that are stored name the precise type."""

from __future__ import annotations

from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.floating[Any]]  # float32 or float64
Integers: TypeAlias = NDArray[np.integer[Any]]
Numbers: TypeAlias = NDArray[np.integer[Any] | np.floating[Any]]  # such as a picture of 0..255 in any type

Scalar = TypeVar("Scalar", bound=np.generic)  # of what is returned in the type that it came in
