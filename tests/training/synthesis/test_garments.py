"""The garments' file: a garment is added without code, and mistakes in it are named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from uvatar.body import load_open_body
from uvatar.data.parsing import ParseClass
from uvatar_training.data.problems import DataError
from uvatar_training.synthesis.anatomy import vertex_points
from uvatar_training.synthesis.garment_book import read_garments, shipped_garments
from uvatar_training.synthesis.outfits import label_over, random_outfit


def sections() -> dict[str, Any]:
    book = shipped_garments()
    return yaml.safe_load(yaml.safe_dump({name: dict(value) for name, value in vars(book).items()}, sort_keys=False))


def test_a_new_garment_needs_no_code(tmp_path: Path) -> None:
    changed = sections()
    changed["garments"]["scarf"] = {
        "name": "{colour} scarf",
        "label": "outer",
        "numbers": {"colour": {"one_of": ["red", "blue"]}, "wool": {"colour": 0.1}, "height": {"uniform": [0.1, 0.12]}},
        "cut": {"arms": "bare", "off_the_arms": [{"band": {"height": "$height", "half": 0.05}}]},
        "parts": [{"colour": "$wool"}, {"trim": "hem", "width": 0.01}],
        "stand_off": {"thickness": 0.01, "slack": 0.01},
    }
    changed["outfit"]["over"] = {"chance": 1, "garments": {"jacket": 1, "scarf": 3}}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(changed, sort_keys=False))
    book = read_garments(path)
    worn = [garment for seed in range(20) for garment in random_outfit(np.random.default_rng(seed), "male", book=book)]
    scarves = [garment for garment in worn if garment.name in ("red scarf", "blue scarf")]
    jackets = [garment for garment in worn if garment.name == "jacket"]
    assert len(scarves) + len(jackets) == 20 and len(scarves) > len(jackets) > 0
    points = vertex_points(load_open_body().data)
    cover = scarves[0].cover(points)
    here = points.rest[cover > 0.5]
    assert here[:, 1].min() > 0.04 and here[:, 1].max() < 0.18 and (scarves[0].offset(points)[cover > 0.9] > 0).all()
    labels = label_over(points, np.full(len(points), ParseClass.SKIN, np.uint8), scarves[:1])
    np.testing.assert_array_equal(labels == ParseClass.OUTER, cover > 0.5)


def test_the_same_seed_is_dressed_the_same_from_a_copy_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "copy.yaml"
    path.write_text(yaml.safe_dump(sections(), sort_keys=False))
    points = vertex_points(load_open_body().data)
    for seed in range(5):
        ours, theirs = (
            random_outfit(np.random.default_rng(seed), "female", book=book)
            for book in (shipped_garments(), read_garments(path))
        )
        assert [garment.name for garment in ours] == [garment.name for garment in theirs]
        for one, other in zip(ours, theirs, strict=True):
            assert np.array_equal(one.colour(points), other.colour(points))


def edit(*keys: str | int, to: Any) -> Callable[[dict[str, Any]], None]:
    def change(entries: Any) -> None:
        for key in keys[:-1]:
            entries = entries[key]
        entries[keys[-1]] = to

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (edit("outfit", "over", "garments", to={"cape": 1}), "outfit, over, garments: there is no 'cape'"),
        (edit("outfit", "top", to={"chance": 1}), "the slot top needs chance and garments"),
        (
            edit("garments", "belt", "parts", to=[{"trim": "hem"}]),
            "belt, parts: one of them must be the garment's fabric",
        ),
        (edit("garments", "belt", "parts", 1, to={"trim": "bow"}), "belt, parts: there is no 'bow'"),
        (
            edit("garments", "belt", "parts", 1, to={"trim": "buckle", "size": 2}),
            "belt, parts, buckle: there is no 'size'",
        ),
        (edit("garments", "belt", "numbers", "height", to={"uniform": [1]}), "uniform must be two numbers"),
        (edit("garments", "belt", "numbers", "height", to={"between": [1, 2]}), "no kind of value 'between'"),
        (edit("garments", "belt", "cut", "off_the_arms", 0, "band", "height", to="$hight"), "there is no 'hight'"),
        (edit("garments", "belt", "cut", "arms", to="covered"), "arms must be free or bare"),
        (edit("garments", "top", "numbers", "sleeve", "shares", to=[1.0]), "one share for each of one_of"),
        (edit("garments", "top", "name", to="{sleeves} top"), "top, name: there is no 'sleeves'"),
        (edit("fabrics", "train", "tweed", to=1.0), "fabrics, train: there is no 'tweed'"),
        (edit("borders", to={}), "there is no 'sleeve'"),
        (edit("garments", "belt", to={"name": "belt"}), "belt lacks label"),
        (edit("garments", "belt", "label", to="belt"), "belt, label: there is no 'belt'"),
    ],
)
def test_mistakes_in_the_file_are_named(change: Callable[[dict[str, Any]], None], message: str, tmp_path: Path) -> None:
    entries = sections()
    change(entries)
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(entries, sort_keys=False))
    with pytest.raises(DataError, match=r"mine\.yaml") as caught:
        read_garments(path)
    assert message in str(caught.value)


def test_files_that_are_no_garments_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_garments(tmp_path / "none.yaml")
    (tmp_path / "odd.yaml").write_text("garments: [")
    with pytest.raises(DataError, match="is not YAML"):
        read_garments(tmp_path / "odd.yaml")
    (tmp_path / "odd.yaml").write_text("garments: {}")
    with pytest.raises(DataError, match="must hold the sections fabrics, outfit"):
        read_garments(tmp_path / "odd.yaml")
