# SPDX-License-Identifier: GPL-3.0-or-later
"""What an artist corrects on the photo: joints and mask, with one history for both."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..protocol.given_people import are_people
from ..protocol.heights import SHORTEST, TALLEST
from .mask_brush import MaskBrush, rows_of, strokes_of
from .photo_pins import Pins


@dataclass(frozen=True)
class Corrections:
    """What was said of a person by hand when the avatar was made, as the protocol has it.

    Attributes:
        pins: rows of `protocol.given_people.PIN`.
        strokes: rows of `protocol.given_people.STROKE`.
        height: centimetres, 0 for an unknown one.
    """

    pins: Sequence[Sequence[float]] = ()
    strokes: Sequence[Sequence[float]] = ()
    height: float = 0.0

    @classmethod
    def read(cls, text: str) -> Corrections:
        """Read what `text` has written; nothing where that is damaged."""
        try:
            stored = json.loads(text)
            pins, strokes, height = list(stored["pins"]), list(stored["strokes"]), float(stored["height"])
        except (KeyError, TypeError, ValueError, OverflowError, RecursionError):
            return cls()
        by_hand = {"photo": "", "pins": pins, "strokes": strokes}
        known = height if SHORTEST <= height <= TALLEST else 0.0
        return cls(pins, strokes, known) if are_people([by_hand]) else cls()

    def text(self) -> str:
        """Return them as JSON."""
        return json.dumps({"pins": list(self.pins), "strokes": list(self.strokes), "height": self.height})


def of_person(given: Sequence[Mapping[str, Any]], photo: str, number: int) -> Corrections | None:
    """Return what a job's option ``given_people`` says of a chosen person of a photo; None if that is nothing."""
    for one in given:
        for row in one.get("chosen", ()) if one.get("photo") == photo else ():
            if row[0] == number:
                box = list(row[1:5])
                pins, strokes = (
                    [list(correction) for correction in one.get(kind, ()) if list(correction[:4]) == box]
                    for kind in ("pins", "strokes")
                )
                return Corrections(pins, strokes, float(row[5])) if pins or strokes or row[5] else None
    return None


@dataclass
class PhotoEdit:
    """Corrections in the making.

    Attributes:
        pins: the joints.
        mask: the mask; None for an avatar that has none.
    """

    pins: Pins
    mask: MaskBrush | None
    _history: list[str] = field(default_factory=list)
    _before: Corrections = field(default_factory=Corrections)

    @classmethod
    def of(cls, pins: Pins, mask: MaskBrush | None, before: Corrections, width: float, height: float) -> PhotoEdit:
        """Go on from what was corrected before, in a photo of this size."""
        for *_, landmark, x, y in before.pins:
            if int(landmark) in pins.places:
                pins.catch(int(landmark))  # for `reset`
                pins.move(int(landmark), (x / width, y / height))
        if mask is not None:
            mask.put(strokes_of(before.strokes))
        return cls(pins, mask, _before=before)

    def dragged(self) -> None:
        """Note that a joint was dragged to its place."""
        self._history.append("pin")

    def painted(self) -> None:
        """Note that a stroke was painted."""
        self._history.append("stroke")

    @property
    def can_undo(self) -> bool:
        """Whether there is something to take back."""
        return bool(self._history)

    def undo(self) -> None:
        """Take back the last drag or stroke, if there is one."""
        if self._history:
            if self._history.pop() == "pin":
                self.pins.undo()
            elif self.mask is not None:
                self.mask.undo()

    def reset(self) -> None:
        """Take back everything, also what was corrected before."""
        self.pins.reset()
        if self.mask is not None:
            self.mask.put([])
        self._history.clear()

    def rows(self, box: Sequence[float], width: float, height: float) -> Corrections:
        """Return the corrections of the person with this box in a photo of this size, as the protocol has them."""
        strokes = rows_of(self.mask.strokes, box) if self.mask is not None else self._before.strokes
        return Corrections(self.pins.rows(box, width, height), strokes, self._before.height)

    def changed(self, box: Sequence[float], width: float, height: float) -> bool:
        """Whether they differ from those with which the avatar was made."""
        now, before = self.rows(box, width, height), self._before
        places = {int(pin[4]): pin[5:] for pin in before.pins}
        return (
            [list(stroke)[4:] for stroke in now.strokes] != [list(stroke)[4:] for stroke in before.strokes]
            or {int(pin[4]) for pin in now.pins} != set(places)
            or any(
                max(abs(a - b) for a, b in zip(pin[5:], places[int(pin[4])], strict=True)) > 0.01 for pin in now.pins
            )
        )
