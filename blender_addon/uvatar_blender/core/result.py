# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend's result, checked and typed; the scene layer builds from nothing else.

A result comes from another process, so its shapes, index ranges and numbers are checked first: Blender would crash, not
raise an error, on a face that refers to a missing vertex.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..protocol.expressions import EXPRESSIONS
from ..protocol.parts import Part
from ..protocol.people import people_of, with_rig
from ..protocol.rig import FINGERS
from .face_keys import FaceKeys
from .parts import read_parts
from .person_mask import parse_mask, stored
from .photo_camera import PhotoCamera, parse_camera
from .pictures import picture_size
from .rest_pose import RestPose
from .skeleton import ARMATURE_FROM_BODY, JOINTS, RIG_JOINTS
from .texture_maps import NO_MAPS, TextureMaps

SCHEMAS = (1, 2)  # that can be read; results of older backends may be imported later


class ResultError(ValueError):
    """A result cannot be imported; the message is one sentence for the user."""


@dataclass(frozen=True)
class Regressor:
    """Rest joints as weighted sums of rest vertices: joint, vertex and weight of each of the N terms."""

    joints: NDArray[np.uint8]
    vertices: NDArray[np.int32]
    weights: NDArray[np.float32]


@dataclass(frozen=True)
class AvatarData:
    """One person on a body of J joints: SMPL's 24, or the 55 with fingers, jaw and eyes.

    Arrays of the body are in SMPL's rest frame, metres; in SMPL's T pose until `rest_pose.in_rest_pose` changes it.

    Attributes:
        id: name within the photo ("p0").
        body_model: name of the body model to which the betas belong.
        betas: (K,) shape coefficients.
        beta_names: (K,) what they change.
        pose: (J, 3) axis-angle, radians; 0 is the global orientation in the camera frame.
        transl: (3,) metres, camera frame (SMPL's convention: the rotation is about the rest pelvis joint).
        template, shapedirs: (V, 3), (V, 3, K) mean body and shape blend shapes.
        joint_template, joint_shapedirs: (J, 3), (J, 3, K).
        offsets: (V, 3) clothing and hair.
        faces: (F, 4) quads, or (F, 3) triangles where the body has no quads.
        uv: (T, 2) texture coordinates, v up.
        face_uv: indices into ``uv``, of the shape of ``faces``; None for a body without texture coordinates.
        skin_joints, skin_weights: (V, 4); rows of weights sum to 1.
        joint_names: (J,) names of the joints.
        parents: (J,) -1 for the root; parents come before children.
        texture_png: the texture, sRGB; empty for a body without texture coordinates.
        source_png: per texel 0 empty 1 seen 2 mirrored 3 completed 4 predicted; may be empty.
        regressor: the joints of a sculpted body; empty in results of older backends.
        posedirs: (V, 3, 207) pose blend shapes for the entries of (R - I) of joints 1 to 23, or None.
        facts: what else the backend says about this person: confidence, notes, measurements, metrics, licence,
            shoes, mask (`person_mask.stored`), and what was corrected by hand (`hand_corrections.Corrections`).
        finger_axes: (5, 2, 3) flexion and abduction axes of the left fingers (`protocol.rig`); None without fingers.
        face: the expression keys, or None.
        parts: further meshes on the same skeleton.
        maps: pictures that come with the texture.
        overlay_jpeg: the body over the photo, for the panel; may be empty.
        rest: the rest pose of the body's arrays; ``pose`` is relative to the T pose whatever it is.
    """

    id: str
    body_model: str
    betas: NDArray[np.float32]
    beta_names: tuple[str, ...]
    pose: NDArray[np.float32]
    transl: NDArray[np.float32]
    template: NDArray[np.float32]
    shapedirs: NDArray[np.float32]
    joint_template: NDArray[np.float32]
    joint_shapedirs: NDArray[np.float32]
    offsets: NDArray[np.float32]
    faces: NDArray[np.int32]
    uv: NDArray[np.float32]
    face_uv: NDArray[np.int32] | None
    skin_joints: NDArray[np.uint8]
    skin_weights: NDArray[np.float32]
    joint_names: tuple[str, ...]
    parents: tuple[int, ...]
    texture_png: bytes
    source_png: bytes
    regressor: Regressor
    posedirs: NDArray[np.float32] | None
    facts: dict[str, Any]
    rest: RestPose = RestPose.T
    overlay_jpeg: bytes = b""
    finger_axes: NDArray[np.float32] | None = None
    face: FaceKeys | None = None
    parts: tuple[Part, ...] = ()
    maps: TextureMaps = NO_MAPS

    def rest_vertices(self) -> NDArray[np.float32]:
        """Return the vertices (V, 3) of the shaped, clothed body at rest."""
        return self.template + self.shapedirs @ self.betas + self.offsets

    def joints(self) -> NDArray[np.float32]:
        """Return the joints (J, 3) of the shaped body at rest."""
        return self.joint_template + self.joint_shapedirs @ self.betas

    def sole_height(self) -> float:
        """Return the height of the lowest point of the rest body in the body frame, metres (negative for SMPL)."""
        return float((self.rest_vertices() @ ARMATURE_FROM_BODY.T.astype(np.float32))[:, 2].min())


@dataclass(frozen=True)
class AvatarsResult:
    """Everything the backend found in one photo.

    Attributes:
        name: file name of the photo.
        digest: sha256 of the file.
        jpeg: the upright photo, which may be smaller than ``camera`` says.
        camera: the camera, in pixels of the full-size photo.
        people: the most prominent first.
        version: of the backend.
        notes: sentences about the photo as a whole.
    """

    name: str
    digest: str
    jpeg: bytes
    camera: PhotoCamera
    people: tuple[AvatarData, ...]
    version: str
    notes: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The name for avatars: that of the photo without folder and suffix, short enough for Blender."""
        return short_name(PurePath(file_name(self.name)).stem)


@dataclass(frozen=True)
class TextureResult:
    """A completed texture (docs/result-schema.md, ``texture``).

    Attributes:
        name: name under which the painted picture was sent.
        body_model: the body model whose UV layout it has.
        texture_png: the texture, sRGB.
        source_png: its labels.
    """

    name: str
    body_model: str
    texture_png: bytes
    source_png: bytes


# Blender before 5.0 cuts names at 63 bytes. The longest one made of a title: "<title> <id> texture.png as it came".
_TITLE_BYTES, _ID_BYTES = 30, 8


def file_name(name: str) -> str:
    """Return the name of a photo without folder, whichever system it is from, and without control characters."""
    plain = re.split(r"[\\/]", name)[-1].encode("utf-8", "replace").decode()  # "replace": names that are not UTF-8
    return "".join(" " if unicodedata.category(letter) == "Cc" else letter for letter in plain).strip()


def short_name(name: str, most: int = _TITLE_BYTES) -> str:
    """Shorten a name to at most ``most`` bytes by cutting its middle, because photos differ at the end.

    An empty name becomes "Photo".
    """
    data = name.encode()
    if len(data) <= most:
        return name or "Photo"
    kept = most - len("…".encode())
    return f"{data[: (kept + 1) // 2].decode(errors='ignore')}…{data[-(kept // 2) :].decode(errors='ignore')}"


def short_id(person: str) -> str:
    """Return the id of a person, short enough to be part of a name."""
    return short_name(file_name(person), _ID_BYTES)


def parse_texture(result: Mapping[str, Any]) -> TextureResult:
    """Check the result of a painted texture, as it comes from the backend. Raises ResultError if it is damaged."""
    try:
        texture = result["texture"]
        pictures = _picture(texture, "texture_png"), _picture(texture, "source_png")
        return TextureResult(str(texture["name"]), str(texture["body_model"]), *pictures)
    except (KeyError, TypeError, AttributeError) as error:
        raise ResultError(f"The backend's result is damaged: {type(error).__name__} {error}.") from error


def parse_result(result: Mapping[str, Any]) -> AvatarsResult:
    """Check the result of a photo, as it comes from the backend.

    Raises:
        ResultError: it is damaged, or has an unknown format.
    """
    try:
        if result.get("schema") not in SCHEMAS:
            raise ResultError(
                f"The backend's result has format {result.get('schema')!r}, but this add-on reads formats "
                f"{' and '.join(map(str, SCHEMAS))}; update both."
            )
        photo = result["photo"]
        return AvatarsResult(
            str(photo["name"]),
            str(photo["digest"]),
            _picture(photo, "jpeg"),
            _camera(result["camera"]),
            tuple(parse_avatar(person) for person in people_of(result)),
            str(result.get("version", "unknown")),
            tuple(str(note) for note in result.get("notes", ())),
        )
    except ResultError:
        raise
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise ResultError(f"The backend's result is damaged: {type(error).__name__} {error}.") from error


def _camera(camera: Mapping[str, Any]) -> PhotoCamera:
    try:
        return parse_camera(camera)
    except (TypeError, ValueError) as error:
        raise ResultError(f"The backend's result is damaged: {error}.") from error


def parse_avatar(person: Mapping[str, Any]) -> AvatarData:
    """Check one person of a result, together with the arrays of the body.

    Raises:
        ResultError: an entry is damaged.
        KeyError: an entry is missing.
    """
    person = with_rig(person)
    quads = person.get("quads")
    faces_key, uv_key, corners = ("quads", "quad_uv", 4) if quads is not None else ("triangles", "triangle_uv", 3)
    beta_names = tuple(str(name) for name in person["beta_names"])
    template = _floats(person, "template", (-1, 3))
    vertices, shapes = len(template), len(beta_names)
    textured = bool(np.size(person["uv"]))
    uv = _floats(person, "uv", (-1, 2)) if textured else np.zeros((0, 2), np.float32)
    faces = _indices(person, faces_key, (-1, corners), vertices)
    joint_names, parents = _skeleton(person)
    joints = len(parents)
    return AvatarData(
        id=str(person["id"]),
        body_model=str(person["body_model"]),
        betas=_floats(person, "betas", (shapes,)),
        beta_names=beta_names,
        pose=_floats(person, "pose", (joints, 3)),
        transl=_floats(person, "transl", (3,)),
        template=template,
        shapedirs=_floats(person, "shapedirs", (vertices, 3, shapes)),
        joint_template=_floats(person, "joint_template", (joints, 3)),
        joint_shapedirs=_floats(person, "joint_shapedirs", (joints, 3, shapes)),
        offsets=_floats(person, "offsets", (vertices, 3)),
        faces=faces,
        uv=uv,
        face_uv=_indices(person, uv_key, faces.shape, len(uv)) if textured else None,
        skin_joints=_indices(person, "skin_joints", (vertices, 4), joints).astype(np.uint8),
        skin_weights=_floats(person, "skin_weights", (vertices, 4)),
        joint_names=joint_names,
        parents=parents,
        texture_png=_picture(person, "texture_png"),
        source_png=_picture(person, "source_png") if person.get("source_png") else b"",
        regressor=_regressor(person, vertices, joints),
        posedirs=None
        if person.get("posedirs") is None
        else _floats(person, "posedirs", (vertices, 3, 9 * (JOINTS - 1))),
        facts=_facts(person),
        overlay_jpeg=bytes(person.get("overlay_jpeg") or b""),
        finger_axes=_floats(person, "finger_axes", (len(FINGERS), 2, 3)) if joints == RIG_JOINTS else None,
        face=_face(person, vertices),
        parts=_parts(person, joints, shapes),
        maps=TextureMaps(
            _picture(person, "materials_png") if person.get("material_names") else b"",
            tuple(str(name)[:40] for name in person.get("material_names") or ())[:255],
            *(_picture(person, key) if person.get(key) else b"" for key in ("light_png", "normals_png")),
        ),
    )


def _facts(person: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("confidence", "notes", "measurements", "metrics", "licence", "box", "shoes")
    facts = {key: person[key] for key in kept if key in person}
    if person.get("mask") is not None:
        facts["mask"] = stored(parse_mask(person["mask"]))
    return facts


def _skeleton(person: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return names and parents of the joints; ResultError if they are not a skeleton that is known here."""
    parents = tuple(int(parent) for parent in person["parents"])
    joint_names = tuple(str(name) for name in person["joint_names"])
    joints = RIG_JOINTS if person.get("rig") is not None else JOINTS
    if len(joint_names) != joints or len(set(joint_names)) != joints:
        raise ResultError(
            f"The backend's result is damaged: it names {len(set(joint_names))} joints instead of {joints}."
        )
    if (
        len(parents) != joints
        or parents[0] != -1
        or not all(0 <= parent < joint for joint, parent in enumerate(parents) if joint)
    ):
        raise ResultError("The backend's result is damaged: its joints do not form a single tree.")
    return joint_names, parents


def _picture(owner: Mapping[str, Any], key: str) -> bytes:
    """Return the bytes of a picture, which are empty for a body that is not textured."""
    data = bytes(owner[key])
    try:
        if data:
            picture_size(data)
    except ValueError as error:
        raise ResultError(f"The backend's result is damaged: {key} is not a picture ({error}).") from error
    return data


def _regressor(person: Mapping[str, Any], vertices: int, joints: int) -> Regressor:
    if person.get("regressor_joints") is None:
        return Regressor(np.zeros(0, np.uint8), np.zeros(0, np.int32), np.zeros(0, np.float32))
    rows = _indices(person, "regressor_joints", (-1,), joints)
    return Regressor(
        rows.astype(np.uint8),
        _indices(person, "regressor_vertices", rows.shape, vertices),
        _floats(person, "regressor_weights", rows.shape),
    )


def _parts(person: Mapping[str, Any], joints: int, shapes: int) -> tuple[Part, ...]:
    try:
        return read_parts(person, joints, shapes)
    except ValueError as error:
        raise ResultError(f"The backend's result is damaged: {error}.") from error


def _face(person: Mapping[str, Any], vertices: int) -> FaceKeys | None:
    face = person.get("face")
    if face is None:
        return None
    names = tuple(str(name) for name in face["names"])
    if len(set(names)) != len(names) or not set(names) <= set(EXPRESSIONS):
        raise ResultError("The backend's result is damaged: it has unknown expression keys.")
    deltas = _floats(face, "deltas", (-1, 3))
    starts = _indices(face, "starts", (len(names) + 1,), len(deltas) + 1)
    if starts[0] != 0 or starts[-1] != len(deltas) or (np.diff(starts) < 0).any():
        raise ResultError("The backend's result is damaged: its expression keys do not follow each other.")
    moved = _indices(face, "vertices", (len(deltas),), vertices)
    return FaceKeys(names, starts, moved, deltas, _floats(person, "expression", (len(names),)))


def _checked(person: Mapping[str, Any], key: str, shape: tuple[int, ...]) -> NDArray[Any]:
    array = np.asarray(person[key])
    if (
        array.ndim != len(shape)
        or any(want not in (-1, size) for want, size in zip(shape, array.shape, strict=True))
        or not array.size
    ):
        raise ResultError(f"The backend's result is damaged: {key} has the shape {array.shape}.")
    return array


def _floats(person: Mapping[str, Any], key: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    array = _checked(person, key, shape).astype(np.float32)
    if not np.isfinite(array).all():
        raise ResultError(f"The backend's result is damaged: {key} contains numbers that are not finite.")
    return array


def _indices(person: Mapping[str, Any], key: str, shape: tuple[int, ...], count: int) -> NDArray[np.int32]:
    array = _checked(person, key, shape)
    if not np.issubdtype(array.dtype, np.integer) or array.min() < 0 or array.max() >= count:
        raise ResultError(f"The backend's result is damaged: {key} points outside its table of {count}.")
    return array.astype(np.int32)
