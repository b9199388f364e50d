"""The realistic renderer: Blender's Cycles, through bpy in a separate process, for a share of the pictures.

Scenes are written as arrays into a temporary folder and read back as linear light, which the sensor model shared with
the fast renderer develops into photos. People's masks are computed here, so they do not depend on the renderer.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uvatar.body import BodyData
from uvatar.data.arrays import Floats
from uvatar_training.data.problems import DataError
from uvatar_training.synthesis.rendering import RenderedPicture, developed, geometry_of, truth_maps
from uvatar_training.synthesis.scenes import Scene

TIMEOUT_PER_SCENE = 300  # seconds


@dataclass(frozen=True)
class Cycles:
    """Renders with Cycles.

    Attributes:
        samples: per pixel, before denoising.
        threads: number of processor threads; 0 uses all.
    """

    samples: int = 24
    threads: int = 0

    def render(self, scenes: Sequence[Scene], body: BodyData) -> list[RenderedPicture]:
        """Render one picture per scene, in their order.

        Raises:
            DataError: Blender is not installed or fails.
        """
        if importlib.util.find_spec("bpy") is None:
            raise DataError(
                "bpy",
                "is not installed, so nothing can be rendered with Cycles: pip install 'uvatar[blender]' (Python 3.11)",
            )
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            faces, face_uv = (
                (body.faces, body.face_uv) if body.quads is None or body.quad_uv is None else (body.quads, body.quad_uv)
            )
            np.savez(folder / "body.npz", faces=faces, corner_uv=body.uv[face_uv])
            for number, scene in enumerate(scenes):
                np.savez(folder / f"{number:05d}.npz", **_arrays(scene))
            script = Path(__file__).with_name("cycles_worker.py")
            # -P: modules in the script's folder, such as "cycles", would hide Blender's own.
            command = [sys.executable, "-P", str(script), scratch, str(self.samples), str(self.threads)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_PER_SCENE * len(scenes) + 60)
            pictures = []
            for number, scene in enumerate(scenes):
                path = folder / f"{number:05d}.light.npy"
                if not path.exists():
                    raise DataError(
                        scene.name, f"was not rendered by Blender: {(done.stderr or done.stdout).strip()[-400:]}"
                    )
                people, labels = truth_maps(scene, geometry_of(scene, body), body)
                image = developed(np.load(path), people > 0, scene.sensor, np.random.default_rng(scene.seed))
                pictures.append(RenderedPicture(image, people, labels))
        return pictures


def _arrays(scene: Scene) -> dict[str, NDArray[Any]]:
    """Everything that Blender receives, in world axes (y up) except for the camera's parameters."""

    def world(points: Floats) -> Floats:
        return (points @ scene.to_world.T).astype(np.float32)

    environment = scene.environment
    arrays = {
        "camera": np.array([scene.camera.focal, scene.camera.width, scene.camera.height, *scene.camera.center]),
        "to_world": scene.to_world,
        "floor": np.array(float(scene.floor[3])),
        "floor_colour": environment.seen(np.array([[0.0, -1.0, 0.0]]))[0]
        if scene.floor_colour is None
        else scene.floor_colour,
        "panorama": environment.panorama,
        "key": environment.key,
        "key_colour": environment.key_colour,
        "key_size": np.array(environment.key_size),
        "focus": np.array(float(scene.figures[0].joints[0, 2]) if scene.figures else 4.0),
        "seed": np.array(scene.seed),
    }
    for number, figure in enumerate(scene.figures):
        arrays[f"figure{number}"] = world(figure.vertices)
        arrays[f"texture{number}"] = figure.dressed.texture
    for number, prop in enumerate(scene.props):
        arrays |= {
            f"prop{number}": world(prop.vertices),
            f"prop_faces{number}": prop.faces,
            f"prop_colour{number}": prop.colour,
        }
        arrays[f"prop_grain{number}"] = np.array(prop.grain)
    return arrays
