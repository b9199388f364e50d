"""Parts of an avatar in a result: what is written is read, and what is damaged is refused."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from tests.parts import made_part
from uvatar.protocol.framing import pack, unpack
from uvatar.protocol.parts import MOST_PARTS, part_entry, parts_of, triangles_of


def read(*entries: Any) -> Any:
    return parts_of({"parts": list(entries)}, 55, 10)


def test_a_part_is_read_as_it_was_written() -> None:
    part = made_part()
    (back,) = parts_of(unpack(pack({"parts": [part_entry(part)]})), 55, 10)
    for field in fields(part):
        one, other = getattr(part, field.name), getattr(back, field.name)
        if field.name == "keys":
            assert one.names == other.names
            np.testing.assert_allclose(one.deltas, other.deltas, atol=1e-5)
            np.testing.assert_array_equal(one.vertices, other.vertices)
        elif isinstance(one, np.ndarray):
            np.testing.assert_allclose(one, other, atol=1e-4)
        else:
            assert other == pytest.approx(one) if field.name in ("roughness", "colour") else other == one


def test_a_plain_part_needs_no_texture_keys_or_shape() -> None:
    plain = replace(made_part(), uv=None, face_uv=None, texture=b"", shapedirs=None, keys=None, alpha="opaque")
    (back,) = read(part_entry(plain))
    assert back.uv is back.shapedirs is back.keys is None


def test_results_without_parts_have_none() -> None:
    assert parts_of({}, 55, 10) == parts_of({"parts": []}, 24, 10) == ()


def test_an_expression_moves_what_its_keys_name() -> None:
    part = made_part()
    moved = part.moved({"jawOpen": 0.5, "mouthSmileLeft": 1.0})
    np.testing.assert_allclose(moved[:4], 0)
    np.testing.assert_allclose(moved[4:8], [(0, -0.01, 0)] * 4, atol=1e-6)


def test_faces_become_triangles() -> None:
    faces = np.array([[0, 1, 2, 3], [4, 5, 6, -1]], np.int32)
    np.testing.assert_array_equal(triangles_of(faces), [[0, 1, 2], [0, 2, 3], [4, 5, 6]])


BREAKAGES: dict[str, dict[str, Any]] = {
    "a name that is a path": {"name": "../Teeth"},
    "a long name": {"name": "T" * 40},
    "no name": {"name": None},
    "a face beyond the vertices": {"faces": np.full((5, 4), 999, np.int32)},
    "a face with two corners": {"faces": np.array([[0, 1, -1, -1]] * 7, np.int32)},
    "the same corner twice": {"faces": np.array([[0, 1, 1, 2]] * 7, np.int32)},
    "faces that are not whole numbers": {"faces": np.zeros((7, 4), np.float32)},
    "no faces": {"faces": np.zeros((0, 4), np.int32)},
    "too many vertices": {"vertices": np.zeros((200_000, 3), np.float32)},
    "a vertex that is far away": {"vertices": np.full((9, 3), 1e6, np.float32)},
    "NaN": {"vertices": np.full((9, 3), np.nan, np.float32)},
    "a joint that the rig lacks": {"skin_joints": np.full((9, 4), 55, np.uint8)},
    "weights that do not sum to 1": {"skin_weights": np.zeros((9, 4), np.float32)},
    "negative weights": {"skin_weights": np.array([[2.0, -1, 0, 0]] * 9, np.float32)},
    "shapes of another body": {"shapedirs": np.zeros((9, 3, 300), np.float16)},
    "texture coordinates of other faces": {"face_uv": np.zeros((2, 4), np.int32)},
    "a texture that is none": {"texture": b"GIF89a"},
    "an unknown alpha mode": {"alpha": "additive"},
    "a colour out of range": {"colour": [2.0, 0, 0]},
    "an unknown key": {"keys": {"names": ["sneeze"]}},
    "keys without movements": {"keys": {"names": ["jawOpen"]}},
    "a material with a path": {"material": "a/b"},
    "no flag": {"body_texture": "yes"},
}


@pytest.mark.parametrize("what", BREAKAGES)
def test_damage_is_refused_in_one_sentence(what: str) -> None:
    with pytest.raises(ValueError, match=r"part|texture") as raised:
        read({**part_entry(made_part()), **BREAKAGES[what]})
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "change",
    [
        {"starts": np.array([0, 9, 4], np.int32)},
        {"vertices": np.full(8, 99, np.int32)},
        {"deltas": np.full((8, 3), np.inf, np.float16)},
        {"names": ["jawOpen", "jawOpen"]},
    ],
)
def test_damaged_keys_are_refused(change: dict[str, Any]) -> None:
    entry = part_entry(made_part())
    with pytest.raises(ValueError, match="Teeth"):
        read({**entry, "keys": {**entry["keys"], **change}})


@pytest.mark.parametrize("entries", [[5], ["Teeth"], [[]], [{}]])
def test_what_is_not_a_part_is_refused(entries: list[Any]) -> None:
    with pytest.raises(ValueError, match="part"):
        read(*entries)


def test_parts_are_few_and_have_names_of_their_own() -> None:
    entry = part_entry(made_part())
    with pytest.raises(ValueError, match="same name"):
        read(entry, {**entry, "name": "TEETH"})
    with pytest.raises(ValueError, match="at most"):
        read(*({**entry, "name": f"T{number}"} for number in range(MOST_PARTS + 1)))
    with pytest.raises(ValueError, match="at most"):
        parts_of({"parts": "Teeth"}, 55, 10)
