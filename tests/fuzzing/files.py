"""Damaged photos and damaged model files, to the loaders that the default path and the user's own files go through."""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import sys
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image
from safetensors.torch import save
from scipy import sparse

from uvatar.body import BodyError, load_smpl
from uvatar.body.data import load_body
from uvatar.mesh_predictor.networks.checkpoint import read_state_dict
from uvatar.mesh_predictor.result_file import ResultFileError, ResultFiles
from uvatar.perception.models import ModelError, verified
from uvatar.photos.decoding import PhotoError, decode_photo
from uvatar.protocol import message_files
from uvatar.protocol.errors import UvatarError
from uvatar.runtime.networks import CheckpointError
from uvatar.service import network

from .mutation import mutated
from .watching import Watch

CORPUS = Path(__file__).parent / "corpus" / "files"
HEIC = Path(__file__).parents[1] / "photos" / "gradient.heic"
Loader = Callable[[bytes, Path], object]


# -- seeds -------------------------------------------------------------------------------------------------------------


def pictures() -> dict[str, bytes]:
    """Small photos of every format and many kinds of pixels."""
    rng = np.random.default_rng(0)
    colours = Image.fromarray(rng.integers(0, 255, (40, 48, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769)[0xA405] = 28
    made: dict[str, bytes] = {}
    for name, image, options in (
        ("jpeg", colours, {"exif": exif.tobytes(), "format": "JPEG"}),
        ("progressive", colours, {"progressive": True, "format": "JPEG"}),
        ("cmyk", colours.convert("CMYK"), {"format": "JPEG"}),
        ("png", colours, {"format": "PNG"}),
        ("palette", colours.quantize(16), {"format": "PNG", "transparency": 3}),
        ("alpha", colours.convert("RGBA"), {"format": "PNG"}),
        ("deep", Image.fromarray(rng.integers(0, 65535, (40, 48)).astype(np.uint16)), {"format": "PNG"}),
        ("deep_tiff", Image.fromarray(rng.integers(0, 4095, (40, 48)).astype(np.uint16)), {"format": "TIFF"}),
        ("float", Image.fromarray(rng.random((40, 48), np.float32)), {"format": "TIFF"}),
        ("avif", colours, {"format": "AVIF"}),
        ("webp", colours, {"format": "WEBP"}),
        ("tiff", colours, {"format": "TIFF", "compression": "tiff_lzw"}),
        ("tiff_jpeg", colours, {"format": "TIFF", "compression": "jpeg"}),
        ("bmp", colours, {"format": "BMP"}),
        ("gif", colours.quantize(32), {"format": "GIF", "save_all": True, "append_images": [colours.quantize(8)]}),
    ):
        out = io.BytesIO()
        image.save(out, **options)
        made[name] = out.getvalue()
    dim = rng.integers(0, 4095, (40, 48, 3)).astype(np.uint16)
    dim_png, dim_tiff = (cv2.imencode(suffix, dim)[1].tobytes() for suffix in (".png", ".tiff"))
    return {**made, "heif": HEIC.read_bytes(), "dim_png": dim_png, "dim_tiff": dim_tiff}


def smpl_content() -> dict[str, Any]:
    """The names of an SMPL file with small arrays."""
    rng = np.random.default_rng(0)
    shapes = {
        "v_template": (9, 3),
        "shapedirs": (9, 3, 10),
        "posedirs": (9, 3, 207),
        "weights": (9, 24),
        "kintree_table": (2, 24),
        "f": (5, 3),
    }
    arrays: dict[str, Any] = {name: rng.random(shape) for name, shape in shapes.items()}
    return {**arrays, "J_regressor": sparse.csc_matrix(rng.random((24, 9)))}


def models() -> dict[str, tuple[bytes, str]]:
    """Small files of every kind that a loader takes: content and the suffix by which it is known."""
    tensors = {"backbone.weight": torch.randn(4, 3), "head.bias": torch.zeros(2)}
    checkpoint, npz, result = io.BytesIO(), io.BytesIO(), io.BytesIO()
    torch.save({"model_state_dict": tensors}, checkpoint)
    np.savez(
        npz,
        **{
            name: np.asarray(value.todense() if sparse.issparse(value) else value)
            for name, value in smpl_content().items()
        },
    )
    people = np.empty((), object)
    people[()] = {"smpl_thetas": np.full((2, 72), 0.25), "cam": np.ones((2, 3)), "center_preds": np.ones((2, 2))}
    np.savez(result, results=people)
    return {
        "checkpoint.safetensors": (save(tensors), ".safetensors"),
        "checkpoint.pth": (checkpoint.getvalue(), ".pth"),
        "smpl.pkl": (pickle.dumps(smpl_content(), 2), ".pkl"),
        "smpl.npz": (npz.getvalue(), ".npz"),
        "romp.npz": (result.getvalue(), ".romp"),
    }


# -- loaders -----------------------------------------------------------------------------------------------------------


def load_photo(data: bytes, _: Path) -> object:
    """The photo, or a PhotoError."""
    with contextlib.suppress(PhotoError):
        photo = decode_photo(data, "fuzz.jpg")
        assert photo.pixels.dtype == np.uint8 and photo.pixels.ndim == 3 and photo.pixels.shape[2] == 3
        return photo
    return None


def load_checkpoint(data: bytes, path: Path) -> object:
    """Tensors by name, or a CheckpointError."""
    path.write_bytes(data)
    with contextlib.suppress(CheckpointError):
        return read_state_dict(path)
    return None


def load_body_file(data: bytes, path: Path) -> object:
    """A body, or a BodyError: as an official file, and as ours."""
    path.write_bytes(data)
    with contextlib.suppress(BodyError):
        load_smpl(path)
    with contextlib.suppress(BodyError):
        return load_body(path)
    return None


def load_result_file(data: bytes, path: Path) -> object:
    """People, or a ResultFileError."""
    path = path.with_suffix(".npz")
    path.write_bytes(data)
    with contextlib.suppress(ResultFileError):
        return ResultFiles(path).people("fuzz.jpg")
    return None


def load_stored(data: bytes, path: Path) -> object:
    """A stored result, an access file, a model that is checked by its sha256: all refuse what is not theirs."""
    path.write_bytes(data)
    sources = {"files": [{"file": path.name, "sha256": "0" * 64}]}
    (path.parent / "sources.json").write_text(json.dumps(sources))
    with contextlib.suppress(ModelError):
        verified(path)
        raise AssertionError("a model with a wrong sha256 was taken")
    for loader in (message_files.load, network.read_access):
        with contextlib.suppress(UvatarError):
            loader(path)
    return None


LOADERS: dict[str, Loader] = {
    ".safetensors": load_checkpoint,
    ".pth": load_checkpoint,
    ".pkl": load_body_file,
    ".npz": load_body_file,
    ".romp": load_result_file,
    ".uvatar": load_stored,
    ".photo": load_photo,
}


def seed_files(folder: Path) -> dict[str, list[bytes]]:
    """Seeds by suffix, with what is kept in the corpus."""
    found: dict[str, list[bytes]] = {".photo": list(pictures().values())}
    for data, suffix in models().values():
        found.setdefault(suffix, []).append(data)
    stored = folder / "seed.uvatar"
    message_files.dump(
        {"people": [{"betas": np.zeros(10, np.float32)}], "photo": {"name": "a", "jpeg": b"x" * 50}}, stored
    )
    found[".uvatar"] = [stored.read_bytes()]
    for path in sorted(CORPUS.glob("*")):
        found[path.suffix].append(path.read_bytes())
    return found


def fuzz(folder: Path, suffix: str, count: int, seed: int) -> Watch:
    """Damaged files of one kind to its loader, which either reads them or raises its own error; anything else ends the
    run.

    The file that does is left in ``folder`` as ``offender`` with its suffix, for the corpus.
    """
    random, watch, everything = Random(seed), Watch(), seed_files(folder)[suffix]
    path = folder / f"fuzz{suffix}"
    offender = folder / f"offender{suffix}"
    sys.modules.setdefault("chumpy", types.ModuleType("chumpy"))  # a loader that wants to import it would find it
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number in range(-len(everything), count):
            data = everything[number] if number < 0 else mutated(random.choice(everything), everything, random)
            offender.write_bytes(data)
            with watch.call():
                taken = LOADERS[suffix](data, path)
            watch.note("refused" if taken is None else "read")
            if number in (count // 5, count - 1):
                watch.mark(number / count)
    offender.unlink()
    return watch
