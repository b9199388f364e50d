"""Messages as frames: a JSON header, then one raw frame for each array or bytes object.

A message is a nested structure of dicts with string keys, lists, strings, numbers, booleans and None, with numpy arrays
and bytes anywhere in it.  It crosses a socket or lies in a file as frames, in the order in which the header mentions
them.  Nothing is ever pickled, and `unpack` believes nothing.  docs/protocol.md has the messages.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import Code, UvatarError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAGIC = "uvatar"
PROTOCOL_VERSION = 2
_READABLE = (
    1,
    2,
)  # version 2 differs in how a connection begins (`handshake`), so stored results of 1 are as they were
RESULT_SCHEMA = 2
# Little-endian wherever it matters: what a file or a socket holds is the same on every machine.
DTYPES = ("|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8")


@dataclass(frozen=True)
class Limits:
    """The largest message that is accepted.

    Attributes:
        frames: raw frames after the header.
        frame_bytes: a single frame.
        total_bytes: all frames together with the header.
        header_bytes: the JSON header.
        values: numbers, texts, lists and dicts in the header, about: parsing takes a microsecond for each.
        depth: lists and dicts inside each other.
        dimensions: axes of an array.
    """

    frames: int = 16_384
    frame_bytes: int = 256 << 20
    total_bytes: int = 1 << 30
    header_bytes: int = 4 << 20
    values: int = 500_000
    depth: int = 32
    dimensions: int = 8


LIMITS = Limits()
_BLOB = "$"  # a dict with this key stands for a raw frame; so no key of a message may begin with it


def pack(message: Any, limits: Limits = LIMITS) -> list[bytes | memoryview]:
    """Pack a message into frames: the JSON header, then arrays and bytes, without copying contiguous ones.

    Numpy scalars become plain numbers and tuples become lists.  Raises UvatarError, naming the place, for whatever the
    other side would refuse: other types, NaN or infinity outside arrays, keys that are not strings, too large a
    message.
    """
    frames: list[bytes | memoryview] = []
    body = _encode(message, "message", 1, frames, limits)
    whole = {"magic": MAGIC, "protocol": PROTOCOL_VERSION, "body": body}
    header = json.dumps(
        whole, allow_nan=False, ensure_ascii=False, separators=(",", ":")
    )  # "\\u5c71" is twice as long as its letter
    packed: list[bytes | memoryview] = [header.encode("utf-8"), *frames]
    check_sizes([memoryview(frame).nbytes for frame in packed], limits)
    _check_values(packed[0], limits)
    return packed


def unpack(frames: Sequence[Any], limits: Limits = LIMITS) -> Any:
    """Frames (anything with the buffer protocol) -> the message. Arrays are read-only views of their frames.

    Raises UvatarError for every sequence of frames that `pack` of this protocol version cannot have made (code
    "malformed", "too-large" or "unsupported-version").
    """
    buffers = [memoryview(frame).cast("B") for frame in frames]
    if not buffers:
        raise UvatarError("The message is empty.")
    check_sizes([buffer.nbytes for buffer in buffers], limits)
    header = _parse_header(bytes(buffers[0]), limits)
    if not isinstance(header, dict) or header.get("magic") != MAGIC:
        raise UvatarError("This is not a Uvatar message.", fix="Check that the port belongs to a Uvatar server.")
    if header.get("protocol") not in (*_READABLE, PROTOCOL_VERSION) or isinstance(header["protocol"], bool):
        raise UvatarError(
            f"The other side uses protocol version {str(header.get('protocol'))[:20]}, but this side uses "
            f"{PROTOCOL_VERSION}.",
            Code.UNSUPPORTED_VERSION,
        )
    if set(header) != {"magic", "protocol", "body"}:
        raise UvatarError("The message's header has missing or unknown parts.")
    rest = iter(buffers[1:])
    message = _decode(header["body"], rest, limits)
    if next(rest, None) is not None:
        raise UvatarError("The message has frames that its header does not mention.")
    return message


def check_sizes(sizes: Sequence[int], limits: Limits) -> None:
    """Raise UvatarError where frames of these sizes, bytes, are more or larger than the limits allow."""
    fix = "Send fewer or smaller photos in one job, or request the results one photo at a time."
    if len(sizes) - 1 > limits.frames:
        raise UvatarError(
            f"The message has {len(sizes) - 1} frames; at most {limits.frames} are accepted.", Code.TOO_LARGE, fix
        )
    if sizes[0] > limits.header_bytes:
        raise UvatarError(
            f"The message's header has {sizes[0]} bytes; at most {limits.header_bytes} are accepted.",
            Code.TOO_LARGE,
            fix,
        )
    if max(sizes) > limits.frame_bytes:
        raise UvatarError(
            f"A photo or array has {max(sizes)} bytes; at most {limits.frame_bytes} are accepted.", Code.TOO_LARGE, fix
        )
    if sum(sizes) > limits.total_bytes:
        raise UvatarError(
            f"The message has {sum(sizes)} bytes; at most {limits.total_bytes} are accepted.", Code.TOO_LARGE, fix
        )


def _encode(value: Any, place: str, depth: int, frames: list[bytes | memoryview], limits: Limits) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float, str)):
        _check_scalar(value, place)
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        view = memoryview(value).cast("B")
        frames.append(view)
        return {_BLOB: "bytes", "length": view.nbytes}
    if isinstance(value, np.ndarray):
        return _encode_array(value, place, frames, limits)
    if depth > limits.depth:
        raise UvatarError(f"{place} is nested more than {limits.depth} levels deep.")
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str) or key.startswith(_BLOB):
                raise UvatarError(f"{place} has the key {key!r}; keys are strings that do not begin with {_BLOB!r}.")
            _check_scalar(key, place)
        return {key: _encode(item, f"{place}.{key}", depth + 1, frames, limits) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_encode(item, f"{place}[{index}]", depth + 1, frames, limits) for index, item in enumerate(value)]
    raise UvatarError(f"{place} is a {type(value).__name__}, which cannot be sent.")


def _encode_array(array: NDArray[Any], place: str, frames: list[bytes | memoryview], limits: Limits) -> dict[str, Any]:
    dtype = array.dtype.newbyteorder("<")
    if dtype.str not in DTYPES or array.ndim > limits.dimensions:
        raise UvatarError(f"{place} is an array of {array.dtype} with {array.ndim} axes, which cannot be sent.")
    contiguous = np.ascontiguousarray(array, dtype)
    frames.append(contiguous.reshape(-1).view(np.uint8).data)
    return {_BLOB: "array", "dtype": dtype.str, "shape": list(array.shape)}


def _check_scalar(value: int | float | str, place: str) -> None:
    """Raise UvatarError for numbers and strings that not every reader of the message could hold."""
    if isinstance(value, str):
        if not value.isascii():
            try:
                value.encode("utf-8")
            except UnicodeEncodeError:
                raise UvatarError(f"{place} is text that is not valid Unicode.") from None
    elif isinstance(value, int):
        if not -(1 << 63) <= value < 1 << 63:
            raise UvatarError(f"{place} is an integer of more than 64 bits.")
    elif not math.isfinite(value):
        raise UvatarError(f"{place} is not a finite number.")


def _check_values(header: Any, limits: Limits) -> None:
    """Raise UvatarError for a header of so many values that parsing them would take seconds."""
    if sum(map(bytes(header).count, (b",", b"[", b"{"))) > limits.values:
        fix = "Send fewer photos in one job."
        raise UvatarError(f"The message has more than {limits.values} values.", Code.TOO_LARGE, fix)


def _parse_header(header: bytes, limits: Limits) -> Any:
    _check_values(header, limits)
    try:
        text = header.decode("utf-8")
    except UnicodeDecodeError:
        raise UvatarError("The message's header is not UTF-8 text.") from None
    try:
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique_keys)
    except UvatarError:
        raise
    except (ValueError, RecursionError) as error:
        raise UvatarError(f"The message's header is not JSON: {str(error)[:80]}") from None


def _refuse_constant(name: str) -> None:
    raise UvatarError(f"{name} is not a number that a message may contain.")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) != len(pairs):
        raise UvatarError("The message's header contains a key twice.")
    return unique


def _decode(value: Any, frames: Iterator[memoryview], limits: Limits, depth: int = 1) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float, str)):
        _check_scalar(value, "A value of the message")
        return value
    if isinstance(value, dict) and _BLOB in value:
        return _decode_frame(value, frames, limits)
    if depth > limits.depth:
        raise UvatarError(f"The message is nested more than {limits.depth} levels deep.")
    if isinstance(value, list):
        return [_decode(item, frames, limits, depth + 1) for item in value]
    for key in value:
        if key.startswith(_BLOB):
            raise UvatarError("The message has a key that is reserved.")
        _check_scalar(key, "A key of the message")
    return {key: _decode(item, frames, limits, depth + 1) for key, item in value.items()}


def _decode_frame(reference: dict[str, Any], frames: Iterator[memoryview], limits: Limits) -> bytes | NDArray[Any]:
    frame = next(frames, None)
    if frame is None:
        raise UvatarError("The message's header mentions a frame that is missing.")
    if reference[_BLOB] == "bytes" and set(reference) == {_BLOB, "length"}:
        if not _is_count(reference["length"]) or reference["length"] != frame.nbytes:
            raise UvatarError("A frame's length differs from the one in the header.")
        return bytes(frame)
    if reference[_BLOB] != "array" or set(reference) != {_BLOB, "dtype", "shape"}:
        raise UvatarError("The message's header describes a frame that is neither bytes nor an array.")
    name, shape = reference["dtype"], reference["shape"]
    if not isinstance(name, str) or name not in DTYPES:
        raise UvatarError("An array's type is not allowed in messages.")
    if not isinstance(shape, list) or len(shape) > limits.dimensions or not all(_is_count(size) for size in shape):
        raise UvatarError("An array's shape is not a list of sizes.")
    dtype = np.dtype(name)
    addressable = (
        math.prod(max(size, 1) for size in shape) <= limits.total_bytes
    )  # numpy refuses huge axes beside an empty one
    if math.prod(shape) * dtype.itemsize != frame.nbytes or not addressable:
        raise UvatarError("The length of an array's frame does not match its shape.")
    if name == "|b1" and np.frombuffer(frame, np.uint8).max(initial=0) > 1:
        raise UvatarError("A boolean array contains other values.")
    array = np.frombuffer(frame, dtype).reshape(shape)
    array.flags.writeable = False
    return array


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
