"""A result as the backend sends it, of the real open body in a made-up pose; and LBS, written once more.

No torch, no bpy.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import sparse
from scipy.spatial.transform import Rotation

OPEN_BODY = Path(__file__).resolve().parents[2] / "weights" / "open_body.npz"
BETAS = 10


def encoded(picture: NDArray[np.uint8], format: str = "PNG") -> bytes:
    data = io.BytesIO()
    Image.fromarray(picture).save(data, format)
    return data.getvalue()


def gradient(size: int) -> NDArray[np.uint8]:
    """(size, size, 3) red grows to the right and green downward, on a blue chess board."""
    y, x = np.mgrid[:size, :size]
    return np.stack([x * 255 // size, y * 255 // size, (x * 16 // size + y * 16 // size) % 2 * 200], -1).astype(
        np.uint8
    )


def ellipse(rows: int, columns: int) -> NDArray[np.uint8]:
    """(rows, columns) 255 inside an ellipse that touches the picture's sides."""
    y, x = (np.mgrid[:rows, :columns] + 0.5) / np.array([rows, columns])[:, None, None] * 2 - 1
    return ((x * x + y * y <= 1) * 255).astype(np.uint8)


def body_arrays() -> dict[str, Any]:
    """The parts of a person that are the body's."""
    body = dict(np.load(OPEN_BODY))
    template, shapedirs, weights = (body[key].astype(np.float32) for key in ("v_template", "shapedirs", "weights"))
    regressor = sparse.csr_matrix(
        (body["J_regressor_data"], body["J_regressor_indices"], body["J_regressor_indptr"]), shape=(24, len(template))
    )
    skin_joints = np.argsort(-weights, axis=1, kind="stable")[:, :4]
    skin_weights = np.take_along_axis(weights, skin_joints, 1)
    quads, quad_uv = body["quads"], body["quad_uv"]
    return {
        "body_model": "open_body",
        "beta_names": [str(name) for name in body["beta_names"]],
        "template": template,
        "shapedirs": shapedirs,
        "joint_template": (regressor @ template).astype(np.float32),
        "joint_shapedirs": (regressor @ shapedirs.reshape(len(template), -1)).reshape(24, 3, BETAS).astype(np.float32),
        "regressor_joints": regressor.tocoo().row.astype(np.uint8),
        "regressor_vertices": regressor.tocoo().col.astype(np.int32),
        "regressor_weights": regressor.tocoo().data.astype(np.float32),
        "posedirs": None,
        "quads": quads,
        "quad_uv": quad_uv,
        "triangles": quads[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3),
        "triangle_uv": quad_uv[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3),
        "uv": body["uv"],
        "skin_joints": skin_joints.astype(np.uint8),
        "skin_weights": skin_weights / skin_weights.sum(1, keepdims=True),
        "joint_names": [str(name) for name in body["joint_names"]],
        "parents": [int(parent) for parent in body["parents"]],
        "licence": {"body_model": "CC0-1.0"},
    }


def sample_result(people: int = 1, texture: int = 64, seed: int = 0, name: str = "me.jpg") -> dict[str, Any]:
    """Some people beside each other in a portrait photo of 300 x 400 pixels, whose principal point is not its
    middle.
    """
    random = np.random.default_rng(seed)
    body = body_arrays()
    wave = np.zeros_like(body["template"])
    wave[:, 2] = 0.02 * np.sin(20 * body["template"][:, 1])  # "clothes"
    persons = []
    for number in range(people):
        pose = random.normal(0, 0.25, (24, 3)).astype(np.float32)
        pose[0] = (np.pi - 0.1, 0.2, -0.1)  # upright, facing the camera, leaning a little
        persons.append({
            "id": f"p{number}",
            "betas": random.normal(0, 1, BETAS).astype(np.float32),
            "pose": pose,
            "transl": np.array((0.9 * number - 0.2 * people, 0.1, 4 + 0.3 * number), np.float32),
            "offsets": wave,
            **body,
            "texture_png": encoded(gradient(texture)),
            "source_png": encoded(np.full((texture, texture), 1, np.uint8)),
            "overlay_jpeg": b"",
            "box": [0.0, 0.0, 300.0, 400.0],
            "mask": {"window": [60, 40, 240, 390], "pixels": ellipse(175, 90)},
            "confidence": 0.8,
            "notes": ["legs are outside the photo: posed by the prior"],
            "measurements": {"stature": 171.3},
            "metrics": {"mask_iou": 0.9, "psnr": None},
        })  # fmt: skip
    sky_and_grass = np.full((400, 300, 3), (90, 180, 90), np.uint8)
    sky_and_grass[:200] = (120, 160, 220)
    return {
        "schema": 1,
        "photo": {"name": name, "digest": "d1", "width": 300, "height": 400, "jpeg": encoded(sky_and_grass, "JPEG")},
        "camera": {"focal": 480.0, "center": [160.0, 185.0], "width": 300, "height": 400},
        "people": persons,
        "timings": {"fitting": 1.0},
        "version": "0.1.0",
        "errors": [],
    }


def with_body_once(result: dict[str, Any]) -> dict[str, Any]:
    """The same result in schema 2: `sample_result` is in schema 1, which has the body with every person."""
    shared = body_arrays().keys() - {"licence"}
    people = [{key: value for key, value in person.items() if key not in shared} for person in result["people"]]
    body = {key: value for key, value in result["people"][0].items() if key in shared}
    return {**result, "schema": 2, "body": body, "people": people}


def heavy_result(name: str = "me.jpg") -> dict[str, Any]:
    """One person who is as much work to import as any:

    207 correctives of 13,492 vertices, a texture that does not compress.
    """
    result, random = sample_result(texture=1024, name=name), np.random.default_rng(0)
    (person,) = result["people"]
    person["texture_png"] = encoded(random.integers(0, 256, (1024, 1024, 3), np.uint8))
    person["posedirs"] = random.normal(0, 0.004, (len(person["template"]), 3, 207)).astype(np.float32)
    return result


def rest_vertices(person: dict[str, Any], betas: NDArray[Any] | None = None) -> NDArray[Any]:
    betas = person["betas"] if betas is None else betas
    return person["template"].astype(float) + person["shapedirs"].astype(float) @ betas + person["offsets"]


def joints(person: dict[str, Any], betas: NDArray[Any] | None = None) -> NDArray[Any]:
    return person["joint_template"].astype(float) + person["joint_shapedirs"].astype(float) @ (
        person["betas"] if betas is None else betas
    )


def posed_vertices(person: dict[str, Any]) -> NDArray[Any]:
    """(V, 3) linear blend skinning as Loper et al. 2015 (equations 2-4) write it, camera frame, double precision."""
    rest, heads = rest_vertices(person), joints(person)
    local = Rotation.from_rotvec(person["pose"].astype(float)).as_matrix()
    world = np.zeros((24, 4, 4))
    for joint, parent in enumerate(person["parents"]):
        step = np.eye(4)
        step[:3, :3], step[:3, 3] = local[joint], heads[joint] - (heads[parent] if parent >= 0 else 0)
        world[joint] = step if parent < 0 else world[parent] @ step
    relative = world.copy()
    relative[:, :3, 3] -= np.einsum("jab,jb->ja", world[:, :3, :3], heads)
    blended = np.einsum("vk,vkab->vab", person["skin_weights"].astype(float), relative[person["skin_joints"]])
    return np.einsum("vab,vb->va", blended[:, :3, :3], rest) + blended[:, :3, 3] + person["transl"]


def world_of(camera_points: NDArray[Any]) -> NDArray[Any]:
    """Camera frame (x right, y down, z forward) -> Blender's world seen along +y (x right, y forward, z up)."""
    return np.stack([camera_points[:, 0], camera_points[:, 2], -camera_points[:, 1]], -1)


def pixels_of(camera: dict[str, Any], camera_points: NDArray[Any]) -> NDArray[Any]:
    """A pinhole camera's pixels."""
    return camera_points[:, :2] / camera_points[:, 2:] * camera["focal"] + np.array(camera["center"])


def smpl_sized(result: dict[str, Any]) -> dict[str, Any]:
    """A body of SMPL's size: 6,890 vertices, triangles, 207 pose blend shapes."""
    person = dict(result["people"][0])
    for key in ("template", "shapedirs", "offsets", "skin_joints", "skin_weights"):
        person[key] = person[key][:6890]
    person["triangles"] = person["triangles"][(person["triangles"] < 6890).all(1)]
    person |= {"quads": None, "quad_uv": None, "uv": np.zeros((0, 2), np.float32), "body_model": "smpl-neutral"}
    for key in ("regressor_joints", "regressor_vertices", "regressor_weights"):
        person[key] = None
    person["posedirs"] = np.random.default_rng(5).normal(0, 0.004, (6890, 3, 207)).astype(np.float32)
    return {**result, "people": [person]}


def with_fingers(result: dict[str, Any], fingers: str = "relaxed") -> dict[str, Any]:
    """A result in schema 2 as today's backend sends it: with fingers, jaw, eyes and expressions."""
    from uvatar.body import load_open_body
    from uvatar.protocol.rig import posed_hands
    from uvatar.results.present import face_entry, rig_entry

    data = load_open_body(OPEN_BODY).data
    assert data.rig is not None
    assert data.face is not None
    fine = {
        "hand_pose": posed_hands(fingers, data.rig.finger_axes).astype(np.float32),
        "jaw_pose": np.zeros(3, np.float32),
        "eye_pose": np.zeros((2, 3), np.float32),
        "expression": np.zeros(52, np.float32),
    }
    once = with_body_once(result)
    body = {**once["body"], "rig": rig_entry(data.rig), "face": face_entry(data.face)}
    return {**once, "body": body, "people": [{**person, **fine} for person in once["people"]]}
