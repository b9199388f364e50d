"""What the backend and its clients agree on: message framing, versions, options, and where a running server is found.

This file is the only source of that agreement; the Blender add-on's build copies it into its zip.  So it needs nothing
but the standard library and numpy, and runs on every Python that Blender brings (3.11 to 3.14).

A message is a nested structure of dicts with string keys, lists, strings, numbers, booleans and None, with numpy arrays
and bytes anywhere in it.  It crosses a socket or lies in a file as frames: a JSON header, then one raw frame for each
array or bytes object, in the order in which the header mentions them.  Nothing is ever pickled, and `unpack` believes
nothing. docs/protocol.md has the messages; docs/result-schema.md has the result.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import struct
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

MAGIC = "uvatar"
PROTOCOL_VERSION = 1
RESULT_SCHEMA = 1

# Little-endian wherever it matters: what a file or a socket holds is the same on every machine.
DTYPES = ("|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8")


class WireError(ValueError):
    """A message, a stored result or a request that cannot be used; what crosses the wire as an error reply.

    Attributes:
        code: a short name that programs can compare (docs/protocol.md lists them).
        message: what is wrong, in the artist's words.
        fix: what to do about it.
    """

    def __init__(
        self, message: str, code: str = "malformed", fix: str = "Update the add-on and the backend to the same version."
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.fix = fix

    def as_dict(self) -> dict[str, str]:
        """The error as it crosses the wire: code, message, fix."""
        return {"code": self.code, "message": self.message, "fix": self.fix}

    @classmethod
    def from_dict(cls, error: Mapping[str, Any]) -> WireError:
        """The error that an error reply, or a photo's entry in a job's status, describes."""
        return cls(
            str(error.get("message", "Unknown error.")), str(error.get("code", "unknown")), str(error.get("fix", ""))
        )


@dataclass(frozen=True)
class Limits:
    """The largest message that is accepted.

    Attributes:
        frames: raw frames after the header.
        frame_bytes: a single frame.
        total_bytes: all frames together with the header.
        header_bytes: the JSON header.
        depth: lists and dicts inside each other.
        dimensions: axes of an array.
    """

    frames: int = 16_384
    frame_bytes: int = 256 << 20
    total_bytes: int = 1 << 30
    header_bytes: int = 4 << 20
    depth: int = 32
    dimensions: int = 8


LIMITS = Limits()

# What a job holds at most. The server refuses more photos; the bytes are how much of the photos a client should hold in
# its memory, and the server after it, before they are on the disk. One photo of the largest size that a message can
# carry still makes a job.
JOB_PHOTOS = 500
JOB_BYTES = LIMITS.frame_bytes

# Files that are offered and looked for as photos, everywhere: all that `uvatar.photos.decoding` reads, by the names
# that cameras, phones, browsers and scanners give them.
PHOTO_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    *(".png", ".webp", ".heic", ".heif", ".avif", ".tif", ".tiff", ".bmp", ".gif"),
)

# ---------------------------------------------------------------------------------------------------------------- frami

_BLOB = "$"  # a dict with this key stands for a raw frame; so no key of a message may begin with it


def pack(message: Any, limits: Limits = LIMITS) -> list[bytes | memoryview]:
    """A message -> frames: the JSON header first, then the arrays and bytes, not copied where they are contiguous.

    Numpy scalars become plain numbers and tuples become lists.  Raises WireError, naming the place, for whatever the
    other side would refuse: other types, NaN or infinity outside arrays, keys that are not strings, too large a
    message.
    """
    frames: list[bytes | memoryview] = []
    body = _encode(message, "message", 1, frames, limits)
    whole = {"magic": MAGIC, "protocol": PROTOCOL_VERSION, "body": body}
    header = json.dumps(
        whole, allow_nan=False, ensure_ascii=False, separators=(",", ":")
    )  # "\\u5c71" is twice as long as its letter
    packed = [header.encode("utf-8"), *frames]
    _check_sizes([memoryview(frame).nbytes for frame in packed], limits)
    return packed


def unpack(frames: Sequence[Any], limits: Limits = LIMITS) -> Any:
    """Frames (anything with the buffer protocol) -> the message. Arrays are read-only views of their frames.

    Raises WireError for every sequence of frames that `pack` of this protocol version cannot have made (code
    "malformed", "too-large" or "unsupported-version").
    """
    buffers = [memoryview(frame).cast("B") for frame in frames]
    if not buffers:
        raise WireError("The message is empty.")
    _check_sizes([buffer.nbytes for buffer in buffers], limits)
    header = _parse_header(bytes(buffers[0]), limits)
    if not isinstance(header, dict) or header.get("magic") != MAGIC:
        raise WireError("This is not a message of Uvatar.", fix="Check that the port belongs to a Uvatar server.")
    if header.get("protocol") != PROTOCOL_VERSION or isinstance(header["protocol"], bool):
        raise WireError(
            f"The other side speaks protocol version {str(header.get('protocol'))[:20]}, this side speaks "
            f"{PROTOCOL_VERSION}.",
            "unsupported-version",
        )
    if set(header) != {"magic", "protocol", "body"}:
        raise WireError("The message's header has missing or unknown parts.")
    rest = iter(buffers[1:])
    message = _decode(header["body"], rest, limits)
    if next(rest, None) is not None:
        raise WireError("The message has frames that its header does not mention.")
    return message


def _check_sizes(sizes: Sequence[int], limits: Limits) -> None:
    fix = "Send fewer or smaller photos in one job, or ask for the result photo by photo."
    if len(sizes) - 1 > limits.frames:
        raise WireError(
            f"The message has {len(sizes) - 1} frames; at most {limits.frames} are accepted.", "too-large", fix
        )
    if sizes[0] > limits.header_bytes:
        raise WireError(
            f"The message's header has {sizes[0]} bytes; at most {limits.header_bytes} are accepted.", "too-large", fix
        )
    if max(sizes) > limits.frame_bytes:
        raise WireError(
            f"A photo or array has {max(sizes)} bytes; at most {limits.frame_bytes} are accepted.", "too-large", fix
        )
    if sum(sizes) > limits.total_bytes:
        raise WireError(
            f"The message has {sum(sizes)} bytes; at most {limits.total_bytes} are accepted.", "too-large", fix
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
        raise WireError(f"{place} is nested more than {limits.depth} levels deep.")
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str) or key.startswith(_BLOB):
                raise WireError(f"{place} has the key {key!r}; keys are strings that do not begin with {_BLOB!r}.")
            _check_scalar(key, place)
        return {key: _encode(item, f"{place}.{key}", depth + 1, frames, limits) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_encode(item, f"{place}[{index}]", depth + 1, frames, limits) for index, item in enumerate(value)]
    raise WireError(f"{place} is a {type(value).__name__}, which cannot be sent.")


def _encode_array(array: np.ndarray, place: str, frames: list[bytes | memoryview], limits: Limits) -> dict[str, Any]:
    dtype = array.dtype.newbyteorder("<")
    if dtype.str not in DTYPES or array.ndim > limits.dimensions:
        raise WireError(f"{place} is an array of {array.dtype} with {array.ndim} axes, which cannot be sent.")
    contiguous = np.ascontiguousarray(array, dtype)
    frames.append(contiguous.reshape(-1).view(np.uint8).data)
    return {_BLOB: "array", "dtype": dtype.str, "shape": list(array.shape)}


def _check_scalar(value: int | float | str, place: str) -> None:
    """Raise WireError for numbers and strings that not every reader of the message could hold."""
    if isinstance(value, str):
        if not value.isascii():
            try:
                value.encode("utf-8")
            except UnicodeEncodeError:
                raise WireError(f"{place} is text that is not valid Unicode.") from None
    elif isinstance(value, int):
        if not -(1 << 63) <= value < 1 << 63:
            raise WireError(f"{place} is a whole number of more than 64 bits.")
    elif not math.isfinite(value):
        raise WireError(f"{place} is not a finite number.")


# Strings (to skip the brackets inside them) or brackets. Possessive, so that no text takes more than linear time.
_TOKENS = re.compile(r'"(?:[^"\\]++|\\.)*+|[\[\]{}]', re.DOTALL)


def _parse_header(header: bytes, limits: Limits) -> Any:
    try:
        text = header.decode("utf-8")
    except UnicodeDecodeError:
        raise WireError("The message's header is not UTF-8 text.") from None
    depth = 0
    for token in _TOKENS.finditer(text):
        bracket = token[0]
        depth += 1 if bracket in "[{" else -1 if bracket in "]}" else 0
        if depth > 2 * limits.depth + 4:  # the parser's own safety; `_decode` counts exactly
            raise WireError("The message is nested too deeply.")
    try:
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique_keys)
    except WireError:
        raise
    except (ValueError, RecursionError) as error:
        raise WireError(f"The message's header is not JSON: {str(error)[:80]}") from None


def _refuse_constant(name: str) -> None:
    raise WireError(f"{name} is not a number that a message may hold.")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) != len(pairs):
        raise WireError("The message's header names a key twice.")
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
        raise WireError(f"The message is nested more than {limits.depth} levels deep.")
    if isinstance(value, list):
        return [_decode(item, frames, limits, depth + 1) for item in value]
    for key in value:
        if key.startswith(_BLOB):
            raise WireError("The message has a key that is reserved.")
        _check_scalar(key, "A key of the message")
    return {key: _decode(item, frames, limits, depth + 1) for key, item in value.items()}


def _decode_frame(reference: dict[str, Any], frames: Iterator[memoryview], limits: Limits) -> bytes | np.ndarray:
    frame = next(frames, None)
    if frame is None:
        raise WireError("The message's header mentions a frame that is not there.")
    if reference[_BLOB] == "bytes" and set(reference) == {_BLOB, "length"}:
        if not _is_count(reference["length"]) or reference["length"] != frame.nbytes:
            raise WireError("A frame's length is not the one that the header gives.")
        return bytes(frame)
    if reference[_BLOB] != "array" or set(reference) != {_BLOB, "dtype", "shape"}:
        raise WireError("The message's header describes a frame that is neither bytes nor an array.")
    name, shape = reference["dtype"], reference["shape"]
    if not isinstance(name, str) or name not in DTYPES:
        raise WireError("An array's type is not one that may be sent.")
    if not isinstance(shape, list) or len(shape) > limits.dimensions or not all(_is_count(size) for size in shape):
        raise WireError("An array's shape is not a list of sizes.")
    dtype = np.dtype(name)
    addressable = (
        math.prod(max(size, 1) for size in shape) <= limits.total_bytes
    )  # numpy refuses huge axes beside an empty one
    if math.prod(shape) * dtype.itemsize != frame.nbytes or not addressable:
        raise WireError("An array's frame does not have the length that its shape needs.")
    if name == "|b1" and np.frombuffer(frame, np.uint8).max(initial=0) > 1:
        raise WireError("An array of booleans holds other values.")
    array = np.frombuffer(frame, dtype).reshape(shape)
    array.flags.writeable = False
    return array


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


# ------------------------------------------------------------------------------------------------------------------ fil

_FILE_MAGIC = b"UVATAR\r\n"  # damaged by any transfer that takes the file for text
_FILE_START = struct.Struct("<8sI")  # magic, number of frames
_FRAME_SIZE = struct.Struct("<Q")
_SEAL_BYTES = hashlib.sha256().digest_size


def dump(message: Any, path: Path) -> None:
    """Write a message to one file: magic and frame count, the lengths of all frames, the frames, the sha256 of all
    this.

    Readers see the old file or the whole new one. Raises WireError as `pack`, OSError where the file cannot be written.
    """
    frames = pack(message)
    lengths = b"".join(_FRAME_SIZE.pack(memoryview(frame).nbytes) for frame in frames)
    chunks = [_FILE_START.pack(_FILE_MAGIC, len(frames)), lengths, *frames]
    seal = hashlib.sha256()
    for chunk in chunks:
        seal.update(chunk)
    write_atomically(path, [*chunks, seal.digest()])


def load(path: Path, limits: Limits = LIMITS) -> Any:
    """Read a message from a file that `dump` wrote.

    Raises WireError where it is not one or is damaged, OSError as `open`.
    """
    damaged = WireError(
        f"{Path(path).name} is damaged or is not a result of Uvatar.", fix="Reconstruct the photo again."
    )
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(_FILE_START.size)
        if len(start) < _FILE_START.size:
            raise damaged
        magic, count = _FILE_START.unpack(start)
        if magic != _FILE_MAGIC or not 1 <= count <= limits.frames + 1:
            raise damaged
        table = file.read(count * _FRAME_SIZE.size)
        if len(table) != count * _FRAME_SIZE.size:
            raise damaged
        lengths = [length for (length,) in _FRAME_SIZE.iter_unpack(table)]
        if file.tell() + sum(lengths) + _SEAL_BYTES != size:
            raise damaged
        _check_sizes(lengths, limits)
        frames = [file.read(length) for length in lengths]
        seal = hashlib.sha256(start + table)
        for frame in frames:
            seal.update(frame)
        if seal.digest() != file.read(_SEAL_BYTES):
            raise damaged
        return unpack(frames, limits)


def write_atomically(path: Path, chunks: Iterable[bytes | memoryview], sync_entry: bool = True) -> None:
    """Write a file that only its owner may read, so that a crash or a full disk leaves the old one, or none, never a
    part.

    ``sync_entry``: have the file's name on the disk too; else the caller calls `sync_folder` once for many files.
    """
    path = Path(path)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with open(descriptor, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    if sync_entry:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Have a folder's entries on the disk, so that a power cut does not undo a rename.

    Windows has no such call and needs none.
    """
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


# ---------------------------------------------------------------------------------------------------------------- optio


@dataclass(frozen=True)
class Option:
    """One thing that can be chosen for a job.

    Attributes:
        default: the value where a job does not say.
        choices: the only values, or None.
        low, high: the range of a number, both included; None for no number.
        optional: None is a value too.
        people: people of photos as another estimator sees them (`given_people` below).
    """

    default: Any
    choices: tuple[Any, ...] | None = None
    low: float | None = None
    high: float | None = None
    optional: bool = False
    people: bool = False

    def accepts(self, value: Any) -> bool:
        """Whether a job may have this value."""
        if value is None:
            return self.optional
        if self.people:
            return isinstance(value, list) and all(_are_people(photo) for photo in value)
        if self.choices is not None:
            return any(type(value) is type(choice) and value == choice for choice in self.choices)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        whole = isinstance(value, int) or not isinstance(self.default, int)
        return whole and self.low is not None and self.high is not None and self.low <= value <= self.high

    def describe(self) -> str:
        """The values that are accepted, in words."""
        if self.people:
            values = (
                f"for each photo its name and {', '.join(GIVEN)}: rows of {', '.join(map(str, GIVEN.values()))} numbers"
            )
        else:
            values = (
                " or ".join(str(choice) for choice in self.choices)
                if self.choices
                else f"between {self.low:g} and {self.high:g}"
            )
        return f"{values} or nothing" if self.optional else values


# People of a photo as another estimator sees them: numbers in a row, a row per person; and where its words come from.
GIVEN = {"thetas": 72, "camera": 3, "betas": 10, "confidence": 1, "center": 2}
GIVEN_WORDS = {"betas_of": ("smpl", "open_body"), "center_in": ("photo", "square")}
MOST_GIVEN = 256  # people of one photo
LARGEST_GIVEN = 1e9  # number that means anything


def _are_people(photo: Any) -> bool:
    """Whether these are numbers of people and the photo's name, and nothing else."""
    if (
        not isinstance(photo, dict)
        or set(photo) != {"photo", *GIVEN, *GIVEN_WORDS}
        or not isinstance(photo["photo"], str)
    ):
        return False
    if any(photo[name] not in words for name, words in GIVEN_WORDS.items()):
        return False
    if not all(
        isinstance(photo[name], list) and len(photo[name]) == len(photo["thetas"]) <= MOST_GIVEN for name in GIVEN
    ):
        return False
    return all(
        isinstance(row, list) and len(row) == size and all(map(_is_number, row))
        for name, size in GIVEN.items()
        for row in photo[name]
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= LARGEST_GIVEN


_SWITCH = (True, False)
# What a texture is made of: the photo and what completes it; that, changed by the Texture Predictor all over; changed
# where no photo looks.
TEXTURES = ("projected", "predicted", "combined")
# Which body avatars have: the one that ships, or SMPL, whose files the user brings.
BODIES = ("open_body", "smpl")
OPTIONS: Mapping[str, Option] = {
    "body": Option("open_body", choices=BODIES),  # people are fitted on the open body and carried over to the other
    "texture_size": Option(1024, choices=(512, 1024, 2048, 4096)),  # pixels on a side
    "texture": Option(
        None, choices=TEXTURES, optional=True
    ),  # None: combined, or with `fast` or without weights projected
    "texture_seed": Option(0, low=0, high=1_000_000),  # 0: the most likely prediction; others: variations of it
    "fast": Option(False, choices=_SWITCH),  # fewer steps, no clothing: a first look
    "clothing": Option(True, choices=_SWITCH),  # shape the outline to clothes and hair
    "same_person": Option(False, choices=_SWITCH),  # all photos, or all views in one photo, show one person: one avatar
    "max_people": Option(32, low=1, high=64),  # of each photo, the most prominent first
    "uncertain": Option(False, choices=_SWITCH),  # also make avatars of who may be no person
    "focal": Option(None, low=10, high=1_000_000, optional=True),  # pixels; None: what the photo says
    "turntable": Option(False, choices=_SWITCH),  # also render a sheet of views around every person
    "refine": Option(
        True, choices=_SWITCH
    ),  # fit to the photo; without, the Mesh Predictor's prediction alone is the result
    "given_people": Option(None, people=True, optional=True),  # another estimator's people: no prediction
    "complete_texture": Option(
        False, choices=_SWITCH
    ),  # the "photos" are a painted texture and its labels: fill what is not marked
    "export_npz": Option(False, choices=_SWITCH),  # also give the people in the keys of ROMP's result files
}


def shown(text: str) -> str:
    """Text of which every character can be shown, stored and sent:

    U+FFFD stands for control characters and for what is not Unicode.

    File names hold the latter where they are not UTF-8 (Linux), or have half a surrogate pair (Windows).
    """
    return re.sub(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", "\ufffd", text)


def photo_name(name: str) -> str:
    """A photo's name as a job knows it: no folders, nothing that cannot be shown.

    It is shown to people and never used as a path.
    """
    return shown(re.split(r"[\\/]", name)[-1])[:200] or "photo"


def portions(sizes: Iterable[int], most_photos: int = JOB_PHOTOS, most_bytes: int = JOB_BYTES) -> Iterator[range]:
    """How many photos are shared out among jobs, in their order: the indices of the photos of each job.

    A photo that is larger than ``most_bytes`` gets a job of its own. Sizes are taken one at a time, so they may come
    from a generator.

    Args:
        sizes: bytes of each photo.
        most_photos: of a job.
        most_bytes: of a job.
    """
    start, end, held = 0, 0, 0
    for size in sizes:
        if end > start and (end - start >= most_photos or held + size > most_bytes):
            yield range(start, end)
            start, held = end, 0
        end, held = end + 1, held + size
    if end > start:
        yield range(start, end)


def checked_options(given: Any) -> dict[str, Any]:
    """The options of a job, with the defaults for what is not given.

    Raises WireError for unknown names and unusable values.
    """
    fix = "Choose another value."
    if not isinstance(given, Mapping):
        raise WireError("The options are not a dictionary.", "bad-option", fix)
    for name, value in given.items():
        if name not in OPTIONS:
            raise WireError(f"There is no option {str(name)[:40]!r}. Options are: {', '.join(OPTIONS)}.", "bad-option")
        if not OPTIONS[name].accepts(value):
            raise WireError(f"The option {name} must be {OPTIONS[name].describe()}.", "bad-option", fix)
    return {name: given.get(name, option.default) for name, option in OPTIONS.items()}


# ------------------------------------------------------------------------------------------------------ finding the ser


@dataclass(frozen=True)
class Runtime:
    """How to reach the server that uses a data folder.

    Attributes:
        port: on 127.0.0.1.
        token: what every request must carry.
        pid: process id of the server.
        version: version of the backend.
    """

    port: int
    token: str
    pid: int
    version: str


def data_folder() -> Path:
    """Folder of jobs, results and logs: UVATAR_DATA, or where this system keeps an application's data.

    It may not exist.

    Raises WireError ("data-folder") where the system knows no home of this user (a container's user without a name).
    """
    if sys.platform == "win32":
        own = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        own = "~/Library/Application Support"
    else:
        own = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    try:
        return Path(os.environ.get("UVATAR_DATA") or Path(own) / "uvatar").expanduser()
    except RuntimeError:
        message = "This system does not say where your home folder is, so there is no place for Uvatar's data."
        raise WireError(
            message, "data-folder", "Name a folder that you may write to in the environment variable UVATAR_DATA."
        ) from None


def runtime_file(folder: Path) -> Path:
    """The file in the data folder by which a running server is found."""
    return Path(folder) / "server.json"


def write_runtime(folder: Path, runtime: Runtime) -> None:
    """Say where the server is; only this user can read it, for it holds the token."""
    fields = {"magic": MAGIC, "protocol": PROTOCOL_VERSION, **vars(runtime)}
    write_atomically(runtime_file(folder), [json.dumps(fields, indent=1).encode("ascii")])


def read_runtime(folder: Path) -> Runtime | None:
    """What `write_runtime` wrote, or None where there is nothing usable.

    The server may have died since: say hello to be sure.
    """
    try:
        fields = json.loads(runtime_file(folder).read_bytes())
        if fields["magic"] != MAGIC or not 0 < int(fields["port"]) < 65536:
            return None
        return Runtime(int(fields["port"]), str(fields["token"]), int(fields["pid"]), str(fields["version"]))
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
