"""A pipeline without models: the "photos" are JSON that says what shall happen to them.

For tests of the processes around it.

Keys of a photo: ``stages`` (default 2), ``seconds`` (in each stage), ``fail`` (message of a PhotoError), ``crash``
(path: the process dies in mid job unless this file exists, which it makes first), ``always_crash``, ``wait_for`` (path:
a stage lasts until it exists; the file PATH.waiting says that it is waiting), ``wait_in`` (the only stage that waits),
``log`` (path: one line for each time that the photo is begun), ``people`` (default 1), ``nan`` (the result holds a
number that cannot be sent), ``hang`` (path: like ``crash``, but it stops for ever), ``always_hang``, ``always_killed``
(by SIGKILL, as the system does for memory), ``no_memory`` (for decoding it), ``pad`` (bytes in the result), ``hole``
(bytes that are freed below an allocation that stays, as happens by chance in real work), ``top`` (bytes that a thread
frees).
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from uvatar.photos.decoding import NoMemoryForPhoto, PhotoError

TETRAHEDRON = np.array([[0, 1, 2], [0, 3, 1], [1, 3, 2], [2, 3, 0]], np.int32)


def picture(size: int = 8, format: str = "PNG", value: int = 1) -> bytes:
    data = io.BytesIO()
    Image.fromarray(np.full((size, size), value, np.uint8)).save(data, format)
    return data.getvalue()


def result(name: str, data: bytes, people: int = 1, **metrics: Any) -> dict[str, Any]:
    """A result in the real schema, of a tetrahedral body."""
    body = {
        "body_model": "open_body",
        "beta_names": [f"b{i}" for i in range(10)],
        "template": np.eye(4, 3, dtype=np.float32),
        "shapedirs": np.zeros((4, 3, 10), np.float32),
        "joint_template": np.random.default_rng(1).normal(0, 0.3, (24, 3)).astype(np.float32),
        "joint_shapedirs": np.zeros((24, 3, 10), np.float32),
        "triangles": TETRAHEDRON,
        "triangle_uv": TETRAHEDRON,
        "uv": np.eye(4, 2, dtype=np.float32),
        "skin_joints": np.zeros((4, 4), np.uint8),
        "skin_weights": np.eye(1, 4, dtype=np.float32).repeat(4, 0),
        "joint_names": [f"j{i}" for i in range(24)],
        "parents": [-1, *range(23)],
    }
    person = {
        "betas": np.zeros(10, np.float32),
        "pose": np.zeros((24, 3), np.float32),
        "offsets": np.zeros((4, 3), np.float32),
        "transl": np.array([0, 0, 3], np.float32),
        "texture_png": picture(),
        "source_png": picture(value=2),
        "overlay_jpeg": picture(format="JPEG"),
        "turntable_png": picture(),
        "box": [0.0, 0.0, 8.0, 8.0],
        "confidence": 0.9,
        "notes": [],
        "measurements": {"stature": 170.0},
        "metrics": {"landmark_error_median": 0.005, "mask_iou": 0.9, **metrics},
        "licence": {"body_model": "CC0-1.0"},
    }
    return {
        "schema": 2,
        "photo": {
            "name": name,
            "digest": hashlib.sha256(data).hexdigest(),
            "width": 8,
            "height": 8,
            "jpeg": picture(format="JPEG"),
        },
        "camera": {"focal": 9.6, "center": [4.0, 4.0], "width": 8, "height": 8},
        "body": body,
        "people": [{"id": f"p{i}", **person} for i in range(people)],
        "timings": {"fitting": 0.1},
        "version": "test",
        "errors": [],
    }


def blocks(size: int, each: int = 100_000) -> list[bytes]:
    """Memory in blocks that are not so large that C libraries give each pages of its own."""
    return [b"\1" * each for _ in range(size // each)]


class FakePipeline:
    """Does to each photo what the photo says."""

    def __init__(self, threads: int | None = None, device: str | None = None, gpu: int = 0) -> None:
        self.kept: list[bytes] = []
        self.facts = {"name": "fake", "threads": threads, "gpu": os.environ.get("CUDA_VISIBLE_DEVICES")}

    def reconstruct(
        self, photos: list[tuple[str, bytes]], options: dict[str, Any], progress: Any, photo_done: Any
    ) -> None:
        for index, (name, data) in enumerate(photos):
            try:
                orders = json.loads(data)
            except ValueError:
                raise PhotoError(f"{name} is not a picture.") from None
            self._work(name, orders, progress)
            if not options["same_person"]:
                metrics = {"landmark_error_median": float("nan")} if orders.get("nan") else {}
                photo_done(
                    index,
                    {**result(name, data, orders.get("people", 1), **metrics), "pad": bytes(orders.get("pad", 0))},
                )
        if options["same_person"]:
            photo_done(0, result(*photos[0]))

    def find_people(self, photos: list[tuple[str, bytes]], progress: Any, photo_done: Any) -> None:
        for index, (name, _) in enumerate(photos):
            found = {"photo": {"name": name}, "people": []}
            photo_done(index, {"schema": 2, "people": [], "version": "test", "errors": [], "found": found})

    def complete_texture(self, pictures: list[tuple[str, bytes]], body: str, progress: Any) -> dict[str, Any]:
        texture = {"name": pictures[0][0], "body_model": body, "pictures": len(pictures)}
        return {"schema": 2, "people": [], "version": "test", "errors": [], "texture": texture}

    def _work(self, name: str, orders: dict[str, Any], progress: Any) -> None:
        stages = orders.get("stages", 2)
        if "log" in orders:
            with open(orders["log"], "a") as log:
                log.write(name + "\n")
        for stage in range(stages):
            progress(f"stage {stage}", stage / stages, f"Stage {stage} of {name}")
            time.sleep(orders.get("seconds", 0))
            while (
                "wait_for" in orders and orders.get("wait_in", stage) == stage and not Path(orders["wait_for"]).exists()
            ):
                Path(orders["wait_for"] + ".waiting").touch()
                time.sleep(0.01)
        progress("last", 1.0, f"All of {name}")
        if "hole" in orders:
            self.kept.append(blocks(orders["hole"])[-1])
        if "top" in orders:
            with ThreadPoolExecutor(1) as pool:
                pool.submit(bytes, orders["top"]).result()  # freed, it teaches glibc to keep as much
                pool.submit(lambda: len(blocks(orders["top"]))).result()
        if orders.get("always_crash"):
            os._exit(9)
        if "crash" in orders and not Path(orders["crash"]).exists():
            Path(orders["crash"]).touch()
            os._exit(9)
        if orders.get("always_hang") or ("hang" in orders and not Path(orders["hang"]).exists()):
            if "hang" in orders:
                Path(orders["hang"]).touch()
            time.sleep(1e6)
        if orders.get("always_killed"):
            os.kill(os.getpid(), 9)
        if orders.get("no_memory"):
            raise NoMemoryForPhoto("There is not enough memory.", 54_000_000)
        if "fail" in orders:
            raise PhotoError(orders["fail"])


class SlowlyLoadingPipeline(FakePipeline):
    """A pipeline that is loaded when the file that UVATAR_TEST_LOADED names exists."""

    def __init__(self, threads: int | None = None, device: str | None = None, gpu: int = 0) -> None:
        super().__init__(threads)
        if os.environ.get("UVATAR_TEST_POINT"):
            from tests.service import faulty_server

            if os.environ["UVATAR_TEST_POINT"] in faulty_server.MODEL_POINTS:
                faulty_server.stop_at(os.environ["UVATAR_TEST_POINT"])
        while not Path(os.environ["UVATAR_TEST_LOADED"]).exists():
            time.sleep(0.01)


class BrokenPipeline:
    """A pipeline whose weights are missing."""

    def __init__(self, threads: int | None = None, device: str | None = None, gpu: int = 0) -> None:
        raise FileNotFoundError("open_body.npz is missing")


class ShortOfMemoryPipeline:
    """A pipeline for whose models there is no memory."""

    def __init__(self, threads: int | None = None, device: str | None = None, gpu: int = 0) -> None:
        raise ImportError("libtorch_cpu.so: failed to map segment") from OSError(errno.ENOMEM, "Cannot allocate memory")


class KilledPipeline:
    """A pipeline whose process is killed while it loads."""

    def __init__(self, threads: int | None = None, device: str | None = None, gpu: int = 0) -> None:
        os.kill(os.getpid(), 9)


class DyingPipeline(FakePipeline):
    """A pipeline that ends its process while it loads, until the file that UVATAR_TEST_LOADED names exists."""

    def __init__(self, threads: int | None = None, device: str | None = None, gpu: int = 0) -> None:
        super().__init__(threads)
        if not Path(os.environ["UVATAR_TEST_LOADED"]).exists():
            os._exit(11)
