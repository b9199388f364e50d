"""Finds and checks the shipped weights, and the users' own model files."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from uvatar.protocol.devices import CPU
from uvatar.protocol.discovery import data_folder
from uvatar.protocol.errors import Code, UvatarError
from uvatar.runtime.networks import CheckpointError, open_onnx

# Names that a user's own SMPL body may have: the official ones first; the last is made by `romp.prepare_smpl`.
SMPL_PACKED = "SMPL_NEUTRAL.pth"
SMPL_NAMES = ("SMPL_NEUTRAL.pkl", "SMPL_NEUTRAL.npz", "basicmodel_neutral_lbs_10_207_0_v1.1.0.pkl", SMPL_PACKED)
SMPL_UV = "smpl_uv.obj"  # SMPL's UV map, as its makers name it

# Names of an .onnx file's metadata: the file beside it that holds its weights, and that file's sha256.
WEIGHTS_FILE, WEIGHTS_SHA256 = "weights_file", "weights_sha256"

_SHA256 = re.compile(r"sha256\W+([0-9a-f]{64})")
_SHA256_OF_FILE = r"`{}`[^`\n]*sha256\W+([0-9a-f]{{64}})"


class WeightsError(UvatarError):
    """A file of the weights folder is missing or differs from the shipped one; the message says what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(message, Code.NO_WEIGHTS, "")


def weights_folder() -> Path:
    """The folder of the shipped weights.

    It is UVATAR_WEIGHTS if set, else inside the installed package, or beside it in a source checkout.

    Raises:
        WeightsError: there is no such folder.
    """
    package = Path(__file__).resolve().parents[1]
    chosen = os.environ.get("UVATAR_WEIGHTS")
    candidates = [Path(chosen)] if chosen else [package / "_weights", package.parents[1] / "weights"]
    for folder in candidates:
        if (folder / "open_body.npz").is_file():
            return folder
    raise WeightsError(
        f"Uvatar's weights were not found in {candidates[-1]}. "
        "Install Uvatar again, or set UVATAR_WEIGHTS to the folder with open_body.npz."
    )


def recorded_sha256(path: Path) -> str | None:
    """The sha256 in a weights file's model card (``name.md`` beside ``name.npz``); None if there is none.

    A card for two files names the second one before its sha256.
    """
    page = path.with_suffix(".md")
    if not page.is_file():
        return None
    text = page.read_text(encoding="utf-8")
    if path.suffix == ".onnx":
        found = re.search(_SHA256_OF_FILE.format(re.escape(path.name)), text)
    else:
        found = _SHA256.search(text)
    return found[1] if found else None


def sha256_of(path: Path) -> str:
    """The sha256 of a file's bytes, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_shipped(folder: Path) -> None:
    """Raise WeightsError if an array file in the folder itself is not the shipped one.

    The perception models in their own folder are checked when each is loaded.
    """
    for path in sorted(folder.iterdir()):
        if path.suffix in (".npz", ".onnx", ".safetensors") and recorded_sha256(path) not in (None, sha256_of(path)):
            raise WeightsError(
                f"The file {path} is damaged or was replaced (its sha256 is not as recorded). Install Uvatar again."
            )


def check_belonging(path: Path) -> None:
    """Raise CheckpointError if the weights beside an .onnx file are not those that it was exported from.

    The .onnx file holds the network's operations; its weights lie in the safetensors file that it names.
    """
    network = open_onnx(path, CPU)
    beside, recorded = path.with_name(network.metadata.get(WEIGHTS_FILE, "")), network.metadata.get(WEIGHTS_SHA256)
    if recorded is not None and recorded != sha256_of(beside):
        raise CheckpointError(
            f"{path.name} was exported from other weights than those in {beside.name}: export them again, or remove it."
        )


def models_folder() -> Path:
    """The folder of users' own model files: UVATAR_MODELS, or ``models`` in Uvatar's data folder; it may not exist."""
    chosen = os.environ.get("UVATAR_MODELS")
    return Path(chosen).expanduser() if chosen else data_folder() / "models"


def smpl_path(models: Path) -> Path | None:
    """The neutral SMPL file in the folder ``models``; None if there is none."""
    return next((models / name for name in SMPL_NAMES if (models / name).is_file()), None)


def bodies(models: Path) -> list[str]:
    """The values of the job option ``body`` that are possible with the files in the folder ``models``."""
    return ["open_body", *(["smpl"] if smpl_path(models) else [])]
