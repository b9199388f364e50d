"""`uvatar evaluate likeness`: the face embedding, and what is compared with it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

from uvatar.engine.engine import Engine
from uvatar.evaluation import face_embedding
from uvatar.evaluation.face_embedding import ALIGNED_BY, SAME_PERSON, Embedding, load_embedding
from uvatar.evaluation.likeness import Likeness, evaluate_likeness, with_others
from uvatar.photos.decoding import decode_photo
from uvatar.photos.encoding import encode_jpeg
from uvatar.protocol.errors import UvatarError

SAMPLES = Path(__file__).resolve().parents[2] / "samples"


@pytest.fixture(scope="module")
def embedding() -> Embedding:
    return load_embedding()


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine.load(threads=1)


def face_in(name: str, engine: Engine) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """A sample photo, and the places by which its face is aligned."""
    photo = decode_photo((SAMPLES / name).read_bytes(), name)
    [person] = engine.perception.people(photo)
    assert person.face is not None
    return photo.pixels, person.face[ALIGNED_BY]


def test_a_turned_and_smaller_picture_of_a_face_is_the_same_persons_and_another_face_is_not(
    embedding: Embedding, engine: Engine
) -> None:
    pixels, points = face_in("portrait.jpg", engine)
    turn = cv2.getRotationMatrix2D((200.0, 150.0), 25.0, 0.8)
    turned = np.asarray(cv2.warpAffine(pixels, turn, (512, 512), flags=cv2.INTER_AREA), np.uint8)
    moved = points @ turn[:, :2].T + turn[:, 2]
    woman = embedding(pixels, points)
    man = embedding(*face_in("man.jpg", engine))
    assert np.linalg.norm(embedding(turned, moved) - woman) < 0.2
    assert np.linalg.norm(man - woman) > SAME_PERSON


def test_points_in_another_order_align_another_face(embedding: Embedding, engine: Engine) -> None:
    """Eyes that were exchanged would stand the face on its head, and every distance would be one of such heads."""
    pixels, points = face_in("portrait.jpg", engine)
    right_way = embedding(pixels, points)
    mirrored = embedding(np.ascontiguousarray(pixels[:, ::-1]), _mirrored(points, pixels.shape[1]))
    exchanged = embedding(pixels, points[[2, 3, 0, 1, 4]])
    assert np.linalg.norm(mirrored - right_way) < 0.35 < SAME_PERSON < np.linalg.norm(exchanged - right_way)


def _mirrored(points: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    return (points * [-1, 1] + [width, 0]).astype(np.float32)[[2, 3, 0, 1, 4]]


def test_the_distance_of_other_people_is_the_mean_over_all_but_oneself() -> None:
    faces = [np.array(place, np.float64) for place in ([0, 0], [3, 4], [0, 8])]
    found = with_others([Likeness("a.jpg", number, 100, 0, 0, 0, 0) for number in range(3)], faces)
    assert [one.others for one in found] == pytest.approx([6.5, 5.0, 6.5])
    [alone] = with_others([Likeness("a.jpg", 0, 100, 0, 0, 0, 0)], faces[:1])
    assert np.isnan(alone.others)


def test_without_the_extra_one_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(UvatarError) as failure:
        evaluate_likeness(SAMPLES, tmp_path / "out")
    assert "uvatar[likeness]" in failure.value.fix
    monkeypatch.undo()
    monkeypatch.setattr(face_embedding, "find_spec", lambda name: None)
    with pytest.raises(UvatarError):
        load_embedding()
    assert importlib.util.find_spec("uvatar") and not (tmp_path / "out").exists()


@pytest.mark.slow
def test_an_avatar_is_nearer_to_its_photo_than_other_people_are(engine: Engine, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("portrait.jpg", "man.jpg"):
        (photos / name).write_bytes((SAMPLES / name).read_bytes())
    (photos / "wall.jpg").write_bytes(encode_jpeg(np.full((300, 300, 3), 120, np.uint8), 90))
    said = Console(record=True, width=200)
    man, woman = evaluate_likeness(photos, tmp_path / "out", engine, said)
    for one in (man, woman):
        assert 0 < one.own < one.beside < SAME_PERSON < one.others
        assert one.own < one.own_without
    assert "wall.jpg" in said.export_text()
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "man_p0_faces.jpg", "portrait_p0_faces.jpg", "table.csv", "table.md",
    }  # fmt: skip
    assert "| man.jpg | 0 |" in (tmp_path / "out" / "table.md").read_text()
