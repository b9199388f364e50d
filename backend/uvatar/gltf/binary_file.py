"""A document of `pygltflib` and its data as the bytes of a .glb file.

The library's own `save_to_bytes` copies every object several times, which takes longer than all else in a file with
many morph targets; the bytes are the same.
"""

from __future__ import annotations

import json
import struct
from typing import Any

import pygltflib as gltf

_HEADER, _CHUNK = "<4sII", "<I4s"  # magic, version, length in bytes; length, kind


def to_glb(content: gltf.GLTF2, data: bytes | bytearray) -> bytes:
    """The file of a document whose only buffer is ``data``, a multiple of 4 bytes."""
    content.buffers = [gltf.Buffer(byteLength=len(data))]
    text = json.dumps(_plain(content), separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    chunks = [struct.pack(_CHUNK, len(text), b"JSON"), text, struct.pack(_CHUNK, len(data), gltf.BIN.encode()), data]
    length = struct.calcsize(_HEADER) + sum(len(chunk) for chunk in chunks)
    return b"".join([struct.pack(_HEADER, gltf.MAGIC, gltf.GLTF_VERSION, length), *chunks])


def _plain(value: Any) -> Any:
    """An object as dictionaries, lists and values, without what is None or empty; extensions stay as they are."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if value is None or isinstance(value, (str, int, float)):
        return value
    named = value if isinstance(value, dict) else vars(value)
    plain = {name: each if name == "extensions" else _plain(each) for name, each in named.items()}
    return {name: each for name, each in plain.items() if each not in (None, "", [], {})}
