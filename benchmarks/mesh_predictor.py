"""Time and memory of both Mesh Predictor networks on this machine's CPU, eager and made fast, beside the layout run
naively.

    python -m benchmarks.mesh_predictor [--batches 1 8] [--threads 2] [--repeats 5]

"naive" is the network as built: NCHW, eager, float32, batch norms in place. Every row has a process of its own, so that
their memories do not mix; the processes take turns forward by forward, and a row's speed-up is the median (and range)
over the turns of naive's time over its own, so that a machine that is busy now and then slows both.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass

import torch

from benchmarks.csv_results import write_csv
from uvatar.mesh_predictor.maps import CENTER_THRESHOLD, INPUT_SIDE, MAP_SIDE, Maps
from uvatar.mesh_predictor.networks.efficientnet_lite import LightBackbone
from uvatar.mesh_predictor.networks.inference import for_inference
from uvatar.mesh_predictor.networks.network import MeshPredictor, romp
from uvatar.mesh_predictor.networks.sizes import InSizes
from uvatar_training.networks.decoding import TorchCenters, sample

NETWORKS = ("romp", "light")
LAYOUTS = {"NCHW": torch.contiguous_format, "channels-last": torch.channels_last}
NAIVE = "eager float32 NCHW"
ROWS = (NAIVE, "eager float32 channels-last", "eager bfloat16 NCHW", "eager bfloat16 channels-last")
FAST = ("fast float32 channels-last", "fast bfloat16 channels-last")


def build(network: str, row: str) -> tuple[torch.nn.Module, torch.dtype, torch.memory_format]:
    """The network with random weights in the configuration named by a row, with its precision and memory format."""
    torch.manual_seed(0)
    kind, precision, layout = row.split()
    dtype, order = getattr(torch, precision), LAYOUTS[layout]
    built = (romp() if network == "romp" else MeshPredictor(LightBackbone())).eval()
    made = for_inference(built, dtype) if kind == "fast" else built.to(dtype).to(memory_format=order)  # type: ignore[call-overload]
    return (InSizes(made) if network == "light" else made), dtype, order


def answer(network: str, row: str, batch: int, threads: int) -> None:
    """A row's process: for each input line, run, and print milliseconds and the peak of resident memory, megabytes.

    Each measurement runs twice and times the second run, because other rows have filled the caches before the first.
    """
    import psutil

    torch.set_num_threads(threads)
    built, dtype, layout = build(network, row)
    image = torch.rand(batch, 3, INPUT_SIDE, INPUT_SIDE).to(dtype=dtype, memory_format=layout)
    with torch.inference_mode():
        for _ in sys.stdin:
            built(image)
            start = time.perf_counter()
            built(image)
            milliseconds = 1e3 * (time.perf_counter() - start)
            peak = getattr(psutil.Process().memory_info(), "peak_wset", None) or _peak_resident()
            print(milliseconds, peak / 1e6, flush=True)


@dataclass(frozen=True)
class Measured:
    """Milliseconds of each measurement, and peak memory in megabytes."""

    times: list[float]
    peak: float


def measure(network: str, batch: int, threads: int, repeats: int) -> dict[str, Measured]:
    """Measure all rows of a network alternately."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.mesh_predictor",
        "--network",
        network,
        "--batches",
        str(batch),
        "--threads",
        str(threads),
    ]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    processes = {row: subprocess.Popen([*command, "--row", row], text=True, **pipes) for row in (*ROWS, *FAST)}  # type: ignore[call-overload]
    turns: dict[str, list[tuple[float, float]]] = {row: [] for row in processes}
    for _ in range(1 + repeats):  # the first is a warm-up
        for row, process in processes.items():
            print("once", file=process.stdin, flush=True)
            milliseconds, peak = map(float, process.stdout.readline().split())
            turns[row].append((milliseconds, peak))
    for process in processes.values():
        process.stdin.close()
        process.wait()
    return {row: Measured([milliseconds for milliseconds, _ in took[1:]], took[-1][1]) for row, took in turns.items()}


def _peak_resident() -> int:
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def naive_error(threads: int) -> float:
    """Largest difference between the exact network's maps, optimised in float32, and those of the naive layout."""
    torch.set_num_threads(threads)
    image = torch.rand(1, 3, INPUT_SIDE, INPUT_SIDE)
    (naive, _, _), (fast, _, layout) = build("romp", NAIVE), build("romp", FAST[0])
    with torch.inference_mode():
        expected, got = naive(image), fast(image.to(memory_format=layout))
    return max(
        float((getattr(expected, name) - getattr(got, name)).abs().max()) for name in ("center", "camera", "smpl")
    )


def bfloat16_error(threads: int) -> tuple[float, float]:
    """Mean and largest distance, metres, between joints decoded in bfloat16 and in float32, with random weights.

    On the open body. The exact network's heads are assumed to predict rotations relative to the rest pose, as trained
    ones do. Untrained features differ between cells by little more than rounding, so trained weights should have
    smaller errors; none are available here.
    """
    from uvatar.body import load_open_body
    from uvatar.geometry.torch_rotations import six_d_from_matrices

    torch.set_num_threads(threads)
    body = load_open_body()
    image = torch.rand(1, 3, INPUT_SIDE, INPUT_SIDE, generator=torch.Generator().manual_seed(0))
    places = torch.arange(0, MAP_SIDE * MAP_SIDE, 97)
    centers = TorchCenters(torch.zeros_like(places), places, torch.full((len(places),), CENTER_THRESHOLD))
    rest = six_d_from_matrices(torch.eye(3)).repeat(22)
    joints = []
    for row in FAST:
        network, dtype, layout = build("romp", row)
        with torch.inference_mode():
            maps: Maps[torch.Tensor] = network(image.to(dtype=dtype, memory_format=layout))
        smpl = maps.smpl.float()
        smpl = torch.cat([smpl[:, :132] + rest[None, :, None, None], smpl[:, 132:]], 1)
        bodies = sample(Maps(maps.center.float(), maps.camera.float(), smpl), centers)
        joints.append(torch.from_numpy(body.joints(bodies.betas.numpy(), bodies.pose.numpy())))
    apart = (joints[0] - joints[1]).norm(dim=-1)
    return float(apart.mean()), float(apart.max())


def main() -> None:
    """Measure, print the figures and write them as CSV."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--network", choices=NETWORKS, help="this one only")
    parser.add_argument("--row", help="internal: the process of one row")
    arguments = parser.parse_args()
    if arguments.row:
        answer(arguments.network, arguments.row, arguments.batches[0], arguments.threads)
        return
    print(f"{'network':7} {'how':29} {'batch':>5} {'ms':>7} {'ms/photo':>8} {'peak MB':>7}  speed-up")
    rows: list[dict[str, object]] = []
    for batch in arguments.batches:
        for network in [arguments.network] if arguments.network else NETWORKS:
            measured = measure(network, batch, arguments.threads, arguments.repeats)
            for row, one in measured.items():
                ratios = [naive / own for naive, own in zip(measured[NAIVE].times, one.times, strict=True)]
                speed_up = f"{statistics.median(ratios):5.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
                milliseconds = statistics.median(one.times)
                print(
                    f"{network:7} {row:29} {batch:5} {milliseconds:7.0f} {milliseconds / batch:8.0f} "
                    f"{one.peak:7.0f}  {speed_up}",
                    flush=True,
                )
                rows.append(
                    {
                        "network": network,
                        "how": row,
                        "batch": batch,
                        "ms": milliseconds,
                        "ms a photo": milliseconds / batch,
                        "peak, MB": one.peak,
                        "speed-up": statistics.median(ratios),
                        "least speed-up": min(ratios),
                        "greatest speed-up": max(ratios),
                    }
                )
    maps = (
        f"exact network, fast against naive float32: largest difference of a map {naive_error(arguments.threads):.1e}"
    )
    print(maps)
    mean, largest = bfloat16_error(arguments.threads)
    joints = f"joints decoded in bfloat16 against float32: mean {1e3 * mean:.2f} mm, largest {1e3 * largest:.2f} mm"
    print(joints)
    write_csv(
        "mesh_predictor", rows, [f"{arguments.threads} threads; medians of {arguments.repeats} turns", maps, joints]
    )


if __name__ == "__main__":
    main()
