"""Hypotheses about the people of a photo, several for each person, and the choice between them."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.data.start import Start
from uvatar.fitting.chain import State
from uvatar.fitting.shape import CHILD, ShapeGroup, ShapeSettings


@dataclass(frozen=True)
class Hypotheses:
    """G fitted or unfitted bodies, any number per person, in no order that matters.

    Attributes:
        owners: (G,) index of the person.
        starts: the start each came from.
        groups: the shape group of each.
        state: (G, ...) the bodies.
        costs: (G,) nats.
    """

    owners: NDArray[np.int64]
    starts: list[Start]
    groups: list[ShapeGroup]
    state: State
    costs: NDArray[np.float64]

    def rows(self, index: NDArray[np.int64]) -> Hypotheses:
        """The hypotheses ``index``."""
        return Hypotheses(
            self.owners[index],
            [self.starts[i] for i in index],
            [self.groups[i] for i in index],
            self.state.rows(index),
            self.costs[index],
        )

    def best(self, key: Callable[[int, str, str], Hashable], within: float = np.inf) -> Hypotheses:
        """The cheapest of each key (owner, start's name, group's name) that is ``within`` nats of its owner's best."""
        least: dict[int, float] = {}
        chosen: dict[Hashable, int] = {}
        for i in np.argsort(self.costs):
            owner = int(self.owners[i])
            if self.costs[i] <= least.setdefault(owner, self.costs[i]) + within:
                chosen.setdefault(key(owner, self.starts[i].name, self.groups[i].name), int(i))
        return self.rows(np.array(sorted(chosen.values(), key=lambda i: self.owners[i])))

    def clearly_better_than(self, start: str, least: float) -> Hypotheses:
        """Without those that are not ``least`` nats cheaper than what became of the named start, with the same owner
        and group.
        """
        keys = [(int(owner), group.name) for owner, group in zip(self.owners, self.groups, strict=True)]
        named = [one.name == start for one in self.starts]
        costs = self.costs.tolist()
        limits = {key: cost - least for key, cost, is_it in zip(keys, costs, named, strict=True) if is_it}
        rows = zip(keys, costs, named, strict=True)
        kept = [i for i, (key, cost, is_it) in enumerate(rows) if is_it or cost < limits.get(key, np.inf)]
        return self.rows(np.array(kept))

    @property
    def of_children(self) -> NDArray[np.bool_]:
        """(G,) which are of the group of children."""
        return np.array([group.name == CHILD for group in self.groups])

    def decided(self, faces: Floats, settings: ShapeSettings) -> tuple[Hypotheses, set[int]]:
        """The cheapest of each person, a child's only where it is so by far, and the people who may be children too.

        Args:
            faces: (N,) 0..1, how well the size of each person's face is known.
            settings: tuned numbers.
        """
        surely = np.interp(faces, [0, 1], settings.surely_child)
        child = self.of_children
        grown_up: dict[int, float] = {}
        for owner, cost in zip(self.owners[~child].tolist(), self.costs[~child].tolist(), strict=True):
            grown_up[owner] = min(cost, grown_up.get(owner, np.inf))
        cheapest = self.best(lambda owner, start, group: owner)
        open_age = {
            int(owner)
            for owner, cost, young in zip(cheapest.owners, cheapest.costs, cheapest.of_children, strict=True)
            if young and grown_up.get(int(owner), np.inf) < cost * (1 + surely[int(owner)])
        }
        kept = np.flatnonzero(~(child & np.isin(self.owners, list(open_age))))
        return self.rows(kept).best(lambda owner, start, group: owner), open_age
