"""Which poses the synthetic evaluation may use: ones that nothing else was fitted to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# A pose bank is ordered by clip, so neighbours are nearly the same pose: whole blocks are held out, spread over the clips.
_PERIOD, _HELD_OUT_FROM, _GUARD = 1000, 900, 20


def held_out(count: int) -> NDArray[np.bool_]:
    """(count,) True for the poses of an ordered bank that no prior and no network may be fitted to.

    The last 100 of every 1,000. Fit to ``bank[~held_out(len(bank))]``.
    """
    return np.arange(count) % _PERIOD >= _HELD_OUT_FROM


def evaluation_indices(count: int) -> NDArray[np.int64]:
    """Indices of the held-out poses at least 20 poses away from any that may be fitted to, in order."""
    place = np.arange(count) % _PERIOD
    return np.flatnonzero((place >= _HELD_OUT_FROM + _GUARD) & (place < _PERIOD - _GUARD))
