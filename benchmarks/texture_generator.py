"""How long the Texture Predictor's generator takes on the CPU, beside the StyleGAN2 on PyPI (`stylegan2-pytorch`, MIT).

    python -m benchmarks.texture_generator
    python -m benchmarks.texture_generator --no-public    # without a network connection

Run it after a change of the network's layers. "generator" is the mapping and synthesis of one texture of 256 x 256
texels, with random weights. "generator as public" has the channels of the public network (512 at 4 x 4 down to 32 at
256 x 256) and no spatial conditioning, so that the two can be compared. The public package is installed into a
temporary folder, without what it needs for training; its row is left out if that fails. The whole network with the
weights that ship is measured by `python -m benchmarks.networks --networks texture`.
"""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest import mock

import torch

from benchmarks.csv_results import write_csv
from uvatar.texture_predictor.config import default
from uvatar.texture_predictor.networks.network import TextureNetwork
from uvatar.texture_predictor.structure import Structure

TARGET = 0.25  # seconds for the generator at 256 x 256 on 2 cores
PUBLIC = (
    "stylegan2-pytorch==1.9.0",
    "vector-quantize-pytorch==0.1.0",
    "einops",
    "kornia",
    "kornia-rs",
    "fire",
    "termcolor",
)
OURS = ("generator", "generator bfloat16", "generator as public")


def ours(row: str) -> Callable[[], object]:
    """A function that runs Uvatar's network once, in the configuration named by a row."""
    config = default()
    if row == "generator as public":
        config = replace(
            config,
            latent=512,
            structure=512,
            style=512,
            mapping_layers=8,
            channel_max=512,
            spatial_base=0,
            spatial_max=0,
        )
    network = TextureNetwork(config).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    size = config.resolution
    pose, numbers = torch.eye(3).expand(1, 24, 3, 3), (torch.zeros(1, 10), torch.zeros(1, 3))
    maps = (
        (torch.rand(1, 7, size, size), *(torch.rand(1, count, size, size) for count in (4, 4, 3)))
        if config.spatial
        else ()
    )
    structure = Structure(pose, *numbers, *maps)
    vector, features = network.structure_encoder(structure)
    latent = torch.randn(1, config.latent)
    dtype = torch.bfloat16 if "bfloat16" in row else torch.float32
    return lambda: network.synthesis(network.codes(latent, vector), features, dtype=dtype)


def public() -> Callable[[], object]:
    """A function that runs stylegan2-pytorch's generator with its defaults, at 256 x 256, once.

    The package requires a GPU when it is imported, but its layers do not.
    """
    with (
        mock.patch("torch.cuda.is_available", return_value=True),
        mock.patch.dict(sys.modules, {"aim": types.ModuleType("aim")}),
    ):
        package = importlib.import_module("stylegan2_pytorch.stylegan2_pytorch")
    mapping, generator = package.StyleVectorizer(512, 8).eval(), package.Generator(256, 512).eval()
    latent, noise = torch.randn(1, 512), torch.rand(1, 256, 256, 1)
    return lambda: generator(mapping(latent)[:, None].expand(-1, generator.num_layers, -1), noise)


def measure(row: str, threads: int, repeats: int = 7) -> tuple[float, float]:
    """Median seconds of a row: wall-clock time, and CPU time of all threads, which other programs affect less."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    times = []
    with torch.inference_mode():
        run = public() if row == "public" else ours(row)
        for _ in range(2):
            run()
        for _ in range(repeats):
            start, worked = time.perf_counter(), time.process_time()
            run()
            times.append((time.perf_counter() - start, time.process_time() - worked))
    return middle([clock for clock, _ in times]), middle([cpu for _, cpu in times])


def middle(values: list[float]) -> float:
    """The median; the upper of the two middle values if their number is even."""
    return sorted(values)[len(values) // 2]


def install(folder: Path) -> str:
    """Install the public package into a folder; returns an error message, or an empty string."""
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--target", str(folder)]
    command = [sys.executable, "-m", "pip", "install", *options, *PUBLIC]
    done = subprocess.run(command, capture_output=True, text=True)
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["pip failed"])[-1]


def main() -> None:
    """Measure, print the figures and write them as CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of measuring each row in a process of its own")
    parser.add_argument("--no-public", action="store_true", help="do not install and measure the public package")
    parser.add_argument("--row", help="internal: measure one row")
    arguments = parser.parse_args()
    if arguments.row:
        print(*measure(arguments.row, arguments.threads))
        return
    with tempfile.TemporaryDirectory() as folder:
        problem = "left out as asked" if arguments.no_public else install(Path(folder))
        rows = OURS if problem else (*OURS, "public")
        path = os.pathsep.join(part for part in (os.environ.get("PYTHONPATH"), folder) if part)
        seconds: dict[str, list[tuple[float, float]]] = {row: [] for row in rows}
        for _ in range(arguments.rounds):
            for row in rows:
                command = [sys.executable, "-m", "benchmarks.texture_generator", "--row", row]
                command += ["--threads", str(arguments.threads)]
                done = subprocess.run(
                    command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
                )
                clock, cpu = map(float, done.stdout.split())
                seconds[row].append((clock, cpu))
    median = {row: middle([clock for clock, _ in times]) for row, times in seconds.items()}
    work = {row: middle([cpu for _, cpu in times]) for row, times in seconds.items()}
    print(f"{f'256 x 256, batch 1, {arguments.threads} threads':36} {'ms':>8} {'CPU ms':>8}")
    table = []
    for row, value in median.items():
        name = "stylegan2-pytorch 1.9.0" if row == "public" else row
        print(f"{name:36} {1e3 * value:8.1f} {1e3 * work[row]:8.1f}")
        table.append({"what": name, "ms": 1e3 * value, "CPU ms": 1e3 * work[row]})
    verdict = "under" if median["generator"] < TARGET else "NOT under"
    print(f"generator: {verdict} {1e3 * TARGET:.0f} ms")
    if problem:
        print(f"stylegan2-pytorch was not measured: {problem}")
    else:
        print(
            f"stylegan2-pytorch takes {median['public'] / median['generator as public']:.2f} times as long "
            "with the same channels, "
            f"{median['public'] / median['generator']:.2f} times as long as our default"
        )
    notes = [f"256 x 256, batch 1, {arguments.threads} threads; medians of {arguments.rounds} rounds"]
    write_csv(
        "texture_generator", table, notes + ([f"stylegan2-pytorch was not measured: {problem}"] if problem else [])
    )


if __name__ == "__main__":
    main()
