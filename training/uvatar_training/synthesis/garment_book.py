"""Reads and checks the garment file; `garments.yaml` describes its format."""

from __future__ import annotations

import functools
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from uvatar.data.parsing import ParseClass
from uvatar.evaluation.sampling import GROUPS
from uvatar_training.data.problems import DataError
from uvatar_training.synthesis.cuts import BORDERS
from uvatar_training.synthesis.draws import CONDITIONS, REFERENCE, kind_of
from uvatar_training.synthesis.fabrics import PATTERNS
from uvatar_training.synthesis.trims import TRIMS

SHIPPED = "garments.yaml"
SLOTS = ("socks", "dress", "bottom", "top", "belt", "over", "shoes", "gloves", "hat")
_PARTS = ("trim", "fabric", "colour", "first_of")


@dataclass(frozen=True)
class GarmentBook:
    """The sections of a garment file.

    Attributes:
        fabrics: "train" and "held_out" -> pattern -> how often it is worn.
        outfit: slot -> {chance, groups, garments: {name: share}}, and ``tucked``.
        garments: name -> garment.
        borders, trims: kind -> default parameters.
    """

    fabrics: Mapping[str, Mapping[str, float]]
    outfit: Mapping[str, Any]
    garments: Mapping[str, Mapping[str, Any]]
    borders: Mapping[str, Mapping[str, Any]]
    trims: Mapping[str, Mapping[str, Any]]


@functools.cache
def shipped_garments() -> GarmentBook:
    """The garments that ship with Uvatar."""
    text = (resources.files("uvatar_training.synthesis") / SHIPPED).read_text(encoding="utf-8")
    return _book(text, SHIPPED)


def read_garments(path: Path) -> GarmentBook:
    """Read and check a garment file.

    Raises:
        DataError: the file is missing, is not valid YAML, or has an invalid entry, which the message names.
    """
    if not path.is_file():
        raise DataError(path, "there is no such file of garments")
    return _book(path.read_text(encoding="utf-8"), path)


def _book(text: str, label: Path | str) -> GarmentBook:
    try:
        sections = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise DataError(label, f"is not YAML: {error}") from None
    names = [item.name for item in fields(GarmentBook)]
    if not isinstance(sections, dict) or sorted(sections) != sorted(names):
        raise DataError(label, f"must hold the sections {', '.join(names)}")
    book = GarmentBook(**sections)
    if problem := next(_problems(book), None):
        raise DataError(label, problem)
    return book


def _problems(book: GarmentBook) -> Iterator[str]:
    """Yield a description of each problem, worded as the end of a sentence."""
    for split in ("train", "held_out"):
        yield from _unknown(f"fabrics, {split}", book.fabrics.get(split, {"": 0}), PATTERNS)
    for section, known in (("borders", BORDERS), ("trims", TRIMS)):
        yield from _unknown(section, getattr(book, section), known)
        for kind, values in getattr(book, section).items():
            for name, entry in values.items():
                yield from _wrong_value(f"{section}, {kind}, {name}", entry, ())
    yield from _unknown("outfit", book.outfit, (*SLOTS, "tucked"))
    for slot in SLOTS:
        entry = book.outfit.get(slot)
        if not isinstance(entry, Mapping) or "chance" not in entry or not entry.get("garments"):
            yield f"outfit: the slot {slot} needs chance and garments"
            continue
        yield from _unknown(f"outfit, {slot}", entry, ("chance", "groups", "garments"))
        yield from _unknown(f"outfit, {slot}, garments", entry["garments"], book.garments)
    for name, garment in book.garments.items():
        yield from _wrong_garment(book, name, garment)


def _wrong_garment(book: GarmentBook, name: str, garment: Mapping[str, Any]) -> Iterator[str]:
    for section in ("name", "label", "numbers", "cut", "parts", "stand_off"):
        if section not in garment:
            yield f"{name} lacks {section}"
            return
    yield from _unknown(f"{name}, label", [garment["label"]], [label.name.lower() for label in ParseClass])
    known: list[str] = []
    for number, entry in garment["numbers"].items():
        yield from _wrong_value(f"{name}, numbers, {number}", entry, known)
        known.append(number)
    if isinstance(garment["name"], str):
        words = [word for _, word, _, _ in string.Formatter().parse(garment["name"]) if word is not None]
        yield from _unknown(f"{name}, name", words, known)
    cut = garment["cut"]
    yield from _unknown(f"{name}, cut", cut, ("arms", "everywhere", "off_the_arms"))
    if cut.get("arms") not in ("free", "bare"):
        yield f"{name}, cut: arms must be free or bare"
    for border in (*cut.get("everywhere", ()), *cut.get("off_the_arms", ())):
        for kind, values in border.items():
            yield from _wrong_use(f"{name}, cut", kind, values, book.borders, known)
    fabrics = 0
    for part in garment["parts"]:
        fabrics += "fabric" in part or "colour" in part
        for one in part.get("first_of", (part,)):
            yield from _wrong_part(book, f"{name}, parts", one, known)
    if fabrics != 1:
        yield f"{name}, parts: one of them must be the garment's fabric or colour"
    for part, entry in garment["stand_off"].items():
        yield from _unknown(f"{name}, stand_off", {part: entry}, ("thickness", "slack"))
        yield from _wrong_value(f"{name}, stand_off, {part}", entry, known)


def _wrong_part(book: GarmentBook, place: str, part: Any, known: Sequence[str]) -> Iterator[str]:
    if not isinstance(part, Mapping) or not any(kind in part for kind in _PARTS):
        yield f"{place}: {part!r} is none of {', '.join(_PARTS)}"
    elif "trim" in part:
        values = {key: value for key, value in part.items() if key not in ("trim", "groups", *CONDITIONS)}
        yield from _wrong_use(place, part["trim"], values, book.trims, known)
        for condition in ("when", "unless"):
            wanted = part.get(condition, ())
            yield from _unknown(f"{place}, {condition}", [wanted] if isinstance(wanted, str) else wanted, known)
    else:
        kind = "fabric" if "fabric" in part else "colour"
        yield from _wrong_value(f"{place}, {kind}", part[kind], known)


def _wrong_use(
    place: str, kind: str, values: Mapping[str, Any], section: Mapping[str, Mapping[str, Any]], known: Sequence[str]
) -> Iterator[str]:
    yield from _unknown(place, [kind], section)
    if kind in section:
        yield from _unknown(f"{place}, {kind}", values, section[kind])
        for name, entry in values.items():
            yield from _wrong_value(f"{place}, {kind}, {name}", entry, known)


def _wrong_value(place: str, entry: Any, known: Sequence[str]) -> Iterator[str]:
    if isinstance(entry, str) and entry.startswith(REFERENCE):
        yield from _unknown(place, [entry.removeprefix(REFERENCE)], known)
    if not isinstance(entry, Mapping):
        return
    try:
        kind = kind_of(entry)
    except ValueError as error:
        yield f"{place}: {error}"
        return
    if kind in ("uniform", "count") and not (isinstance(entry[kind], list) and len(entry[kind]) == 2):
        yield f"{place}: {kind} must be two numbers, not {entry[kind]!r}"
    if "shares" in entry and (len(entry["shares"]) != len(entry["one_of"]) or abs(sum(entry["shares"]) - 1) > 1e-6):
        yield f"{place}: there must be one share for each of one_of, and they must sum to 1"
    if "groups" in entry:
        yield from _unknown(f"{place}, groups", entry["groups"], GROUPS)
    inner = [*entry.get("one_of", ()), *entry.get("of", {}).values()]
    inner += [entry[key] for key in ("if", "by", "then", "otherwise", "fabric") if key in entry]
    for one in inner:
        yield from _wrong_value(place, one, known)


def _unknown(place: str, names: Any, known: Any) -> Iterator[str]:
    for name in names:
        if name not in known:
            yield f"{place}: there is no {name!r}; known are {', '.join(known) or 'none'}"
