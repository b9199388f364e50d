"""The labels of a texture's source map: where each texel's colour comes from, and the colours that show it to
people.
"""

from __future__ import annotations

EMPTY, SEEN, MIRRORED, COMPLETED, PREDICTED = range(5)

NAMES = ("empty", "seen", "mirrored", "completed", "predicted")

# Told apart by colour-blind eyes too (Okabe and Ito 2008).
COLOURS = ((0, 0, 0), (0, 158, 115), (86, 180, 233), (230, 159, 0), (204, 121, 167))
