"""The report of `uvatar weights`: installed weights and models, their licences, and whether they are intact."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from uvatar.body import BodyError
from uvatar.fitting.lifter import ONNX_FILE as LIFTER_ONNX_FILE
from uvatar.mesh_predictor.predictor import LIGHT_FILE, LIGHT_LICENCE, LIGHT_ONNX_FILE, ROMP_FILE, ROMP_LICENCE
from uvatar.mesh_predictor.smpl_files import HELP, load_neutral_smpl, packed_regressors
from uvatar.parsing.selfie_multiclass import FILE as SELFIE_FILE
from uvatar.parsing.selfie_multiclass import LICENCE as SELFIE_LICENCE
from uvatar.parsing.selfie_multiclass import SelfieMulticlass
from uvatar.parsing.shipped import ONNX_FILE as PARSER_ONNX_FILE
from uvatar.protocol.devices import CPU
from uvatar.runtime.networks import CheckpointError, open_onnx, torch_is_installed
from uvatar.runtime.torch_networks import require_torch
from uvatar.runtime.weights import SMPL_NAMES, SMPL_PACKED, SMPL_UV, recorded_sha256, sha256_of
from uvatar.texture_predictor.predictor import FILE as TEXTURE_FILE
from uvatar.texture_predictor.predictor import LICENCE as TEXTURE_LICENCE
from uvatar.texture_predictor.predictor import ONNX_FILE as TEXTURE_ONNX_FILE
from uvatar.transfer.smpl import UV_HELP, with_uv

GOOD, MISSING, BROKEN, UNRECORDED = "ok", "not installed", "broken", "no checksum recorded"
SMPL_LICENCE = "SMPL licence (Max Planck): not for commercial use without an agreement."
_SUFFIXES = (".npz", ".onnx", ".safetensors", ".tflite")
# How the model cards beside the shipped files state it.
_LICENCE = re.compile(r"Licence of this file:\W*(.+?)(?:\. |\.?$)", re.MULTILINE)


def _load_romp(path: Path) -> None:
    require_torch(path.name)
    from uvatar.mesh_predictor.networks.deployed import load_romp

    load_romp(path)


def _load_texture_predictor(path: Path) -> None:
    require_torch(path.name)
    from uvatar.texture_predictor.networks.checkpoint import load_checkpoint

    load_checkpoint(path)


def _load_light(path: Path) -> None:
    require_torch(path.name)
    from uvatar.mesh_predictor.networks.deployed import load_light

    load_light(path)


def _load_parser(path: Path) -> None:
    try:
        SelfieMulticlass(path)
    except ValueError as error:
        raise CheckpointError(f"{path.name} cannot be used: {error}") from error


def _where_torch_is(load: Callable[[Path], None]) -> Callable[[Path], None]:
    """A loader of weights that ship, which onnxruntime reads too: without PyTorch their sha256 has to do."""
    return lambda path: load(path) if torch_is_installed() else None


_ONNX_FILES = (LIGHT_ONNX_FILE, TEXTURE_ONNX_FILE, LIFTER_ONNX_FILE, PARSER_ONNX_FILE)
# Shipped files that are also loaded, beyond the checksum.
_LOADERS: dict[str, Callable[[Path], object]] = {
    LIGHT_FILE: _where_torch_is(_load_light),
    TEXTURE_FILE: _where_torch_is(_load_texture_predictor),
    **{name: lambda path: open_onnx(path, CPU) for name in _ONNX_FILES},
}


@dataclass(frozen=True)
class Item:
    """One file.

    Attributes:
        name: the file's name, within its folder.
        what: what the file is for.
        state: "ok", "not installed", "broken" or "no checksum recorded".
        licence: the file's licence.
        remark: what is wrong with it and what to do, or where to get it; empty if nothing needs to be done.
    """

    name: str
    what: str
    state: str
    licence: str
    remark: str = ""


def shipped(weights: Path) -> list[Item]:
    """Check every file of the weights folder against the sha256 in ``sources.json`` or in its model card."""
    items = []
    for path in sorted(path for path in weights.rglob("*") if path.suffix in _SUFFIXES):
        sources = path.parent / "sources.json"
        what, licence, digest = _from_sources(sources, path.name) if sources.is_file() else _from_page(path)
        name = path.relative_to(weights).as_posix()
        if digest is not None and sha256_of(path) != digest:
            words = "The file is damaged or was replaced (its sha256 is not as recorded). Install Uvatar again."
            items.append(Item(name, what, BROKEN, licence, words))
            continue
        item = _checked(path, what, licence, "", _LOADERS.get(path.name, Path.exists), name)
        items.append(replace(item, state=UNRECORDED) if digest is None and item.state == GOOD else item)
    known = (
        (LIGHT_ONNX_FILE, "Mesh Predictor, light network", LIGHT_LICENCE),
        (LIGHT_FILE, "Mesh Predictor, the light network's weights", LIGHT_LICENCE),
        (TEXTURE_ONNX_FILE, "Texture Predictor", TEXTURE_LICENCE),
        (TEXTURE_FILE, "Texture Predictor's weights", TEXTURE_LICENCE),
    )
    for file, what, licence in known:
        if not (weights / file).is_file():
            items.append(Item(file, what, MISSING, licence, "Not included in this version; optional."))
    return items


def brought(models: Path) -> list[Item]:
    """Check the files that users may put into the folder ``models`` by loading them."""
    items = [
        _checked(
            models / ROMP_FILE,
            "Mesh Predictor, the published ROMP network",
            ROMP_LICENCE,
            "The file ROMP.pkl from ROMP's release V2.0. Optional.",
            _load_romp,
        ),
        _checked(
            models / TEXTURE_FILE,
            "Texture Predictor, instead of Uvatar's own",
            "as you trained it",
            "Written by training. Optional.",
            _load_texture_predictor,
        ),
    ]
    where = "Google's, which `uvatar weights --download-parser` installs. Optional: tells skin, hair and clothes apart."
    items.append(_checked(models / SELFIE_FILE, "Parser of people", SELFIE_LICENCE, where, _load_parser))
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
    """Raise BodyError if the UV map does not fit the first of the SMPL bodies; without a body, check nothing."""
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
    """What a file listed in ``sources.json`` is for, its licence and its sha256."""
    listed = json.loads(sources.read_text(encoding="utf-8"))
    for entry in listed["files"]:
        if entry["file"] == name:
            return entry["model"], entry.get("licence", listed["licence"]), entry["sha256"]
    return "", "unknown", None


def _from_page(path: Path) -> tuple[str, str, str | None]:
    """What a file is for, its licence and its sha256, as its model card states them."""
    page = path.with_suffix(".md")
    if not page.is_file():
        return "", "unknown", None
    text = page.read_text(encoding="utf-8")
    paragraphs = [part.strip() for part in text.split("\n\n") if part.strip() and not part.startswith("#")]
    what = " ".join(paragraphs[0].split()).split(". ")[0].split(":")[0] if paragraphs else ""
    licence = _LICENCE.search(text)
    return what, licence[1].strip() if licence else f"see {page.name}", recorded_sha256(path)
