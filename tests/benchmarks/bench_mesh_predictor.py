"""Time and memory of both Mesh Predictor networks on this machine's CPU, beside the exact layout run naively.

    python tests/benchmarks/bench_mesh_predictor.py [--batches 1 8] [--threads 2]

"naive" is ROMP's layout as built: NCHW, eager, float32, batch norms in place. Ratios are naive time over this row's time.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

import torch

from backend.mesh_predictor.decoding import CENTER_THRESHOLD, Centers, sample
from backend.mesh_predictor.efficientnet_lite import LightBackbone
from backend.mesh_predictor.inference import for_inference
from backend.mesh_predictor.network import INPUT_SIDE, MAP_SIDE, Maps, MeshPredictor, romp

ROWS = ("romp naive", "romp float32", "romp bfloat16", "light float32", "light bfloat16")


def build(row: str) -> tuple[torch.nn.Module, torch.dtype, torch.memory_format]:
    torch.manual_seed(0)
    name, kind = row.split()
    network = (romp() if name == "romp" else MeshPredictor(LightBackbone())).eval()
    if kind == "naive":
        return network, torch.float32, torch.contiguous_format
    dtype = getattr(torch, kind)
    return for_inference(network, dtype), dtype, torch.channels_last


def measure(row: str, batch: int, threads: int, repeats: int) -> None:
    """Print median milliseconds and peak resident megabytes of one row; its own process, so that peaks do not mix."""
    import psutil

    torch.set_num_threads(threads)
    network, dtype, layout = build(row)
    image = torch.rand(batch, 3, INPUT_SIDE, INPUT_SIDE).to(dtype=dtype, memory_format=layout)
    times = []
    with torch.inference_mode():
        network(image)
        for _ in range(repeats):
            start = time.perf_counter()
            network(image)
            times.append(time.perf_counter() - start)
    info = psutil.Process().memory_info()
    peak = getattr(info, "peak_wset", None) or _peak_resident()
    print(sorted(times)[len(times) // 2] * 1e3, peak / 1e6)


def _peak_resident() -> int:
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def naive_error(threads: int) -> float:
    """Largest difference of the exact network's maps, made fast in float32, from those of the layout run naively."""
    torch.set_num_threads(threads)
    image = torch.rand(1, 3, INPUT_SIDE, INPUT_SIDE)
    (naive, _, _), (fast, _, layout) = build("romp naive"), build("romp float32")
    with torch.inference_mode():
        expected, got = naive(image), fast(image.to(memory_format=layout))
    return max(float((getattr(expected, name) - getattr(got, name)).abs().max()) for name in ("center", "camera", "smpl"))


def bfloat16_error(threads: int) -> tuple[float, float]:
    """Mean and largest distance in metres between joints decoded in bfloat16 and in float32, on the open body, random weights.

    The exact network's heads are taken to speak of turns from rest, as trained ones do. Untrained features carry little but
    rounding from one place to the next, so that trained weights should do better; there are none to try here.
    """
    from backend.body import load_open_body
    from backend.mesh_predictor.rotation import six_d_from_matrices

    torch.set_num_threads(threads)
    body = load_open_body()
    image = torch.rand(1, 3, INPUT_SIDE, INPUT_SIDE, generator=torch.Generator().manual_seed(0))
    places = torch.arange(0, MAP_SIDE * MAP_SIDE, 97)
    centers = Centers(torch.zeros_like(places), places, torch.full((len(places),), CENTER_THRESHOLD))
    rest = six_d_from_matrices(torch.eye(3)).repeat(22)
    joints = []
    for row in ("romp float32", "romp bfloat16"):
        network, dtype, layout = build(row)
        with torch.inference_mode():
            maps: Maps = network(image.to(dtype=dtype, memory_format=layout))
        smpl = maps.smpl.float()
        smpl = torch.cat([smpl[:, :132] + rest[None, :, None, None], smpl[:, 132:]], 1)
        bodies = sample(Maps(maps.center.float(), maps.camera.float(), smpl), centers)
        joints.append(body(bodies.betas, bodies.pose).joints)
    apart = (joints[0] - joints[1]).norm(dim=-1)
    return float(apart.mean()), float(apart.max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--row", help="internal: measure one row")
    arguments = parser.parse_args()
    if arguments.row:
        measure(arguments.row, arguments.batches[0], arguments.threads, arguments.repeats)
        return
    print(f"{'network':16} {'batch':>5} {'ms':>9} {'ms/photo':>9} {'peak MB':>8} {'speed-up':>8}")
    for batch in arguments.batches:
        naive = None
        for row in ROWS:
            command = [sys.executable, __file__, "--row", row, "--batches", str(batch), "--threads", str(arguments.threads)]
            output = subprocess.run([*command, "--repeats", str(arguments.repeats)], check=True, capture_output=True, text=True).stdout
            milliseconds, peak = map(float, output.split())
            naive = naive or milliseconds
            speed_up = f"{naive / milliseconds:8.2f}" if row.startswith("romp") else " " * 8
            print(f"{row:16} {batch:5} {milliseconds:9.1f} {milliseconds / batch:9.1f} {peak:8.0f} {speed_up}")
    print(f"exact network, fast against naive float32: largest difference of a map {naive_error(arguments.threads):.1e}")
    mean, largest = bfloat16_error(arguments.threads)
    print(f"joints decoded in bfloat16 against float32: mean {1e3 * mean:.2f} mm, largest {1e3 * largest:.2f} mm")


if __name__ == "__main__":
    main()
