"""Perception on real photos: everybody is found, in the right place, the right way round."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from uvatar.data.landmarks import COCO_LANDMARKS
from uvatar.data.photo import Photo
from uvatar.perception import Perception, Person
from uvatar.perception.annotated import keypoint_errors, mask_iou, match, read_annotations
from uvatar.photos.decoding import decode_photo

WEIGHTS = Path(__file__).resolve().parents[2] / "weights" / "perception"


@pytest.fixture(scope="module")
def perception() -> Perception:
    return Perception(WEIGHTS)


def people_in(perception: Perception, folder: Path, name: str) -> tuple[Photo, list[Person]]:
    photo = decode_photo((folder / name).read_bytes(), name)
    return photo, perception.people(photo)


def consistent(photo: Photo, people: list[Person]) -> None:
    """What ``Person`` promises."""
    height, width = photo.pixels.shape[:2]
    total = np.zeros((height, width), int)
    for person in people:
        x0, y0, x1, y1 = person.window
        assert 0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height
        assert person.mask.shape == person.others.shape == (y1 - y0, x1 - x0)
        assert person.mask.dtype == person.others.dtype == np.uint8
        assert person.landmarks.shape == (33, 3) and person.world_landmarks.shape == (33, 3)
        assert (person.landmarks[:, 2] >= 0).all() and (person.landmarks[:, 2] <= 1).all()
        total[y0:y1, x0:x1] += person.mask > 127
    assert total.max() <= 1, "two people's masks overlap"


def test_nobody_in_a_blank_picture(perception: Perception) -> None:
    assert perception.people(Photo(np.full((300, 400, 3), 200, np.uint8), None, "", "blank")) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("lunge.jpg", 1, 1),
        ("group_of_seven.jpg", 7, 7),
        ("family.jpg", 9, 9),
        ("football.jpg", 6, 12),
        ("basketball.jpg", 5, 12),
    ],
)
def test_everybody_is_found(perception: Perception, shared_photos: Path, name: str, least: int, most: int) -> None:
    photo, people = people_in(perception, shared_photos, name)
    consistent(photo, people)
    assert least <= len(people) <= most


@pytest.mark.slow
def test_the_five_players(perception: Perception, shared_photos: Path) -> None:
    _, people = people_in(perception, shared_photos, "basketball.jpg")
    chests = [(285, 180), (160, 400), (285, 430), (560, 380), (720, 400)]  # read off the photo
    for x, y in chests:
        assert any(
            p.box[0] < x < p.box[2] and p.box[1] < y < p.box[3] and p.mask_at(x, y) for p in map(_Located, people)
        ), (x, y)


class _Located:
    """A person whose mask can be asked for a pixel of the photo."""

    def __init__(self, person: Person) -> None:
        self.person, self.box = person, person.box

    def mask_at(self, x: int, y: int) -> bool:
        x0, y0, x1, y1 = self.person.window
        return x0 <= x < x1 and y0 <= y < y1 and bool(self.person.mask[y - y0, x - x0] > 127)


@pytest.mark.slow
def test_a_back_view_is_the_right_way_round(perception: Perception, shared_photos: Path) -> None:
    _, [person] = people_in(perception, shared_photos, "lunge.jpg")
    shoulders, world = person.landmarks[[11, 12], 0], person.world_landmarks
    assert shoulders[0] < shoulders[1], "seen from behind, the left shoulder is on the left"
    assert world[11, 0] < world[12, 0] and world[0, 1] < world[23, 1] < world[27, 1], "camera axes: x right, y down"
    assert person.face is None
    assert person.left_hand is not None and person.right_hand is not None
    for hand, wrist in ((person.left_hand, 15), (person.right_hand, 16)):
        assert np.hypot(*(hand.points[0] - person.landmarks[wrist, :2])) < 150


@pytest.mark.slow
def test_faces_and_hands_of_people_who_look_at_the_camera(perception: Perception, shared_photos: Path) -> None:
    _, people = people_in(perception, shared_photos, "family.jpg")
    faces = [person for person in people if person.face is not None]
    assert len(faces) >= 7
    for person in faces:
        # BlazePose's and the mesh's outer eye corners
        side = person.side
        assert person.face is not None
        assert np.abs(person.face[[263, 33]] - person.landmarks[[3, 6], :2]).max() < 0.03 * side
    assert sum(hand is not None for person in people for hand in (person.left_hand, person.right_hand)) >= 5


@pytest.mark.slow
def test_agreement_with_human_annotations(perception: Perception, shared_photos: Path) -> None:
    """Every fourth of the annotated full bodies; the benchmark measures all of them."""
    folder = shared_photos / "annotated"
    errors, ious, missed = [], [], 0
    for annotation in [entry for entry in read_annotations(folder) if entry.full_body][::4]:
        photo, people = people_in(perception, folder, annotation.file)
        person = match(people, annotation)
        if person is None:
            missed += 1
            continue
        errors.append(keypoint_errors(person.landmarks[COCO_LANDMARKS, :2], annotation))
        ious.append(mask_iou(person, annotation, photo.pixels.shape[1], photo.pixels.shape[0]))
    assert missed <= 1
    assert np.mean(np.concatenate(errors) <= 0.1) > 0.9
    assert np.mean(ious) > 0.83


def test_progress_rises_to_one(perception: Perception) -> None:
    seen: list[float] = []
    perception.people(Photo(np.zeros((200, 200, 3), np.uint8), None, "", "black"), progress=seen.append)
    assert seen == sorted(seen) and seen[-1] == 1.0
