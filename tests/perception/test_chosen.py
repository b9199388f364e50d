"""People who are chosen on a photo: only they are looked at closely, and they are the same as among all others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from uvatar.engine.chosen import as_chosen
from uvatar.perception.perception import Perception
from uvatar.photos.decoding import decode_photo
from uvatar.runtime.weights import weights_folder

SAMPLES = Path(__file__).resolve().parents[2] / "samples"


@pytest.fixture(scope="module")
def perception() -> Perception:
    return Perception(weights_folder() / "perception", threads=2)


@pytest.mark.slow
def test_a_chosen_person_is_as_among_all_others(perception: Perception, shared_photos: Path) -> None:
    name = "family.jpg"
    photo = decode_photo((shared_photos / name).read_bytes(), name)
    seen = perception.glimpsed(photo)
    everybody = perception.found(photo)
    likely = [one for one in seen if one.likely]
    assert len(likely) == len(everybody.people) > 2
    for one, person in zip(likely, everybody.people, strict=True):
        assert np.array_equal(one.box, person.box)
    calls = []
    whole = perception._poses.look
    perception._poses.look = lambda *given: calls.append(1) or whole(*given)  # type: ignore[method-assign]
    try:
        perception.found(photo)
        all_calls = len(calls)
        calls.clear()
        (chosen,) = perception.found(photo, wanted=np.array([everybody.people[1].box], float)).people
    finally:
        perception._poses.look = whole  # type: ignore[method-assign]
    assert len(calls) < all_calls
    own = everybody.people[1]
    assert np.array_equal(chosen.box, own.box)
    assert np.abs(chosen.landmarks[:, :2] - own.landmarks[:, :2]).max() < 0.01 * own.side
    masks = [one.whole_mask(photo.pixels.shape) for one in (chosen, own)]
    assert (masks[0] & masks[1]).sum() > 0.97 * (masks[0] | masks[1]).sum()


def test_a_box_where_nobody_is_finds_nobody(perception: Perception) -> None:
    photo = decode_photo((SAMPLES / "woman.jpg").read_bytes(), "woman.jpg")
    assert perception.found(photo, wanted=np.array([[1.0, 1.0, 9.0, 9.0]])).people == []


@dataclass(frozen=True)
class Somebody:
    """What `as_chosen` reads and says of a person."""

    box: NDArray[np.float64]
    number: int | None = None
    stature: float | None = None


def test_a_neighbour_does_not_take_the_place_of_somebody_who_is_not_found() -> None:
    found = Somebody(np.array([0.0, 0, 100, 300]))
    chosen = [[3, 1, 0, 99, 300, 172], [4, 80, 0, 180, 300, 150]]  # of the second one nothing is found again
    for rows in (chosen, chosen[::-1]):
        (person,) = as_chosen([found], rows)  # type: ignore[list-item]
        assert (person.number, person.stature) == (3, 1.72)
