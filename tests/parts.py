"""A part for tests: a quad and two triangles on the jaw, in front of the mouth."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from uvatar.protocol.parts import BLEND, Part, PartKeys
from uvatar.protocol.rig import RIG_NAMES


def made_part(name: str = "Teeth") -> Part:
    square = np.array([(-1, -1, 0), (1, -1, 0), (1, 1, 0), (-1, 1, 0)], np.float32)
    vertices = np.concatenate([square, square + (0, 0, 1), [(0, 0, 2)]]) * 0.02 + (0, 0.32, 0.25)
    faces = np.array(
        [[0, 1, 2, 3], [1, 0, 4, 5], [2, 1, 5, 6], [3, 2, 6, 7], [0, 3, 7, 4], [4, 5, 8, -1], [5, 6, 8, -1]], np.int32
    )
    weights = np.tile(np.array([0.75, 0.25, 0, 0], np.float32), (9, 1))
    joints = np.tile([RIG_NAMES.index("jaw"), RIG_NAMES.index("head"), 0, 0], (9, 1))
    shapedirs = np.zeros((9, 3, 10), np.float32)
    shapedirs[:, 1, 0] = 0.05
    keys = PartKeys(
        ("jawOpen", "tongueOut"),
        np.array([0, 4, 8], np.int32),
        np.array([4, 5, 6, 7, 0, 1, 2, 3], np.int32),
        np.array([(0, -0.02, 0)] * 4 + [(0, 0, 0.015)] * 4, np.float32),
    )
    data = io.BytesIO()
    Image.fromarray(np.full((8, 8, 4), (250, 240, 220, 128), np.uint8)).save(data, "PNG")
    return Part(
        name=name,
        vertices=vertices.astype(np.float32),
        faces=faces,
        skin_joints=joints.astype(np.uint8),
        skin_weights=weights,
        uv=np.array([(0, 0), (1, 0), (1, 1), (0, 1)], np.float32),
        face_uv=np.where(faces >= 0, faces % 4, -1).astype(np.int32),
        shapedirs=shapedirs,
        keys=keys,
        texture=data.getvalue(),
        alpha=BLEND,
        two_sided=True,
        roughness=0.25,
        material="Enamel",
    )
