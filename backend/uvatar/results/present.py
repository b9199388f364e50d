"""From a photo's result to the dictionary that leaves the backend: arrays and encoded pictures, schema 2.

It holds all that a modelling program needs to build the avatar (docs/result-schema.md describes every key), and nothing
that needs this package to be understood.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.body import BodyData, BodyModel, measure
from uvatar.body.face import Face
from uvatar.body.rig import Rig
from uvatar.data.arrays import Floats
from uvatar.data.camera import Camera
from uvatar.data.fit import BodyParameters, Fit
from uvatar.data.gravity import Gravity
from uvatar.data.labels import Label
from uvatar.data.person import Person
from uvatar.data.photo import Photo
from uvatar.data.texture import Texture
from uvatar.mesh_predictor.result_file import ResultFileError
from uvatar.perception.perception import Glimpse
from uvatar.photos.encoding import encode_jpeg, encode_png
from uvatar.protocol.errors import Code, UvatarError
from uvatar.protocol.expressions import EXPRESSIONS
from uvatar.protocol.framing import RESULT_SCHEMA
from uvatar.protocol.levelling import levelling
from uvatar.protocol.parts import part_entry
from uvatar.protocol.version import __version__
from uvatar.results import preview
from uvatar.results.result import PersonOnBody, PersonResult, PhotoResult

MAX_INFLUENCES = 4  # game engines skin a vertex with at most four joints
FOUND_SIDE = 640  # pixels: a photo on which people are chosen
PHOTO_SIDE = 2048  # pixels: the photo travels back as a background picture, not as an archive
OVERLAY_SIDE = 1280  # pixels
MASK_SIDE = 384  # pixels: a mask travels back to be painted on, as strokes, not to be used itself
_MAPS = ("texture_png", "source_png", "materials_png", "light_png", "normals_png")


@dataclass(frozen=True)
class Licences:
    """Whose terms hold for an avatar, besides those of its body.

    Attributes:
        fitted_on: the body that was fitted and its licence, where it is not the avatar's.
        mesh_predictor: licence of the Mesh Predictor's weights, where the avatar started from a prediction.
        texture_predictor: licence of the Texture Predictor's weights, which counts where it predicted texels.
    """

    fitted_on: str | None = None
    mesh_predictor: str | None = None
    texture_predictor: str | None = None


def present_photo(
    result: PhotoResult,
    people: Sequence[PersonOnBody],
    body: BodyModel,
    licences: Sequence[Licences],
    turntable: bool = False,
) -> dict[str, Any]:
    """A photo's result as the dictionary that leaves the backend.

    Args:
        people: the result's people on ``body``, in order.
        licences: for each of the people.
        turntable: also render a sheet of views around every person.
    """
    started = time.perf_counter()
    # Encoding lets go of Python's lock, and so goes on beside the drawing.
    with ThreadPoolExecutor(1) as encoder:
        entries = [
            _present_person(number, person, one, body, licence, result, turntable, encoder)
            for number, (person, one, licence) in enumerate(zip(result.people, people, licences, strict=True))
        ]
    return {
        **photo_entry(result.photo, result.camera, result.gravity),
        "body": body_entry(body),
        "people": entries,
        "timings": {**result.timings, "pictures": time.perf_counter() - started},
        "version": __version__,
        "notes": list(result.notes),
        "errors": [described(failure) for failure in result.failures],
    }


def present_failure(error: Exception) -> dict[str, Any]:
    """The result of a photo that cannot be used."""
    return {"schema": RESULT_SCHEMA, "people": [], "errors": [described(error)]}


def present_texture(texture: Texture, name: str, body: BodyModel) -> dict[str, Any]:
    """The result of a painted texture; ``name``: of the painted picture, as it was sent."""
    pngs = {"texture_png": encode_png(texture.image), "source_png": encode_png(texture.source)}
    return {**_nobody(), "errors": [], "texture": {"name": name, "body_model": body.data.name, **pngs}}


def present_texture_failure(error: Exception) -> dict[str, Any]:
    """The result of a painted texture that cannot be completed."""
    return {**_nobody(), "errors": [described(error)]}


def present_people(photo: Photo, glimpses: Sequence[Glimpse]) -> dict[str, Any]:
    """The result of a photo whose people were found only."""
    height, width = photo.pixels.shape[:2]
    people = [
        {"box": [float(side) for side in one.box], "likelihood": float(one.likelihood), "likely": one.likely}
        for one in glimpses
    ]
    told = {"name": photo.name, "digest": photo.digest, "width": width, "height": height}
    jpeg = encode_jpeg(shrunk(photo.pixels, FOUND_SIDE))
    return {**_nobody(), "errors": [], "found": {"photo": {**told, "jpeg": jpeg}, "people": people}}


def _nobody() -> dict[str, Any]:
    return {"schema": RESULT_SCHEMA, "people": [], "version": __version__}


def described(error: Exception, code: Code | None = None, fix: str = "") -> dict[str, str]:
    """An entry of a result's ``errors``; by default that of a photo which cannot be used."""
    if code is None and isinstance(error, ResultFileError):
        code, fix = Code.BAD_NPZ, "Choose another file, or let Uvatar predict the people."
    return UvatarError(str(error), code or Code.BAD_PHOTO, fix).as_dict()  # a bad photo's message says what to do


def _present_person(
    number: int,
    person: PersonResult,
    shown: PersonOnBody,
    body: BodyModel,
    licences: Licences,
    result: PhotoResult,
    turntable: bool,
    encoder: Executor,
) -> dict[str, Any]:
    encoding = {name: encoder.submit(encode_png, picture) for name, picture in _maps(shown.texture).items()}
    vertices, faces = body.posed(shown.fit.body, shown.fit.offsets)[0], body.data.faces
    if turntable and shown.texture:
        level = levelling(np.array(result.gravity.up)).T.astype(np.float32)
        parts = [(part, body.posed_part(shown.fit.body, part) @ level) for part in shown.parts]
        sheet = preview.turntable(vertices @ level, body.data, shown.texture.image, parts=parts)
        encoding["turntable_png"] = encoder.submit(encode_png, sheet)
    vertices, faces = shown.fit.joined_to_shells(vertices, faces)
    overlay = preview.overlay(result.photo.pixels, result.camera, [vertices], faces, max_side=OVERLAY_SIDE)
    encoding["overlay_jpeg"] = encoder.submit(encode_jpeg, overlay)
    metrics = {
        "landmark_error_median": person.fit.landmark_error_median,
        "landmark_error_p95": person.fit.landmark_error_p95,
        "mask_iou": shown.outline,
        **{f"texels_{name}": share for name, share in source_shares(person.texture.source).items()},
        **shown.metrics,
    }
    pictures = dict.fromkeys(_MAPS, b"") | {name: done.result() for name, done in encoding.items()}
    known = person.person.number
    entry = person_entry(
        f"p{number if known is None else known}", shown.fit, body, person.person.box, pictures, metrics
    )
    entry["mask"] = mask_entry(person.person)
    entry["material_names"] = list(shown.texture.material_names) if shown.texture else []
    predicted = licences.texture_predictor if metrics["texels_predicted"] > 0 else None
    more = {
        "fitted_on": licences.fitted_on,
        "mesh_predictor": licences.mesh_predictor,
        "texture_predictor": predicted,
    }
    entry["licence"].update({name: licence for name, licence in more.items() if licence is not None})
    if shown.parts:
        entry["parts"] = [part_entry(part) for part in shown.parts]
    return entry


def mask_entry(person: Person) -> dict[str, Any]:
    """Which pixels of the photo are the person's, small, as they were before somebody painted on them."""
    window, mask = person.unbrushed or (person.window, person.mask)
    return {"window": list(window), "pixels": shrunk(mask, MASK_SIDE)}


def _maps(texture: Texture | None) -> dict[str, NDArray[np.uint8]]:
    """The pictures of a texture, by their keys in a person's entry."""
    if texture is None:
        return {}
    pictures = (texture.image, texture.source, texture.materials, texture.light, texture.normals)
    return {name: picture for name, picture in zip(_MAPS, pictures, strict=True) if picture is not None}


def source_shares(source: NDArray[np.uint8]) -> dict[str, float]:
    """How much of the texture was seen, mirrored, completed and predicted: shares of the texels inside the islands."""
    counts = np.bincount(source.ravel(), minlength=5).astype(float)
    inside = max(counts[1:].sum(), 1.0)
    return {label.name.lower(): float(counts[label] / inside) for label in Label if label is not Label.EMPTY}


def photo_entry(photo: Photo, camera: Camera, gravity: Gravity) -> dict[str, Any]:
    """The part of a photo's result that all its people share."""
    height, width = photo.pixels.shape[:2]
    return {
        "schema": RESULT_SCHEMA,
        "photo": {
            "name": photo.name,
            "digest": photo.digest,
            "width": width,
            "height": height,
            "jpeg": encode_jpeg(shrunk(photo.pixels, PHOTO_SIDE)),
        },
        "camera": {
            "focal": camera.focal,
            "center": list(camera.center),
            "width": camera.width,
            "height": camera.height,
            **gravity_entry(gravity),
        },
    }


def shrunk(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """A picture whose longer side has at most so many pixels."""
    scale = min(1.0, side / max(pixels.shape[:2]))
    small = pixels if scale == 1 else cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return small.astype(np.uint8, copy=False)


def gravity_entry(gravity: Gravity) -> dict[str, Any]:
    """The part of a camera's entry that says how it was held."""
    return {
        "up": list(gravity.up),
        "up_confidence": gravity.confidence,
        "up_from": list(gravity.sources),
        "ground": gravity.ground,
    }


def person_entry(
    identifier: str,
    fit: Fit,
    body: BodyModel,
    box: Floats,
    pictures: Mapping[str, bytes],
    metrics: Mapping[str, float],
) -> dict[str, Any]:
    """One person's part of the result.

    Args:
        identifier: unique within the photo, "p0" the most prominent.
        pictures: encoded ``texture_png``, ``source_png``, ``materials_png``, ``light_png``, ``normals_png``,
            ``overlay_jpeg`` and, where asked for, ``turntable_png``.
        metrics: figures of merit by name; NaN where a figure does not exist (they become null).
    """
    parameters = fit.body
    pose = np.concatenate([parameters.global_orient[None], parameters.body_pose]).astype(np.float32)
    return {
        "id": identifier,
        "betas": parameters.betas.astype(np.float32),
        "pose": pose,
        "transl": parameters.transl.astype(np.float32),
        **_finer_pose(parameters, body.data),
        "offsets": fit.offsets.astype(np.float32),
        "box": [float(value) for value in box],
        "confidence": float(fit.confidence),
        "start": fit.start,
        "notes": list(fit.notes),
        "shoes": dict(zip(("left", "right"), fit.shoes, strict=True)),
        "licence": {"body_model": body.data.licence},
        "measurements": {name: round(float(value), 1) for name, value in measure(body, parameters.betas).items()},
        "metrics": {name: float(value) if np.isfinite(value) else None for name, value in metrics.items()},
        **pictures,
    }


def _finer_pose(parameters: BodyParameters, data: BodyData) -> dict[str, NDArray[np.float32]]:
    """Fingers, jaw, eyes and expression of a person, for a body that has them; zeros where nothing is known."""
    parts = {
        "hand_pose": (parameters.hand_pose, (30, 3), data.rig),
        "jaw_pose": (parameters.jaw_pose, (3,), data.rig),
        "eye_pose": (parameters.eye_pose, (2, 3), data.rig),
        "expression": (parameters.expression, (len(EXPRESSIONS),), data.face),
    }
    return {
        name: np.zeros(shape, np.float32) if value is None else np.reshape(value, shape).astype(np.float32)
        for name, (value, shape, needed) in parts.items()
        if needed is not None
    }


def body_entry(body: BodyModel) -> dict[str, Any]:
    """The part of a photo's result that is the body model's: the same for all people of the photo."""
    data = body.data
    joints, weights = strongest_influences(data.weights)
    regressor = data.J_regressor.tocoo()
    return {
        "body_model": data.name,
        "beta_names": list(data.beta_names),
        "template": data.v_template.astype(np.float32),
        "shapedirs": data.shapedirs.astype(np.float32),
        "joint_template": data.joint_template.astype(np.float32),
        "joint_shapedirs": data.joint_shapedirs.astype(np.float32),
        "regressor_joints": regressor.row.astype(np.uint8),
        "regressor_vertices": regressor.col.astype(np.int32),
        "regressor_weights": regressor.data.astype(np.float32),
        "posedirs": None
        if data.posedirs is None
        else data.posedirs.astype(np.float16),  # 17 MB otherwise; at most 0.02 mm off
        "quads": None if data.quads is None else data.quads.astype(np.int32),
        "quad_uv": None if data.quad_uv is None else data.quad_uv.astype(np.int32),
        "triangles": data.faces.astype(np.int32),
        "triangle_uv": data.face_uv.astype(np.int32),
        "uv": data.uv.astype(np.float32),
        "skin_joints": joints,
        "skin_weights": weights,
        "joint_names": list(data.joint_names),
        "parents": [int(parent) for parent in data.parents],
        **({"rig": rig_entry(data.rig)} if data.rig else {}),
        **({"face": face_entry(data.face)} if data.face else {}),
    }


def rig_entry(rig: Rig) -> dict[str, Any]:
    """The joints of fingers, jaw and eyes, which take the place of the body's 24 where they are understood."""
    joints, weights = strongest_influences(rig.weights)
    regressor = rig.J_regressor.tocoo()
    return {
        "joint_names": list(rig.joint_names),
        "parents": list(rig.parents),
        "joint_template": rig.joint_template,
        "joint_shapedirs": rig.joint_shapedirs,
        "regressor_joints": regressor.row.astype(np.uint8),
        "regressor_vertices": regressor.col.astype(np.int32),
        "regressor_weights": regressor.data.astype(np.float32),
        "skin_joints": joints,
        "skin_weights": weights,
        "finger_axes": rig.finger_axes,
        "fingertips": rig.fingertips,
    }


def face_entry(face: Face) -> dict[str, Any]:
    """The expression keys."""
    return {"names": list(EXPRESSIONS), "starts": face.starts, "vertices": face.vertices, "deltas": face.deltas}


def strongest_influences(weights: Floats, count: int = MAX_INFLUENCES) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """(V, J) skin weights -> joints (V, count) and weights (V, count), strongest first, each row summing to 1."""
    joints = np.argsort(-weights, axis=1, kind="stable")[:, :count]
    strongest = np.take_along_axis(weights, joints, 1)
    strongest /= strongest.sum(1, keepdims=True)
    return joints.astype(np.uint8), strongest.astype(np.float32)
