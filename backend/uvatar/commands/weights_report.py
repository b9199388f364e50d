"""The report of `uvatar weights`: installed weights and models, their licences, and whether they are intact."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from uvatar.body import BodyError
from uvatar.mesh_predictor.networks.checkpoint import load_checkpoint
from uvatar.mesh_predictor.networks.efficientnet_lite import LightBackbone
from uvatar.mesh_predictor.networks.network import MeshPredictor, romp
from uvatar.mesh_predictor.predictor import LIGHT_FILE, LIGHT_LICENCE, ROMP_FILE, ROMP_LICENCE
from uvatar.mesh_predictor.smpl_files import HELP, load_neutral_smpl, packed_regressors
from uvatar.runtime.networks import CheckpointError
from uvatar.runtime.weights import SMPL_NAMES, SMPL_PACKED, SMPL_UV, recorded_sha256, sha256_of
from uvatar.texture_predictor.networks.checkpoint import load_checkpoint as load_texture_predictor
from uvatar.texture_predictor.predictor import FILE as TEXTURE_FILE
from uvatar.texture_predictor.predictor import LICENCE as TEXTURE_LICENCE
from uvatar.transfer.smpl import UV_HELP, with_uv

GOOD, MISSING, BROKEN, UNRECORDED = "ok", "not installed", "broken", "no checksum recorded"
SMPL_LICENCE = "SMPL licence (Max Planck): not for commercial use without an agreement."
_SUFFIXES = (".npz", ".safetensors", ".tflite")
# How the pages beside the shipped files state it.
_LICENCE = re.compile(r"Licence of this file:\W*(.+?)(?:\. |\.?$)", re.MULTILINE)
# Shipped files that are worth more than a checksum.
_LOADERS: dict[str, Callable[[Path], object]] = {
    LIGHT_FILE: lambda path: load_checkpoint(MeshPredictor(LightBackbone()), path),
    TEXTURE_FILE: load_texture_predictor,
}


@dataclass(frozen=True)
class Item:
    """One file.

    Attributes:
        name: of the file, within its folder.
        what: it is for.
        state: "ok", "not installed", "broken" or "no checksum recorded".
        licence: of the file.
        remark: what is wrong with it and what to do, or where to get it; empty where nothing is to be done.
    """

    name: str
    what: str
    state: str
    licence: str
    remark: str = ""


def shipped(weights: Path) -> list[Item]:
    """Every file of the weights folder, compared with the sha256 that ``sources.json`` or the page beside it
    records.
    """
    items = []
    for path in sorted(path for path in weights.rglob("*") if path.suffix in _SUFFIXES):
        sources = path.parent / "sources.json"
        what, licence, digest = (
            _from_sources(sources, path.name) if sources.is_file() else _from_page(path.with_suffix(".md"))
        )
        name = path.relative_to(weights).as_posix()
        if digest is not None and sha256_of(path) != digest:
            items.append(Item(name, what, BROKEN, licence, "Its sha256 is not the recorded one. Install Uvatar again."))
            continue
        item = _checked(path, what, licence, "", _LOADERS.get(path.name, Path.exists), name)
        items.append(replace(item, state=UNRECORDED) if digest is None and item.state == GOOD else item)
    known = (
        (LIGHT_FILE, "Mesh Predictor, light network", LIGHT_LICENCE),
        (TEXTURE_FILE, "Texture Predictor", TEXTURE_LICENCE),
    )
    for file, what, licence in known:
        if not (weights / file).is_file():
            items.append(Item(file, what, MISSING, licence, "Not included in this version; optional."))
    return items


def brought(models: Path) -> list[Item]:
    """The files that users may bring into the folder ``models``, loaded to see whether they can be used."""
    items = [
        _checked(
            models / ROMP_FILE,
            "Mesh Predictor, the published ROMP network",
            ROMP_LICENCE,
            "The file ROMP.pkl from ROMP's release V2.0. Optional.",
            lambda path: load_checkpoint(romp(), path),
        ),
        _checked(
            models / TEXTURE_FILE,
            "Texture Predictor, instead of Uvatar's own",
            "as you trained it",
            "Written by training. Optional.",
            load_texture_predictor,
        ),
    ]
    smpl = [models / name for name in SMPL_NAMES if (models / name).is_file()]
    what = "SMPL body, for the option body and for ROMP's result files"
    for path in smpl or [models / SMPL_NAMES[0]]:
        items.append(_checked(path, what, SMPL_LICENCE, f"{HELP} Optional.", load_neutral_smpl))
    what = "SMPL's UV map, for textures on the SMPL body"
    items.append(
        _checked(models / SMPL_UV, what, SMPL_LICENCE, f"{UV_HELP} Optional.", lambda path: _check_uv(path, smpl))
    )
    if models / SMPL_PACKED not in smpl:
        where = "Made by `romp.prepare_smpl`. Optional: gives joints 45 to 70 of ROMP's result files."
        items.append(Item(SMPL_PACKED, "Regressors of further joints", MISSING, SMPL_LICENCE, where))
    else:
        items.append(
            _checked(
                models / SMPL_PACKED,
                "Regressors of further joints",
                SMPL_LICENCE,
                "",
                lambda path: packed_regressors(path.parent),
            )
        )
    return items


def _check_uv(path: Path, smpl: list[Path]) -> None:
    """Raises BodyError if the UV map does not fit the SMPL body beside it; without one there is nothing to compare
    it with.
    """
    if smpl:
        with_uv(load_neutral_smpl(smpl[0]), path)


def _checked(path: Path, what: str, licence: str, where: str, load: Callable[[Path], object], name: str = "") -> Item:
    name = name or path.name
    if not path.is_file():
        return Item(name, what, MISSING, licence, where)
    try:
        load(path)
    except (CheckpointError, BodyError) as error:
        return Item(name, what, BROKEN, licence, str(error))
    return Item(name, what, GOOD, licence)


def _from_sources(sources: Path, name: str) -> tuple[str, str, str | None]:
    """What, licence and sha256 of a file that ``sources.json`` lists."""
    listed = json.loads(sources.read_text(encoding="utf-8"))
    for entry in listed["files"]:
        if entry["file"] == name:
            return entry["model"], entry.get("licence", listed["licence"]), entry["sha256"]
    return "", "unknown", None


def _from_page(page: Path) -> tuple[str, str, str | None]:
    """What, licence and sha256 as the page of a file states them."""
    if not page.is_file():
        return "", "unknown", None
    text = page.read_text(encoding="utf-8")
    paragraphs = [part.strip() for part in text.split("\n\n") if part.strip() and not part.startswith("#")]
    what = " ".join(paragraphs[0].split()).split(". ")[0].split(":")[0] if paragraphs else ""
    licence = _LICENCE.search(text)
    return what, licence[1].strip() if licence else f"see {page.name}", recorded_sha256(page)
