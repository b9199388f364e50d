"""The checks of ``uvatar doctor``: whether this computer has what Uvatar needs, and how to fix it if not."""

from __future__ import annotations

import importlib
import importlib.util
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

from uvatar.commands import weights_report
from uvatar.engine.placement import placement_of
from uvatar.files import export
from uvatar.protocol import discovery
from uvatar.protocol.devices import AUTO, CPU
from uvatar.protocol.errors import first_line
from uvatar.protocol.version import __version__
from uvatar.runtime import constraints, memory_limits, versions
from uvatar.runtime.devices import NAMES, DeviceError
from uvatar.runtime.networks import open_placed
from uvatar.runtime.weights import WeightsError, models_folder, weights_folder
from uvatar.service import client
from uvatar.texturing.generators.plugins import SHIPPED, GeneratorError, check_generator, generator_names

GOOD, WARNING, PROBLEM = "ok", "warning", "problem"
NEEDED_DISK = 2 * 10**9
NEEDED_MEMORY = 3 * 10**9
_PYTHONS = ((3, 11), (3, 12), (3, 13))
SMALLEST_NETWORK = "pose_lifter.onnx"
_MODULES = (
    "numpy",
    "onnxruntime",
    "ai_edge_litert",
    "cv2",
    "PIL",
    "pi_heif",
    "scipy",
    "embreex",
    "safetensors",
    "zmq",
    "psutil",
)


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        subject: what was checked.
        state: "ok", "warning" (Uvatar works, but not in full) or "problem".
        words: what was found.
        fix: what to do; empty if nothing needs to be done.
    """

    subject: str
    state: str
    words: str
    fix: str = ""


def examine(folder: Path, self_test: bool = False, device: str | None = None) -> Iterator[Finding]:
    """Run all checks, one after the other. They change nothing and send nothing anywhere.

    Args:
        folder: the data folder.
        self_test: also load the models and reconstruct a small picture whose avatar is known.
        device: what networks are to run on, as in `uvatar.engine.engine.Engine.load`.
    """
    looks: tuple[Callable[[], Iterator[Finding]], ...] = (
        _python,
        _packages,
        _runtimes,
        lambda: _processors(device),
        _memory,
        _weights,
        lambda: _data_folder(folder),
        _ports,
        lambda: _server(folder),
        _blender,
        _ray,
        _texture_generators,
        *((lambda: _self_test(device),) if self_test else ()),
    )
    for look in looks:
        try:
            yield from look()
        except Exception as error:  # a failing check must not stop the others
            yield Finding("doctor", PROBLEM, f"A check failed: {type(error).__name__}: {error}", "Please report this.")


def _python() -> Iterator[Finding]:
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] in _PYTHONS and sys.maxsize > 2**32:
        yield Finding("Python", GOOD, f"{found}, {sys.executable}")
    else:
        yield Finding(
            "Python",
            PROBLEM,
            f"{found}, {sys.maxsize.bit_length() + 1} bit",
            "Install Python 3.11, 3.12 or 3.13, 64 bit.",
        )


def _packages() -> Iterator[Finding]:
    missing = []
    for name in _MODULES:
        try:
            importlib.import_module(name)
        except Exception as error:  # a broken library can raise anything
            missing.append(f"{name} ({first_line(error)})")
    if missing:
        yield Finding(
            "Packages",
            PROBLEM,
            f"Cannot be imported: {', '.join(missing)}",
            "Reinstall Uvatar in its own environment.",
        )
    else:
        moved = constraints.differences()
        as_tested = "; all as tested" if constraints.constraints_file() else ""
        note = f"; not the tested versions: {', '.join(map(str, moved))}" if moved else as_tested
        yield Finding(
            "Packages", GOOD, ", ".join(f"{name} {version}" for name, version in versions.installed().items()) + note
        )


def _runtimes() -> Iterator[Finding]:
    """The package of ONNX Runtime: one of several that have the same files in them."""
    found = constraints.runtimes()
    if not found:
        fix = "Run `python -m pip install onnxruntime`."
        yield Finding("ONNX Runtime", PROBLEM, "It is not installed", fix)
    elif len(found) > 1:
        fix = f"Run `python -m pip uninstall {' '.join(found)}`, then install the one that you want."
        yield Finding("ONNX Runtime", WARNING, f"{' and '.join(found)} overwrite each other's files", fix)
    else:
        yield Finding("ONNX Runtime", GOOD, found[0])


def _processors(device: str | None) -> Iterator[Finding]:
    """What networks really run on here: a shipped one is opened as a model process would."""
    placement = placement_of(device, 0, 1)
    asked = "" if placement.device == AUTO else f", as chosen with the device {placement.device}"
    try:
        network = open_placed(weights_folder() / SMALLEST_NETWORK, placement)
    except DeviceError as error:
        yield Finding("GPU", PROBLEM, error.message, error.fix)
        return
    if network.device != CPU:
        yield Finding("GPU", GOOD, f"the networks run on {NAMES[network.device]}{_on_which()}{asked}")
    elif network.notes:
        fix = "Update the GPU's driver. To turn this warning off, select the device cpu."
        yield Finding("GPU", WARNING, " ".join([*network.notes, "The CPU is used."]), fix)
    elif placement.device != CPU and (gpus := _nvidia_gpus()):
        fix = "Install onnxruntime-gpu in place of onnxruntime, and NVIDIA's current driver."
        words = f"{', '.join(gpus)}, which this onnxruntime cannot use; {versions.processors()} are used instead"
        yield Finding("GPU", WARNING, words, fix)
    else:
        yield Finding("GPU", GOOD, f"none is used; {versions.processors()} are{asked}")


def _on_which() -> str:
    gpus = _nvidia_gpus()
    return f" ({', '.join(gpus)})" if gpus else ""


def _nvidia_gpus() -> list[str]:
    """The names of NVIDIA's GPUs, as their driver tells them."""
    try:
        done = subprocess.run(
            ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=30,
            stdin=subprocess.DEVNULL,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return [name.strip() for name in done.stdout.splitlines() if name.strip()]


def _memory() -> Iterator[Finding]:
    memory = memory_limits.memory()
    words = memory.describe()
    if memory.total < memory_limits.MODEL_BYTES:
        yield Finding("Memory", PROBLEM, memory_limits.needed(), memory_limits.FIX)
    elif memory.available < NEEDED_MEMORY:
        yield Finding(
            "Memory", WARNING, words, f"{memory_limits.FIX} A model process takes 1.3 GB, more for large photos."
        )
    else:
        yield Finding("Memory", GOOD, words)


def _weights() -> Iterator[Finding]:
    try:
        folder = weights_folder()
    except WeightsError as error:
        yield Finding("Weights", PROBLEM, str(error), "Install Uvatar again.")
        return
    shipped, brought = weights_report.shipped(folder), weights_report.brought(models_folder())
    broken = [item for item in shipped if item.state == weights_report.BROKEN]
    for item in broken:
        yield Finding("Weights", PROBLEM, f"{item.name}: {item.remark}", "Install Uvatar again.")
    if not broken:
        whole = sum(item.state == weights_report.GOOD for item in shipped)
        yield Finding("Weights", GOOD, f"{whole} files in {folder} match their checksums (sha256)")
    for item in brought:
        if item.state == weights_report.BROKEN:
            yield Finding(
                "Your models",
                WARNING,
                f"{item.name}: {item.remark}",
                f"Replace or remove the file in {models_folder()}.",
            )


def _data_folder(folder: Path) -> Iterator[Finding]:
    place = next(parent for parent in (folder, *folder.parents) if parent.exists())
    try:
        with TemporaryFile(dir=place):
            pass
    except OSError as error:
        fix = "Give yourself write permission there, or set UVATAR_DATA to another folder."
        yield Finding("Data folder", PROBLEM, f"{place} cannot be written to: {error.strerror or error}", fix)
        return
    free = shutil.disk_usage(place).free
    words = f"{folder}, {free / 1e9:.1f} GB free"
    if free < NEEDED_DISK:
        yield Finding("Data folder", WARNING, words, "Free some space, or set UVATAR_DATA to a folder on another disk.")
    else:
        yield Finding("Data folder", GOOD, words)


def _ports() -> Iterator[Finding]:
    import zmq

    try:
        with (
            socket.create_server(("127.0.0.1", 0)) as listener,
            socket.create_connection(listener.getsockname(), timeout=5),
        ):
            listener.accept()[0].close()
    except OSError as error:
        fix = "Allow Python to use 127.0.0.1 in your firewall or security software."
        yield Finding("Ports", PROBLEM, f"Programs on this computer cannot connect to each other: {error}", fix)
        return
    curve = "encryption is available, so --network works" if zmq.has("curve") else "no encryption, so no --network"
    yield Finding("Ports", GOOD, f"127.0.0.1 can be used; {curve}")


def _server(folder: Path) -> Iterator[Finding]:
    runtime = discovery.read_runtime(folder)
    found = client.find(folder)
    if found is None:
        state = (
            "A server was killed; the next one will continue its jobs"
            if runtime
            else "none is running; one is started when needed"
        )
        yield Finding("Server", GOOD, state)
        return
    with found:
        facts = found.status()
    model = facts["model"]
    if model["state"] == "broken":
        yield Finding("Server", PROBLEM, model["error"]["message"], model["error"]["fix"])
    elif facts["version"] != __version__:
        yield Finding(
            "Server", WARNING, f"It runs version {facts['version']}; this is {__version__}", "Run `uvatar stop`."
        )
    else:
        yield Finding(
            "Server",
            GOOD,
            f"process {facts['pid']}, models {model['state']}, {facts['queue']['photos']} photos waiting; computes on "
            f"{model.get('device', 'what is not known yet')}",
        )


def _self_test(device: str | None) -> Iterator[Finding]:
    from uvatar.engine.engine import Engine
    from uvatar.engine.self_test import SelfTestError, check

    try:
        yield Finding(
            "Self-test", GOOD, f"a known picture gives the expected avatar ({check(Engine.load(device=device))})"
        )
    except (SelfTestError, DeviceError) as error:
        yield Finding("Self-test", PROBLEM, error.message, error.fix)


def _blender() -> Iterator[Finding]:
    command = export.blender_command()
    if command is None:
        missing, fix = export.blender_advice()
        yield Finding("Blender", WARNING, f"{missing} The command line writes no .blend files.", fix)
        return
    if command[0] == sys.executable:
        yield Finding("Blender", GOOD, "the bpy package in this Python")
        return
    try:
        done = subprocess.run(
            [command[0], "--version"], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
        )
        words = done.stdout.splitlines()[0] if done.stdout else "it prints no version"
    except (OSError, subprocess.TimeoutExpired) as error:
        yield Finding(
            "Blender", PROBLEM, f"{command[0]} cannot be run: {error}", "Set UVATAR_BLENDER to a working Blender."
        )
        return
    yield Finding("Blender", GOOD, f"{words}, {command[0]}")


def _ray() -> Iterator[Finding]:
    if importlib.util.find_spec("ray"):
        yield Finding("Ray", GOOD, "installed: `uvatar batch --ray` can be used")
    else:
        yield Finding("Ray", GOOD, 'not installed; optional, for clusters: python -m pip install "uvatar[ray]"')


def _texture_generators() -> Iterator[Finding]:
    for name in generator_names():
        if name in SHIPPED:
            yield Finding("Texture generators", GOOD, f"{name}: optional, see docs/texture-generators.md")
            continue
        try:
            check_generator(name)
        except GeneratorError as error:
            yield Finding("Texture generators", WARNING, str(error), "Update or uninstall this plug-in.")
        else:
            yield Finding("Texture generators", GOOD, f"{name}: `--texture-generator {name}`")
