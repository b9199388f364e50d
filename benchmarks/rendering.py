"""How long it takes to find what every pixel sees of the open body: our scan conversion beside PyTorch3D's on the CPU.

    python -m benchmarks.rendering
    python -m benchmarks.rendering --sides 128 --repeats 3    # quicker: PyTorch3D takes seconds for a picture

Run it after a change of `uvatar.geometry.raster` or `uvatar_training.rendering`. Every row is one picture of a body in
a pose that was not seen before, so that all the work for a new pose is counted. "see" adds what has gradients
(barycentrics, UV, depth); "paint" is one step of learning a texture on a view that is kept: a look-up in a texture of
128x128 texels and its gradient. Figures are medians; ours and PyTorch3D's take turns, so that a busy machine slows
both. One thread each.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable

import torch

from benchmarks.csv_results import write_csv
from uvatar.body import load_open_body
from uvatar.body.torch_body import TorchBody
from uvatar.data.camera import Camera
from uvatar.geometry.raster import rasterize
from uvatar_training.rendering import Cameras, UvMesh, paint, see, visible_faces
from uvatar_training.rendering.pytorch3d_raster import visible_faces_pytorch3d


def timed(action: Callable[[], object]) -> float:
    """The wall-clock seconds that an action takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def measure(side: int, repeats: int) -> dict[str, float]:
    """Median milliseconds by name, and the share of pixels for which both rasterisers agree."""
    body = load_open_body()
    mesh = UvMesh.of(body.data)
    camera = Camera(1.4 * side, (side / 2, side / 2), side, side)
    cameras = Cameras.of([camera])
    pose = torch.zeros(1, 24, 3)
    pose[0, 0, 0] = math.pi
    pose[0, 16, 2], pose[0, 17, 2] = -1.1, 1.1
    vertices = TorchBody(body.data)(torch.zeros(1, 10), pose, torch.tensor([[0.0, 0.05, 3.0]])).vertices
    texture = torch.rand(1, 3, 128, 128, requires_grad=True)
    view = see(vertices, mesh, cameras).detach()
    actions: dict[str, tuple[Callable[[], object], int]] = {
        "ours": (lambda: visible_faces(vertices, mesh.faces, cameras), repeats),
        "see": (lambda: see(vertices, mesh, cameras), repeats),
        "paint": (lambda: paint(view, texture).mean().backward(), repeats),
        "embree": (lambda: rasterize(vertices[0].numpy(), body.data.faces, camera), repeats),
        "pytorch3d": (lambda: visible_faces_pytorch3d(vertices, mesh.faces, cameras), 1),
    }
    times: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(3):
        for name, (action, count) in actions.items():
            times[name] += [timed(action) for _ in range(count)]
    milliseconds = {name: 1e3 * statistics.median(values) for name, values in times.items()}
    same = visible_faces(vertices, mesh.faces, cameras) == visible_faces_pytorch3d(vertices, mesh.faces, cameras)
    return milliseconds | {"same": float(same.float().mean())}


def main() -> None:
    """Measure, print the figures and write them as CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--sides", type=int, nargs="+", default=[128, 256], help="of the pictures, pixels (default: 128 256)"
    )
    parser.add_argument("--repeats", type=int, default=9, help="pictures for each row (default: %(default)s)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print("open body, 27,420 triangles; milliseconds per picture")
    print(
        f"{'side':>5} {'ours':>8} {'see':>8} {'paint':>8} {'Embree':>8} {'PyTorch3D':>10} {'ours faster':>12} "
        f"{'same triangle':>14}"
    )
    rows: list[dict[str, object]] = []
    for side in arguments.sides:
        row = measure(side, arguments.repeats)
        faster = row["pytorch3d"] / row["ours"]
        values = " ".join(f"{row[name]:8.1f}" for name in ("ours", "see", "paint", "embree"))
        print(f"{side:5} {values} {row['pytorch3d']:10.0f} {faster:10.0f} x {100 * row['same']:12.2f} %")
        named = {f"{name}, ms": row[name] for name in ("ours", "see", "paint", "embree", "pytorch3d")}
        rows.append({"side, pixels": side, **named, "pytorch3d / ours": faster, "same triangle, share": row["same"]})
    write_csv("rendering", rows, ["one thread each; medians, milliseconds a picture; open body, 27,420 triangles"])


if __name__ == "__main__":
    main()
