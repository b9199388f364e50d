"""Arrays out of a Python pickle without running anything that the pickle asks for.

Unpickling normally imports and calls whatever the file names.  Here every name that is not on a short list is refused,
and what is on it (numpy's, scipy's and chumpy's classes) is replaced by containers that only keep what the file says of
them; the arrays are then made from the bytes in the containers.  So not even numpy's own unpickling code sees the file.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

_NUMPY_FUNCTIONS = {
    "_reconstruct": "array",
    "_frombuffer": "buffer",
    "scalar": "scalar",
    "dtype": "dtype",
    "ndarray": "class",
}
_MOST_STEPS = 10_000_000  # of a pickle, and indices of its memo; files of bodies have some thousands
_SPARSE_CLASSES = ("csc_matrix", "csr_matrix", "csc_array", "csr_array")


class PickleRefused(Exception):
    """The pickle asks for something that plain arrays do not need."""


class _Container:
    """What the file says of one object: the arguments it would be called with and the state it would be given."""

    kind = ""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments
        self.state: Any = {}

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        root = module.split(".")[0]
        if root == "numpy" and name in _NUMPY_FUNCTIONS:
            kind = _NUMPY_FUNCTIONS[name]
        elif root == "scipy" and name in _SPARSE_CLASSES:
            kind = name[:3]
        elif root == "chumpy":
            kind = "chumpy"
        elif (module, name) in (("copy_reg", "_reconstructor"), ("copyreg", "_reconstructor")):
            return _reconstructor
        elif (module, name) in (("__builtin__", "object"), ("builtins", "object")):
            kind = "class"
        elif (module, name) == ("_codecs", "encode"):
            return _encode
        else:
            raise PickleRefused(f"it asks to run '{module}.{name}'")
        # A class of its own every time: whatever the file does to it ends with the file.
        return type(name, (_Container,), {"kind": kind})

    def persistent_load(self, pid: Any) -> Any:
        raise PickleRefused("it refers to data outside itself")


def _reconstructor(cls: Any, *_: Any) -> _Container:
    """How pickles of old protocols make an object before they give it its state."""
    if not (isinstance(cls, type) and issubclass(cls, _Container)):
        raise PickleRefused("it builds an object of an unknown class")
    return cls()


def _encode(text: str, encoding: str = "") -> bytes:
    """How pickles of protocol 2 carry bytes."""
    if not isinstance(text, str) or encoding != "latin1":
        raise PickleRefused(f"it asks for the encoding {encoding!r}")
    return text.encode("latin1")


def load_pickle(file: IO[bytes]) -> Any:
    """What the pickle holds, with containers in place of arrays: pass what is wanted of it to `as_array`.

    Raises:
        PickleRefused: it names a class or function that arrays do not need, or would take too much memory.
        Exception: nearly anything, where the file is damaged.
    """
    raw = file.read()
    for step, (opcode, argument, _) in enumerate(pickletools.genops(raw)):
        # A pickle may store an object at a high index of its memo, and Python would allocate all indices below it.
        if step > _MOST_STEPS or ("PUT" in opcode.name and isinstance(argument, int) and argument > _MOST_STEPS):
            raise PickleRefused("it asks for gigabytes of memory")
    return _Unpickler(io.BytesIO(raw), encoding="latin1").load()


def as_array(value: Any) -> NDArray[Any] | sparse.spmatrix:
    """The array or sparse matrix in something that `load_pickle` returned. Raises ValueError if there is none."""
    if isinstance(value, np.ndarray):
        return value
    if not isinstance(value, _Container):
        raise ValueError(f"expected an array, found a {type(value).__name__}")
    if value.kind == "array":
        _, shape, dtype, fortran, raw = value.state
        if isinstance(raw, list) and len(raw) == 1:  # a matrix wrapped into an array of objects
            return as_array(raw[0])
        return _from_bytes(raw, dtype, shape, "F" if fortran else "C")
    if value.kind == "buffer":
        raw, dtype, shape, order = value.arguments
        return _from_bytes(raw, dtype, shape, order)
    if value.kind in ("csc", "csr"):
        state = value.state
        parts = tuple(as_array(state[key]) for key in ("data", "indices", "indptr"))
        shape = tuple(int(n) for n in state.get("_shape", state.get("shape")))
        return (sparse.csc_matrix if value.kind == "csc" else sparse.csr_matrix)(parts, shape=shape)
    if value.kind == "chumpy" and "idxs" in value.state:  # chumpy's Select: some elements of another variable
        picked = np.asarray(as_array(value.state["a"])).ravel()[np.asarray(as_array(value.state["idxs"])).ravel()]
        return picked.reshape(value.state.get("preferred_shape", picked.shape))
    if value.kind == "chumpy" and "x" in value.state:
        return as_array(value.state["x"])
    raise ValueError(f"a {type(value).__name__} in it is of an unknown kind")


def unwrap(value: Any) -> Any:
    """What an array of one object, as `load_pickle` returned it, holds; anything else as it is."""
    if isinstance(value, _Container) and value.kind == "array" and isinstance(value.state, tuple):
        content = value.state[-1]
        if isinstance(content, list) and len(content) == 1:
            return content[0]
    return value


def _from_bytes(raw: Any, dtype: Any, shape: Any, order: str) -> NDArray[Any]:
    """An array of plain numbers; the element type comes from a closed list, the sizes must agree."""
    if not (isinstance(dtype, _Container) and dtype.kind == "dtype"):
        raise ValueError("an array in it has no element type")
    code = str(dtype.arguments[0])
    if code[:1] not in "fiub" or not code[1:].isdigit():
        raise ValueError(f"an array in it holds {code!r}, not numbers")
    state = dtype.state
    big = isinstance(state, tuple) and len(state) > 1 and state[1] == ">"
    element = np.dtype(code).newbyteorder(">" if big else "=")
    if not isinstance(raw, (bytes, bytearray, str)):  # of a number, `bytes` would make that many zeros
        raise ValueError("an array in it has no bytes")
    content = raw.encode("latin1") if isinstance(raw, str) else raw
    shape = tuple(int(n) for n in shape)
    if len(content) != math.prod(shape) * element.itemsize or order not in ("C", "F"):
        raise ValueError("an array in it has fewer or more bytes than its shape says")
    return np.frombuffer(content, element).reshape(shape, order="F" if order == "F" else "C").astype(np.dtype(code))
