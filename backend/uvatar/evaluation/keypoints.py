"""Rows of tables that say how many annotated keypoints are met."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np

from uvatar.data.arrays import Floats
from uvatar.evaluation.tables import Row


class Annotated(Protocol):
    """What is known of an annotated person."""

    @property
    def full_body(self) -> bool:
        """Head to ankle visible, 200 px or taller."""


Agreement = TypeVar("Agreement", bound=Annotated)


def by_group(agreements: Sequence[Agreement]) -> list[tuple[str, list[Agreement]]]:
    """The people in two groups, each with its name: those who are seen whole, and all others."""
    return [
        ("full body, 200 px or taller", [one for one in agreements if one.full_body]),
        ("cut, small or hidden", [one for one in agreements if not one.full_body]),
    ]


def keypoint_row(group: str, of: str, people: int, errors: Sequence[Floats]) -> Row:
    """The shares of keypoints that are met (PCK).

    Args:
        group: name of the group.
        of: what is compared with the annotations.
        people: how many are in the group.
        errors: of each of those who were found, at least one: distances of keypoints as shares of the box side.
    """
    pooled = np.concatenate(errors)
    return {
        "group": group,
        "of": of,
        "people": people,
        "missed": people - len(errors),
        "PCK 5 %": float(np.mean(pooled <= 0.05)),
        "PCK 10 %": float(np.mean(pooled <= 0.1)),
        "median error %": 100 * float(np.median(pooled)),
    }
