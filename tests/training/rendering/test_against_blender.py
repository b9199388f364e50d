"""The same textured body drawn by Blender: what is learnt here must look the same there."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from uvatar.data.camera import Camera
from uvatar.evaluation.metrics import psnr
from uvatar_training.rendering import Cameras, PixelView, UvMesh, paint, see

SCRIPT = Path(__file__).with_name("render_in_blender.py")


def smooth_inside(view: PixelView) -> NDArray[Any]:
    """(H, W) pixels whose 3x3 surroundings show one piece of surface and one piece of the texture."""
    values = torch.cat([view.depth[..., None].clamp_max(100), view.uv], -1)[0].permute(2, 0, 1)[None]
    high = torch.nn.functional.max_pool2d(values, 3, 1, 1)
    low = -torch.nn.functional.max_pool2d(-values, 3, 1, 1)
    depth, u, v = (high - low)[0]
    return ((depth < 0.03) & (u < 0.05) & (v < 0.05)).numpy()


@pytest.mark.slow
def test_cycles_draws_the_same_picture(people: Tensor, mesh: UvMesh, texture: Tensor, tmp_path: Path) -> None:
    if find_spec("bpy") is None:
        pytest.skip("bpy is not installed")
    camera = Camera(360.0, (150.0, 131.0), 320, 256)
    pixels = (texture[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "texture.png")
    np.savez(
        tmp_path / "scene.npz", vertices=people[0].numpy(), faces=mesh.faces.numpy(), face_uv=mesh.face_uv.numpy(),
        focal=camera.focal, center=camera.center, height=camera.height, width=camera.width,
    )  # fmt: skip
    command = [
        sys.executable,
        str(SCRIPT),
        *(str(tmp_path / name) for name in ("scene.npz", "texture.png", "picture.npy")),
    ]
    environment = os.environ | {"BLENDER_USER_RESOURCES": str(tmp_path / "blender")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    drawn = np.load(tmp_path / "picture.npy")

    view = see(people[:1], mesh, Cameras.of([camera]))
    read = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255

    def picture(of: Tensor) -> NDArray[Any]:
        return 255 * paint(view, of, 0.0)[0].permute(1, 2, 0).numpy()

    covered = view.mask[0, 0].numpy()
    assert ((drawn[..., 3] > 0.5) == covered).mean() > 0.998
    inside = smooth_inside(view) & covered
    assert inside.sum() > 0.7 * covered.sum()
    blender = 255 * drawn[..., :3]
    assert psnr(picture(read), blender, inside) >= 40
    # The figure is one that any slip of convention would spoil.
    assert psnr(picture(read.flip(2)), blender, inside) < 20
    assert psnr(picture(read.roll(1, 3)), blender, inside) < 35
