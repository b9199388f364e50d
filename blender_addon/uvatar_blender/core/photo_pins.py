# SPDX-License-Identifier: GPL-3.0-or-later
"""Joints that an artist has put where they are in the photo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

# BlazePose's number of each landmark that can be corrected, and SMPL's joint there (the same in all rigs).
JOINTS = {11: 16, 12: 17, 13: 18, 14: 19, 15: 20, 16: 21, 23: 1, 24: 2, 25: 4, 26: 5, 27: 7, 28: 8}
# Lines between them that make a figure.
LIMBS = ((11, 12), (11, 13), (13, 15), (12, 14), (14, 16), (11, 23), (12, 24), (23, 24), (23, 25), (25, 27), (24, 26),
         (26, 28))  # fmt: skip

Place = tuple[float, float]


@dataclass
class Pins:
    """The joints of a person, of which some have been moved.

    Attributes:
        places: by landmark, shares of the photo's width from the left and of its height from the top.
        moved: landmarks that the artist has moved, in their order.
    """

    places: dict[int, Place]
    moved: list[int] = field(default_factory=list)
    _before: list[tuple[int, Place, bool]] = field(default_factory=list)  # each drag's landmark, place, whether moved

    def nearest(self, on_screen: Mapping[int, Place], x: float, y: float, reach: float) -> int | None:
        """Return the landmark next to a place of the screen, None if none is within ``reach`` pixels."""
        far = {number: (px - x) ** 2 + (py - y) ** 2 for number, (px, py) in on_screen.items()}
        best = min(far, key=lambda number: far[number], default=None)
        return best if best is not None and far[best] <= reach * reach else None

    def catch(self, landmark: int) -> None:
        """Begin to drag a landmark; `undo` goes back to here."""
        self._before.append((landmark, self.places[landmark], landmark in self.moved))

    def undo(self) -> None:
        """Take back the last drag that moved a landmark, if there is one."""
        while self._before:
            landmark, place, was_moved = self._before.pop()
            if self.places[landmark] != place:
                self.places[landmark] = place
                if not was_moved:
                    self.moved.remove(landmark)
                return

    def reset(self) -> None:
        """Put all landmarks back to where they were at first."""
        for landmark, place, _ in reversed(self._before):
            self.places[landmark] = place
        self._before.clear()
        self.moved.clear()

    def move(self, landmark: int, place: Place) -> None:
        """Put a landmark somewhere inside the photo."""
        self.places[landmark] = (min(max(place[0], 0.0), 1.0), min(max(place[1], 0.0), 1.0))
        if landmark not in self.moved:
            self.moved.append(landmark)

    def rows(self, box: Sequence[float], width: float, height: float) -> list[list[float]]:
        """Return the corrections as the protocol has them (`protocol.given_people.PIN`).

        Args:
            box: of the person, pixels of the photo.
            width, height: of the photo, pixels.
        """
        return [
            [
                *(float(side) for side in box),
                landmark,
                self.places[landmark][0] * width,
                self.places[landmark][1] * height,
            ]
            for landmark in self.moved
        ]
