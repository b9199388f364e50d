"""Where the engine's networks run, in terms for results and for people."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from uvatar.runtime import versions
from uvatar.runtime.devices import AUTO, CPU, NAMES, Placement

if TYPE_CHECKING:
    from uvatar.engine.engine import Engine
    from uvatar.runtime.networks import Network

DEVICE_VARIABLE = "UVATAR_DEVICE"
# The network that runs in a stage of a result's timings. The other stages have none, or small ones that always run on
# the CPU: perception's and the pose lifter.
_NETWORK_OF_STAGE = {
    "predicting": "mesh_predictor",
    "texturing": "texture_predictor",
    "clothing and texturing": "texture_predictor",
}
_WORDS = {"mesh_predictor": "Mesh Predictor", "texture_predictor": "Texture Predictor"}


def placement_of(device: str | None, gpu: int, threads: int) -> Placement:
    """Where networks are to run; without ``device``, where the environment variable UVATAR_DEVICE says, or "auto".

    Raises DeviceError for a device that does not exist.
    """
    return Placement(device or os.environ.get(DEVICE_VARIABLE) or AUTO, gpu, threads)


def network_devices(engine: Engine) -> dict[str, str]:
    """The device of each network that is loaded: "cpu", "cuda" and so on."""
    return {name: network.device for name, network in _networks(engine).items()}


def stage_devices(engine: Engine, stages: Iterable[str]) -> dict[str, str]:
    """The device of each stage's network; "cpu" for stages without one."""
    devices = network_devices(engine)
    return {stage: devices.get(_NETWORK_OF_STAGE.get(stage, ""), CPU) for stage in stages}


def device_notes(engine: Engine) -> tuple[str, ...]:
    """Sentences about devices that are not used although they were hoped for, each once."""
    return tuple(dict.fromkeys(note for network in _networks(engine).values() for note in network.notes))


def in_words(engine: Engine) -> str:
    """What the engine computes on, for people: "CUDA (Mesh Predictor) and 8 processor cores"."""
    networks: dict[str, list[str]] = {}
    for name, device in network_devices(engine).items():
        if device != CPU:
            networks.setdefault(NAMES[device], []).append(_WORDS[name])
    gpus = [f"{device} ({', '.join(names)})" for device, names in networks.items()]
    return " and ".join([*gpus, versions.processors()])


def _networks(engine: Engine) -> dict[str, Network]:
    owners = {"mesh_predictor": engine.mesh_predictor, "texture_predictor": engine.texture_predictor}
    return {name: owner.network for name, owner in owners.items() if owner is not None}
