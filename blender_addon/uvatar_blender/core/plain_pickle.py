# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading dictionaries of arrays from a Python pickle without running any code in it.

Unpickling normally imports and calls whatever the file names. Here the few names that NumPy uses are replaced by
containers that only keep their arguments, all other names are refused, and arrays are made from the bytes in the
containers. The memory that the pickle would make Python allocate is limited before it is read.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_NUMPY = {"_reconstruct": "array", "_frombuffer": "buffer", "scalar": "scalar", "dtype": "dtype", "ndarray": "class"}
_MOST_STEPS = 5_000_000  # opcodes: some hundred thousand arrays
# A pickle may contain this many objects more than it has opcodes. Each object has an opcode of its own, unless it is
# referenced repeatedly.
_FEW_STEPS = 10_000
_MOST_BYTES = 500_000_000  # of all arrays together
_DEEPEST = 50  # nested arrays and dictionaries


class PlainPickleRefused(ValueError):
    """The pickle contains something that plain arrays do not need."""


class _PlainContainer:
    kind = ""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] == "numpy" and name in _NUMPY:
            return type(name, (_PlainContainer,), {"kind": _NUMPY[name]})
        if (module, name) == ("_codecs", "encode"):
            return _encode
        if (module, name) == ("collections", "OrderedDict"):
            return dict
        raise PlainPickleRefused(f"it holds objects of {module}, not only arrays")

    def persistent_load(self, pid: Any) -> Any:
        raise PlainPickleRefused("it refers to data outside itself")


def load_plain(raw: bytes) -> Any:
    """Read a pickle of dictionaries, lists, text, numbers and arrays of numbers.

    Raises:
        PlainPickleRefused: it holds anything else, or would take too much memory.
        Exception: almost any other exception if it is damaged.
    """
    step = 0
    for step, (opcode, argument, _) in enumerate(pickletools.genops(raw)):
        # A pickle may store an object at a high memo index, and Python would allocate all indices below it.
        far = "PUT" in opcode.name and isinstance(argument, int) and argument > _MOST_STEPS
        if step > _MOST_STEPS or far:
            raise PlainPickleRefused("it would take too much memory")
    return _plain(_PlainUnpickler(io.BytesIO(raw), encoding="latin1").load(), _DEEPEST, _Left(_FEW_STEPS + step))


@dataclass
class _Left:
    """How much more may be made: a few bytes of a pickle can reference the same list or array again and again."""

    steps: int
    bytes: int = _MOST_BYTES

    def take(self, steps: int, size: int) -> None:
        self.steps -= steps
        self.bytes -= size
        if self.steps < 0 or self.bytes < 0:
            raise PlainPickleRefused("it would take too much memory")


def _encode(text: Any, encoding: Any = "") -> bytes:
    """Decode bytes as pickles of protocol 2 store them."""
    if not isinstance(text, str) or encoding != "latin1":
        raise PlainPickleRefused("it uses an encoding other than latin1")
    return text.encode("latin1")


def _plain(value: Any, deeper: int, left: _Left) -> Any:
    left.take(1, 0)
    if deeper < 0:
        raise PlainPickleRefused("its contents are nested too deeply")
    if isinstance(value, dict):
        return {str(key): _plain(item, deeper - 1, left) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, deeper - 1, left) for item in value]
    if isinstance(value, str | bytes | int | float | None):
        return value
    if isinstance(value, _PlainContainer):
        return _array(value, deeper, left)
    raise PlainPickleRefused(f"it holds a {type(value).__name__}, not only arrays")


def _array(value: _PlainContainer, deeper: int, left: _Left) -> Any:
    if value.kind == "array" and isinstance(value.state, tuple) and len(value.state) == 5:
        _, shape, dtype, fortran, raw = value.state
        if isinstance(raw, list):  # an array of objects
            return _plain(raw[0] if len(raw) == 1 else raw, deeper - 1, left)
        return _from_bytes(raw, dtype, shape, "F" if fortran else "C", left)
    if value.kind == "buffer" and len(value.arguments) == 4:
        return _from_bytes(*value.arguments, left)
    if value.kind == "scalar" and len(value.arguments) == 2:
        return _from_bytes(value.arguments[1], value.arguments[0], (), "C", left)
    raise PlainPickleRefused("it holds an array of an unknown kind")


def _from_bytes(raw: Any, dtype: Any, shape: Any, order: Any, left: _Left) -> NDArray[Any]:
    """Make an array of plain numbers or text from bytes, whose number must agree with the shape."""
    if not (isinstance(dtype, _PlainContainer) and dtype.kind == "dtype" and dtype.arguments):
        raise PlainPickleRefused("an array in it has no numeric type")
    code = str(dtype.arguments[0])
    if code[:1] not in "fiubUS" or not code[1:].isdigit() or len(code) > 6:
        raise PlainPickleRefused(f"an array in it holds {code[:20]!r}, not numbers")
    big = isinstance(dtype.state, tuple) and len(dtype.state) > 1 and dtype.state[1] == ">"
    element = np.dtype(code).newbyteorder(">" if big else "<")
    if isinstance(raw, str):  # Python 2's
        raw = raw.encode("latin1")
    if (
        not isinstance(raw, bytes | bytearray)
        or not isinstance(shape, tuple)
        or not all(type(n) is int and n >= 0 for n in shape)
    ):
        raise PlainPickleRefused("an array in it is damaged")
    if len(raw) != math.prod(shape) * element.itemsize or order not in ("C", "F"):
        raise PlainPickleRefused("an array in it has more or fewer bytes than its shape says")
    left.take(0, len(raw))
    return np.frombuffer(raw, element).reshape(shape, order=order).astype(np.dtype(code))
