# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading arrays from untrusted .npz, .npy and .pkl files; sizes are checked before anything is expanded."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from .plain_pickle import PlainPickleRefused, load_plain

_MOST_BYTES = 500_000_000  # of all arrays of a file together: 200,000 frames of rotation matrices of 24 joints
_MOST_PICKLED = 200_000_000  # bytes; the contents may take several times as much memory
_MOST_MEMBERS = 1000
_ALONE = "poses"  # name of the only array of a .npy file


class ArrayFileError(ValueError):
    """The arrays of a file cannot be read; the message says why in part of a sentence, without the file's name."""


def load_arrays(path: Path, wanted: Collection[str], longest: int) -> dict[str, Any]:
    """Read arrays from a file.

    Pickles are read without running anything in them (`plain_pickle`).

    Args:
        path: an .npz file, a .npy file with an array or a pickled dictionary, or a .pkl file with a dictionary.
        wanted: names of the arrays to read from an .npz; the others are not read.
        longest: an array with more rows is refused before it is read.

    Returns:
        The arrays by name; that of a .npy file is called "poses". Pickled dictionaries are returned whole, with the
        dictionaries in them.

    Raises:
        ArrayFileError: the arrays cannot be read.
        OSError: the file cannot be opened.
    """
    with path.open("rb") as file:
        try:
            start = file.read(6)
            file.seek(0)
            if start[:4] == b"PK\x03\x04" or start[:4] == b"PK\x05\x06":
                return _of_archive(file, wanted, longest)
            if start == b"\x93NUMPY":
                value = _member(file, path.stat().st_size, longest)
                return value if isinstance(value, dict) else {_ALONE: value}
            if path.suffix.lower() in (".pkl", ".pickle"):
                return _pickled(file)
            raise ArrayFileError("it is neither an .npz nor a .npy file")
        except ArrayFileError:
            raise
        except PlainPickleRefused as error:
            raise ArrayFileError(f"{error}: save its arrays with numpy.savez") from error
        except MemoryError as error:
            raise ArrayFileError("there is not enough memory for it") from error
        except RecursionError as error:
            raise ArrayFileError("its contents are nested too deeply") from error
        except Exception as error:  # a damaged archive, header or pickle can raise almost anything
            raise ArrayFileError(f"it is damaged ({str(error)[:100] or type(error).__name__})") from error


def _of_archive(file: IO[bytes], wanted: Collection[str], longest: int) -> dict[str, Any]:
    content: dict[str, Any] = {}
    left = _MOST_BYTES
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if len(members) > _MOST_MEMBERS:
            raise ArrayFileError(f"it holds {len(members)} arrays; at most {_MOST_MEMBERS} can be read")
        for item in members:
            name = item.filename.removesuffix(".npy")
            if name not in wanted:
                continue
            if item.flag_bits & 1:
                raise ArrayFileError("it is encrypted")
            if item.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ArrayFileError("it uses a compression method that numpy does not write")
            left -= item.file_size
            if left < 0:
                raise ArrayFileError(_too_large(_MOST_BYTES - left))
            with archive.open(item) as member:
                content[name] = _member(member, item.file_size, longest)
    return content


def _member(file: IO[bytes], size: int, longest: int) -> Any:
    """Read one array with its header, of ``size`` bytes, or the dictionary pickled in it."""
    version = np.lib.format.read_magic(file)
    read_header: Callable[[IO[bytes]], tuple[tuple[int, ...], bool, np.dtype[Any]]] = (
        np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    )
    shape, fortran, dtype = read_header(file)
    if dtype.hasobject:
        if math.prod(shape) != 1:
            raise ArrayFileError("its arrays hold objects instead of numbers")
        return _pickled(file)
    if dtype.kind not in "fiubUS":
        raise ArrayFileError(f"its arrays hold {dtype}, not numbers")
    if shape and shape[0] > longest:
        raise ArrayFileError(f"it has {shape[0]} frames; only 1 to {longest} can be imported")
    length = math.prod(shape) * dtype.itemsize
    if length > min(size, _MOST_BYTES):
        raise ArrayFileError(_too_large(length) if length > _MOST_BYTES else "one of its arrays is truncated")
    raw = file.read(length)
    if len(raw) != length:
        raise ArrayFileError("one of its arrays is truncated")
    array: NDArray[Any] = np.frombuffer(raw, dtype).reshape(shape, order="F" if fortran else "C")
    return array


def _pickled(file: IO[bytes]) -> dict[str, Any]:
    """Read a pickled dictionary from the rest of the file."""
    raw = file.read(_MOST_PICKLED + 1)
    if len(raw) > _MOST_PICKLED:
        raise ArrayFileError(
            f"it is a pickle of more than {_MOST_PICKLED / 1e6:.0f} MB: save its arrays with numpy.savez"
        )
    return _dictionary(load_plain(raw))


def _dictionary(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ArrayFileError(
            "it holds a list instead of named arrays" if isinstance(value, list) else "it holds no arrays"
        )
    return value


def _too_large(length: int) -> str:
    return f"its arrays take {length / 1e9:.1f} GB; {_MOST_BYTES / 1e9:.1f} GB can be read: cut it into several clips"
