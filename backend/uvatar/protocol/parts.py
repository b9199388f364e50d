"""Parts of an avatar: further meshes on the same skeleton, such as teeth or a skirt. Their form in a result.

Backend and extension share this module. The arrays of a part are in the body's rest frame, as those of the body are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .expressions import EXPRESSIONS

MOST_PARTS = 16  # of one person
MOST_VERTICES, MOST_FACES = 100_000, 200_000  # of one part
MOST_TEXTURE = 32 << 20  # bytes of a part's texture
MOST_SHARED = 4  # joints that move a vertex
REACH = 10.0  # metres; no part of a person is farther from the origin
OPAQUE, MASK, BLEND = "opaque", "mask", "blend"  # what a texture's alpha channel does, by glTF's names
ALPHA_MODES = (OPAQUE, MASK, BLEND)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9 -]{0,15}")  # short, so that names made of it fit into Blender's 63 bytes
_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")


@dataclass(frozen=True)
class PartKeys:
    """The expression keys that a part follows; N movements in all, laid out as those of the body.

    Attributes:
        names: (K,) of `EXPRESSIONS`.
        starts: (K + 1,) key k has the movements starts[k] to starts[k + 1].
        vertices: (N,) the vertex that moves.
        deltas: (N, 3) metres at weight 1, body frame.
    """

    names: tuple[str, ...]
    starts: NDArray[np.int32]
    vertices: NDArray[np.int32]
    deltas: NDArray[np.float32]


@dataclass(frozen=True)
class Part:
    """A mesh of V vertices and F faces that moves with the body of one person.

    Attributes:
        name: "Teeth", "Skirt", ...: a letter, then at most 15 letters, digits, spaces and hyphens; unique in a person.
        vertices: (V, 3) metres, body frame, at rest in the T pose, shaped as the person is.
        faces: (F, 4) corners, counter-clockwise from outside; the last is -1 where a face is a triangle.
        skin_joints, skin_weights: (V, 4) linear blend skinning by the joints of the body: its rig's 55, or SMPL's 24 on
            a body without a rig. Rows of weights sum to 1.
        uv: (T, 2) texture coordinates, origin bottom-left, v up; None for a part of one colour.
        face_uv: (F, 4) like ``faces``, as indices into ``uv``; None without ``uv``.
        shapedirs: (V, 3, K) metres per unit of each beta, by which the shape sliders move the part; None if they do
            not.
        keys: the expression keys that move the part, or None.
        texture: PNG or JPEG, sRGB, with an alpha channel where ``alpha`` needs one; empty for none.
        body_texture: whether it wears the body's texture and material instead of its own.
        alpha: one of `ALPHA_MODES`.
        two_sided: whether its faces are seen from behind as well.
        roughness: of its surface, 0 (polished) to 1.
        colour: sRGB, 0 to 1, where it has no texture.
        material: name of the material; None for the part's own name.
    """

    name: str
    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    skin_joints: NDArray[np.uint8]
    skin_weights: NDArray[np.float32]
    uv: NDArray[np.float32] | None = None
    face_uv: NDArray[np.int32] | None = None
    shapedirs: NDArray[np.float32] | None = None
    keys: PartKeys | None = None
    texture: bytes = b""
    body_texture: bool = False
    alpha: str = OPAQUE
    two_sided: bool = False
    roughness: float = 0.6
    colour: tuple[float, float, float] = (0.8, 0.8, 0.8)
    material: str | None = None

    def moved(self, weights: Mapping[str, float]) -> NDArray[np.float32]:
        """What an expression, given by the weights of its keys, adds to the vertices: (V, 3) metres."""
        added = np.zeros_like(self.vertices)
        if self.keys is not None:
            for key, name in enumerate(self.keys.names):
                rows = slice(self.keys.starts[key], self.keys.starts[key + 1])
                added[self.keys.vertices[rows]] += np.float32(weights.get(name, 0.0)) * self.keys.deltas[rows]
        return added


def triangles_of(faces: NDArray[np.int32]) -> NDArray[np.int32]:
    """(F, 4) faces of a part -> (T, 3) triangles, those of one face in succession."""
    halves = np.stack([faces[:, [0, 1, 2]], faces[:, [0, 2, 3]]], 1)
    triangles = halves.reshape(-1, 3)
    whole: NDArray[np.int32] = triangles[triangles.min(1) >= 0]
    return whole


def part_entry(part: Part) -> dict[str, Any]:
    """A part as an entry of a person's ``parts`` in a result (docs/result-schema.md)."""
    entry: dict[str, Any] = {
        "name": part.name,
        "vertices": part.vertices.astype(np.float32),
        "faces": part.faces.astype(np.int32),
        "skin_joints": part.skin_joints.astype(np.uint8),
        "skin_weights": part.skin_weights.astype(np.float32),
        "body_texture": part.body_texture,
        "alpha": part.alpha,
        "two_sided": part.two_sided,
        "roughness": float(part.roughness),
        "colour": [float(channel) for channel in part.colour],
        "material": part.material or part.name,
    }
    if part.uv is not None and part.face_uv is not None:
        entry |= {"uv": part.uv.astype(np.float32), "face_uv": part.face_uv.astype(np.int32)}
    if part.shapedirs is not None:
        entry["shapedirs"] = part.shapedirs.astype(np.float16)
    if part.keys is not None and len(part.keys.deltas):
        entry["keys"] = {
            "names": list(part.keys.names),
            "starts": part.keys.starts.astype(np.int32),
            "vertices": part.keys.vertices.astype(np.int32),
            "deltas": part.keys.deltas.astype(np.float16),
        }
    if part.texture:
        entry["texture"] = part.texture
    return entry


def parts_of(person: Mapping[str, Any], joints: int, betas: int) -> tuple[Part, ...]:
    """The parts of a person of a result, checked; results of older backends have none.

    Args:
        person: the person's entry.
        joints: of the skeleton that moves the parts.
        betas: how many shape coefficients the body has.

    Raises:
        ValueError: they are damaged; the message says what is wrong.
    """
    entries = person.get("parts") or ()
    if not isinstance(entries, (list, tuple)) or len(entries) > MOST_PARTS:
        raise ValueError(f"a person has at most {MOST_PARTS} parts")
    parts = []
    for entry in entries:
        name = entry.get("name") if isinstance(entry, Mapping) else None
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError("a part has no usable name")
        try:
            parts.append(_read(name, entry, joints, betas))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"the part {name} is incomplete: {type(error).__name__} {error}") from error
        except ValueError as error:
            raise ValueError(f"the part {name}: {error}") from error
    if len({part.name.casefold() for part in parts}) != len(parts):
        raise ValueError("two parts have the same name")
    return tuple(parts)


def _read(name: str, entry: Mapping[str, Any], joints: int, betas: int) -> Part:
    vertices = _floats(entry["vertices"], "vertices", (-1, 3), MOST_VERTICES)
    if np.abs(vertices).max() > REACH:
        raise ValueError(f"a vertex is more than {REACH:.0f} metres away")
    count = len(vertices)
    faces = _faces(entry["faces"], "faces", count)
    own = np.sort(faces, 1)
    if ((own[:, 1:] == own[:, :-1]) & (own[:, 1:] >= 0)).any():
        raise ValueError("a face has the same corner twice")
    weights = _floats(entry["skin_weights"], "skin_weights", (count, MOST_SHARED))
    if (weights < 0).any() or np.abs(weights.sum(1) - 1).max() > 1e-3:
        raise ValueError("the weights of a vertex do not sum to 1")
    uv, face_uv = None, None
    if entry.get("uv") is not None:
        uv = _floats(entry["uv"], "uv", (-1, 2), 4 * MOST_FACES)
        face_uv = _faces(entry["face_uv"], "face_uv", len(uv))
        if face_uv.shape != faces.shape or ((face_uv < 0) != (faces < 0)).any():
            raise ValueError("its texture coordinates do not belong to its faces")
    texture, alpha, body_texture = bytes(entry.get("texture") or b""), entry.get("alpha", OPAQUE), entry["body_texture"]
    if len(texture) > MOST_TEXTURE or (texture and not texture.startswith(_PICTURES)):
        raise ValueError("its texture is not a PNG or JPEG, or is too large")
    if alpha not in ALPHA_MODES or not isinstance(body_texture, bool) or (uv is None and (texture or body_texture)):
        raise ValueError("its material is incomplete")
    looks = _floats([entry.get("roughness", 0.6), *entry.get("colour", (0.8, 0.8, 0.8))], "colour", (4,))
    if looks.min() < 0 or looks.max() > 1:
        raise ValueError("its colour or roughness is outside 0 to 1")
    shapedirs = entry.get("shapedirs")
    return Part(
        name=name,
        vertices=vertices,
        faces=faces,
        skin_joints=_indices(entry["skin_joints"], "skin_joints", (count, MOST_SHARED), joints).astype(np.uint8),
        skin_weights=weights,
        uv=uv,
        face_uv=face_uv,
        shapedirs=None if shapedirs is None else _floats(shapedirs, "shapedirs", (count, 3, betas)),
        keys=_keys(entry["keys"], count) if entry.get("keys") is not None else None,
        texture=texture,
        body_texture=body_texture,
        alpha=alpha,
        two_sided=bool(entry.get("two_sided", False)),
        roughness=float(looks[0]),
        colour=(float(looks[1]), float(looks[2]), float(looks[3])),
        material=_material(entry.get("material"), name),
    )


def _material(given: Any, name: str) -> str:
    if given is None:
        return name
    if not isinstance(given, str) or not _NAME.fullmatch(given):
        raise ValueError("its material has no usable name")
    return given


def _keys(entry: Mapping[str, Any], count: int) -> PartKeys:
    names = tuple(entry["names"])
    if not names or len(set(names)) != len(names) or not set(names) <= set(EXPRESSIONS):
        raise ValueError("it has unknown expression keys")
    deltas = _floats(entry["deltas"], "deltas", (-1, 3), len(names) * count)
    starts = _indices(entry["starts"], "starts", (len(names) + 1,), len(deltas) + 1)
    if starts[0] != 0 or starts[-1] != len(deltas) or (np.diff(starts) < 0).any():
        raise ValueError("its expression keys do not follow each other")
    if np.abs(deltas).max() > REACH:
        raise ValueError("an expression key moves it too far")
    return PartKeys(names, starts, _indices(entry["vertices"], "vertices", (len(deltas),), count), deltas)


def _faces(value: Any, key: str, count: int) -> NDArray[np.int32]:
    faces = np.asarray(value)
    if faces.ndim != 2 or faces.shape[1:] != (4,) or not 0 < len(faces) <= MOST_FACES or faces.dtype.kind not in "iu":
        raise ValueError(f"{key} has the shape {faces.shape}")
    if faces[:, :3].min() < 0 or faces.min() < -1 or faces.max() >= count:
        raise ValueError(f"{key} refers to entries that do not exist")
    return faces.astype(np.int32)


def _floats(value: Any, key: str, shape: tuple[int, ...], most: int = 0) -> NDArray[np.float32]:
    array = _shaped(np.asarray(value), key, shape, most).astype(np.float32)
    if not np.isfinite(array).all():
        raise ValueError(f"{key} contains numbers that are not finite")
    return array


def _indices(value: Any, key: str, shape: tuple[int, ...], count: int) -> NDArray[np.int32]:
    array = _shaped(np.asarray(value), key, shape)
    if array.dtype.kind not in "iu" or array.min() < 0 or array.max() >= count:
        raise ValueError(f"{key} refers to entries that do not exist")
    return array.astype(np.int32)


def _shaped(array: NDArray[Any], key: str, shape: tuple[int, ...], most: int = 0) -> NDArray[Any]:
    fits = array.ndim == len(shape) and all(want in (-1, size) for want, size in zip(shape, array.shape, strict=True))
    if not fits or not array.size or (most and len(array) > most):
        raise ValueError(f"{key} has the shape {array.shape}")
    return array
