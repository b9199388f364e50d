"""Reads the pickles of data sets safely: only the classes of tables, arrays and tensors are allowed.

This is stricter than the data sets' own tools, which call `pandas.read_pickle` and `pickle.load`. See
`uvatar.body.safe_pickle` for bodies.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import torch

from uvatar_training.data.problems import DataError

_ARRAYS = {
    ("multiarray", "_reconstruct"),
    ("multiarray", "scalar"),
    ("numeric", "_frombuffer"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
}
_TABLES = {
    "DataFrame", "BlockManager", "_unpickle_block", "_new_Index", "Index", "RangeIndex", "Int64Index", "Float64Index",
    "new_block",
    "make_block", "FloatBlock", "IntBlock", "BoolBlock", "ObjectBlock",
}  # fmt: skip
_TENSORS = {
    ("torch._utils", "_rebuild_tensor_v2"),
    ("torch._utils", "_rebuild_tensor"),
    ("torch._utils", "_rebuild_parameter"),
}
_PLAIN = {("builtins", "slice"), ("__builtin__", "slice"), ("collections", "OrderedDict"), ("_codecs", "encode")}


def read_table(path: Path) -> Any:
    """Read a pandas DataFrame from a pickle written by pandas 1.0 or later.

    Raises:
        DataError: the file is missing or damaged, or uses anything that a table does not need.
    """
    try:
        from pandas import DataFrame
        from pandas.compat import pickle_compat
    except ImportError as error:
        raise DataError(path, "needs pandas to be read: pip install uvatar-training") from error

    class Tables(pickle_compat.Unpickler):  # type: ignore[misc]
        def find_class(self, module: str, name: str) -> Any:
            if module.split(".")[0] == "pandas" and name in _TABLES:
                return super().find_class(module, name)
            return _plain(module, name, super().find_class)

    table = _load(path, Tables)
    if not isinstance(table, DataFrame):
        raise DataError(path, f"holds a {type(table).__name__}, not a table")
    return table


def read_tensors(path: Path) -> dict[str, Any]:
    """Read a dictionary of tensors or arrays from a pickle, onto the CPU, whatever device they were saved from.

    Raises:
        DataError: as in `read_table`.
    """

    class Tensors(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            if (module, name) == ("torch.storage", "_load_from_bytes"):
                return _storage
            if (module, name) in _TENSORS:
                return super().find_class(module, name)
            return _plain(module, name, super().find_class)

    content = _load(path, Tensors)
    if not isinstance(content, dict):
        raise DataError(path, f"holds a {type(content).__name__}, not a dictionary")
    return content


def _storage(data: bytes) -> Any:
    """Like the function of PyTorch, but safe and onto the CPU."""
    return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)


def _plain(module: str, name: str, find: Any) -> Any:
    own = module.replace("numpy._core", "numpy.core")
    if own.split(".")[0] == "numpy" and (own.split(".")[-1], name) in _ARRAYS:
        return find(own, name)
    if (module, name) in _PLAIN:
        return find(module, name)
    raise pickle.UnpicklingError(f"it asks to run '{module}.{name}'")


def _load(path: Path, unpickler: Any) -> Any:
    try:
        with path.open("rb") as file:
            return unpickler(file).load()
    except FileNotFoundError:
        raise DataError(path, "is missing") from None
    except Exception as error:  # a damaged pickle can raise any error
        raise DataError(
            path,
            f"is damaged, or no data of this kind ({type(error).__name__}: "
            f"{str(error).splitlines()[0] if str(error) else ''})",
        ) from error
