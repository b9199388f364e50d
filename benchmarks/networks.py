"""How fast every network is on ONNX Runtime and on PyTorch, on the CPU, in one run.

    python -m benchmarks.networks                                    # all, one photo at once and eight
    python -m benchmarks.networks --networks light --batches 1       # one of them, one photo at once

Run it after a change of a network's layers or of a runtime's version.

"exact" is the published ROMP network with random weights; "naive" is the authors' layout run as built: NCHW, eager,
float32, batch norms in place. "light" is the Mesh Predictor that ships, "texture" the Texture Predictor, "lifter" the
pose lifter, with the weights that ship. "PyTorch" is how the product runs a network where PyTorch has to: batch norms
folded and convolutions packed where it is a Mesh Predictor. Rows take turns, run by run, each in a process of its own,
and a speed-up is the median (and range) over the turns of the first row's time over a row's own, so that a machine that
is busy now and then slows all. CPU ms is the time of all threads, which other programs disturb less; peak MB is the
most memory that a row's process had at once.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.csv_results import write_csv
from tools.export_onnx import export, texture_inputs
from uvatar.fitting.lifter import FEATURES
from uvatar.fitting.lifter_network import DeployedLifter, load_lifter_network
from uvatar.mesh_predictor.maps import INPUT_SIDE
from uvatar.mesh_predictor.networks.deployed import DeployedMeshPredictor, load_light
from uvatar.mesh_predictor.networks.inference import for_inference
from uvatar.mesh_predictor.networks.network import romp
from uvatar.protocol.devices import CPU
from uvatar.runtime.devices import Placement
from uvatar.runtime.networks import PlacedNetwork, open_onnx
from uvatar.runtime.torch_networks import TorchNetwork
from uvatar.runtime.weights import weights_folder
from uvatar.texture_predictor.networks.checkpoint import load_checkpoint
from uvatar.texture_predictor.networks.deployed import DeployedTextureNetwork

NAIVE, TORCH, ONNX = "naive", "PyTorch", "ONNX Runtime"
ROWS = {
    "exact": (NAIVE, TORCH, ONNX),
    "light": (NAIVE, TORCH, ONNX),
    "texture": (TORCH, ONNX),
    "lifter": (TORCH, ONNX),
}
Arrays = dict[str, NDArray[Any]]


def module_of(network: str, row: str) -> nn.Module:
    """The network in PyTorch; a Mesh Predictor is optimised, except in the row "naive" and for export."""
    torch.manual_seed(0)
    folder = weights_folder()
    if network in ("exact", "light"):
        built = romp().eval() if network == "exact" else load_light(folder / "mesh_predictor.safetensors")
        return DeployedMeshPredictor(for_inference(built) if row == TORCH else built, in_sizes=network == "light")
    if network == "texture":
        return DeployedTextureNetwork(load_checkpoint(folder / "texture_predictor.safetensors"))
    return DeployedLifter(load_lifter_network(folder / "pose_lifter.safetensors"))


def inputs_of(network: str, batch: int) -> dict[str, torch.Tensor]:
    """Random inputs of a network."""
    if network in ("exact", "light"):
        return {"image": torch.rand(batch, 3, INPUT_SIDE, INPUT_SIDE, generator=torch.Generator().manual_seed(0))}
    if network == "lifter":
        return {"features": torch.randn(2 * batch, FEATURES, generator=torch.Generator().manual_seed(0))}
    config = load_checkpoint(weights_folder() / "texture_predictor.safetensors").config
    alone = ("noise", "truncation")  # the same for all people
    return {
        name: values if name in alone else values.repeat(batch, *[1] * (values.dim() - 1))
        for name, values in texture_inputs(config).items()
    }


def answer(network: str, row: str, batch: int, threads: int, file: Path) -> None:
    """A row's process: for each input line, run, and print a `Turn`.

    Each measurement runs twice and times the second run, because other rows have filled the caches before the first.
    """
    inputs = {name: values.numpy() for name, values in inputs_of(network, batch).items()}
    built: PlacedNetwork
    if row == ONNX:
        built = open_onnx(file, CPU, threads)
    elif row == TORCH:
        module = module_of(network, row)  # packed convolutions cannot be copied
        built = TorchNetwork(module, Placement(CPU, 0, threads), on_cpu=lambda: module)
    else:
        torch.set_num_threads(threads)
        module = module_of(network, row).eval()
        tensors = {name: torch.from_numpy(values) for name, values in inputs.items()}

        def run(_: Any) -> Arrays:
            with torch.inference_mode():
                return {name: values.numpy() for name, values in module(**tensors).items()}

        built = PlacedNetwork(run, CPU, lambda: run)
    for _ in sys.stdin:
        built(inputs)
        start, worked = time.perf_counter(), time.process_time()
        built(inputs)
        clock, cpu = time.perf_counter() - start, time.process_time() - worked
        print(1e3 * clock, 1e3 * cpu, peak_resident() / 1e6, flush=True)


def peak_resident() -> int:
    """The most memory that this process has had at once, bytes."""
    if windows := getattr(psutil.Process().memory_info(), "peak_wset", None):
        return int(windows)
    import resource  # which Windows does not have

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@dataclass(frozen=True)
class Turn:
    """One measurement: milliseconds of wall-clock and CPU time, and the process's peak memory so far, megabytes."""

    clock: float
    cpu: float
    peak: float


def difference(network: str, file: Path, threads: int) -> float:
    """Largest difference of any output between ONNX Runtime and the original PyTorch network, at batch 1."""
    inputs = inputs_of(network, 1)
    with torch.inference_mode():
        expected = module_of(network, NAIVE).eval()(**inputs)
    got = open_onnx(file, CPU, threads)({name: values.numpy() for name, values in inputs.items()})
    return max(float(abs(values - expected[name].numpy()).max()) for name, values in got.items())


def measure(network: str, batch: int, threads: int, repeats: int, file: Path) -> dict[str, list[Turn]]:
    """Measure all rows of a network in turns, after a warm-up."""
    command = [sys.executable, "-m", "benchmarks.networks", "--networks", network, "--batches", str(batch)]
    command += ["--threads", str(threads), "--file", str(file)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = {row: subprocess.Popen([*command, "--row", row], **pipes) for row in ROWS[network]}
    turns: dict[str, list[Turn]] = {row: [] for row in processes}
    for _ in range(1 + repeats):  # the first is a warm-up
        for row, process in processes.items():
            assert process.stdout
            print("once", file=process.stdin, flush=True)
            turns[row].append(Turn(*map(float, process.stdout.readline().split())))
    for process in processes.values():
        process.communicate()
    return {row: took[1:] for row, took in turns.items()}


def lines(network: str, batch: int, measured: dict[str, list[Turn]]) -> list[dict[str, object]]:
    """The rows of results for one network and batch size."""
    first = next(iter(measured.values()))
    rows: list[dict[str, object]] = []
    for row, turns in measured.items():
        ratios = [one.clock / own.clock for one, own in zip(first, turns, strict=True)]
        work = [one.cpu / own.cpu for one, own in zip(first, turns, strict=True)]
        clock, cpu = (statistics.median(getattr(turn, name) for turn in turns) for name in ("clock", "cpu"))
        rows.append(
            {
                "network": network,
                "runs on": row,
                "batch": batch,
                "ms": clock,
                "ms each": clock / batch,
                "CPU ms": cpu,
                "peak MB": turns[-1].peak,
                "speed-up": statistics.median(ratios),
                "least speed-up": min(ratios),
                "greatest speed-up": max(ratios),
                "speed-up, CPU": statistics.median(work),
            }
        )
        print(
            f"{network:8} {row:13} {batch:5} {clock:8.1f} {clock / batch:8.1f} {cpu:8.1f}  {rows[-1]['speed-up']:5.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f}), CPU {rows[-1]['speed-up, CPU']:.2f}",
            flush=True,
        )
    return rows


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=ROWS, default=list(ROWS), help="all by default")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8], help="inputs at once (default: 1 8)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="turns of each row (default: %(default)s)")
    parser.add_argument("--row", help="internal: the process of one row")
    parser.add_argument("--file", type=Path, help="internal: the .onnx file of a row")
    arguments = parser.parse_args()
    if arguments.row:
        answer(arguments.networks[0], arguments.row, arguments.batches[0], arguments.threads, arguments.file)
        return
    print(f"{'network':8} {'runs on':13} {'batch':>5} {'ms':>8} {'ms each':>8} {'CPU ms':>8}  speed-up", flush=True)
    rows: list[dict[str, object]] = []
    notes = [f"{arguments.threads} threads; medians of {arguments.repeats} turns"]
    with tempfile.TemporaryDirectory() as folder:
        for network in arguments.networks:
            for batch in arguments.batches:
                file = Path(folder) / f"{network}_{batch}.onnx"
                export(module_of(network, ONNX), inputs_of(network, batch), file)
                rows += lines(network, batch, measure(network, batch, arguments.threads, arguments.repeats, file))
                if batch == 1:
                    apart = difference(network, file, arguments.threads)
                    notes.append(f"{network}: no output of ONNX Runtime's is further off than {apart:.1e}")
                    print(notes[-1], flush=True)
    write_csv("networks", rows, notes)


if __name__ == "__main__":
    main()
