"""Who is a person: things are nobody, parts of people are where they are or nobody, and whole people stay found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from uvatar.body import BodyModel, load_open_body
from uvatar.data.landmarks import COCO_LANDMARKS
from uvatar.data.photo import Photo
from uvatar.evaluation.cuts import CUTS, cut_window
from uvatar.evaluation.drawings import DRAWINGS
from uvatar.evaluation.kinds import LabelledPicture, part, synthetic_people, things
from uvatar.evaluation.things import SOLIDS
from uvatar.perception import Perception
from uvatar.perception.evidence import FEATURES, LIKELY, PersonEvidence, covered, features, likelihood, likely_enough
from uvatar.perception.geometry import Roi
from uvatar.perception.heads import head_outside, with_head_at, with_head_upright
from uvatar.perception.pose import Pose
from uvatar.photos.decoding import decode_photo

WEIGHTS = Path(__file__).resolve().parents[2] / "weights"
CERTAIN = PersonEvidence(rival=0.0, presence=1.0, support=0.85, apart=0.02, box=0.87, upright=1.0)


@pytest.fixture(scope="module")
def perception() -> Perception:
    return Perception(WEIGHTS / "perception")


@pytest.fixture(scope="module")
def whole() -> list[LabelledPicture]:
    body: BodyModel = load_open_body(WEIGHTS / "open_body.npz")
    return list(synthetic_people(body, 6))


def found_in(perception: Perception, picture: LabelledPicture) -> list[NDArray[Any]]:
    """(17, 2) keypoints of everybody found."""
    return [
        person.landmarks[COCO_LANDMARKS, :2]
        for person in perception.people(Photo(picture.pixels, None, "", picture.name))
    ]


def test_things_are_made_by_their_number_alone_and_are_of_all_sorts() -> None:
    first, again = list(things(2)), list(things(2))
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(first, again, strict=True))
    assert [picture.what for picture in first] == [DRAWINGS[0].__name__, SOLIDS[1].__name__]


@pytest.mark.slow
def test_things_are_nobody(perception: Perception) -> None:
    """Pages, landscapes, animals, toys, vases, pumpkins, hats, ...; docs/confidence.md has the count over many more."""
    people = {picture.name: len(found_in(perception, picture)) for picture in things(13)}
    assert sum(people.values()) == 0, {name: count for name, count in people.items() if count}


BESIDE, BETWEEN = (250, 0, 350, 300), (60, 5, 150, 290)  # of two people who stand close


@pytest.mark.parametrize(
    ("likelihoods", "third", "people"),
    [
        ([], BESIDE, []),
        ([0.7, 0.5], BESIDE, [True, False]),  # nobody is certain
        ([0.95, 0.2, 0.1], BESIDE, [True, True, False]),  # the third is too unlikely in any company
        ([0.95, 0.95, 0.37], BESIDE, [True, True, True]),
        ([0.95, 0.95, 0.37], BETWEEN, [True, True, False]),  # made of the two who stand there
        ([0.95, 0.95, 0.7], BETWEEN, [True, True, True]),  # hidden, but likely by themselves
    ],
)
def test_in_company_less_is_asked_but_of_whoever_others_cover(
    likelihoods: list[float], third: tuple[int, ...], people: list[bool]
) -> None:
    boxes = np.array([(0, 0, 100, 300), (110, 0, 200, 300), third], float)[: len(likelihoods)]
    assert likely_enough(np.array(likelihoods), boxes).tolist() == people


def test_what_others_cover_of_a_box_is_counted_once() -> None:
    rng = np.random.default_rng(3)
    for count in range(6):
        low = rng.integers(0, 30, (count + 1, 2))
        box, *others = np.hstack((low, low + rng.integers(1, 20, (count + 1, 2))))
        picture = np.zeros((60, 60), bool)
        for left, top, right, bottom in others:
            picture[top:bottom, left:right] = True
        expected = picture[box[1] : box[3], box[0] : box[2]].mean()
        assert covered(box, np.array(others, float).reshape(-1, 4)) == pytest.approx(expected)


def test_a_horse_is_nobody(perception: Perception, shared_faults: Path) -> None:
    name = "horse_brown.png"
    photo = decode_photo((shared_faults / "photos" / name).read_bytes(), name)
    assert perception.found(photo, least=0.0).people, "the detector takes it for people; the second opinion does not"
    assert perception.people(photo) == []


NOBODY = [
    ("below the knees", 1),
    ("below the knees", 3),
    ("below the knees", 5),
    ("arm", 3),
    ("hand", 4),
    ("half a face", 2),
]
THERE = [("head and shoulders", 4), ("head and shoulders", 5), ("close-up", 1)]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "of"), NOBODY + THERE)
def test_parts_of_people_are_where_they_are_or_nobody(
    perception: Perception, whole: list[LabelledPicture], kind: str, of: int
) -> None:
    cut = part(whole[of], kind)
    assert cut is not None
    found = found_in(perception, cut)
    assert len(found) == ((kind, of) in THERE)
    assert not any(cut.misplaced(marks) for marks in found)


@pytest.mark.parametrize("kind", CUTS)
def test_cuts_show_their_part(kind: str) -> None:
    """A standing person of known keypoints: the part is in the picture, and what must not be is not."""
    keypoints = np.zeros((17, 3), np.float32)
    heights = [60, 52, 52, 58, 58, 110, 110, 160, 160, 205, 205, 210, 210, 300, 300, 385, 385]
    aside = [0, 8, -8, 16, -16, 40, -40, 52, -52, 80, -80, 25, -25, 26, -26, 27, -27]
    keypoints[:] = np.column_stack([np.array(aside) + 200, heights, np.full(17, 2)])
    window = cut_window(kind, keypoints, np.array([140, 30, 260, 400], np.float32), 400, 420)
    assert window is not None
    x0, y0, x1, y1 = window
    assert 0 <= x0 < x1 <= 400 and 0 <= y0 < y1 <= 420
    inside = (keypoints[:, 0] >= x0) & (keypoints[:, 0] <= x1) & (keypoints[:, 1] >= y0) & (keypoints[:, 1] <= y1)
    head, feet = inside[:5].any(), inside[15:].any()
    assert head == (kind in ("close-up", "half a face", "head and shoulders"))
    assert feet == (kind in ("legs", "below the knees"))


@pytest.mark.slow
def test_whole_people_are_found(perception: Perception, whole: list[LabelledPicture]) -> None:
    for picture in whole:
        found = found_in(perception, picture)
        assert len(found) == 1 and not picture.misplaced(found[0]), picture.name


def test_what_speaks_for_a_person() -> None:
    assert len(features(CERTAIN)) == len(FEATURES)
    sure = likelihood(CERTAIN)
    assert sure > 0.85
    for change in (
        {"support": 0.4},
        {"rival": 0.9},
        {"apart": 0.3},
        {"box": 0.4},
        {"upright": -1.0},
        {"presence": 0.2},
    ):
        assert likelihood(replace(CERTAIN, **change)) < sure
    guessed = replace(CERTAIN, support=0.4, apart=0.12, box=0.7, upright=-1.0)
    assert likelihood(guessed) < LIKELY


def standing(x: float, shoulders: float, hips: float, nose: float) -> Pose:
    """A pose of shoulders, hips and a head at these heights, pixels."""
    landmarks = np.full((33, 3), [x, hips, 1.0], np.float32)
    landmarks[11, :2], landmarks[12, :2] = (x + 40, shoulders), (x - 40, shoulders)
    landmarks[23, :2], landmarks[24, :2] = (x + 25, hips), (x - 25, hips)
    landmarks[:11, 1] = nose
    world = landmarks * 0.005
    roi = Roi(x, hips, 500)
    return Pose(
        landmarks,
        world.astype(np.float32),
        1.0,
        0.5,
        np.full(33, 0.5, np.float32),
        np.zeros((256, 256), np.float32),
        roi,
        roi,
    )


def test_a_head_above_the_photo_is_not_put_on_the_collar() -> None:
    cut, inside = standing(100, 20, 160, 40), standing(100, 120, 260, 70)
    middle = head_outside(cut, (200, 300), face_seen=False)
    assert middle is not None and middle[1] < 0 and abs(middle[0] - 100) < 1
    assert head_outside(inside, (200, 300), face_seen=False) is None
    assert head_outside(cut, (200, 300), face_seen=True) is None
    assert head_outside(replace(cut, support=np.full(33, 0.9, np.float32)), (200, 300), face_seen=False) is None, (
        "they bend forward"
    )
    moved = with_head_at(cut.landmarks, middle)
    np.testing.assert_allclose(moved[:11, :2].mean(0), middle, atol=1e-3)
    assert (moved[:11, 2] < 0.5).all() and np.array_equal(moved[11:], cut.landmarks[11:])
    world = with_head_upright(cut.world)
    assert world[:11, 1].mean() < world[11:13, 1].mean() < world[23:25, 1].mean()
