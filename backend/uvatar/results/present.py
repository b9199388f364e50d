"""The result that leaves the backend: plain dictionaries of arrays and encoded pictures, schema 1.

It holds all that a modelling program needs to build the avatar (docs/result-schema.md describes every key), and nothing
that needs this package to be understood.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.body import BodyModel, measure
from uvatar.body.data import BodyData
from uvatar.data.camera import Camera
from uvatar.data.fit import Fit
from uvatar.data.photo import Photo

SCHEMA = 1
MAX_INFLUENCES = 4  # game engines skin a vertex with at most four joints
PHOTO_SIDE = 2048  # the photo travels back as a background picture, not as an archive


def encode_png(image: NDArray[np.uint8]) -> bytes:
    """(H, W, 3) sRGB or (H, W) grey uint8 -> PNG bytes."""
    return _encode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 3])


def encode_jpeg(image: NDArray[np.uint8], quality: int = 90) -> bytes:
    """(H, W, 3) sRGB uint8 -> JPEG bytes."""
    return _encode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])


def _encode(suffix: str, image: NDArray[np.uint8], parameters: list[int]) -> bytes:
    bgr = image[..., ::-1] if image.ndim == 3 else image
    done, data = cv2.imencode(suffix, np.ascontiguousarray(bgr), parameters)
    if not done:
        raise ValueError(f"A picture of shape {image.shape} cannot be encoded as {suffix}.")
    return bytes(data)


def strongest_influences(
    weights: NDArray, count: int = MAX_INFLUENCES
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """(V, J) skin weights -> joints (V, count) and weights (V, count), strongest first, each row summing to 1."""
    joints = np.argsort(-weights, axis=1, kind="stable")[:, :count]
    strongest = np.take_along_axis(weights, joints, 1)
    strongest /= strongest.sum(1, keepdims=True)
    return joints.astype(np.uint8), strongest.astype(np.float32)


def photo_entry(photo: Photo, camera: Camera) -> dict[str, Any]:
    """The part of a photo's result that all its people share."""
    height, width = photo.pixels.shape[:2]
    scale = min(1.0, PHOTO_SIDE / max(width, height))
    small = (
        photo.pixels if scale == 1 else cv2.resize(photo.pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    )
    return {
        "schema": SCHEMA,
        "photo": {
            "name": photo.name,
            "digest": photo.digest,
            "width": width,
            "height": height,
            "jpeg": encode_jpeg(small.astype(np.uint8, copy=False)),
        },
        "camera": {
            "focal": camera.focal,
            "center": list(camera.center),
            "width": camera.width,
            "height": camera.height,
        },
    }


def person_entry(
    identifier: str,
    fit: Fit,
    body: BodyModel,
    box: NDArray,
    pictures: Mapping[str, bytes],
    metrics: Mapping[str, float],
) -> dict[str, Any]:
    """One person's part of the result.

    Args:
        identifier: unique within the photo, "p0" the most prominent.
        pictures: encoded ``texture_png``, ``source_png``, ``overlay_jpeg`` and, where asked for, ``turntable_png``.
        metrics: figures of merit by name; NaN where a figure does not exist (they become null).
    """
    data = body.data
    parameters = fit.body
    pose = np.concatenate([parameters.global_orient[None], parameters.body_pose]).astype(np.float32)
    return {
        "id": identifier,
        "betas": parameters.betas.astype(np.float32),
        "pose": pose,
        "transl": parameters.transl.astype(np.float32),
        "offsets": fit.offsets.astype(np.float32),
        **_body_arrays(data),
        "box": [float(value) for value in box],
        "confidence": float(fit.confidence),
        "start": fit.start,
        "notes": list(fit.notes),
        "measurements": {name: round(float(value), 1) for name, value in measure(body, parameters.betas).items()},
        "metrics": {name: float(value) if np.isfinite(value) else None for name, value in metrics.items()},
        **pictures,
    }


def _body_arrays(data: BodyData) -> dict[str, Any]:
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
        "licence": {"body_model": data.licence},
    }


def of_one_age(fits: Sequence[Fit]) -> list[Fit]:
    """The fits to the same person that agree on whether it is a child: those that are more confident together."""
    children, grown_ups = ([fit for fit in fits if (fit.group == "child") == young] for young in (True, False))
    return max(grown_ups, children, key=lambda some: sum(fit.confidence for fit in some))


def merge_betas(fits: Sequence[Fit]) -> NDArray[np.float32]:
    """One body's betas from several photos of the same person: the mean, each photo weighted by its confidence."""
    weights = np.array([max(fit.confidence, 1e-3) for fit in fits])
    betas = np.stack([fit.body.betas for fit in fits])
    return (weights[:, None] * betas).sum(0).astype(np.float32) / np.float32(weights.sum())
